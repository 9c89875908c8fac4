//! A rotating autoregression in the plane: stationary, linear and Gaussian, with everything in closed form.

use ndarray::{Array1, Array2};

use crate::ensemble::Lanes;
use crate::error::SystemError;
use crate::initial::InitialLaw;
use crate::linear_gaussian::{LinearGaussian, advance_affine};
use crate::normalisation::Normalisation;
use crate::system::System;

/// Two-dimensional AR(1) that turns once in `period` steps, with stationary law N(0, I).
///
///   x_1 ~ N(0, I), x_{i+1} = ρ R(2π/period) x_i + √(1 − ρ²) z
///
/// Good values: ρ 0.995, period 30, the chain on which guidance is compared exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Ar1Rotation {
    correlation: f64,
    transition: [[f64; 2]; 2],
    noise_std: [f64; 2],
}

impl Ar1Rotation {
    /// Errors: `rho` outside [0, 1), `period` zero or not finite.
    pub fn new(rho: f64, period: f64) -> Result<Self, SystemError> {
        let check = crate::config::Check("Ar1Rotation");
        check.that("rho", "at least 0 and below 1", rho, |rho| (0.0..1.0).contains(&rho))?;
        check.that("period", "finite and not zero (negative turns clockwise)", period, |period| {
            period.is_finite() && period != 0.0
        })?;
        let (sin, cos) = (std::f64::consts::TAU / period).sin_cos();
        Ok(Self {
            correlation: rho,
            transition: [[rho * cos, -rho * sin], [rho * sin, rho * cos]],
            noise_std: [(1.0 - rho * rho).sqrt(); 2],
        })
    }
}

impl System for Ar1Rotation {
    fn name(&self) -> &'static str {
        "Ar1Rotation"
    }

    fn state_dim(&self) -> usize {
        2
    }

    /// One step: the chain has no continuous time of its own.
    fn dt(&self) -> f64 {
        1.0
    }

    fn component_names(&self) -> Vec<String> {
        ["x", "y"].map(String::from).to_vec()
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation::identity(2)
    }

    /// N(0, I), the stationary law.
    fn initial_law(&self) -> InitialLaw {
        InitialLaw::unit_gaussian(vec![0.0; 2])
    }

    fn advance(&self, states: &mut [Lanes], _: &mut Vec<Lanes>) {
        advance_affine(&self.transition, &[0.0; 2], states);
    }

    fn noise_std(&self) -> Option<&[f64]> {
        Some(&self.noise_std)
    }

    fn linear_gaussian(&self) -> Option<LinearGaussian> {
        Some(LinearGaussian {
            transition: Array2::from_shape_fn((2, 2), |(r, c)| self.transition[r][c]),
            offset: Array1::zeros(2),
            noise_covariance: Array2::eye(2) * (1.0 - self.correlation * self.correlation),
            initial_mean: Array1::zeros(2),
            initial_covariance: Array2::eye(2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_is_stationary() {
        let chain = Ar1Rotation::new(0.995, 30.0).unwrap().linear_gaussian().unwrap();
        let next = chain.transition.dot(&chain.initial_covariance).dot(&chain.transition.t())
            + &chain.noise_covariance;
        assert!((next - chain.initial_covariance).iter().all(|x| x.abs() < 1e-15));
    }

    #[test]
    fn a_period_turns_once() {
        let system = Ar1Rotation::new(0.995, 30.0).unwrap();
        let mut x = vec![1.0, 0.0];
        for _ in 0..30 {
            x = system.transition_mean(&x);
        }
        assert!((x[0] - 0.995f64.powi(30)).abs() < 1e-12 && x[1].abs() < 1e-12);
    }
}
