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
use programs::{corrector_program, predictor_program, start_program};

/// The state that holds the samples x(t), [N, L, …].
pub const SAMPLE: &str = "sample";
/// The state that counts, for each sample, the predictor steps after which it was finite, [N, 1].
pub const FINITE_STEPS: &str = "sample.finite_steps";

/// From noise at t = 1 to data at t = 0.
///
///   predictor, t → s:     x ← r x + (σ(s) − r σ(t)) ε(x, t),  r = μ(s)/μ(t)
///   corrections, at s:    x ← x − (δ ε + √(2δ) z) σ(s),  δ = τ / mean ε(x, s)²,  z ~ N(0, I)
///
/// δ is one number per sample, its mean taken over the whole trajectory.
///
/// Good values: 256 steps, 1 correction, τ 0.25.
/// Source: Rozet & Louppe 2023, arXiv 2306.10574, algorithm 4; Zhang & Chen 2023 (the exponential integrator).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
}

fn default_tau() -> f64 {
    0.25
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
    /// Errors: no steps, τ not positive, a floor or a schedule out of range, too many corrections to count.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let what = "the sampler";
        self.schedule.check()?;
        check(what, "steps", "at least 1", self.steps, |n| n > 0)?;
        check(what, "tau", "positive and finite", self.tau, |x| x > 0.0 && x.is_finite())?;
        check(what, "corrector_floor", "not negative", self.corrector_floor, |x| x >= 0.0)?;
        let total = u64::from(self.steps) * u64::from(self.corrections);
        check(what, "corrections", "below 2³² over all steps", total, |n| n < 1 << 32)
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
            sampler: *self,
            shape: shape.to_vec(),
            start: executor.compile(&start_program(shape))?,
            predict: executor.compile(&predictor_program(predictor, shape))?,
            correct: match self.corrections {
                0 => None,
                _ => Some(executor.compile(&corrector_program(predictor, shape, noise))?),
            },
        };
        run.condition(executor, predictor)?;
        Ok(run)
    }

    /// μ(s)/μ(t) and the noise's coefficient of a predictor step from t to s.
    fn predictor_scalars<T: Real>(&self, t: f64, s: f64) -> [[T; 1]; 2] {
        let ratio = self.schedule.mu(s) / self.schedule.mu(t);
        let gain = self.schedule.sigma(s) - ratio * self.schedule.sigma(t);
        [[T::from_f64(ratio)], [T::from_f64(gain)]]
    }
}

/// One time, as a run's inputs.
struct TimeInputs<T> {
    features: [T; TIME_FEATURES],
    mu: [T; 1],
    sigma: [T; 1],
}

impl<T: Real> TimeInputs<T> {
    fn new(schedule: &Schedule, t: f64) -> Self {
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
        for (name, values) in predictor.conditions() {
            executor.write(&name, values.mapv(E::Real::from_f64).view())?;
        }
        Ok(())
    }

    /// Samples from the start: the same seed gives the same bits.
    ///
    /// `on_step` is called after each step with the number of steps done, and may stop the run.
    pub fn run<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        on_step: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Sampled<E::Real>, DiffusionError> {
        executor.run(self.start, RunKey { seed, step: 0 }, &[])?;
        self.resume(executor, seed, 0, on_step)
    }

    /// Goes on from the states [`SAMPLE`] and [`FINITE_STEPS`], at step `from`, with the bits of a run never stopped.
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
            if on_step(step + 1).is_break() && step + 1 < self.sampler.steps {
                return Ok(Sampled::Interrupted { step: step + 1 });
            }
        }
        self.samples(executor).map(Sampled::Finished)
    }

    /// Sets the samples at t = 1 instead of drawing them.
    ///
    /// Errors: another number of values than the shape holds.
    pub fn start_from<E: Executor>(&self, executor: &mut E, x: &[E::Real]) -> Result<(), DiffusionError> {
        let found = x.len();
        let values = ArrayD::from_shape_vec(self.shape.clone(), x.to_vec()).map_err(|_| {
            DiffusionError::Length { what: "the start", expected: self.shape.iter().product(), found }
        })?;
        executor.write(SAMPLE, values.view())?;
        executor.write(FINITE_STEPS, ArrayD::from_elem(vec![self.shape[0], 1], E::Real::ZERO).view())?;
        Ok(())
    }

    /// Corrections after predictor step `step`.
    pub fn corrections(&self, step: u32) -> u32 {
        let s = self.sampler.grid.time(step + 1, self.sampler.steps);
        if self.sampler.schedule.sigma(s) < self.sampler.corrector_floor {
            0
        } else {
            self.sampler.corrections
        }
    }

    /// One predictor step, counted from 0.
    pub fn predict<E: Executor>(&self, executor: &mut E, seed: u64, step: u32) -> Result<(), DiffusionError> {
        let time = |step| self.sampler.grid.time(step, self.sampler.steps);
        let (t, s) = (time(step), time(step + 1));
        let time = TimeInputs::<E::Real>::new(&self.sampler.schedule, t);
        let [ratio, gain] = self.sampler.predictor_scalars(t, s);
        let inputs: [&[E::Real]; 5] = [&time.features, &time.mu, &time.sigma, &ratio, &gain];
        Ok(executor.run(self.predict, RunKey { seed, step }, &inputs)?)
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
        let s = self.sampler.grid.time(step + 1, self.sampler.steps);
        let tau = [E::Real::from_f64(self.sampler.tau)];
        let time = TimeInputs::<E::Real>::new(&self.sampler.schedule, s);
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
        Ok(Samples { values, diverged })
    }
}

#[cfg(test)]
mod tests;
