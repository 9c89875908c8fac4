//! Predictor–corrector sampling.

mod programs;
mod settings;

use std::ops::ControlFlow;

use ndarray::ArrayD;
use sda_core::Real;
use sda_graph::{Executor, Handle, RunKey};
use sda_nn::{TIME_FEATURES, time_features};

use crate::error::{DiffusionError, check};
use crate::predictor::NoisePredictor;
use crate::schedule::Schedule;
use crate::twisted::Weighing;
pub(crate) use programs::{LookBack, declare_scalar, declare_time, langevin, left_by_correction};
use programs::{corrector_program, predictor_program, start_program};
pub use settings::{Integrator, LangevinStep, Sampler};

/// The state that holds the samples x(t), [N, L, …].
pub const SAMPLE: &str = "sample";
/// The state that counts, for each sample, the predictor steps after which it was finite, [N, 1].
pub const FINITE_STEPS: &str = "sample.finite_steps";
/// The state that holds the denoised mean of the step before, [N, L, …], where the integrator looks back; after a
/// correction, less the denoised mean at the sample before its corrections.
pub const PREVIOUS: &str = "sample.previous";
/// Steps between two looks at whether any sample is left.
const LOOK_EVERY: u32 = 16;

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
    /// The callback stopped it before this step; the run's `state_names` and this number resume it.
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

    /// One predictor step, counted from 0. Where there are [`SamplerRun::corrections`] after it, all of them follow, from
    /// 0: the next step of an integrator that looks back relies on what the first leaves.
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
        let is_first = [E::Real::from_f64(f64::from(correction == 0))];
        let mut inputs: [&[E::Real]; 6] = [&time.features, &time.mu, &time.sigma, &tau, &[], &[]];
        let first = self.sampler.integrator.looks_back().then_some(&is_first[..]);
        let mut used = 4;
        for input in first.into_iter().chain(noise) {
            inputs[used] = input;
            used += 1;
        }
        let inputs = &inputs[..used];
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
