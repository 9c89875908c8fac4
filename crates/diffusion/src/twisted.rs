//! Twisted diffusion sampling: guided steps as proposals of a particle filter over diffusion time.

use std::ops::ControlFlow;

use ndarray::{ArrayD, Axis};
use sda_core::{Real, Stream};
use sda_graph::{Declaration, Executor, Graph, Handle, Law, NodeId, Program, RunKey};
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::guidance::Posterior;
use crate::predictor::{Estimate, Guided, NoisePredictor, TimeNodes, flat};
use crate::sampler::{
    Integrator, PREVIOUS, SAMPLE, Sampled, Sampler, Samples, TimeInputs, declare_scalar, declare_time,
};
use crate::stream;

/// The state that holds each sample's log weight, [N, 1].
pub const LOG_WEIGHT: &str = "sample.log_weight";
/// The state that holds log p̃(y | x(t)) at the step before, [N, 1].
const POTENTIAL: &str = "sample.potential";
/// The state that holds the effective sample size after each step, and after the last weighting, [steps + 1].
const EFFECTIVE: &str = "sample.effective";
/// The state that holds the unguided denoised mean of the step before, [N, L, …], where the integrator looks back.
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
/// What it converges to is the posterior of the unguided steps' prior: [`Integrator::StochasticDpm2m`] has the least
/// error of its own.
///
/// Good values: γ 3e-2 … 1, the share 0.5; particles by the hundred, and by the thousand where the posterior has modes.
/// Source: Wu, Trippe, Naesseth, Blei & Cunningham 2023, arXiv 2306.17775, algorithm 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Twisted {
    /// Schedule, steps, grid and integrator, which is stochastic; it has no corrections.
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
    /// Particles for each sample that is drawn in the end.
    #[serde(default = "one")]
    pub particles: usize,
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
    start: Handle,
    step: Handle,
    end: Handle,
}

/// How evenly a twisted sampler's samples were weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighing {
    /// Effective sample size of the particles after each step, and after the last weighting.
    pub effective_sample_size: Vec<f64>,
    /// How many of the N samples are distinct.
    pub distinct: usize,
}

impl Twisted {
    /// Errors: a setting out of range; a sampler that draws no noise, or has corrections.
    pub fn check(&self) -> Result<(), DiffusionError> {
        self.sampler.check()?;
        let what = "the twisted sampler";
        let eta = match self.sampler.integrator {
            Integrator::Ancestral { eta } | Integrator::StochasticDpm2m { eta } => eta,
            Integrator::Exponential | Integrator::Heun | Integrator::Dpm2m => 0.0,
        };
        check(what, "integrator", "Ancestral or StochasticDpm2m, with η above 0", eta, |eta| eta > 0.0)?;
        let floor = self.sampler.noise_floor;
        check(what, "noise_floor", "0: its steps are weighed by their noise", floor, |x| x == 0.0)?;
        check(what, "corrections", "0", self.sampler.corrections, |c| c == 0)?;
        let Resampling { gamma, below, particles } = self.resampling;
        check(what, "gamma", "finite and not negative", gamma, |g| g >= 0.0 && g.is_finite())?;
        check(what, "below", "in 0 … 1", below, |r| (0.0..=1.0).contains(&r))?;
        check(what, "particles", "1 … 1048576", particles, |n| (1..=1 << 20).contains(&n))
    }

    /// Plans the programs for trajectories of a shape [N, L, …].
    ///
    /// Errors: as [`Twisted::check`]; an observation for each sample; a shape that the predictor refuses.
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
        if posterior.each.is_some() {
            return Err(DiffusionError::Guidance {
                reason:
                    "a twisted sampler's samples are weighed against each other; give one observation for all"
                        .into(),
            });
        }
        let run = TwistedRun {
            twisted: self.clone(),
            times: self.sampler.times()?,
            shape: shape.to_vec(),
            samples,
            start: executor.compile(&self.start_program(shape))?,
            step: executor.compile(&self.step_program(posterior, shape))?,
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
    /// Errors: the executor's; weights that are all zero, or no numbers.
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
        let histories = if self.twisted.sampler.integrator.looks_back() { &HISTORIES[..] } else { &[] };
        [&[SAMPLE, LOG_WEIGHT, POTENTIAL, EFFECTIVE], histories].concat()
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
        let sampler = &self.twisted.sampler;
        let n = self.shape[0];
        for step in from..sampler.steps {
            let (t, s) = (self.times[step as usize], self.times[step as usize + 1]);
            let before = step.checked_sub(1).map(|i| self.times[i as usize]);
            let time = TimeInputs::<E::Real>::new(&sampler.schedule, t);
            let (scalars, count) = sampler.step_scalars(before, t, s);
            let scalars = scalars.map(|x| [E::Real::from_f64(x)]);
            let mut inputs: Vec<&[E::Real]> = vec![&time.features, &time.mu, &time.sigma];
            inputs.extend(scalars[..count].iter().map(<[_; 1]>::as_slice));
            executor.run(self.step, RunKey { seed, step }, &inputs)?;
            let weights = weigh(executor, step)?;
            if weights.effective < self.twisted.resampling.below * n as f64 {
                self.draw(executor, &weights.parents(n, uniform(seed, step)))?;
            }
            let done = step + 1;
            if on_step(done).is_break() && done < sampler.steps {
                return Ok(Sampled::Interrupted { step: done });
            }
        }
        let time = TimeInputs::<E::Real>::new(&sampler.schedule, 0.0);
        executor.run(self.end, RunKey { seed, step: 0 }, &[&time.features, &time.mu, &time.sigma])?;
        let parents = weigh(executor, sampler.steps)?.parents(self.samples, uniform(seed, sampler.steps));
        let values = executor.read(SAMPLE)?.select(Axis(0), &parents);
        let effective_sample_size = executor.read(EFFECTIVE)?.iter().map(|n| n.to_f64()).collect();
        let weighing = Weighing { effective_sample_size, distinct: distinct(&values) };
        Ok(Sampled::Finished(Samples { values, diverged: Vec::new(), weighing: Some(weighing) }))
    }

    fn draw<E: Executor>(&self, executor: &mut E, parents: &[usize]) -> Result<(), DiffusionError> {
        let of_a_sample = |name: &&str| ![LOG_WEIGHT, EFFECTIVE].contains(name);
        for name in self.state_names().into_iter().filter(of_a_sample) {
            let drawn = executor.read(name)?.select(Axis(0), parents);
            executor.write(name, drawn.view())?;
        }
        let even = ArrayD::from_elem(vec![self.shape[0], 1], E::Real::ZERO);
        Ok(executor.write(LOG_WEIGHT, even.view())?)
    }
}

/// The weights, whose effective sample size it notes.
fn weigh<E: Executor>(executor: &mut E, step: u32) -> Result<Weights, DiffusionError> {
    let logs = executor.read(LOG_WEIGHT)?;
    let weights =
        Weights::of_logs(logs.iter().map(|w| w.to_f64())).ok_or(DiffusionError::Weights { step })?;
    let mut sizes = executor.read(EFFECTIVE)?;
    sizes[[step as usize]] = E::Real::from_f64(weights.effective);
    executor.write(EFFECTIVE, sizes.view())?;
    Ok(weights)
}

/// The place of the first child in its share.
fn uniform(seed: u64, step: u32) -> f64 {
    Stream::new(seed, stream::RESAMPLING).sequence(step, 0).uniform()
}

/// Weights of particles.
struct Weights {
    /// The greatest is 1.
    values: Vec<f64>,
    /// (Σ w)² / Σ w².
    effective: f64,
}

impl Weights {
    /// None where no weight is above 0. A particle that has left the real numbers weighs nothing.
    fn of_logs(logs: impl Iterator<Item = f64>) -> Option<Self> {
        let logs: Vec<f64> = logs.map(|w| if w.is_nan() { f64::NEG_INFINITY } else { w }).collect();
        let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let values: Vec<f64> = logs.iter().map(|w| (w - greatest).exp()).collect();
        let total: f64 = values.iter().sum();
        let effective = total * total / values.iter().map(|w| w * w).sum::<f64>();
        greatest.is_finite().then_some(Self { values, effective })
    }

    /// Systematic resampling: child k of n has the parent in whose share (k + u)/n falls.
    fn parents(&self, n: usize, u: f64) -> Vec<usize> {
        let weights = &self.values;
        let total: f64 = weights.iter().sum();
        let last = weights.iter().rposition(|&w| w > 0.0).unwrap_or(0);
        let (mut parent, mut reached) = (0, weights[0]);
        let child = |k: usize| {
            let place = (k as f64 + u) / n as f64 * total;
            while reached <= place && parent < last {
                parent += 1;
                reached += weights[parent];
            }
            parent
        };
        (0..n).map(child).collect()
    }
}

fn distinct<T: Real>(values: &ArrayD<T>) -> usize {
    let rows = values.outer_iter().map(|row| row.iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>());
    rows.collect::<std::collections::BTreeSet<_>>().len()
}

fn declare(g: &mut Graph, shape: &[usize]) -> [NodeId; 3] {
    let number = [shape[0], 1];
    [
        g.state(Declaration::rows(SAMPLE, shape)),
        g.state(Declaration::rows(LOG_WEIGHT, &number)),
        g.state(Declaration::rows(POTENTIAL, &number)),
    ]
}

impl Twisted {
    /// x ~ N(0, I), of equal weight.
    fn start_program(&self, shape: &[usize]) -> Program {
        let mut g = Graph::new();
        declare(&mut g, shape);
        let noise = g.noise(shape, stream::START, Law::Normal);
        let zero = g.scalar(0.0);
        let even = g.broadcast(zero, &[shape[0], 1]);
        let none = g.broadcast(zero, shape);
        let sizes = [self.sampler.steps as usize + 1];
        g.state(Declaration::shared(EFFECTIVE, &sizes));
        let unknown = g.broadcast(zero, &sizes);
        let mut updates = vec![(SAMPLE, noise), (LOG_WEIGHT, even), (POTENTIAL, even), (EFFECTIVE, unknown)];
        if self.sampler.integrator.looks_back() {
            for name in HISTORIES {
                g.state(Declaration::rows(name, shape));
                updates.push((name, none));
            }
        }
        updates.into_iter().fold(Program::new(g), |program, (name, node)| program.update(name, node))
    }

    /// A guided step, with its log weight; inputs: features, μ, σ of t, the numbers of `Sampler::step_scalars`.
    ///
    ///   x(s) = r x + g ã + ς z with a of ε or of x̂, ã guided;  Δ = g (ã − a):  log p/q = −z·Δ/ς − ½ ‖Δ‖²/ς²
    fn step_program<P: NoisePredictor>(&self, posterior: &Posterior<P>, shape: &[usize]) -> Program {
        let mut g = Graph::new();
        let time = declare_time(&mut g, "");
        let [ratio, gain] = ["ratio", "gain"].map(|name| declare_scalar(&mut g, name));
        let [x, weight, before] = declare(&mut g, shape);
        let guided = posterior.emit_both(&mut g, x, &time);
        let potential = posterior.emit_potential(&mut g, guided.prior.denoised, self.resampling.gamma, &time);
        let (ahead, histories) = self.ahead(&mut g, x, &guided, &time);
        let kick = declare_scalar(&mut g, "kick");
        let z = g.noise(shape, stream::ANCESTRAL, Law::Normal);
        let [x, z, bent, free] = [x, z, ahead[0], ahead[1]].map(|node| flat(&mut g, node));
        let (kept, added, shaken) = (g.mul(x, ratio), g.mul(bent, gain), g.mul(z, kick));
        let moved = g.add(kept, added);
        let moved = g.add(moved, shaken);
        let difference = g.sub(bent, free);
        let shift = g.mul(difference, gain);
        let shift = g.div(shift, kick);
        let half = g.scale(shift, 0.5);
        let reach = g.add(z, half);
        let product = g.mul(shift, reach);
        let log_ratio = g.sum(product, &[1]);
        let change = g.sub(potential, before);
        let change = g.sub(change, log_ratio);
        let weight = g.add(weight, change);
        let moved = g.reshape(moved, shape);
        let mut updates = vec![(SAMPLE, moved), (LOG_WEIGHT, weight), (POTENTIAL, potential)];
        updates.extend(histories);
        updates.into_iter().fold(Program::new(g), |program, (name, node)| program.update(name, node))
    }

    /// What the step goes along, guided and free, and what the next step looks back to.
    fn ahead(
        &self,
        g: &mut Graph,
        x: NodeId,
        guided: &Guided,
        time: &TimeNodes,
    ) -> ([NodeId; 2], Vec<(&'static str, NodeId)>) {
        let noises = [guided.noise, guided.prior.noise];
        if !self.sampler.integrator.looks_back() {
            return (noises, Vec::new());
        }
        let back = declare_scalar(g, "back");
        let shape = g.shape(x).to_vec();
        let now = noises.map(|noise| Estimate::of_noise(g, x, noise, time).denoised);
        let ahead = [0, 1].map(|i| {
            let before = g.state(Declaration::rows(HISTORIES[i], &shape));
            let change = g.sub(now[i], before);
            let change = g.mul(change, back);
            g.add(now[i], change)
        });
        (ahead, HISTORIES.into_iter().zip(now).collect())
    }
}

/// The last weighting, by the likelihood of the samples themselves: x̂ = x/μ at t = 0.
fn end_program<P: NoisePredictor>(posterior: &Posterior<P>, shape: &[usize], gamma: f64) -> Program {
    let mut g = Graph::new();
    let time: TimeNodes = declare_time(&mut g, "");
    let [x, weight, before] = declare(&mut g, shape);
    let noise = posterior.prior.emit(&mut g, x, &time);
    let denoised = Estimate::of_noise(&mut g, x, noise, &time).denoised;
    let potential = posterior.emit_potential(&mut g, denoised, gamma, &time);
    let change = g.sub(potential, before);
    let weight = g.add(weight, change);
    Program::new(g).update(LOG_WEIGHT, weight).update(POTENTIAL, potential)
}

#[cfg(test)]
mod tests;
