//! Every particle of every step: what samples of the posterior are drawn from.

use std::mem::MaybeUninit;

use rayon::prelude::*;
use sda_core::Stream;
use sda_systems::{LANES, Lanes};

use crate::weights::{BlockMut, Total};

/// Blocks that a thread takes at once.
const MIN_BLOCKS: usize = 8;

/// Particles side by side, their weights, and where they come from.
pub(crate) struct Block<'a> {
    /// [D, LANES].
    pub(crate) states: &'a mut [Lanes],
    pub(crate) weights: BlockMut<'a>,
    pub(crate) ancestors: &'a mut [u32; LANES],
}

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
        // One step more than can be observed: a step's room is there before it is known whether it is needed.
        let room = (observations + 1) * blocks;
        Self {
            members,
            state_dim,
            states: Vec::with_capacity(steps * blocks * state_dim),
            logs: Vec::with_capacity(room),
            log_sums: Vec::with_capacity(observations),
            weighting: Vec::with_capacity(steps),
            ancestors: Vec::with_capacity(room),
            resampling: Vec::with_capacity(steps),
            stream,
            effective_sample_size: Vec::with_capacity(observations),
            log_evidence: 0.0,
        }
    }

    /// Makes the blocks of a step in parallel and appends them, each while it is in the cache.
    ///
    /// `make` gets the thread's workspace, the block's number and the block. The ancestors are kept if the step was
    /// `resampled`, the log weights if it is `weighted`.
    /// Panics: the blocks are not those of N particles.
    #[allow(unsafe_code)] // without it all of the history would be written twice, first with zeros
    pub(crate) fn append<'a, W>(
        &mut self,
        (resampled, weighted): (bool, bool),
        blocks: impl IndexedParallelIterator<Item = Block<'a>>,
        workspace: impl Fn() -> W + Sync + Send,
        make: impl Fn(&mut W, usize, &mut Block<'a>) + Sync + Send,
    ) {
        let (n, d) = (self.blocks(), self.state_dim);
        assert_eq!(blocks.len(), n, "blocks of another number of particles");
        let states = room(&mut self.states, n * d).par_chunks_exact_mut(d);
        let rooms = states.zip(room(&mut self.ancestors, n)).zip(room(&mut self.logs, n));
        blocks.zip(rooms).with_min_len(MIN_BLOCKS).enumerate().for_each_init(
            workspace,
            |workspace, (b, (mut block, ((states, ancestors), logs)))| {
                make(workspace, b, &mut block);
                assert_eq!(states.len(), block.states.len(), "components of a state");
                for (room, lanes) in states.iter_mut().zip(&*block.states) {
                    room.write(*lanes);
                }
                if resampled {
                    ancestors.write(*block.ancestors);
                }
                if weighted {
                    logs.write(*block.weights.logs);
                }
            },
        );
        // SAFETY: the loop above has gone through all n blocks and has written each one's d vectors, and its ancestors
        // and log weights where they count; `room` has reserved their places.
        unsafe {
            self.states.set_len(self.states.len() + n * d);
            self.ancestors.set_len(self.ancestors.len() + if resampled { n } else { 0 });
            self.logs.set_len(self.logs.len() + if weighted { n } else { 0 });
        }
        self.resampling.push(resampled.then(|| self.ancestors.len() / n - 1));
        self.weighting.push(if weighted {
            Some(self.logs.len() / n - 1)
        } else {
            self.weighting.last().copied().flatten().filter(|_| !resampled)
        });
    }

    /// Sums up the weights that were appended last.
    pub(crate) fn sum_up(&mut self, total: &Total) {
        self.log_sums.push(total.log_sum);
        self.effective_sample_size.push(total.effective_sample_size);
        self.log_evidence += total.log_sum;
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

/// Room for n more.
fn room<T>(values: &mut Vec<T>, n: usize) -> &mut [MaybeUninit<T>] {
    values.reserve(n);
    &mut values.spare_capacity_mut()[..n]
}
