//! Mean and covariance of the sampler's output, and how far they are from the posterior's.

use ndarray::{Array1, Array2};
use sda_core::linalg::{eigh, sqrt_spd};

use crate::chain::Chain;
use crate::error::VerifyError;

/// Samples x ~ N(G y + c, P) for an observation y.
///
/// Shapes: G [M, P], c [M], P [M, M].
#[derive(Clone, Debug)]
pub struct Moments {
    /// G.
    pub gain: Array2<f64>,
    /// c.
    pub offset: Array1<f64>,
    /// P.
    pub covariance: Array2<f64>,
}

/// How far a sampler is from the posterior, over y ~ p(y).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// √(mean_i E_y d_i² / Var(x_i | y)), d the difference of means.
    pub bias: f64,
    /// √(tr P / tr C).
    pub spread: f64,
    /// √((E_y ‖d‖² + tr P + tr C − 2 tr (C½ P C½)½)/M), the 2-Wasserstein distance per √M.
    pub w2: f64,
    /// √(E mean (y − A x)²)/σ_y of samples; 1 is exact where y is drawn from the model with x among the samples' law.
    pub residual: f64,
}

impl Moments {
    /// Errors: an eigenvalue problem that does not converge.
    pub fn errors(&self, chain: &Chain) -> Result<Errors, VerifyError> {
        let m = chain.numbers() as f64;
        let exact = &chain.posterior_covariance;
        let of_y = &self.gain - &chain.gain;
        // Difference of means at y = A m, and its spread over y.
        let centre = chain.operator.dot(&chain.mean);
        let shift = self.gain.dot(&centre) + &self.offset - &chain.mean;
        let squared =
            of_y.dot(&chain.observation_covariance).dot(&of_y.t()).diag().to_owned() + shift.mapv(|s| s * s);
        let bias = (&squared / &exact.diag()).sum() / m;
        let trace = |c: &Array2<f64>| c.diag().sum();
        let root = sqrt_spd(exact)?;
        let product = root.dot(&self.covariance).dot(&root);
        let cross: f64 = eigh(&product)?.values.iter().map(|v| v.max(0.0).sqrt()).sum();
        let bures = trace(&self.covariance) + trace(exact) - 2.0 * cross;
        Ok(Errors {
            bias: bias.sqrt(),
            spread: (trace(&self.covariance) / trace(exact)).sqrt(),
            // Rounding may leave a square below 0; what is no number stays none.
            w2: match squared.sum() + bures {
                total if total < 0.0 => 0.0,
                total => (total / m).sqrt(),
            },
            residual: self.residual(chain),
        })
    }

    fn residual(&self, chain: &Chain) -> f64 {
        let (a, p) = (&chain.operator, chain.observed());
        let left = Array2::<f64>::eye(p) - a.dot(&self.gain);
        let shift = left.dot(&a.dot(&chain.mean)) - a.dot(&self.offset);
        let of_y = left.dot(&chain.observation_covariance).dot(&left.t()).diag().sum() + shift.dot(&shift);
        let of_x = a.dot(&self.covariance).dot(&a.t()).diag().sum();
        ((of_y + of_x) / p as f64).sqrt() / chain.seen.noise_std
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Seen;

    /// The exact posterior is off by nothing, and a mean that is no number by no number.
    #[test]
    fn what_is_no_number_is_no_error_of_zero() {
        let chain = Chain::rotation(Seen::lo()).unwrap();
        let offset = &chain.mean - &chain.gain.dot(&chain.operator.dot(&chain.mean));
        let (gain, covariance) = (chain.gain.clone(), chain.posterior_covariance.clone());
        let exact = Moments { gain, offset, covariance };
        let none = Moments { offset: Array1::from_elem(exact.offset.len(), f64::NAN), ..exact.clone() };
        let [exact, none] = [exact, none].map(|moments| moments.errors(&chain).unwrap());
        assert!(exact.w2 < 1e-6 && (exact.residual - 1.0).abs() < 1e-9, "{exact:?}");
        assert!(none.w2.is_nan(), "{none:?}");
    }
}
