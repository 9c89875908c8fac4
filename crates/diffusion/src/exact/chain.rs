//! A rotating AR(1): the exact score of trajectories and windows, and the exact posterior.

use ndarray::{Array1, Array2, s};
use sda_core::linalg::{inverse, solve};
use sda_systems::{Ar1Rotation, System};

use crate::gaussian::GaussianScore;

/// Covariance [2L, 2L] of L states of the stationary chain.
pub(super) fn covariance(length: usize) -> Array2<f64> {
    Ar1Rotation::new(0.995, 30.0).unwrap().linear_gaussian().unwrap().trajectory_covariance(length)
}

/// The exact score of L states.
pub(super) fn exact_score(length: usize) -> GaussianScore {
    GaussianScore::new(Array1::zeros(2 * length), &covariance(length)).unwrap()
}

/// ε(x, t) = σ (μ² C + σ² I)⁻¹ x, as a matrix.
pub(super) fn exact_noise(covariance: &Array2<f64>, mu: f64, sigma: f64) -> Array2<f64> {
    let eye = Array2::<f64>::eye(covariance.nrows());
    inverse(&(covariance * (mu * mu) + eye * (sigma * sigma))).unwrap() * sigma
}

/// The noise estimate that the paper composes from exact scores of windows of 2k + 1 states.
pub(super) fn composed_noise(length: usize, order: usize, mu: f64, sigma: f64) -> Array2<f64> {
    let width = 2 * order + 1;
    let window = exact_noise(&covariance(width), mu, sigma);
    let mut noise = Array2::zeros((2 * length, 2 * length));
    for i in 0..length {
        let start = i.saturating_sub(order).min(length - width);
        let local = i - start;
        noise
            .slice_mut(s![2 * i..2 * i + 2, 2 * start..2 * (start + width)])
            .assign(&window.slice(s![2 * local..2 * local + 2, ..]));
    }
    noise
}

/// The first component of every n-th state, from the first, and the noise it is seen with.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) every: usize,
    pub(super) noise_std: f64,
}

impl Seen {
    /// A [P, 2L].
    pub(super) fn operator(&self, length: usize) -> Array2<f64> {
        let observed: Vec<usize> = (0..length).step_by(self.every).collect();
        let mut a = Array2::zeros((observed.len(), 2 * length));
        for (row, i) in observed.into_iter().enumerate() {
            a[[row, 2 * i]] = 1.0;
        }
        a
    }
}

/// p(x | y) = N(K y, C − K A C), and the covariance of y.
pub(super) struct ExactPosterior {
    pub(super) gain: Array2<f64>,
    pub(super) covariance: Array2<f64>,
    pub(super) observation_covariance: Array2<f64>,
}

impl ExactPosterior {
    pub(super) fn new(length: usize, seen: Seen) -> Self {
        let (c, a) = (covariance(length), seen.operator(length));
        let noise = Array2::<f64>::eye(a.nrows()) * seen.noise_std.powi(2);
        let observation_covariance = a.dot(&c).dot(&a.t()) + noise;
        let gain = solve(&observation_covariance, &a.dot(&c)).unwrap().reversed_axes();
        let covariance = &c - &gain.dot(&a).dot(&c);
        Self { gain, covariance, observation_covariance }
    }
}
