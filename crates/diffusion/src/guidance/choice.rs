//! Which guidance, and where it is formed.

use sda_observe::Operator;
use serde::{Deserialize, Serialize};

use super::dps::DpsNorm;
use crate::compose::Windows;
use crate::error::{DiffusionError, check};
use crate::predictor::JacobianPart;

/// How the likelihood of noisy trajectories is approximated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Guidance {
    /// A Gaussian whose variance grows with the diffusion's noise.
    Sda {
        /// γ.
        #[serde(default = "default_gamma")]
        gamma: f64,
        /// Whether the gradient takes the network's estimate as a constant.
        #[serde(default)]
        detach: bool,
    },
    /// The same with a γ for each observed variable, the last axis of the observation.
    SdaPerVariable {
        /// γ of each.
        gamma: Vec<f64>,
    },
    /// The same with a γ for each mode of the observations' course over the observed states; composed only.
    SdaSpectral {
        /// γ of each cosine mode, from the mean on: as many as there are observed states.
        gamma: Vec<f64>,
    },
    /// A step of a length of its own along the gradient of the misfit.
    Dps {
        /// ζ.
        #[serde(default = "default_zeta")]
        zeta: f64,
        /// Over what the misfit's norm is taken.
        #[serde(default)]
        norm: DpsNorm,
    },
    /// The denoised covariance of standard normal data.
    Pigdm {
        /// Conjugate-gradient iterations on A Aᵀ; they cost no network evaluation.
        #[serde(default = "one")]
        iterations: usize,
    },
    /// The diagonal of the denoised covariance by Tweedie's second formula.
    Tmpd,
    /// The denoised covariance by Tweedie's second formula.
    Mmps {
        /// Iterations of the solver, each a vector–Jacobian product of the network, composed one with J too.
        #[serde(default = "two")]
        iterations: usize,
        /// What solves for the observations' weights.
        #[serde(default, skip_serializing_if = "is_default")]
        solver: Solver,
        /// λ, by which the denoised covariance is multiplied: the estimate is trusted less and the observation more than
        /// Tweedie's formula says. Good values: 1 for an exact score; above 1 where a learned score errs by more than its
        /// Jacobian knows, so that samples stay further from the observation than its noise.
        ///
        /// Source: Anderson & Anderson 1999, doi 10.1175/1520-0493(1999)127<2741:AMCIOT>2.0.CO;2 (multiplicative covariance
        /// inflation, there of an ensemble filter's forecast).
        #[serde(default = "no_inflation", skip_serializing_if = "is_no_inflation")]
        inflation: f64,
    },
    /// The denoised covariance of Gaussian data whose covariance is estimated beforehand.
    Jfps {
        /// What form the data's covariance is given.
        covariance: CovarianceForm,
        /// Conjugate-gradient iterations; they cost no network evaluation.
        #[serde(default = "eight")]
        iterations: usize,
    },
}

/// An iterative solver of (σ_y² I + A V Aᵀ) u = y − A(x̂) for MMPS, whose V is given by products with the network's Jacobian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Solver {
    /// Conjugate gradients: the least error in the norm of the system, if that is symmetric. Good for networks that see few
    /// numbers, whose Jacobian nearly is.
    ///
    /// Source: Rozet, Andry, Lanusse & Louppe 2024, arXiv 2405.13712.
    #[default]
    ConjugateGradients,
    /// Generalised conjugate residuals: the least residual, whatever the system; it never grows. Good for networks of fields,
    /// with which conjugate gradients diverge after a few iterations.
    ///
    /// Source: Eisenstat, Elman & Schultz 1983, doi 10.1137/0720023.
    MinimalResidual,
}

/// What of the data's covariance is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum CovarianceForm {
    /// The variances.
    Diagonal,
    /// Covariances of two states, a function of the lag between them.
    Stationary,
    /// The leading modes, and the mean variance of the others.
    LowRank {
        /// Modes kept.
        modes: usize,
    },
}

/// Where a likelihood is formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// In windows where the prior is made of windows and the operator acts on single states, else composed.
    #[default]
    Auto,
    /// On the trajectory put together, differentiated through all of the prior: the published way.
    Composed,
    /// Inside each window with the observations that fall in it, before they are put together.
    Windowed,
}

impl Place {
    /// Whether a likelihood is formed inside windows, of which a prior may have some.
    pub fn is_windowed(self, guidance: &Guidance, operator: &Operator, windows: Option<Windows>) -> bool {
        match self {
            Self::Composed => false,
            Self::Windowed => true,
            Self::Auto => {
                windows.is_some()
                    && operator.on_each_state().is_some()
                    && !matches!(guidance, Guidance::SdaSpectral { .. })
            }
        }
    }

    /// Whether a likelihood is formed on an estimate that is put together from windows.
    pub fn is_composed(self, guidance: &Guidance, operator: &Operator, windows: Option<Windows>) -> bool {
        !self.is_windowed(guidance, operator, windows) && windows.is_some_and(|w| w.count() > 1)
    }
}

fn default_gamma() -> f64 {
    1e-2
}

fn default_zeta() -> f64 {
    1.0
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

fn no_inflation() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_no_inflation(inflation: &f64) -> bool {
    *inflation == no_inflation()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_default(solver: &Solver) -> bool {
    *solver == Solver::default()
}

fn eight() -> usize {
    8
}

impl Guidance {
    /// MMPS with the default solver, not inflated.
    pub fn mmps(iterations: usize) -> Self {
        Self::mmps_by(Solver::default(), iterations)
    }

    /// The same with a solver.
    pub fn mmps_by(solver: Solver, iterations: usize) -> Self {
        Self::Mmps { iterations, solver, inflation: no_inflation() }
    }

    /// Errors: a parameter out of its range.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let accept = |x: f64| x >= 0.0 && x.is_finite();
        let expected = "finite and not negative";
        let count = |what, n: usize| check(what, "iterations", "at least 1", n, |n| n > 0);
        match self {
            Self::Sda { gamma, .. } => check("SDA guidance", "gamma", expected, *gamma, accept),
            Self::SdaPerVariable { gamma } | Self::SdaSpectral { gamma } => {
                gamma.iter().try_for_each(|&gamma| check("SDA guidance", "gamma", expected, gamma, accept))
            }
            Self::Dps { zeta, .. } => check("DPS guidance", "zeta", expected, *zeta, accept),
            Self::Pigdm { iterations } => count("ΠGDM guidance", *iterations),
            Self::Tmpd => Ok(()),
            Self::Mmps { iterations, inflation, .. } => {
                count("MMPS guidance", *iterations)?;
                let accept = |x: f64| x > 0.0 && x.is_finite();
                check("MMPS guidance", "inflation", "finite and above 0", *inflation, accept)
            }
            Self::Jfps { iterations, covariance } => {
                count("JFPS guidance", *iterations)?;
                let modes = if let CovarianceForm::LowRank { modes } = covariance { *modes } else { 1 };
                check("JFPS guidance", "modes", "at least 1", modes, |n| n > 0)
            }
        }
    }

    /// Vector–Jacobian products of the network in one estimate, Jacobian–vector products counted as such. An estimate that
    /// is put together from windows takes both where its covariance is asked for.
    pub fn products(&self, is_composed: bool) -> usize {
        let of_covariance = 1 + usize::from(is_composed);
        match self {
            Self::Sda { detach: true, .. } | Self::Jfps { .. } => 0,
            Self::Sda { .. }
            | Self::SdaPerVariable { .. }
            | Self::SdaSpectral { .. }
            | Self::Dps { .. }
            | Self::Pigdm { .. } => 1,
            Self::Tmpd => 1 + of_covariance,
            Self::Mmps { iterations, .. } => iterations * of_covariance,
        }
    }

    /// What is asked for of the network's Jacobian at the states that are observed. Moment matching moves every state by
    /// ½ (J + Jᵀ) Aᵀ u.
    pub(super) fn jacobian(&self) -> JacobianPart {
        match self {
            Self::Mmps { .. } => JacobianPart::RowsAndColumns,
            Self::Sda { .. }
            | Self::SdaPerVariable { .. }
            | Self::SdaSpectral { .. }
            | Self::Dps { .. }
            | Self::Pigdm { .. }
            | Self::Tmpd
            | Self::Jfps { .. } => JacobianPart::Rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By [`Problem::covariance_times`](super::super::problem::Problem): where windows are put together J is taken beside Jᵀ.
    #[test]
    fn a_covariance_put_together_from_windows_costs_another_product() {
        let jfps = Guidance::Jfps { covariance: CovarianceForm::Diagonal, iterations: 8 };
        let sda = |detach| Guidance::Sda { gamma: 0.03, detach };
        for (guidance, whole, composed) in [
            (sda(true), 0, 0),
            (jfps, 0, 0),
            (sda(false), 1, 1),
            (Guidance::Pigdm { iterations: 3 }, 1, 1),
            (Guidance::Tmpd, 2, 3),
            (Guidance::mmps(1), 1, 2),
            (Guidance::mmps(3), 3, 6),
        ] {
            assert_eq!(
                [guidance.products(false), guidance.products(true)],
                [whole, composed],
                "{guidance:?}"
            );
        }
    }

    /// One window is no composition, and what ties states together is formed on the whole.
    #[test]
    fn likelihoods_are_formed_where_they_can_be() {
        let (sda, each) = (Guidance::Sda { gamma: 0.03, detach: false }, Operator::EveryNth(2));
        let tied = Operator::Difference { first: 0, second: 4 };
        let spectral = Guidance::SdaSpectral { gamma: vec![0.03] };
        let windows = |length| Windows::new(length, 1, 1).ok();
        let of = |place: Place, guidance: &Guidance, operator: &Operator, windows| {
            (place.is_windowed(guidance, operator, windows), place.is_composed(guidance, operator, windows))
        };
        assert_eq!(of(Place::Auto, &sda, &each, windows(5)), (true, false));
        assert_eq!(of(Place::Auto, &sda, &tied, windows(5)), (false, true));
        assert_eq!(of(Place::Auto, &spectral, &each, windows(5)), (false, true));
        assert_eq!(of(Place::Auto, &sda, &each, None), (false, false));
        assert_eq!(of(Place::Composed, &sda, &each, windows(5)), (false, true));
        assert_eq!(of(Place::Composed, &sda, &each, windows(3)), (false, false));
        assert_eq!(of(Place::Windowed, &sda, &each, windows(5)), (true, false));
    }
}
