//! Every guidance, window, stride, grid and number of corrections on the chain, beside recorded values.

mod list;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sda_diffusion::{Guidance, Integrator, LangevinStep, Place, Solver, TimeGrid};
use sda_graph::Executor;

use crate::affine::AffineSampler;
use crate::chain::{Chain, Seen};
use crate::error::VerifyError;
use crate::moments::Errors;
use crate::sampled::sampled;
use crate::setting::{Prior, Setting};

pub use list::{quick, rows};

/// Seed of the rows that are sampled.
const SEED: u64 = 5;

/// What a row of the table must show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Bias, spread and W2 as method.md prints them, to 0.55 of the last digit; empty where it prints none.
    Printed([&'static str; 3]),
    /// A bound on W2.
    AtMost(f64),
    /// A W2 of at least this: a method that fails here, and should be seen to.
    AtLeast(f64),
    /// W2 as it was when it was recorded, to a fraction of it and to 2e-4.
    Recorded {
        /// W2.
        w2: f64,
        /// The fraction.
        within: f64,
    },
}

impl Expected {
    /// Whether the errors are as expected.
    pub fn holds(&self, errors: &Errors) -> bool {
        match *self {
            Self::Printed(printed) => {
                let values = [errors.bias, errors.spread, errors.w2];
                values.iter().zip(printed).all(|(value, printed)| is_printed(*value, printed))
            }
            Self::AtMost(most) => errors.w2 <= most,
            Self::AtLeast(least) => errors.w2 >= least,
            Self::Recorded { w2, within } => (errors.w2 - w2).abs() <= within * w2 + 2e-4,
        }
    }
}

/// Whether a value rounds to what was printed, with room for a second rounding.
fn is_printed(value: f64, printed: &str) -> bool {
    if printed.is_empty() {
        return true;
    }
    let Ok(number) = printed.parse::<f64>() else { return false };
    let digits = printed.split('.').nth(1).map_or(0, str::len);
    (value - number).abs() <= 0.55 * 10f64.powi(-(digits as i32))
}

/// One setting on the chain, and what it must show.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is seen.
    pub seen: Seen,
    /// How it is sampled.
    pub setting: Setting,
    /// Samples drawn; none where the maps are affine and moments are propagated.
    pub samples: Option<usize>,
    /// What must come out.
    pub expected: Expected,
    /// Whether it belongs to the quick table.
    pub quick: bool,
}

/// What came out of a row.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Bias, spread, W2, residual.
    pub errors: Errors,
    /// Evaluations of the predictor in a run.
    pub evaluations: u32,
    /// Vector–Jacobian products of the network in a run.
    pub products: u32,
    /// Whether the row shows what is expected.
    pub holds: bool,
}

impl Row {
    /// The row's outcome on an executor.
    ///
    /// Errors: the sampler's.
    pub fn run<E: Executor>(&self, executor: &mut E) -> Result<Outcome, VerifyError> {
        let chain = Chain::rotation(self.seen.clone())?;
        let errors = match self.samples {
            None => AffineSampler::new(executor, &chain, &self.setting)?.moments()?.errors(&chain)?,
            Some(count) => sampled(executor, &chain, &self.setting, count, SEED)?,
        };
        let evaluations = self.setting.sampler.evaluations()?;
        let is_composed = self.setting.is_composed(&chain);
        let products = evaluations * self.setting.guidance.products(is_composed) as u32;
        Ok(Outcome { errors, evaluations, products, holds: self.expected.holds(&errors) })
    }

    /// The guidance and where it is formed.
    pub fn guidance(&self) -> String {
        let name = match &self.setting.guidance {
            Guidance::Sda { gamma, detach } => {
                format!("SDA γ={gamma}{}", if *detach { " detached" } else { "" })
            }
            Guidance::SdaPerVariable { .. } => "SDA γ per variable".into(),
            Guidance::SdaSpectral { .. } => "SDA γ spectral".into(),
            Guidance::Dps { zeta, .. } => format!("DPS ζ={zeta}"),
            Guidance::Pigdm { .. } => "ΠGDM".into(),
            Guidance::Tmpd => "TMPD".into(),
            Guidance::Mmps { iterations, solver, .. } if self.samples.is_some() => match solver {
                Solver::ConjugateGradients => format!("MMPS {iterations} it."),
                Solver::MinimalResidual => format!("MMPS {iterations} it. GCR"),
            },
            Guidance::Mmps { .. } => "MMPS".into(),
            Guidance::Jfps { covariance, .. } => format!("JFPS {covariance:?}"),
        };
        match (self.setting.prior, self.setting.place) {
            (Prior::Whole, _) => name,
            (_, Place::Composed) => format!("{name}, composed"),
            (_, Place::Windowed | Place::Auto) => format!("{name}, windowed"),
        }
    }

    /// The windows.
    pub fn windows(&self) -> String {
        match self.setting.prior {
            Prior::Whole => "whole".into(),
            Prior::Windows { order, stride } => format!("{}, stride {stride}", 2 * order + 1),
        }
    }

    /// Steps, grid, integrator and corrections.
    pub fn sampler(&self) -> String {
        let s = &self.setting.sampler;
        let grid = match &s.grid {
            TimeGrid::Uniform => "uniform".into(),
            TimeGrid::Squared => "t²".into(),
            TimeGrid::Levels { rho } => format!("levels ρ={rho}"),
            TimeGrid::Given(_) => "given".into(),
        };
        let integrator = match s.integrator {
            Integrator::Exponential => String::new(),
            Integrator::Ancestral { eta } => format!(" η={eta}"),
            Integrator::Heun => " Heun".into(),
            Integrator::Dpm2m => " 2M".into(),
            Integrator::StochasticDpm2m { eta } => format!(" 2M η={eta}"),
        };
        let tau = if s.corrections > 0 { format!(" τ={}", s.tau) } else { String::new() };
        let state = if s.langevin == LangevinStep::State { " δ per state" } else { "" };
        let gate = if s.corrector_floor > 0.0 { " gated" } else { "" };
        format!("{} {grid}{integrator} C={}{tau}{state}{gate}", s.steps, s.corrections)
    }
}

/// Runs rows on as many executors as `threads`, and tells of each as it ends; in the order of the rows.
///
/// Errors: the first row's that fails.
pub fn run<E: Executor>(
    rows: &[Row],
    threads: usize,
    executor: impl Fn() -> Result<E, VerifyError> + Sync,
    on_row: impl Fn(usize, &Outcome) + Sync,
) -> Result<Vec<Outcome>, VerifyError> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<Option<Result<Outcome, VerifyError>>>> =
        Mutex::new(rows.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, rows.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(i) else { return };
                    let outcome = executor().and_then(|mut executor| row.run(&mut executor));
                    if let Ok(outcome) = &outcome {
                        on_row(i, outcome);
                    }
                    if let Ok(mut outcomes) = outcomes.lock() {
                        outcomes[i] = Some(outcome);
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_default();
    outcomes.into_iter().flatten().collect()
}
