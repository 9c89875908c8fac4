//! The bootstrap particle filter: propagate by the transition, weight by the likelihood, resample.
//!
//! Source: Gordon, Salmond & Smith 1993, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation".

use rayon::prelude::*;
use sda_core::Stream;
use sda_systems::{Ensemble, LANES, Lanes, System};

use crate::error::FilterError;
use crate::observation::{Observations, StateOperator};
use crate::resampling::{effective_sample_size, systematic};

/// The stream's steps below this one are transitions; row is the particle.
const LARGEST_STEP: u32 = 1 << 30;
/// Resampling after state t draws from this step + t, row 0.
const RESAMPLING: u32 = 1 << 30;
/// Final draws are from this step, row 0.
pub(crate) const SELECTION: u32 = 1 << 31;
/// Backward simulation of state t draws from this step + t; row is the sample.
pub(crate) const BACKWARD: u32 = (1 << 31) + (1 << 30);
/// Blocks that a thread takes at once.
const MIN_BLOCKS: usize = 8;

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

/// Every particle of every step, with weights and ancestors: what samples of the posterior are drawn from.
#[derive(Clone, Debug)]
pub struct ParticleHistory {
    /// Particles of each step as they arrived there, before resampling [L].
    pub(crate) states: Vec<Ensemble>,
    /// Normalised log weights at each step, its observation included; `None` is uniform [L].
    pub(crate) log_weights: Vec<Option<Vec<f64>>>,
    /// Of each step's particles, the index one step earlier; `None` is the same index [L].
    pub(crate) ancestors: Vec<Option<Vec<u32>>>,
    pub(crate) stream: Stream,
    /// After weighting by each observation [K].
    pub effective_sample_size: Vec<f64>,
    /// log p(y), estimated; its exponential is unbiased.
    pub log_evidence: f64,
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
        let mut history = ParticleHistory {
            states: Vec::with_capacity(steps),
            log_weights: Vec::with_capacity(steps),
            ancestors: Vec::with_capacity(steps),
            stream: self.stream,
            effective_sample_size: Vec::with_capacity(observations.steps().len()),
            log_evidence: 0.0,
        };
        let (mut log_weights, mut ancestors) = (None, None);
        for step in 0..steps {
            let states = match history.states.last() {
                None => self.draw_prior(),
                Some(last) => self.propagate(last, ancestors.as_deref(), self.burn_in + step as u32),
            };
            let mut next_ancestors = None;
            if let Some(k) = observations.at(step) {
                let weighted = weight(&states, log_weights.as_deref(), observations, k, operator);
                let (normalised, log_sum) = normalise(weighted, step)?;
                history.log_evidence += log_sum;
                let weights: Vec<f64> = normalised.iter().map(|w| w.exp()).collect();
                let effective = effective_sample_size(&weights);
                history.effective_sample_size.push(effective);
                let resample = step + 1 < steps
                    && (self.resample_below >= 1.0
                        || effective < self.resample_below * self.particles as f64);
                if resample {
                    let u = self.stream.sequence(RESAMPLING + step as u32, 0).uniform();
                    next_ancestors = Some(systematic(&weights, self.particles, u));
                }
                log_weights = Some(normalised);
            }
            history.states.push(states);
            history.log_weights.push(log_weights.clone());
            history.ancestors.push(ancestors.take());
            if next_ancestors.is_some() {
                log_weights = None;
            }
            ancestors = next_ancestors;
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

    fn draw_prior(&self) -> Ensemble {
        let mut states = Ensemble::zeros(self.particles, self.system.state_dim());
        states.par_blocks_mut().with_min_len(MIN_BLOCKS).enumerate().for_each_init(
            Vec::new,
            |scratch, (b, block)| {
                let first = (b * LANES) as u32;
                self.system.draw_initial(&self.stream, 0, first, block);
                for step in 1..=self.burn_in {
                    self.system.draw_transition(&self.stream, step, first, block, scratch);
                }
            },
        );
        states
    }

    /// The next states of the particles that `ancestors` names.
    fn propagate(&self, last: &Ensemble, ancestors: Option<&[u32]>, stream_step: u32) -> Ensemble {
        let mut states = last.clone();
        states.par_blocks_mut().with_min_len(MIN_BLOCKS).enumerate().for_each_init(
            Vec::new,
            |scratch, (b, block)| {
                if let Some(ancestors) = ancestors {
                    gather(last, ancestors, b * LANES, block);
                }
                self.system.draw_transition(&self.stream, stream_step, (b * LANES) as u32, block, scratch);
            },
        );
        states
    }
}

/// Fills a block with the ancestors of the particles `first` …; spare lanes stay as they are.
fn gather(from: &Ensemble, ancestors: &[u32], first: usize, block: &mut [Lanes]) {
    for (i, &ancestor) in ancestors[first..].iter().take(LANES).enumerate() {
        for (c, lanes) in block.iter_mut().enumerate() {
            lanes[i] = from.get(ancestor as usize, c);
        }
    }
}

/// Log weights times the likelihood of observation k, not normalised.
fn weight(
    states: &Ensemble,
    before: Option<&[f64]>,
    observations: &Observations,
    k: usize,
    operator: &dyn StateOperator,
) -> Vec<f64> {
    let n = states.members();
    let y = observations.values().row(k);
    let std = observations.noise_std();
    let constant = y.len() as f64 * (std.ln() + 0.5 * std::f64::consts::TAU.ln());
    let mut weights = vec![-(n as f64).ln(); n];
    if let Some(before) = before {
        weights.copy_from_slice(before);
    }
    let blocks = states.par_blocks().with_min_len(MIN_BLOCKS);
    weights.par_chunks_mut(LANES).with_min_len(MIN_BLOCKS).zip(blocks).for_each_init(
        || vec![[0.0; LANES]; y.len()],
        |predicted, (weights, block)| {
            operator.observe(block, predicted);
            for (i, weight) in weights.iter_mut().enumerate() {
                let misfit: f64 = predicted.iter().zip(y).map(|(a, y)| ((y - a[i]) / std).powi(2)).sum();
                let log = *weight - 0.5 * misfit - constant;
                // A particle that diverged explains nothing.
                *weight = if log.is_nan() { f64::NEG_INFINITY } else { log };
            }
        },
    );
    weights
}

/// Log weights less their log sum, and that log sum.
fn normalise(mut log_weights: Vec<f64>, step: usize) -> Result<(Vec<f64>, f64), FilterError> {
    let greatest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return Err(FilterError::Collapsed { step, particles: log_weights.len() });
    }
    let sum: f64 = log_weights.iter().map(|w| (w - greatest).exp()).sum();
    let log_sum = greatest + sum.ln();
    for w in &mut log_weights {
        *w -= log_sum;
    }
    Ok((log_weights, log_sum))
}
