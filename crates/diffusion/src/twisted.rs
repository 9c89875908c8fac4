//! Twisted diffusion sampling: guided steps as proposals of a particle filter over diffusion time.

mod programs;
mod weights;

use std::ops::ControlFlow;

use ndarray::{ArrayD, ArrayViewD, Axis};
use sda_core::{Real, Stream};
use sda_graph::{Executor, Handle, RunKey};
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::guidance::Posterior;
use crate::predictor::NoisePredictor;
use crate::sampler::{
    Divergence, FINITE_STEPS, Integrator, NoiseSource, PREVIOUS, SAMPLE, Sampled, Sampler, SamplerRun,
    Samples, TimeInputs,
};
use crate::stream;
use programs::end_program;
use weights::Weights;

/// The state that holds each sample's log weight, [N, 1].
pub const LOG_WEIGHT: &str = "sample.log_weight";
/// The state that holds log p̃(y | x(t)) where it was weighed last, [N, 1].
const POTENTIAL: &str = "sample.potential";
/// The state that holds the effective sample size after each step, and after the last weighting, [steps + 1].
const EFFECTIVE: &str = "sample.effective";
/// The state that holds how many of the samples were distinct where the weights ended, [1].
const DISTINCT: &str = "sample.distinct";
/// The state that holds the unguided denoised mean of the step before, [N, L, …], where the integrator looks back; after a
/// correction as [`PREVIOUS`] has the guided one.
const PREVIOUS_FREE: &str = "sample.previous.free";
/// Where the integrator looks back to, guided and free.
const HISTORIES: [&str; 2] = [PREVIOUS, PREVIOUS_FREE];

/// A sampler whose samples are weighted and resampled, so that more of them are closer to the posterior, whatever the
/// guidance is.
///
///   x(s) ~ q(· | x(t)): one guided step that draws noise,  p: the same step without guidance
///   w ← w · p(x(s) | x(t))/q(x(s) | x(t)) · p̃(y | x(s))/p̃(y | x(t)),  p̃ = N(y | A(x̂), (σ_y² + γ σ²/μ²) I)
///
/// Where the effective sample size falls below a part of the particles, they are drawn anew by their weights; the
/// samples are drawn from the last ones. All are of one observation.
///
/// A correction moves a particle along the guidance's posterior at s, and leaves its weight as it was before; children
/// of one parent are drawn after it. Where σ(s) is below [`Resampling::floor`], particles are drawn once more, and go on
/// as the sampler alone would have them.
///
/// What it converges to without a floor, corrections and a cut is the posterior of the unguided steps' prior:
/// [`Integrator::StochasticDpm2m`] has the least error of its own. With them it converges to what the guidance samples,
/// less the courses that the weights leave out while there is noise enough to change them.
///
/// Good values: γ 3e-2 … 1, the share 0.5, 0.75 with a cut; particles by the hundred, and by the thousand where the
/// posterior has modes; a floor of twice the sampler's `noise_floor`, so that particles drawn from one parent part again.
/// Source: Wu, Trippe, Naesseth, Blei & Cunningham 2023, arXiv 2306.17775, algorithm 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Twisted {
    /// Schedule, steps, grid, corrections, and an integrator that is stochastic where there are weights.
    pub sampler: Sampler,
    /// When samples are drawn anew, and by what potential.
    pub resampling: Resampling,
}

/// What a twisted sampler has beside the sampler.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resampling {
    /// γ of the potential.
    pub gamma: f64,
    /// Particles are drawn anew where their effective sample size is below this part of their number.
    #[serde(default = "half")]
    pub below: f64,
    /// Particles for each sample that is drawn in the end; with a floor, steps below it are made of all of them.
    #[serde(default = "one")]
    pub particles: usize,
    /// No weights where σ(s) is below this; 0 weighs to the end.
    #[serde(default)]
    pub floor: f64,
    /// Weights above this many times their median count as that much where particles are drawn. With 1 particles weigh
    /// less as they fit worse than the median, and above it none is preferred: weights that are far off leave half of
    /// the particles at least, so that `below` has to be above 0.5, and guidance decides what weights then do not.
    ///
    /// Source: Ionides 2008, doi 10.1198/106186008X320456 (truncated importance sampling; there the bound is by the mean
    /// and grows as √N, so that its bias goes).
    #[serde(default)]
    pub cut: Option<f64>,
}

fn half() -> f64 {
    0.5
}

fn one() -> usize {
    1
}

/// A twisted sampler planned on one executor.
#[derive(Clone, Debug)]
pub struct TwistedRun {
    twisted: Twisted,
    times: Vec<f64>,
    /// Of the particles.
    shape: Vec<usize>,
    /// N, drawn in the end.
    samples: usize,
    /// Steps with weights.
    weighed: u32,
    start: Handle,
    step: Handle,
    /// The first correction after a weighed step.
    correct: Option<Handle>,
    end: Handle,
    /// Further corrections, and steps without weights.
    plain: Option<SamplerRun>,
}

/// How evenly a twisted sampler's samples were weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighing {
    /// Effective sample size of the particles after each weighed step and, where no correction has weighed them since,
    /// after the last weighting; of cut weights.
    pub effective_sample_size: Vec<f64>,
    /// How many of the N samples were distinct where the weights ended.
    pub distinct: usize,
}

impl Twisted {
    /// Errors: a setting out of range; a sampler that draws no noise where there are weights.
    pub fn check(&self) -> Result<(), DiffusionError> {
        self.sampler.check()?;
        let what = "the twisted sampler";
        let eta = match self.sampler.integrator {
            Integrator::Ancestral { eta } | Integrator::StochasticDpm2m { eta } => eta,
            Integrator::Exponential | Integrator::Heun | Integrator::Dpm2m => 0.0,
        };
        check(what, "integrator", "Ancestral or StochasticDpm2m, with η above 0", eta, |eta| eta > 0.0)?;
        let Resampling { gamma, below, particles, floor, cut } = self.resampling;
        check(what, "floor", "at least 0 and below 1", floor, |x| (0.0..1.0).contains(&x))?;
        let most = "at most the `floor` of the weights: a step is weighed by its noise";
        check(what, "noise_floor", most, self.sampler.noise_floor, |x| x <= floor)?;
        check(what, "gamma", "finite and not negative", gamma, |g| g >= 0.0 && g.is_finite())?;
        check(what, "cut", "at least 1", cut.unwrap_or(1.0), |cut| cut >= 1.0)?;
        check(what, "below", "in 0 … 1", below, |r| (0.0..=1.0).contains(&r))?;
        // Half of the particles at least have the greatest weight then.
        check(what, "below", "above 0.5 where `cut` is 1", below, |r| cut != Some(1.0) || r > 0.5)?;
        check(what, "particles", "1 … 1048576", particles, |n| (1..=1 << 20).contains(&n))
    }

    /// Plans the programs for trajectories of a shape [N, L, …].
    ///
    /// Errors: as [`Twisted::check`]; an observation for each sample; weights of no width, for γ = 0 and an observation
    /// without noise; a shape that the predictor refuses.
    pub fn compile<E: Executor, P: NoisePredictor>(
        &self,
        executor: &mut E,
        posterior: &Posterior<P>,
        shape: &[usize],
    ) -> Result<TwistedRun, DiffusionError> {
        self.check()?;
        let samples = shape[0];
        let shape = &[&[samples * self.resampling.particles], &shape[1..]].concat()[..];
        posterior.check(shape)?;
        let refuse = |reason: &str| Err(DiffusionError::Guidance { reason: reason.into() });
        if posterior.each.is_some() {
            return refuse(
                "a twisted sampler's samples are weighed against each other; give one observation for all",
            );
        }
        if self.resampling.gamma == 0.0 && posterior.observation.noise_std == 0.0 {
            return refuse(
                "weights with γ = 0 divide by the observation's noise, which is 0; choose γ > 0 for the weights",
            );
        }
        let times = self.sampler.times()?;
        let has_weights = |s: &f64| self.sampler.schedule.sigma(*s) >= self.resampling.floor;
        let weighed = times[1..].iter().take_while(|s| has_weights(s)).count() as u32;
        let has_corrections = self.sampler.corrections > 0;
        let is_plain = has_corrections || weighed < self.sampler.steps;
        let run = TwistedRun {
            twisted: self.clone(),
            times,
            shape: shape.to_vec(),
            samples,
            weighed,
            plain: is_plain
                .then(|| self.sampler.compile(executor, posterior, shape, NoiseSource::Drawn))
                .transpose()?,
            start: executor.compile(&self.start_program(shape))?,
            step: executor.compile(&self.step_program(posterior, shape))?,
            correct: has_corrections
                .then(|| executor.compile(&self.correct_program(posterior, shape)))
                .transpose()?,
            end: executor.compile(&end_program(posterior, shape, self.resampling.gamma))?,
        };
        for (name, values) in posterior.conditions(shape) {
            executor.write(&name, values.mapv(E::Real::from_f64).view())?;
        }
        Ok(run)
    }
}

impl TwistedRun {
    /// Samples from the start; the same seed gives the same bits. Samples of equal weight, some of which are equal.
    ///
    /// `on_step` is called after each step with the number of steps done, and may stop the run.
    ///
    /// Once no particle weighs anything, it ends early with all samples diverged.
    ///
    /// Errors: the executor's.
    pub fn run<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        on_step: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Sampled<E::Real>, DiffusionError> {
        executor.run(self.start, RunKey { seed, step: 0 }, &[])?;
        self.resume(executor, seed, 0, on_step)
    }

    /// States that a stopped run is resumed from, beside the step's number.
    pub fn state_names(&self) -> Vec<&'static str> {
        let of_the_end: &[&str] =
            if self.has_steps_without_weights() { &[FINITE_STEPS, DISTINCT] } else { &[] };
        [&self.names_of_a_particle()[..], &[LOG_WEIGHT, EFFECTIVE], of_the_end].concat()
    }

    /// States that go with a particle where it is drawn.
    fn names_of_a_particle(&self) -> Vec<&'static str> {
        let histories = if self.twisted.sampler.integrator.looks_back() { &HISTORIES[..] } else { &[] };
        [&[SAMPLE, POTENTIAL], histories].concat()
    }

    fn has_steps_without_weights(&self) -> bool {
        self.weighed < self.twisted.sampler.steps
    }

    /// Corrections after a step.
    fn corrections(&self, step: u32) -> u32 {
        self.plain.as_ref().map_or(0, |plain| plain.corrections(step))
    }

    /// Goes on from the states [`TwistedRun::state_names`], at step `from`, with the bits of a run never stopped.
    ///
    /// Errors: as [`TwistedRun::run`].
    pub fn resume<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        from: u32,
        mut on_step: impl FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Sampled<E::Real>, DiffusionError> {
        let n = self.shape[0];
        for step in from..self.weighed {
            self.step(executor, seed, step)?;
            self.correct(executor, seed, step)?;
            let Some(weights) = self.weigh(executor, step)? else { return self.all_lost(executor, step) };
            if weights.effective < self.twisted.resampling.below * n as f64 {
                self.draw(executor, &weights.parents(n, uniform(seed, step)))?;
            }
            let done = step + 1;
            if on_step(done).is_break() && done < self.twisted.sampler.steps {
                return Ok(Sampled::Interrupted { step: done });
            }
        }
        match &self.plain {
            Some(plain) if self.has_steps_without_weights() => {
                if from <= self.weighed && self.leave_weights(executor, seed)?.is_break() {
                    return self.all_lost(executor, self.weighed);
                }
                Ok(match plain.resume(executor, seed, from.max(self.weighed), on_step)? {
                    Sampled::Finished(samples) => Sampled::Finished(self.thinned(executor, samples)?),
                    interrupted @ Sampled::Interrupted { .. } => interrupted,
                })
            }
            _ => {
                let Some(weights) = self.finish_weights(executor)? else {
                    return self.all_lost(executor, self.weighed);
                };
                let parents = weights.parents(self.samples, uniform(seed, self.weighed));
                let values = executor.read(SAMPLE)?.select(Axis(0), &parents);
                let distinct = distinct(&values);
                let weighing = Some(self.weighing(executor, distinct)?);
                // A particle weighs nothing where it was no number, but a last correction comes after its weighing.
                let is_finite = |x: ArrayViewD<'_, E::Real>| x.iter().all(|x| x.is_finite());
                let lost = values.outer_iter().map(is_finite).enumerate().filter(|(_, finite)| !finite);
                let step = self.weighed;
                let diverged = lost.map(|(sample, _)| Divergence { sample, step }).collect();
                Ok(Sampled::Finished(Samples { values, diverged, weighing }))
            }
        }
    }

    fn step<E: Executor>(&self, executor: &mut E, seed: u64, step: u32) -> Result<(), DiffusionError> {
        let sampler = &self.twisted.sampler;
        let (t, s) = (self.times[step as usize], self.times[step as usize + 1]);
        let before = step.checked_sub(1);
        let time = TimeInputs::<E::Real>::new(&sampler.schedule, t);
        let (scalars, count) = sampler.step_scalars(before.map(|i| self.times[i as usize]), t, s);
        let scalars = scalars.map(|x| [E::Real::from_f64(x)]);
        // Where the sample was corrected since, the correction has weighed it.
        let is_new = before.is_none_or(|before| self.corrections(before) == 0);
        let is_new = [E::Real::from_f64(f64::from(is_new))];
        let mut inputs: Vec<&[E::Real]> = vec![&time.features, &time.mu, &time.sigma];
        inputs.extend(scalars[..count].iter().map(<[_; 1]>::as_slice));
        inputs.push(&is_new);
        Ok(executor.run(self.step, RunKey { seed, step }, &inputs)?)
    }

    fn correct<E: Executor>(&self, executor: &mut E, seed: u64, step: u32) -> Result<(), DiffusionError> {
        let (Some(first), Some(plain)) = (self.correct, &self.plain) else { return Ok(()) };
        let sampler = &self.twisted.sampler;
        for correction in 0..plain.corrections(step) {
            if correction > 0 {
                plain.correct(executor, seed, step, correction, None)?;
                continue;
            }
            let time = TimeInputs::<E::Real>::new(&sampler.schedule, self.times[step as usize + 1]);
            let tau = [E::Real::from_f64(sampler.tau)];
            let key = RunKey { seed, step: step * sampler.corrections };
            executor.run(first, key, &[&time.features, &time.mu, &time.sigma, &tau])?;
        }
        Ok(())
    }

    /// None where no particle weighs anything.
    fn weights<E: Executor>(&self, executor: &mut E) -> Result<Option<Weights>, DiffusionError> {
        let logs = executor.read(LOG_WEIGHT)?;
        Ok(Weights::of_logs(logs.iter().map(|w| w.to_f64()), self.twisted.resampling.cut))
    }

    /// The weights, whose effective sample size it notes.
    fn weigh<E: Executor>(&self, executor: &mut E, step: u32) -> Result<Option<Weights>, DiffusionError> {
        let weights = self.weights(executor)?;
        let mut sizes = executor.read(EFFECTIVE)?;
        let effective = weights.as_ref().map_or(0.0, |weights| weights.effective);
        sizes[[step as usize]] = E::Real::from_f64(effective);
        executor.write(EFFECTIVE, sizes.view())?;
        Ok(weights)
    }

    /// Whether the samples of the last weighed step are not weighed yet.
    fn has_last_weighting(&self) -> bool {
        self.weighed.checked_sub(1).is_none_or(|last| self.corrections(last) == 0)
    }

    /// Weighs the samples of the last weighed step, where no correction has.
    fn finish_weights<E: Executor>(&self, executor: &mut E) -> Result<Option<Weights>, DiffusionError> {
        if !self.has_last_weighting() {
            return self.weights(executor);
        }
        let t = self.times[self.weighed as usize];
        let time = TimeInputs::<E::Real>::new(&self.twisted.sampler.schedule, t);
        executor.run(self.end, RunKey { seed: 0, step: 0 }, &[&time.features, &time.mu, &time.sigma])?;
        self.weigh(executor, self.weighed)
    }

    /// Draws particles of equal weight, which the sampler goes on with; none weighs anything where it breaks.
    fn leave_weights<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
    ) -> Result<ControlFlow<()>, DiffusionError> {
        let n = self.shape[0];
        let Some(weights) = self.finish_weights(executor)? else { return Ok(ControlFlow::Break(())) };
        self.draw(executor, &weights.parents(n, uniform(seed, self.weighed)))?;
        let count = distinct(&executor.read(SAMPLE)?.select(Axis(0), &self.kept()));
        let of = |x: f64, shape: &[usize]| ArrayD::from_elem(shape.to_vec(), E::Real::from_f64(x));
        executor.write(DISTINCT, of(count as f64, &[1]).view())?;
        executor.write(FINITE_STEPS, of(f64::from(self.weighed), &[n, 1]).view())?;
        Ok(ControlFlow::Continue(()))
    }

    /// What is left where no particle weighs anything after some steps: all have left the real numbers, or gone so far
    /// that their misfit has.
    fn all_lost<E: Executor>(&self, executor: &mut E, step: u32) -> Result<Sampled<E::Real>, DiffusionError> {
        Ok(Sampled::Finished(Samples {
            values: executor.read(SAMPLE)?.select(Axis(0), &self.kept()),
            diverged: (0..self.samples).map(|sample| Divergence { sample, step }).collect(),
            weighing: Some(self.weighing(executor, 0)?),
        }))
    }

    /// The particles that become samples where all weigh the same: neighbours may have had one parent.
    fn kept(&self) -> Vec<usize> {
        (0..self.samples).map(|i| i * self.twisted.resampling.particles).collect()
    }

    fn thinned<E: Executor>(
        &self,
        executor: &mut E,
        particles: Samples<E::Real>,
    ) -> Result<Samples<E::Real>, DiffusionError> {
        let each = self.twisted.resampling.particles;
        let diverged = particles.diverged.into_iter().filter(|d| d.sample.is_multiple_of(each));
        let distinct = executor.read(DISTINCT)?[[0]].to_f64() as usize;
        Ok(Samples {
            values: particles.values.select(Axis(0), &self.kept()),
            diverged: diverged.map(|d| Divergence { sample: d.sample / each, ..d }).collect(),
            weighing: Some(self.weighing(executor, distinct)?),
        })
    }

    fn weighing<E: Executor>(&self, executor: &mut E, distinct: usize) -> Result<Weighing, DiffusionError> {
        let sizes = executor.read(EFFECTIVE)?;
        let sizes = sizes.iter().take(self.weighed as usize + usize::from(self.has_last_weighting()));
        Ok(Weighing { effective_sample_size: sizes.map(|n| n.to_f64()).collect(), distinct })
    }

    fn draw<E: Executor>(&self, executor: &mut E, parents: &[usize]) -> Result<(), DiffusionError> {
        for name in self.names_of_a_particle() {
            let drawn = executor.read(name)?.select(Axis(0), parents);
            executor.write(name, drawn.view())?;
        }
        let even = ArrayD::from_elem(vec![self.shape[0], 1], E::Real::ZERO);
        Ok(executor.write(LOG_WEIGHT, even.view())?)
    }
}

/// The place of the first child in its share.
fn uniform(seed: u64, step: u32) -> f64 {
    Stream::new(seed, stream::RESAMPLING).sequence(step, 0).uniform()
}

fn distinct<T: Real>(values: &ArrayD<T>) -> usize {
    let rows = values.outer_iter().map(|row| row.iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>());
    rows.collect::<std::collections::BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests;
