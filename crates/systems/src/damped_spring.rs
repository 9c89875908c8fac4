//! A damped spring driven by a slow force: linear and Gaussian, but not stationary.

use ndarray::{Array1, Array2};

use crate::ensemble::Lanes;
use crate::initial::InitialLaw;
use crate::linear_gaussian::{LinearGaussian, advance_affine};
use crate::normalisation::Normalisation;
use crate::system::System;

/// Model time of one transition.
const DT: f64 = 0.01;

/// A: position, velocity, acceleration −½ x − 0.1 v + 0.2 f, and a force f that decays by 1 %.
const TRANSITION: [[f64; 4]; 4] =
    [[1.0, DT, 0.5 * DT * DT, 0.0], [0.0, 1.0, DT, 0.0], [-0.5, -0.1, 0.0, 0.2], [0.0, 0.0, 0.0, 0.99]];

/// Variances of the transition's noise.
const NOISE_VARIANCE: [f64; 4] = [1e-3, 1e-3, 1e-3, 1e-2];

/// μ_0: stretched by one, at rest.
const INITIAL_MEAN: [f64; 4] = [1.0, 0.0, 0.0, 0.0];

/// The damped spring of the published code, with its own constants.
///
///   x_1 ~ N(μ_0, I), x_{i+1} ~ N(A x_i, Σ_x)
///
/// Source: the published code of Rozet & Louppe 2023; tests/reference/dynamics_damped_spring.
#[derive(Clone, Debug, PartialEq)]
pub struct DampedSpring {
    noise_std: [f64; 4],
}

impl DampedSpring {
    /// The system has no free parameter.
    pub fn new() -> Self {
        Self { noise_std: NOISE_VARIANCE.map(f64::sqrt) }
    }
}

impl Default for DampedSpring {
    fn default() -> Self {
        Self::new()
    }
}

impl System for DampedSpring {
    fn name(&self) -> &'static str {
        "DampedSpring"
    }

    fn state_dim(&self) -> usize {
        4
    }

    fn dt(&self) -> f64 {
        DT
    }

    fn component_names(&self) -> Vec<String> {
        ["position", "velocity", "acceleration", "force"].map(String::from).to_vec()
    }

    /// None: the states are of order one already.
    fn normalisation(&self) -> Normalisation {
        Normalisation::identity(4)
    }

    /// N(μ_0, I).
    fn initial_law(&self) -> InitialLaw {
        InitialLaw::unit_gaussian(INITIAL_MEAN.to_vec())
    }

    fn advance(&self, states: &mut [Lanes], _: &mut Vec<Lanes>) {
        advance_affine(&TRANSITION, &[0.0; 4], states);
    }

    fn noise_std(&self) -> Option<&[f64]> {
        Some(&self.noise_std)
    }

    fn linear_gaussian(&self) -> Option<LinearGaussian> {
        Some(LinearGaussian {
            transition: Array2::from_shape_fn((4, 4), |(r, c)| TRANSITION[r][c]),
            offset: Array1::zeros(4),
            noise_covariance: Array2::from_diag(&Array1::from(NOISE_VARIANCE.to_vec())),
            initial_mean: Array1::from(INITIAL_MEAN.to_vec()),
            initial_covariance: Array2::eye(4),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Case, assert_close};

    #[test]
    fn reference_case() {
        let (case, chain) =
            (Case::read("dynamics_damped_spring"), DampedSpring::new().linear_gaussian().unwrap());
        assert_close(&chain.transition, &case.matrix("A"), 1e-7);
        assert_close(&chain.noise_covariance, &case.matrix("Sigma_x"), 1e-7);
        assert_close(&chain.initial_covariance, &case.matrix("Sigma_0"), 1e-7);
        assert_close(&chain.offset, &case.vector("b"), 1e-7);
        assert_close(&chain.initial_mean, &case.vector("mu_0"), 1e-7);
    }
}
