//! What a sampler does: its integrator, steps and corrections.

use serde::{Deserialize, Serialize};

use super::{FINITE_STEPS, PREVIOUS, SAMPLE};
use crate::error::{DiffusionError, check};
use crate::schedule::Schedule;
use crate::time_grid::TimeGrid;

/// From noise at t = 1 to data at t = 0.
///
///   predictor, t → s:     one step of the [`Integrator`]
///   corrections, at s:    x ← x − (δ ε + √(2δ) z) σ(s),  δ = τ / mean ε(x, s)²,  z ~ N(0, I)
///
/// Good values: 256 steps, 1 correction, τ 0.25 (the paper's); with exact guidance 64 squared steps of
/// [`Integrator::Dpm2m`].
/// Source: Rozet & Louppe 2023, arXiv 2306.10574, algorithm 4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampler {
    /// The diffusion that the predictor was trained on.
    #[serde(default)]
    pub schedule: Schedule,
    /// Predictor steps.
    pub steps: u32,
    /// Langevin steps after each predictor step.
    #[serde(default)]
    pub corrections: u32,
    /// τ.
    #[serde(default = "default_tau")]
    pub tau: f64,
    /// The times visited.
    #[serde(default)]
    pub grid: TimeGrid,
    /// No corrections where σ(s) is below this; 0 corrects always. The observation's noise is a good value.
    #[serde(default)]
    pub corrector_floor: f64,
    /// How the predictor goes from t to s.
    #[serde(default)]
    pub integrator: Integrator,
    /// A stochastic integrator has η = 0 where σ(s) is below this: noise early corrects what the guidance got wrong, late
    /// it shows what the network gets wrong.
    ///
    /// Source: Karras, Aittala, Aila & Laine 2022, arXiv 2206.00364, algorithm 2 (S_tmin).
    #[serde(default)]
    pub noise_floor: f64,
    /// Over what the corrector's δ is taken.
    #[serde(default)]
    pub langevin: LangevinStep,
    /// The largest δ; none is none.
    #[serde(default)]
    pub largest_delta: Option<f64>,
}

impl Default for Sampler {
    /// The paper's, without corrections.
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            steps: 256,
            corrections: 0,
            tau: default_tau(),
            grid: TimeGrid::default(),
            corrector_floor: 0.0,
            integrator: Integrator::default(),
            noise_floor: 0.0,
            langevin: LangevinStep::default(),
            largest_delta: None,
        }
    }
}

fn default_tau() -> f64 {
    0.25
}

/// One predictor step from t to s, with r = μ(s)/μ(t).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Integrator {
    /// x ← r x + (σ(s) − r σ(t)) ε(x, t): the exponential integrator of first order, or DDIM.
    ///
    /// Source: Zhang & Chen 2023, arXiv 2204.13902; Song, Meng & Ermon 2021, arXiv 2010.02502.
    #[default]
    Exponential,
    /// x ← r x + (√(σ(s)² − ς²) − r σ(t)) ε(x, t) + ς z,  ς² = η² (σ(s)²/σ(t)²) (σ(t)² − σ(s)²/r²)
    ///
    /// η = 0 is [`Integrator::Exponential`], η = 1 DDPM's ancestral step.
    ///
    /// Source: Song, Meng & Ermon 2021, arXiv 2010.02502, equation 16.
    Ancestral {
        /// η.
        eta: f64,
    },
    /// x' = r x + g ε(x, t), x ← r x + g ½ (ε(x, t) + ε(x', s)),  g = σ(s) − r σ(t); two evaluations a step.
    ///
    /// Source: Karras, Aittala, Aila & Laine 2022, arXiv 2206.00364, algorithm 1.
    Heun,
    /// x ← (σ(s)/σ(t)) x + μ(s) (1 − e⁻ʰ) ((1 + c) x̂(x, t) − c x̂_before),  h = ln(μ(s) σ(t)/(μ(t) σ(s))), c = h/(2 h_before)
    ///
    /// The first step has c = 0. Where x was corrected at t, x̂(x, t) + c (x̂(x', t) − x̂_before) with x' before its
    /// corrections: their noise is no part of the path that is looked back on.
    ///
    /// Source: Lu, Zhou, Bao, Chen, Li & Zhu 2022, arXiv 2211.01095 (DPM-Solver++(2M)).
    Dpm2m,
    /// x ← (σ(s)/σ(t)) e^(−ηh) x + μ(s) (1 − e^(−(1+η)h)) ((1 + c) x̂(x, t) − c x̂_before) + σ(s) √(1 − e^(−2ηh)) z
    ///
    /// with h and c as in [`Integrator::Dpm2m`], which is η = 0: noise that is taken away and added, of second order.
    ///
    /// Good values: η 1, where the score is learned: the noise forgets its errors.
    /// Source: Lu, Zhou, Bao, Chen, Li & Zhu 2022, arXiv 2211.01095 (SDE-DPM-Solver++(2M)).
    StochasticDpm2m {
        /// η.
        eta: f64,
    },
}

impl Integrator {
    /// Evaluations of the predictor in a step.
    pub fn evaluations(self) -> u32 {
        if self == Self::Heun { 2 } else { 1 }
    }

    /// Whether a step looks back to the one before.
    pub fn looks_back(self) -> bool {
        matches!(self, Self::Dpm2m | Self::StochasticDpm2m { .. })
    }

    /// Whether a step draws noise.
    pub fn is_stochastic(self) -> bool {
        matches!(self, Self::Ancestral { .. } | Self::StochasticDpm2m { .. })
    }
}

/// Over what the corrector's δ = τ / mean ε² is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LangevinStep {
    /// The whole trajectory: one δ per sample, the paper's.
    #[default]
    Trajectory,
    /// Each state: one δ per sample and state, so that a long trajectory is corrected as its parts would be.
    State,
    /// Nothing: δ = τ.
    Fixed,
}

impl Sampler {
    /// Errors: no steps, τ not positive, a floor, η, grid or schedule out of range, too many corrections to count.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let what = "the sampler";
        self.schedule.check()?;
        check(what, "steps", "at least 1", self.steps, |n| n > 0)?;
        check(what, "steps", "at most 2²⁰", self.steps, |n| n <= 1 << 20)?;
        check(what, "tau", "positive and finite", self.tau, |x| x > 0.0 && x.is_finite())?;
        check(what, "corrector_floor", "not negative", self.corrector_floor, |x| x >= 0.0)?;
        check(what, "noise_floor", "not negative", self.noise_floor, |x| x >= 0.0)?;
        match self.integrator {
            Integrator::Ancestral { eta } => {
                check(what, "eta", "in 0 … 1", eta, |x| (0.0..=1.0).contains(&x))?;
            }
            Integrator::StochasticDpm2m { eta } => {
                check(what, "eta", "finite and not negative", eta, |x| x >= 0.0 && x.is_finite())?;
            }
            Integrator::Exponential | Integrator::Heun | Integrator::Dpm2m => {}
        }
        if let Some(delta) = self.largest_delta {
            check(what, "largest_delta", "positive", delta, |x| x > 0.0)?;
        }
        self.times()?;
        let total = u64::from(self.steps) * u64::from(self.corrections);
        check(what, "corrections", "below 2³² over all steps", total, |n| n < 1 << 32)
    }

    /// The states that hold a run between two steps.
    pub fn state_names(&self) -> Vec<&'static str> {
        let previous = self.integrator.looks_back().then_some(PREVIOUS);
        [SAMPLE, FINITE_STEPS].into_iter().chain(previous).collect()
    }

    /// The times visited, from 1 to 0.
    pub fn times(&self) -> Result<Vec<f64>, DiffusionError> {
        self.grid.times(&self.schedule, self.steps)
    }

    /// Corrections after the step to time s.
    pub(super) fn corrections_at(&self, s: f64) -> u32 {
        if self.schedule.sigma(s) < self.corrector_floor { 0 } else { self.corrections }
    }

    /// Evaluations of the predictor in a whole run.
    pub fn evaluations(&self) -> Result<u32, DiffusionError> {
        let times = self.times()?;
        let corrections: u32 = times[1..].iter().map(|&s| self.corrections_at(s)).sum();
        Ok(self.steps * self.integrator.evaluations() + corrections)
    }

    /// What a step's program is told of the step from t to s, after one from `before` to t, and how many numbers that is:
    /// ratio and gain; the kick where it draws noise, before it `back` and `is path` ([`LookBack`](super::LookBack)) where
    /// the integrator looks back.
    pub(crate) fn step_scalars(&self, before: Option<f64>, t: f64, s: f64) -> ([f64; 5], usize) {
        let ([mu_t, mu_s], [sigma_t, sigma_s]) =
            ([t, s].map(|t| self.schedule.mu(t)), [t, s].map(|t| self.schedule.sigma(t)));
        let ratio = mu_s / mu_t;
        let noisy = |eta: f64| if sigma_s < self.noise_floor { 0.0 } else { eta };
        match self.integrator {
            Integrator::Exponential | Integrator::Heun => {
                ([ratio, sigma_s - ratio * sigma_t, 0.0, 0.0, 0.0], 2)
            }
            Integrator::Ancestral { eta } => {
                let added = (sigma_t * sigma_t - (sigma_s / ratio).powi(2)).max(0.0);
                let kick = (noisy(eta) * sigma_s / sigma_t).powi(2) * added;
                let kept = (sigma_s * sigma_s - kick).max(0.0).sqrt();
                ([ratio, kept - ratio * sigma_t, kick.sqrt(), 0.0, 0.0], 3)
            }
            Integrator::Dpm2m | Integrator::StochasticDpm2m { .. } => {
                let log_ratio = |t: f64| (self.schedule.mu(t) / self.schedule.sigma(t)).ln();
                let step = log_ratio(s) - log_ratio(t);
                let back = before.map_or(0.0, |b| 0.5 * step / (log_ratio(t) - log_ratio(b)));
                let is_path = f64::from(before.is_none() || self.corrections_at(t) == 0);
                let Integrator::StochasticDpm2m { eta } = self.integrator else {
                    return ([sigma_s / sigma_t, mu_s * -(-step).exp_m1(), back, is_path, 0.0], 4);
                };
                let eta = noisy(eta);
                let kept = sigma_s / sigma_t * (-eta * step).exp();
                let kick = sigma_s * (-(-2.0 * eta * step).exp_m1()).sqrt();
                ([kept, mu_s * -(-(1.0 + eta) * step).exp_m1(), back, is_path, kick], 5)
            }
        }
    }
}
