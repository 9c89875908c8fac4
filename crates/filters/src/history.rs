//! Every particle of every step: what samples of the posterior are drawn from.

use rayon::prelude::*;
use sda_core::Stream;
use sda_systems::{Ensemble, LANES, Lanes};

use crate::weights::Weights;

/// Every particle of every step, with weights and ancestors: what samples of the posterior are drawn from.
///
/// One array each, made at once: what is appended at every step goes to memory that is there already.
#[derive(Clone, Debug)]
pub struct ParticleHistory {
    members: usize,
    state_dim: usize,
    /// Particles of each step as they arrived there, before resampling [L, blocks, D, LANES].
    states: Vec<Lanes>,
    /// Log weights after each observation, −∞ on spare lanes [K, blocks, LANES].
    logs: Vec<Lanes>,
    /// What to subtract from them [K].
    log_sums: Vec<f64>,
    /// Of each step's particles, which observation's weights they have; `None` is uniform [L].
    weighting: Vec<Option<usize>>,
    /// The index one step earlier, after each resampling [R, blocks, LANES].
    ancestors: Vec<[u32; LANES]>,
    /// Of each step's particles, which resampling they come from; `None` is the same index [L].
    resampling: Vec<Option<usize>>,
    pub(crate) stream: Stream,
    /// After weighting by each observation [K].
    pub effective_sample_size: Vec<f64>,
    /// log p(y), estimated; its exponential is unbiased.
    pub log_evidence: f64,
}

impl ParticleHistory {
    /// Nothing yet, with room for `steps` steps of which `observations` are weighted.
    pub(crate) fn with_capacity(
        members: usize,
        state_dim: usize,
        steps: usize,
        observations: usize,
        stream: Stream,
    ) -> Self {
        let blocks = members.div_ceil(LANES);
        Self {
            members,
            state_dim,
            states: Vec::with_capacity(steps * blocks * state_dim),
            logs: Vec::with_capacity(observations * blocks),
            log_sums: Vec::with_capacity(observations),
            weighting: Vec::with_capacity(steps),
            ancestors: Vec::with_capacity(observations * blocks),
            resampling: Vec::with_capacity(steps),
            stream,
            effective_sample_size: Vec::with_capacity(observations),
            log_evidence: 0.0,
        }
    }

    /// Appends a step's particles and where they come from.
    pub(crate) fn push(&mut self, states: &Ensemble, ancestors: Option<&[[u32; LANES]]>) {
        self.states.par_extend(states.par_lanes());
        self.weighting.push(self.weighting.last().copied().flatten().filter(|_| ancestors.is_none()));
        let resampling = ancestors.map(|ancestors| {
            self.ancestors.extend_from_slice(ancestors);
            self.ancestors.len() / self.blocks() - 1
        });
        self.resampling.push(resampling);
    }

    /// Weights the step that was appended last.
    pub(crate) fn weigh(&mut self, weights: &Weights, log_sum: f64, effective_sample_size: f64) {
        self.logs.extend_from_slice(&weights.logs);
        self.log_sums.push(log_sum);
        self.effective_sample_size.push(effective_sample_size);
        self.log_evidence += log_sum;
        *self.weighting.last_mut().expect("a step was appended") = Some(self.log_sums.len() - 1);
    }

    fn blocks(&self) -> usize {
        self.members.div_ceil(LANES)
    }

    /// N.
    pub(crate) fn members(&self) -> usize {
        self.members
    }

    /// D.
    pub(crate) fn state_dim(&self) -> usize {
        self.state_dim
    }

    /// L.
    pub fn steps(&self) -> usize {
        self.weighting.len()
    }

    /// A step's particles [blocks, D, LANES].
    pub(crate) fn states(&self, step: usize) -> &[Lanes] {
        let len = self.blocks() * self.state_dim;
        &self.states[step * len..(step + 1) * len]
    }

    /// A step's log weights [blocks, LANES], not normalised, and their log sum; `None` is uniform.
    pub(crate) fn log_weights(&self, step: usize) -> Option<(&[Lanes], f64)> {
        self.weighting[step]
            .map(|k| (&self.logs[k * self.blocks()..(k + 1) * self.blocks()], self.log_sums[k]))
    }

    /// The index one step earlier of each of a step's particles; `None` is the same index.
    pub(crate) fn ancestors(&self, step: usize) -> Option<&[u32]> {
        let blocks = self.blocks();
        self.resampling[step].map(|r| self.ancestors[r * blocks..(r + 1) * blocks].as_flattened())
    }

    /// Copies one particle's state.
    ///
    /// Shapes: `state` [D].
    #[inline]
    pub(crate) fn copy_state(&self, step: usize, particle: usize, state: &mut [f64]) {
        let block = &self.states(step)[particle / LANES * self.state_dim..][..self.state_dim];
        for (x, lanes) in state.iter_mut().zip(block) {
            *x = lanes[particle % LANES];
        }
    }
}
