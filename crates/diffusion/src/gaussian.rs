//! The exact score of Gaussian data: the closed form that everything else is proved against.

use ndarray::{Array1, Array2, ArrayD, Axis};
use sda_core::linalg::{Eigh, LinalgError, eigh, solve_spd};
use sda_graph::{Graph, NodeId};

use crate::error::DiffusionError;
use crate::known::KnownStates;
use crate::predictor::{Estimate, NoisePredictor, TimeNodes, flat};

/// The exact estimate for trajectories, or windows, x₀ ~ N(m, C), at any μ and σ.
///
///   ε = σ (μ² C + σ² I)⁻¹ (x − μ m),  x̂ = m + μ C (μ² C + σ² I)⁻¹ (x − μ m)
///
/// by C = V Λ Vᵀ: neither is a difference of large numbers.
///
/// Shapes: `x` [N, L, …] with L · … = M, the rows of C.
#[derive(Clone, Debug)]
pub struct GaussianScore {
    mean: Array1<f64>,
    values: Array1<f64>,
    vectors: Array2<f64>,
}

impl GaussianScore {
    /// Shapes: `mean` [M], `covariance` [M, M].
    ///
    /// Errors: the eigenvalues do not converge, or the matrix is not finite.
    /// Panics: the shapes differ.
    #[track_caller]
    pub fn new(mean: Array1<f64>, covariance: &Array2<f64>) -> Result<Self, LinalgError> {
        assert_eq!(covariance.dim(), (mean.len(), mean.len()), "a covariance for a mean of {}", mean.len());
        let Eigh { values, vectors } = eigh(covariance)?;
        Ok(Self { mean, values: values.mapv(|v| v.max(0.0)), vectors })
    }

    /// Some numbers given others: x_u | x_k ~ N(m_u + G (x_k − m_k), C_uu − G C_ku), G = C_uk C_kk⁻¹.
    ///
    /// Errors: the known numbers' covariance is singular.
    fn given(&self, unknown: &[usize], known: &[usize]) -> Result<Conditional, LinalgError> {
        let covariance = (&self.vectors * &self.values).dot(&self.vectors.t());
        let part =
            |rows: &[usize], columns: &[usize]| covariance.select(Axis(0), rows).select(Axis(1), columns);
        let cross = part(known, unknown);
        let gain = solve_spd(&part(known, known), &cross)?.reversed_axes();
        let rest = part(unknown, unknown) - gain.dot(&cross);
        let rest = (&rest + &rest.t()) * 0.5;
        let mean = |of: &[usize]| self.mean.select(Axis(0), of);
        Ok(Conditional {
            score: Self::new(mean(unknown), &rest)?,
            known_mean: mean(known),
            gain: gain.as_standard_layout().into_owned(),
        })
    }

    /// m + V f(Λ) Vᵀ (x − μ m) twice, for a mean that all samples share or each has of its own.
    ///
    /// Shapes: `x` [N, M], `mean` [1 or N, M], results [N, M].
    fn of_rows(&self, g: &mut Graph, x: NodeId, mean: NodeId, time: &TimeNodes) -> Estimate {
        let vectors = g.constant(self.vectors.clone().into_dyn());
        let values = g.constant(row(&self.values));
        let shift = g.mul(mean, time.mu);
        let centred = g.sub(x, shift);
        let modes = g.matmul(centred, vectors, false, false);
        let (data, noise) = (g.square(time.mu), g.square(time.sigma));
        let data = g.mul(values, data);
        let variance = g.add(data, noise);
        let scaled = g.div(modes, variance);
        let noise = {
            let modes = g.mul(scaled, time.sigma);
            g.matmul(modes, vectors, false, true)
        };
        let denoised = {
            let gain = g.mul(values, time.mu);
            let modes = g.mul(scaled, gain);
            let centred = g.matmul(modes, vectors, false, true);
            g.add(centred, mean)
        };
        Estimate { noise, denoised }
    }
}

/// The law of some numbers given others.
struct Conditional {
    /// Of the unknown numbers, around their mean.
    score: GaussianScore,
    /// m_k.
    known_mean: Array1<f64>,
    /// G.
    gain: Array2<f64>,
}

/// [1, M].
fn row(a: &Array1<f64>) -> ArrayD<f64> {
    a.clone().insert_axis(Axis(0)).into_dyn()
}

/// Numbers of some states, and of all others.
fn numbers_of(states: &[usize], shape: &[usize]) -> [Vec<usize>; 2] {
    let each: usize = shape[2..].iter().product();
    let (known, unknown) = (0..shape[1] * each).partition(|i| states.binary_search(&(i / each)).is_ok());
    [known, unknown]
}

impl NoisePredictor for GaussianScore {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        self.estimate(g, x, time).noise
    }

    fn estimate(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> Estimate {
        let shape = g.shape(x).to_vec();
        let mean = g.constant(row(&self.mean));
        let x = flat(g, x);
        let Estimate { noise, denoised } = self.of_rows(g, x, mean, time);
        Estimate { noise: g.reshape(noise, &shape), denoised: g.reshape(denoised, &shape) }
    }

    /// The law of the others given the known states, exactly.
    fn estimate_known(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, known: &KnownStates) -> Estimate {
        let shape = g.shape(x).to_vec();
        let [those, others] = numbers_of(&known.states, &shape);
        let Conditional { score, known_mean, gain } =
            self.given(&others, &those).expect("known states of a regular covariance: checked");
        let (flat_x, values) = (flat(g, x), flat(g, known.values));
        let values = g.gather(values, 1, &those);
        let known_mean = g.constant(row(&known_mean));
        let away = g.sub(values, known_mean);
        let gain = g.constant(gain.into_dyn());
        let shift = g.matmul(away, gain, false, true);
        let mean = g.constant(row(&score.mean));
        let mean = g.add(shift, mean);
        let unknown = g.gather(flat_x, 1, &others);
        let part = score.of_rows(g, unknown, mean, time);
        let numbers = those.len() + others.len();
        let whole = [part.noise, part.denoised].map(|node| {
            let spread = g.scatter(node, 1, &others, numbers);
            g.reshape(spread, &shape)
        });
        known.hold(g, x, time, Estimate { noise: whole[0], denoised: whole[1] })
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let data: usize = shape[1..].iter().product();
        if data == self.mean.len() {
            return Ok(());
        }
        Err(DiffusionError::Channels { network: self.mean.len(), data, shape: shape[1..].to_vec() })
    }

    fn check_known(&self, shape: &[usize], states: &[usize]) -> Result<(), DiffusionError> {
        let [known, unknown] = numbers_of(states, shape);
        let refuse = |e: LinalgError| DiffusionError::Known {
            reason: format!("their covariance {known:?} can't be inverted: {e}; know fewer states"),
        };
        if unknown.is_empty() { Ok(()) } else { self.given(&unknown, &known).map(|_| ()).map_err(refuse) }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::interpret::evaluate;

    #[test]
    fn noise_and_data_are_the_conditional_means_of_a_gaussian() {
        let (mean, covariance) = (array![0.3, -1.0], array![[2.0, 0.9], [0.9, 0.5]]);
        let score = GaussianScore::new(mean.clone(), &covariance).unwrap();
        let x = array![[[0.7], [0.2]]];
        for (mu, sigma) in [(0.6, 0.8), (1e-3, 1.0), (1.0, 1e-3)] {
            let mut g = Graph::new();
            let node = g.constant(x.clone().into_dyn());
            let (mu_node, sigma_node) = (g.scalar(mu), g.scalar(sigma));
            let time = TimeNodes { features: mu_node, mu: mu_node, sigma: sigma_node };
            let estimate = score.estimate(&mut g, node, &time);
            let got = evaluate(g, &[], &[estimate.noise, estimate.denoised]);
            let total = &covariance * (mu * mu) + Array2::<f64>::eye(2) * (sigma * sigma);
            let away = array![0.7, 0.2] - &mean * mu;
            let solved = sda_core::linalg::solve(&total, &away).unwrap();
            let wants = [&solved * sigma, &mean + &covariance.dot(&solved) * mu];
            for (got, want) in got.iter().zip(wants) {
                let got: Array1<f64> = got.iter().copied().collect();
                assert!(
                    (&got - &want).iter().all(|d| d.abs() < 1e-9 * (1.0 + want.sum().abs())),
                    "{got} {want}"
                );
            }
        }
    }
}
