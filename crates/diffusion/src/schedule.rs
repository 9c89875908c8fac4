//! The diffusion: how much of the data and how much noise there is at diffusion time t.

use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};

/// Which stochastic differential equation relates σ to α; all have μ = α.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sde {
    /// σ = √(1 − α² + η²)
    #[default]
    Vp,
    /// σ = 1 − α² + η
    SubVp,
    /// σ = 1 − α + η
    SubSubVp,
}

impl Sde {
    /// All members, for tables and law tests.
    pub const ALL: [Self; 3] = [Self::Vp, Self::SubVp, Self::SubSubVp];
}

/// How α falls from 1 at t = 0 to η at t = 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alpha {
    /// cos(t arccos √η)²
    #[default]
    Cos,
    /// 1 − (1 − η) t
    Lin,
    /// exp(ln(η) t²)
    Exp,
}

impl Alpha {
    /// All members, for tables and law tests.
    pub const ALL: [Self; 3] = [Self::Cos, Self::Lin, Self::Exp];
}

/// The perturbation x(t) = μ(t) x + σ(t) ε, with ε ~ N(0, I) and t from 0 (data) to 1 (noise).
///
/// Good values: the default, VP with the cosine and η = 1e-3.
/// Source: Song et al. 2021, arXiv 2011.13456; Rozet & Louppe 2023, arXiv 2306.10574.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// σ as a function of α.
    #[serde(default)]
    pub sde: Sde,
    /// α as a function of t.
    #[serde(default)]
    pub alpha: Alpha,
    /// α at t = 1, and the least noise.
    #[serde(default = "default_eta")]
    pub eta: f64,
}

fn default_eta() -> f64 {
    1e-3
}

impl Default for Schedule {
    fn default() -> Self {
        Self { sde: Sde::default(), alpha: Alpha::default(), eta: default_eta() }
    }
}

impl Schedule {
    /// Errors: η is not between 0 and 1.
    pub fn check(&self) -> Result<(), DiffusionError> {
        check("the schedule", "eta", "above 0 and below 1", self.eta, |eta| eta > 0.0 && eta < 1.0)
    }

    /// Weight of the data at time t.
    pub fn mu(&self, t: f64) -> f64 {
        match self.alpha {
            Alpha::Cos => (t * self.eta.sqrt().acos()).cos().powi(2),
            Alpha::Lin => 1.0 - (1.0 - self.eta) * t,
            Alpha::Exp => (self.eta.ln() * t * t).exp(),
        }
    }

    /// Standard deviation of the noise at time t.
    pub fn sigma(&self, t: f64) -> f64 {
        let alpha = self.mu(t);
        match self.sde {
            Sde::Vp => (1.0 - alpha * alpha + self.eta * self.eta).sqrt(),
            Sde::SubVp => 1.0 - alpha * alpha + self.eta,
            Sde::SubSubVp => 1.0 - alpha + self.eta,
        }
    }

    /// The time at which ln σ/μ has a value; 0 or 1 where it lies below or above all of the schedule's.
    pub fn time_at(&self, log_ratio: f64) -> f64 {
        let ratio = log_ratio.exp();
        let alpha = match self.sde {
            Sde::Vp => ((1.0 + self.eta * self.eta) / (1.0 + ratio * ratio)).sqrt(),
            // α² + ratio α = 1 + η, by the form of the root that does not cancel.
            Sde::SubVp => {
                let total = 1.0 + self.eta;
                2.0 * total / (ratio + (ratio * ratio + 4.0 * total).sqrt())
            }
            Sde::SubSubVp => (1.0 + self.eta) / (1.0 + ratio),
        };
        let alpha = alpha.clamp(self.eta, 1.0);
        let t = match self.alpha {
            Alpha::Cos => alpha.sqrt().acos() / self.eta.sqrt().acos(),
            Alpha::Lin => (1.0 - alpha) / (1.0 - self.eta),
            Alpha::Exp => (alpha.ln() / self.eta.ln()).sqrt(),
        };
        t.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Schedule> {
        Sde::ALL.into_iter().flat_map(|sde| Alpha::ALL.map(|alpha| Schedule { sde, alpha, eta: 1e-3 }))
    }

    #[test]
    fn every_schedule_goes_from_data_to_noise() {
        for schedule in all() {
            let eta = schedule.eta;
            assert!(
                (schedule.mu(0.0) - 1.0).abs() < 1e-15 && (schedule.mu(1.0) - eta).abs() < 1e-15,
                "{schedule:?}"
            );
            assert!((schedule.sigma(0.0) - eta).abs() < 1e-12, "{schedule:?}");
            assert!((schedule.sigma(1.0) - 1.0).abs() < 1e-3, "{schedule:?}");
            let times: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
            assert!(times.windows(2).all(|t| schedule.mu(t[0]) > schedule.mu(t[1])), "{schedule:?}");
            assert!(times.windows(2).all(|t| schedule.sigma(t[0]) < schedule.sigma(t[1])), "{schedule:?}");
        }
    }

    #[test]
    fn a_time_has_its_level_and_beyond_the_ends_is_an_end() {
        for schedule in all() {
            for i in 1..50 {
                let t = f64::from(i) / 50.0;
                let level = (schedule.sigma(t) / schedule.mu(t)).ln();
                assert!((schedule.time_at(level) - t).abs() < 1e-7, "{schedule:?} {t}");
            }
            assert_eq!([schedule.time_at(-100.0), schedule.time_at(100.0)], [0.0, 1.0]);
        }
    }

    #[test]
    fn vp_preserves_variance_up_to_eta() {
        for alpha in Alpha::ALL {
            let schedule = Schedule { alpha, ..Schedule::default() };
            for i in 0..=20 {
                let t = f64::from(i) / 20.0;
                let total = schedule.mu(t).powi(2) + schedule.sigma(t).powi(2);
                assert!((total - 1.0 - 1e-6).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn eta_outside_the_unit_interval_is_refused() {
        for eta in [0.0, 1.0, -1e-3, f64::NAN] {
            let schedule = Schedule { eta, ..Schedule::default() };
            assert!(matches!(schedule.check(), Err(DiffusionError::Setting { field: "eta", .. })));
        }
    }
}
