//! Linear Gaussian chains, whose filters and smoothers are closed forms.

use ndarray::{Array1, Array2};

use crate::ensemble::{LANES, Lanes};

/// x_1 ~ N(μ_0, Σ_0), x_{i+1} ~ N(A x_i + b, Σ_x).
#[derive(Clone, Debug, PartialEq)]
pub struct LinearGaussian {
    /// A [D, D].
    pub transition: Array2<f64>,
    /// b [D].
    pub offset: Array1<f64>,
    /// Σ_x [D, D].
    pub noise_covariance: Array2<f64>,
    /// μ_0 [D].
    pub initial_mean: Array1<f64>,
    /// Σ_0 [D, D].
    pub initial_covariance: Array2<f64>,
}

impl LinearGaussian {
    /// The chain that starts `transitions` later: the exact law after a burn-in.
    ///
    ///   μ_0 ← A μ_0 + b, Σ_0 ← A Σ_0 Aᵀ + Σ_x
    pub fn after(mut self, transitions: u32) -> Self {
        for _ in 0..transitions {
            self.initial_mean = self.transition.dot(&self.initial_mean) + &self.offset;
            let spread = self.transition.dot(&self.initial_covariance).dot(&self.transition.t());
            self.initial_covariance = spread + &self.noise_covariance;
        }
        self
    }
}

/// A x + b for a block of members, in place.
///
/// Shapes: `a` [D, D], `b` [D], `states` [D, LANES].
pub(crate) fn advance_affine<const D: usize>(a: &[[f64; D]; D], b: &[f64; D], states: &mut [Lanes]) {
    let states: &mut [Lanes; D] = states.try_into().expect("a block has as many components as its system");
    #[allow(clippy::needless_range_loop)] // a lane runs through every component
    for i in 0..LANES {
        let x: [f64; D] = std::array::from_fn(|c| states[c][i]);
        for r in 0..D {
            let mut sum = 0.0;
            for c in 0..D {
                sum += a[r][c] * x[c];
            }
            states[r][i] = sum + b[r];
        }
    }
}
