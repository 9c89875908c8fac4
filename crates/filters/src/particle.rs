//! The bootstrap particle filter: propagate by the transition, weight by the likelihood, resample.
//!
//! Source: Gordon, Salmond & Smith 1993, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation".

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use sda_core::{Stream, Vectors};
use sda_systems::{Ensemble, LANES, Lanes, System};

use crate::ancestors::Resampling;
use crate::error::FilterError;
use crate::history::{Block, ParticleHistory};
use crate::observation::{Observations, StateOperator};
use crate::weights::{Misfit, Weights, weigh};

/// The stream's steps below this one are transitions; row is the particle.
const LARGEST_STEP: u32 = 1 << 30;
/// Resampling after state t draws from this step + t, row 0.
const RESAMPLING: u32 = 1 << 30;
/// Final draws are from this step, row 0.
pub(crate) const SELECTION: u32 = 1 << 31;
/// Backward simulation of state t draws from this step + t; row is the sample.
pub(crate) const BACKWARD: u32 = (1 << 31) + (1 << 30);
/// Settings of the bootstrap filter.
///
/// Good values: 16384 particles, 64 burn-in transitions for Lorenz-63, resampling at every observation.
#[derive(Clone, Copy, Debug)]
pub struct BootstrapFilter<'a> {
    /// The chain.
    pub system: &'a dyn System,
    /// N.
    pub particles: usize,
    /// Transitions from the system's initial law to the prior of the first state.
    pub burn_in: u32,
    /// Resample where the effective sample size is below this fraction of N; 1 at every observation.
    pub resample_below: f64,
    /// The filter's random numbers, all of them.
    pub stream: Stream,
}

/// The particles that a step is made of.
struct Generation {
    states: Ensemble,
    /// Not normalised, after the last observation.
    weights: Weights,
    /// Log weights less this are normalised; `None`: the weights count no longer, or not yet, and are uniform.
    log_sum: Option<f64>,
    /// The draw of the next step's particles; `None`: each goes on.
    resampling: Option<Resampling>,
}

impl Generation {
    fn new(particles: usize, state_dim: usize) -> Self {
        let (states, weights) = (Ensemble::zeros(particles, state_dim), Weights::new(particles));
        Self { states, weights, log_sum: None, resampling: None }
    }
}

/// What is observed at one step.
#[derive(Clone, Copy)]
struct Likelihood<'a> {
    operator: &'a dyn StateOperator,
    misfit: Misfit<'a>,
}

impl BootstrapFilter<'_> {
    /// Filters `steps` states.
    ///
    /// Errors: a setting out of range, observations after the last state, a step that no particle explains.
    /// Panics: the operator predicts another number of values than is observed.
    pub fn run(
        &self,
        steps: usize,
        observations: &Observations,
        operator: &dyn StateOperator,
    ) -> Result<ParticleHistory, FilterError> {
        self.check(steps)?;
        observations.check(steps, operator.observed_dim())?;
        let (n, d, observed) = (self.particles, self.system.state_dim(), observations.steps().len());
        let mut history = ParticleHistory::with_capacity(n, d, steps, observed, self.stream);
        let (mut last, mut next) = (Generation::new(n, d), Generation::new(n, d));
        let mut ancestors = vec![[0; LANES]; n.div_ceil(LANES)];
        for step in 0..steps {
            let k = observations.at(step);
            let likelihood = k.map(|k| Likelihood { operator, misfit: observations.misfit(k) });
            self.generate(step, &last, likelihood, &mut next, &mut ancestors, &mut history);
            if likelihood.is_some() {
                self.sum_up(step, steps, &mut next, &mut history)?;
            } else {
                next.log_sum = last.log_sum.filter(|_| last.resampling.is_none());
                next.resampling = None;
                std::mem::swap(&mut next.weights, &mut last.weights);
            }
            std::mem::swap(&mut last, &mut next);
        }
        Ok(history)
    }

    fn check(&self, steps: usize) -> Result<(), FilterError> {
        let bad = |field, expected, found: String| Err(FilterError::Setting { field, expected, found });
        if self.particles == 0 || self.particles > u32::MAX as usize {
            return bad("particles", "from 1 to 2³² − 1", self.particles.to_string());
        }
        if !(0.0..=1.0).contains(&self.resample_below) {
            return bad("resample_below", "from 0 to 1", self.resample_below.to_string());
        }
        if self.burn_in as usize + steps >= LARGEST_STEP as usize {
            return bad("burn_in", "below 2³⁰ less the steps", self.burn_in.to_string());
        }
        Ok(())
    }

    /// Makes the particles of a step from those of the last and weighs them, each block in one go.
    fn generate(
        &self,
        step: usize,
        last: &Generation,
        likelihood: Option<Likelihood<'_>>,
        next: &mut Generation,
        ancestors: &mut [[u32; LANES]],
        history: &mut ParticleHistory,
    ) {
        let Generation { states, weights, .. } = next;
        let blocks = states.par_blocks_mut().zip(weights.par_blocks_mut()).zip(ancestors);
        let blocks = blocks.map(|((states, weights), ancestors)| Block { states, weights, ancestors });
        let kept = (last.resampling.is_some(), likelihood.is_some());
        history.append(
            kept,
            blocks,
            Default::default,
            |(scratch, predicted): &mut (Vec<_>, Vec<_>), b, block| {
                if step == 0 {
                    self.draw_prior(b, block.states, scratch);
                } else {
                    self.propagate(step, b, last, block, scratch);
                }
                if let Some(Likelihood { operator, misfit }) = likelihood {
                    predicted.resize(misfit.values.len(), [0.0; LANES]);
                    operator.observe(block.states, predicted);
                    let present = (self.particles - b * LANES).min(LANES);
                    let before = self.before(b, last);
                    weigh(Vectors::widest(), &before, predicted, misfit, present, &mut block.weights);
                }
            },
        );
    }

    fn draw_prior(&self, b: usize, states: &mut [Lanes], scratch: &mut Vec<Lanes>) {
        let first = (b * LANES) as u32;
        self.system.draw_initial(&self.stream, 0, first, states);
        for step in 1..=self.burn_in {
            self.system.draw_transition(&self.stream, step, first, states, scratch);
        }
    }

    /// The next states of a block's ancestors, of which there is a note where they were drawn.
    fn propagate(
        &self,
        step: usize,
        b: usize,
        last: &Generation,
        block: &mut Block<'_>,
        scratch: &mut Vec<Lanes>,
    ) {
        let (from, d) = (last.states.lanes(), block.states.len());
        if let Some(resampling) = &last.resampling {
            resampling.parents(Vectors::widest(), &last.weights, b, block.ancestors);
            gather(from, block.ancestors, block.states);
        } else {
            block.states.copy_from_slice(&from[b * d..(b + 1) * d]);
        }
        let stream_step = self.burn_in + step as u32;
        self.system.draw_transition(&self.stream, stream_step, (b * LANES) as u32, block.states, scratch);
    }

    /// Normalised log weights of a block before it is observed.
    fn before(&self, b: usize, last: &Generation) -> Lanes {
        match last.log_sum.filter(|_| last.resampling.is_none()) {
            None => [-(self.particles as f64).ln(); LANES],
            Some(log_sum) => last.weights.logs[b].map(|log| log - log_sum),
        }
    }

    /// Sums up the weights of a step and draws the ancestors of the next one if it is due.
    fn sum_up(
        &self,
        step: usize,
        steps: usize,
        next: &mut Generation,
        history: &mut ParticleHistory,
    ) -> Result<(), FilterError> {
        let collapsed = FilterError::Collapsed { step, particles: self.particles };
        let total = next.weights.total().ok_or(collapsed)?;
        let effective = total.effective_sample_size;
        history.sum_up(&total);
        next.log_sum = Some(total.log_sum);
        let due = self.resample_below >= 1.0 || effective < self.resample_below * self.particles as f64;
        next.resampling = (due && step + 1 < steps).then(|| {
            let u = self.stream.sequence(RESAMPLING + step as u32, 0).uniform();
            Resampling::new(self.particles, total, u)
        });
        Ok(())
    }
}

/// Fills a block with the states of its ancestors.
fn gather(from: &[Lanes], ancestors: &[u32; LANES], states: &mut [Lanes]) {
    let (d, from) = (states.len(), from.as_flattened());
    let places = ancestors.map(|a| a as usize / LANES * (d * LANES) + a as usize % LANES);
    for (c, lanes) in states.iter_mut().enumerate() {
        let from = &from[c * LANES..];
        for (x, &place) in lanes.iter_mut().zip(&places) {
            *x = from[place];
        }
    }
}
