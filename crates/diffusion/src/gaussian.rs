//! The exact score of Gaussian data: the closed form that everything else is proved against.

use ndarray::{Array1, Array2, Axis};
use sda_core::linalg::{Eigh, LinalgError, eigh};
use sda_graph::{Graph, NodeId};

use crate::error::DiffusionError;
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
}

impl NoisePredictor for GaussianScore {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        self.estimate(g, x, time).noise
    }

    fn estimate(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> Estimate {
        let shape = g.shape(x).to_vec();
        let row = |a: &Array1<f64>| a.clone().insert_axis(Axis(0)).into_dyn();
        let vectors = g.constant(self.vectors.clone().into_dyn());
        let [values, mean] = [row(&self.values), row(&self.mean)].map(|a| g.constant(a));
        let x = flat(g, x);
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
        Estimate { noise: g.reshape(noise, &shape), denoised: g.reshape(denoised, &shape) }
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let data: usize = shape[1..].iter().product();
        if data == self.mean.len() {
            return Ok(());
        }
        Err(DiffusionError::Channels { network: self.mean.len(), data, shape: shape[1..].to_vec() })
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
