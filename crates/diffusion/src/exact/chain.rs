//! A rotating AR(1): the exact score of trajectories and windows, and the exact posterior.

use ndarray::{Array1, Array2, Axis, s};
use sda_core::linalg::{Eigh, eigh, inverse, solve};
use sda_graph::{Graph, NodeId};
use sda_systems::{Ar1Rotation, System};

use crate::predictor::{NoisePredictor, TimeNodes, flat};

/// Covariance [2L, 2L] of L states of the stationary chain: Cov(x_i, x_j) = A^(i − j) Σ for i ≥ j.
pub(super) fn covariance(length: usize) -> Array2<f64> {
    let chain = Ar1Rotation::new(0.995, 30.0).unwrap().linear_gaussian().unwrap();
    let mut covariance = Array2::zeros((2 * length, 2 * length));
    let mut block = chain.initial_covariance.clone();
    for lag in 0..length {
        for j in 0..length - lag {
            let i = j + lag;
            covariance.slice_mut(s![2 * i..2 * i + 2, 2 * j..2 * j + 2]).assign(&block);
            covariance.slice_mut(s![2 * j..2 * j + 2, 2 * i..2 * i + 2]).assign(&block.t());
        }
        block = chain.transition.dot(&block);
    }
    covariance
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

/// The same exact estimate emitted as a graph, for any μ and σ:
///
///   ε = σ V (μ² Λ + σ²)⁻¹ Vᵀ x, with C = V Λ Vᵀ
pub(super) struct ExactScore {
    values: Array1<f64>,
    vectors: Array2<f64>,
}

impl ExactScore {
    pub(super) fn new(length: usize) -> Self {
        let Eigh { values, vectors } = eigh(&covariance(length)).unwrap();
        Self { values, vectors }
    }
}

impl NoisePredictor for ExactScore {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        let shape = g.shape(x).to_vec();
        let x = flat(g, x);
        let vectors = g.constant(self.vectors.clone().into_dyn());
        let values = g.constant(self.values.clone().insert_axis(Axis(0)).into_dyn());
        let modes = g.matmul(x, vectors, false, false);
        let (data, noise) = (g.square(time.mu), g.square(time.sigma));
        let data = g.mul(values, data);
        let variance = g.add(data, noise);
        let modes = g.mul(modes, time.sigma);
        let modes = g.div(modes, variance);
        let noise = g.matmul(modes, vectors, false, true);
        g.reshape(noise, &shape)
    }
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
