//! Jacobian-free posterior sampling: the denoised covariance of Gaussian data of a known covariance.

use ndarray::{Array1, Array2, Axis, s};
use sda_core::linalg::{Eigh, LinalgError, eigh};
use sda_graph::{Graph, NodeId};

use super::CovarianceForm;
use super::conjugate::solve;
use super::problem::Problem;
use crate::predictor::TimeNodes;

/// The covariance C of the data, of a whole trajectory or of a window:
///
///   C = diag(v) where there are no modes, else Σ_k λ_k b_k b_kᵀ + v (I − Σ_k b_k b_kᵀ) with one v
///
/// Shapes: trajectories or windows of M numbers, flattened.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorCovariance {
    /// v: [M], or [1] beside modes.
    pub variances: Array1<f64>,
    /// Orthonormal b_k [M, K], K ≥ 0, and their variances λ_k [K].
    pub modes: Option<(Array2<f64>, Array1<f64>)>,
}

impl PriorCovariance {
    /// What a form keeps of a covariance of `states` states, one after another.
    ///
    /// Shapes: `covariance` [M, M].
    ///
    /// Errors: the eigenvalues do not converge, or the matrix is not finite.
    pub fn of(covariance: &Array2<f64>, form: CovarianceForm, states: usize) -> Result<Self, LinalgError> {
        let m = covariance.nrows();
        match form {
            CovarianceForm::Diagonal => {
                let diagonal = covariance.diag();
                if let Some((i, &value)) = diagonal.indexed_iter().find(|(_, v)| !v.is_finite()) {
                    return Err(LinalgError::NonFinite { index: vec![i, i], value });
                }
                Ok(Self { variances: diagonal.mapv(|v| v.max(0.0)), modes: None })
            }
            CovarianceForm::Stationary => Self::leading(&stationary(covariance, states), m),
            CovarianceForm::LowRank { modes } => Self::leading(covariance, modes),
        }
    }

    /// The same of the sample covariance of many trajectories or windows.
    ///
    /// Shapes: `samples` [N, M], M numbers of `states` states.
    /// Good values: N well above the numbers of a state; of one sample there is no covariance.
    /// Errors: as [`PriorCovariance::of`]; fewer than two samples have a covariance that is no number.
    pub fn estimate(samples: &Array2<f64>, form: CovarianceForm, states: usize) -> Result<Self, LinalgError> {
        let n = samples.nrows() as f64;
        let mean = samples.sum_axis(Axis(0)) / n;
        let centred = samples - &mean;
        Self::of(&(centred.t().dot(&centred) / (n - 1.0)), form, states)
    }

    /// The `count` largest eigenvalues, and the mean of the others.
    fn leading(covariance: &Array2<f64>, count: usize) -> Result<Self, LinalgError> {
        let Eigh { values, vectors } = eigh(covariance)?;
        let m = values.len();
        let kept = count.min(m);
        let (rest, largest) = values.view().split_at(Axis(0), m - kept);
        let rest = rest.mapv(|v| v.max(0.0)).mean().unwrap_or(0.0);
        let basis = vectors.slice_move(s![.., m - kept..]);
        Ok(Self { variances: Array1::from(vec![rest]), modes: Some((basis, largest.mapv(|v| v.max(0.0)))) })
    }
}

/// The covariance that depends on the lag between states alone: the mean over pairs with that lag.
fn stationary(covariance: &Array2<f64>, states: usize) -> Array2<f64> {
    let d = covariance.nrows() / states;
    let block = |i: usize, j: usize| covariance.slice(s![i * d..(i + 1) * d, j * d..(j + 1) * d]);
    let mut out = Array2::zeros(covariance.dim());
    for lag in 0..states {
        let pairs = states - lag;
        let mut mean = Array2::<f64>::zeros((d, d));
        (0..pairs).for_each(|j| mean += &block(j + lag, j));
        mean /= pairs as f64;
        for j in 0..pairs {
            let i = j + lag;
            out.slice_mut(s![i * d..(i + 1) * d, j * d..(j + 1) * d]).assign(&mean);
            out.slice_mut(s![j * d..(j + 1) * d, i * d..(i + 1) * d]).assign(&mean.t());
        }
    }
    out
}

/// The posterior's noise estimate.
///
///   y ~ N(A x̂, σ_y² I + A V Aᵀ), V = (C⁻¹ + μ²/σ² I)⁻¹;  s = (μ/σ²) V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ (y − A(x̂))
///
/// No derivative of the network is taken.
///
/// Source: Rozet, azula ("Jacobian-free posterior sampling").
pub(super) fn emit(
    g: &mut Graph,
    problem: &Problem<'_>,
    covariance: &PriorCovariance,
    iterations: usize,
) -> NodeId {
    let scaled = Scaled::new(g, covariance, problem.time);
    let solution = solve(g, problem, iterations, false, |g, w| scaled.times(g, w));
    problem.posterior_of_scaled(g, solution.step)
}

/// G = (μ²/σ²) V, with C's eigenvectors and the eigenvalues λ μ²/(σ² + λ μ²).
struct Scaled {
    rest: NodeId,
    modes: Option<[NodeId; 2]>,
}

impl Scaled {
    fn new(g: &mut Graph, covariance: &PriorCovariance, time: &TimeNodes) -> Self {
        let rest = share(g, &covariance.variances, time);
        let modes = covariance.modes.as_ref().map(|(basis, values)| {
            let shares = share(g, values, time);
            let beyond = g.sub(shares, rest);
            [g.constant(basis.clone().into_dyn()), beyond]
        });
        Self { rest, modes }
    }

    fn times(&self, g: &mut Graph, w: NodeId) -> NodeId {
        let rest = g.mul(w, self.rest);
        let Some([basis, beyond]) = self.modes else { return rest };
        let coefficients = g.matmul(w, basis, false, false);
        let coefficients = g.mul(coefficients, beyond);
        let more = g.matmul(coefficients, basis, false, true);
        g.add(rest, more)
    }
}

/// λ μ²/(σ² + λ μ²) of many λ, [1 or N, K].
fn share(g: &mut Graph, values: &Array1<f64>, time: &TimeNodes) -> NodeId {
    let values = g.constant(values.clone().insert_axis(Axis(0)).into_dyn());
    let (data, noise) = (g.square(time.mu), g.square(time.sigma));
    let data = g.mul(values, data);
    let total = g.add(data, noise);
    g.div(data, total)
}
