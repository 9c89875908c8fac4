//! Predictor–corrector sampling.

mod programs;

use std::ops::ControlFlow;

use ndarray::ArrayD;
use sda_core::Real;
use sda_graph::{Executor, Handle, RunKey};
use sda_nn::{TIME_FEATURES, time_features};
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::predictor::NoisePredictor;
use crate::schedule::Schedule;
use crate::time_grid::TimeGrid;
use crate::twisted::Weighing;
use programs::{corrector_program, predictor_program, start_program};
pub(crate) use programs::{declare_scalar, declare_time};

/// The state that holds the samples x(t), [N, L, …].
pub const SAMPLE: &str = "sample";
/// The state that counts, for each sample, the predictor steps after which it was finite, [N, 1].
pub const FINITE_STEPS: &str = "sample.finite_steps";
/// The state that holds the denoised mean of the step before, [N, L, …], where the integrator looks back.
pub const PREVIOUS: &str = "sample.previous";
/// Steps between two looks at whether any sample is left.
const LOOK_EVERY: u32 = 16;

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
    /// The first step has c = 0.
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

    pub(crate) fn looks_back(self) -> bool {
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

/// Where the corrector's noise comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseSource {
    /// Drawn in the program, as a function of (seed, correction, sample, element).
    Drawn,
    /// An input of each correction.
    Given,
}

/// How a run of the sampler ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Sampled<T> {
    /// At t = 0.
    Finished(Samples<T>),
    /// The callback stopped it before this step; the states [`SAMPLE`] and [`FINITE_STEPS`] and this number resume it.
    Interrupted {
        /// The next step.
        step: u32,
    },
}

/// What a sampler yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples<T> {
    /// Trajectories [N, L, …].
    pub values: ArrayD<T>,
    /// Samples that left the real numbers.
    pub diverged: Vec<Divergence>,
    /// How evenly a [`Twisted`](crate::Twisted) sampler's were weighed; none of a sampler without weights.
    pub weighing: Option<Weighing>,
}

/// A sample that left the real numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Index of the sample.
    pub sample: usize,
    /// Predictor steps after which it was finite yet.
    pub step: u32,
}

impl Sampler {
    /// Errors: no steps, τ not positive, a floor, η, grid or schedule out of range, too many corrections to count.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let what = "the sampler";
        self.schedule.check()?;
        check(what, "steps", "at least 1", self.steps, |n| n > 0)?;
        check(what, "tau", "positive and finite", self.tau, |x| x > 0.0 && x.is_finite())?;
        check(what, "corrector_floor", "not negative", self.corrector_floor, |x| x >= 0.0)?;
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
    fn corrections_at(&self, s: f64) -> u32 {
        if self.schedule.sigma(s) < self.corrector_floor { 0 } else { self.corrections }
    }

    /// Evaluations of the predictor in a whole run.
    pub fn evaluations(&self) -> Result<u32, DiffusionError> {
        let times = self.times()?;
        let corrections: u32 = times[1..].iter().map(|&s| self.corrections_at(s)).sum();
        Ok(self.steps * self.integrator.evaluations() + corrections)
    }

    /// Plans the programs that sample trajectories of a shape [N, L, …], and gives the predictor its conditions.
    ///
    /// Errors: a setting out of range, a shape that the predictor refuses, the executor's.
    pub fn compile<E: Executor>(
        &self,
        executor: &mut E,
        predictor: &dyn NoisePredictor,
        shape: &[usize],
        noise: NoiseSource,
    ) -> Result<SamplerRun, DiffusionError> {
        self.check()?;
        predictor.check(shape)?;
        let run = SamplerRun {
            sampler: self.clone(),
            times: self.times()?,
            first: 0,
            shape: shape.to_vec(),
            start: executor.compile(&start_program(self.integrator, shape))?,
            predict: executor.compile(&predictor_program(self.integrator, predictor, shape, noise))?,
            correct: match self.corrections {
                0 => None,
                _ => Some(executor.compile(&corrector_program(self, predictor, shape, noise))?),
            },
        };
        run.condition(executor, predictor)?;
        Ok(run)
    }

    /// What a step's program is told of the step from t to s, after one from `before` to t, and how many numbers that is.
    pub(crate) fn step_scalars(&self, before: Option<f64>, t: f64, s: f64) -> ([f64; 4], usize) {
        let ([mu_t, mu_s], [sigma_t, sigma_s]) =
            ([t, s].map(|t| self.schedule.mu(t)), [t, s].map(|t| self.schedule.sigma(t)));
        let ratio = mu_s / mu_t;
        match self.integrator {
            Integrator::Exponential | Integrator::Heun => ([ratio, sigma_s - ratio * sigma_t, 0.0, 0.0], 2),
            Integrator::Ancestral { eta } => {
                let added = (sigma_t * sigma_t - (sigma_s / ratio).powi(2)).max(0.0);
                let kick = (eta * sigma_s / sigma_t).powi(2) * added;
                ([ratio, (sigma_s * sigma_s - kick).sqrt() - ratio * sigma_t, kick.sqrt(), 0.0], 3)
            }
            Integrator::Dpm2m | Integrator::StochasticDpm2m { .. } => {
                let log_ratio = |t: f64| (self.schedule.mu(t) / self.schedule.sigma(t)).ln();
                let step = log_ratio(s) - log_ratio(t);
                let back = before.map_or(0.0, |b| 0.5 * step / (log_ratio(t) - log_ratio(b)));
                let Integrator::StochasticDpm2m { eta } = self.integrator else {
                    return ([sigma_s / sigma_t, mu_s * -(-step).exp_m1(), back, 0.0], 3);
                };
                let kept = sigma_s / sigma_t * (-eta * step).exp();
                let kick = sigma_s * (-(-2.0 * eta * step).exp_m1()).sqrt();
                ([kept, mu_s * -(-(1.0 + eta) * step).exp_m1(), back, kick], 4)
            }
        }
    }
}

/// One time, as a run's inputs.
pub(crate) struct TimeInputs<T> {
    pub(crate) features: [T; TIME_FEATURES],
    pub(crate) mu: [T; 1],
    pub(crate) sigma: [T; 1],
}

impl<T: Real> TimeInputs<T> {
    pub(crate) fn new(schedule: &Schedule, t: f64) -> Self {
        Self {
            features: time_features(t).map(T::from_f64),
            mu: [T::from_f64(schedule.mu(t))],
            sigma: [T::from_f64(schedule.sigma(t))],
        }
    }
}

/// A sampler planned on one executor, for one shape and one predictor.
#[derive(Clone, Debug)]
pub struct SamplerRun {
    sampler: Sampler,
    times: Vec<f64>,
    /// Step that it starts at.
    first: u32,
    shape: Vec<usize>,
    start: Handle,
    predict: Handle,
    correct: Option<Handle>,
}

impl SamplerRun {
    /// Gives the posterior's programs another observation of the same shape, operator and noise.
    pub fn condition<E: Executor>(
        &self,
        executor: &mut E,
        predictor: &dyn NoisePredictor,
    ) -> Result<(), DiffusionError> {
        for (name, values) in predictor.conditions(&self.shape) {
            executor.write(&name, values.mapv(E::Real::from_f64).view())?;
        }
        Ok(())
    }

    /// The same programs begun at a step in the middle of the grid, from samples at its time
    /// ([`SamplerRun::start_from`]). The integrator looks back no further.
    ///
    /// Errors: a step that does not exist.
    pub fn starting_at(&self, step: u32) -> Result<Self, DiffusionError> {
        check("the sampler", "first step", "below `steps`", step, |step| step < self.sampler.steps)?;
        Ok(Self { first: step, ..self.clone() })
    }

    /// The step that it starts at.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Evaluations of the predictor from its start to the end.
    pub fn evaluations(&self) -> u32 {
        (self.first..self.sampler.steps).map(|step| self.evaluations_of(step)).sum()
    }

    /// Evaluations of the predictor in a step with its corrections.
    pub fn evaluations_of(&self, step: u32) -> u32 {
        self.sampler.integrator.evaluations() + self.corrections(step)
    }

    /// Samples from the start: the same seed gives the same bits.
    ///
    /// `on_step` is called after each step with the number of steps done, and may stop the run.
    ///
    /// Panics: it starts in the middle of the grid, where noise alone is no start.
    #[track_caller]
    pub fn run<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        on_step: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Sampled<E::Real>, DiffusionError> {
        assert_eq!(self.first, 0, "a run from the middle of its grid goes on from samples");
        executor.run(self.start, RunKey { seed, step: 0 }, &[])?;
        self.resume(executor, seed, 0, on_step)
    }

    /// States that a stopped run is resumed from, beside the step's number.
    pub fn state_names(&self) -> Vec<&'static str> {
        self.sampler.state_names()
    }

    /// Times visited, from 1 to 0.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Goes on from the states [`SamplerRun::state_names`], at step `from`, with the bits of a run never stopped. Once
    /// all samples have left the real numbers, it ends early.
    pub fn resume<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        from: u32,
        mut on_step: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Sampled<E::Real>, DiffusionError> {
        for step in from..self.sampler.steps {
            self.predict(executor, seed, step)?;
            for correction in 0..self.corrections(step) {
                self.correct(executor, seed, step, correction, None)?;
            }
            let done = step + 1;
            if on_step(done).is_break() && done < self.sampler.steps {
                return Ok(Sampled::Interrupted { step: done });
            }
            if done.is_multiple_of(LOOK_EVERY) && all_diverged(executor, done)? {
                break;
            }
        }
        self.samples(executor).map(Sampled::Finished)
    }

    /// Sets the samples at the time of the first step, t = 1 but for [`SamplerRun::starting_at`], instead of drawing
    /// them.
    ///
    /// Errors: another number of values than the shape holds.
    pub fn start_from<E: Executor>(&self, executor: &mut E, x: &[E::Real]) -> Result<(), DiffusionError> {
        let found = x.len();
        let values = ArrayD::from_shape_vec(self.shape.clone(), x.to_vec()).map_err(|_| {
            DiffusionError::Length { what: "the start", expected: self.shape.iter().product(), found }
        })?;
        executor.write(SAMPLE, values.view())?;
        let steps = E::Real::from_f64(f64::from(self.first));
        executor.write(FINITE_STEPS, ArrayD::from_elem(vec![self.shape[0], 1], steps).view())?;
        if self.sampler.integrator.looks_back() {
            executor.write(PREVIOUS, ArrayD::from_elem(self.shape.clone(), E::Real::ZERO).view())?;
        }
        Ok(())
    }

    /// Corrections after predictor step `step`.
    pub fn corrections(&self, step: u32) -> u32 {
        self.sampler.corrections_at(self.times[step as usize + 1])
    }

    /// One predictor step, counted from 0.
    pub fn predict<E: Executor>(&self, executor: &mut E, seed: u64, step: u32) -> Result<(), DiffusionError> {
        self.predict_with(executor, seed, step, None)
    }

    /// The same, with the noise of an [`Integrator::Ancestral`] step where the source is [`NoiseSource::Given`].
    pub fn predict_with<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        step: u32,
        noise: Option<&[E::Real]>,
    ) -> Result<(), DiffusionError> {
        let at = step as usize;
        let (t, s) = (self.times[at], self.times[at + 1]);
        let before = (step > self.first).then(|| self.times[at - 1]);
        let schedule = &self.sampler.schedule;
        let (now, then) = (TimeInputs::<E::Real>::new(schedule, t), TimeInputs::<E::Real>::new(schedule, s));
        let (scalars, count) = self.sampler.step_scalars(before, t, s);
        let scalars = scalars.map(|x| [E::Real::from_f64(x)]);
        let then: &[&[E::Real]] = match self.sampler.integrator {
            Integrator::Heun => &[&then.features, &then.mu, &then.sigma],
            _ => &[],
        };
        // A step allocates nothing: as many places as any program has inputs.
        let mut inputs: [&[E::Real]; 11] = [&[]; 11];
        let all = [&now.features[..], &now.mu, &now.sigma].into_iter();
        let all = all
            .chain(scalars[..count].iter().map(<[_; 1]>::as_slice))
            .chain(then.iter().copied())
            .chain(noise);
        let mut used = 0;
        for input in all {
            inputs[used] = input;
            used += 1;
        }
        let inputs = &inputs[..used];
        Ok(executor.run(self.predict, RunKey { seed, step }, inputs)?)
    }

    /// One Langevin step after predictor step `step`; `noise` where the source is [`NoiseSource::Given`].
    ///
    /// Panics: the sampler has no corrections.
    pub fn correct<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        step: u32,
        correction: u32,
        noise: Option<&[E::Real]>,
    ) -> Result<(), DiffusionError> {
        self.correct_by(executor, seed, step, correction, self.sampler.tau, noise)
    }

    /// The same with another τ, for this step alone.
    ///
    /// Panics: the sampler has no corrections.
    pub fn correct_by<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        step: u32,
        correction: u32,
        tau: f64,
        noise: Option<&[E::Real]>,
    ) -> Result<(), DiffusionError> {
        let tau = [E::Real::from_f64(tau)];
        let time = TimeInputs::<E::Real>::new(&self.sampler.schedule, self.times[step as usize + 1]);
        let inputs: [&[E::Real]; 5] = [&time.features, &time.mu, &time.sigma, &tau, noise.unwrap_or(&[])];
        let inputs = &inputs[..4 + usize::from(noise.is_some())];
        let key = RunKey { seed, step: step * self.sampler.corrections + correction };
        let program = self.correct.expect("a sampler with corrections");
        Ok(executor.run(program, key, inputs)?)
    }

    /// The samples after the last step, and which of them diverged on the way.
    pub fn samples<E: Executor>(&self, executor: &mut E) -> Result<Samples<E::Real>, DiffusionError> {
        let values = executor.read(SAMPLE)?;
        let finite_steps = executor.read(FINITE_STEPS)?;
        let diverged = values
            .outer_iter()
            .zip(&finite_steps)
            .enumerate()
            .map(|(sample, (x, steps))| (sample, x.iter().all(|x| x.is_finite()), steps.to_f64() as u32))
            .filter(|&(_, finite, steps)| !finite || steps < self.sampler.steps)
            .map(|(sample, _, step)| Divergence { sample, step })
            .collect();
        Ok(Samples { values, diverged, weighing: None })
    }
}

/// Whether no sample was finite after each of the first steps.
fn all_diverged<E: Executor>(executor: &mut E, steps: u32) -> Result<bool, DiffusionError> {
    Ok(executor.read(FINITE_STEPS)?.iter().all(|&n| n.to_f64() < f64::from(steps)))
}

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;
