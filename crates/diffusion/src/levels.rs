//! Noise levels that differ from state to state: what a network is told of them, and how it learns them.

use ndarray::ArrayD;
use sda_core::Stream;
use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::predictor::{TimeNodes, flat};
use crate::stream;

/// |ln σ/μ| that a level of 1 stands for.
const LARGEST: f64 = 7.0;
/// The level of a state without noise.
const CLEAN: f64 = -1.0;

/// Whether all states of a window stand at one diffusion time.
///
/// Source: Chen et al. 2024, arXiv 2407.01392 (diffusion forcing), with the two levels that rollouts ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Levels {
    /// One time for all, the published form.
    #[default]
    Shared,
    /// The first states may be known. The network reads each state's level as one more component of it,
    ///
    ///   ln(σ/μ)/7, and −1 of a state without noise,
    ///
    /// and what it says of that component is not used: on windows of W states of D components it is a network for
    /// D + 1. In training, of a share of the windows the first 1 … W − 1 states, any number alike, have no noise and do
    /// not count.
    ///
    /// Good values: a share of 0.5.
    PerState {
        /// Part of the windows of which some states are known.
        share: f64,
    },
}

impl Levels {
    /// Errors: a share that is none.
    pub fn check(self) -> Result<(), DiffusionError> {
        let Self::PerState { share } = self else { return Ok(()) };
        check("training", "levels.share", "in 0 … 1", share, |s| (0.0..=1.0).contains(&s))
    }

    /// Components that a network reads beside each state's own.
    pub fn components(self) -> usize {
        usize::from(self != Self::Shared)
    }

    /// How many of each window's first states are known: a function of (seed, step, row).
    pub(crate) fn draw(self, seed: u64, id: u32, step: u32, batch: usize, states: usize) -> Vec<usize> {
        let Self::PerState { share } = self else { return vec![0; batch] };
        let mut uniform = vec![0.0; 2 * batch];
        Stream::new(seed, id).fill_uniform(step, 0, 2, &mut uniform);
        let most = states.saturating_sub(1);
        let of = |u: &[f64]| if u[0] < share { 1 + (u[1] * most as f64) as usize } else { 0 };
        uniform.chunks(2).map(|u| of(u).min(most)).collect()
    }
}

/// Streams of [`Levels::draw`].
pub(crate) fn stream_of(validates: bool) -> u32 {
    if validates { stream::VALIDATION_LEVELS } else { stream::TRAINING_LEVELS }
}

/// States with their level as a further component.
///
/// Shapes: `x` [N, L, …, C], `known` [1 or N, L], 1 where a state has no noise; result [N, L, …, C + 1].
pub(crate) fn with_level(g: &mut Graph, x: NodeId, time: &TimeNodes, known: Option<NodeId>) -> NodeId {
    let mut shape = g.shape(x).to_vec();
    let last = shape.len() - 1;
    let ratio = g.div(time.sigma, time.mu);
    let logarithm = g.ln(ratio);
    let level = g.scale(logarithm, 1.0 / LARGEST);
    let mut level = g.reshape(level, &[g.len(level), 1]);
    if let Some(known) = known {
        let clean = g.scalar(CLEAN);
        level = g.select(known, clean, level);
    }
    let mut aligned = vec![1; shape.len()];
    aligned[..2].copy_from_slice(g.shape(level));
    let level = g.reshape(level, &aligned);
    shape[last] = 1;
    let level = g.broadcast(level, &shape);
    g.concat(&[x, level], last)
}

/// What belongs to the states' own components.
///
/// Shapes: `x` [N, L, …, C + 1], result [N, L, …, C].
pub(crate) fn without_level(g: &mut Graph, x: NodeId) -> NodeId {
    let shape = g.shape(x).to_vec();
    let last = shape.len() - 1;
    g.slice(x, last, 0, shape[last] - 1, 1)
}

/// A mask of states as one of their numbers.
///
/// Shapes: `known` [1 or N, L], `shape` [N, L, …], result [1 or N, M].
pub(crate) fn of_numbers(g: &mut Graph, known: NodeId, shape: &[usize]) -> NodeId {
    let numbers = shape[2..].iter().product();
    let rows = g.shape(known)[0];
    let column = g.reshape(known, &[rows, shape[1], 1]);
    let each = g.broadcast(column, &[rows, shape[1], numbers]);
    flat(g, each)
}

/// μ and σ of each number: those of the time, and 1 and 0 of a state without noise.
///
/// Shapes: `known` [1 or N, M], results [1 or N, M].
pub(crate) fn scales(g: &mut Graph, time: &TimeNodes, known: NodeId) -> [NodeId; 2] {
    [(time.mu, 1.0), (time.sigma, 0.0)].map(|(node, clean)| {
        let clean = g.scalar(clean);
        g.select(known, clean, node)
    })
}

/// Which of the first states of each window are known, as a run's input.
///
/// Shapes: result [B, L], row-major.
pub(crate) fn first_states(counts: &[usize], states: usize) -> ArrayD<f64> {
    ArrayD::from_shape_fn(vec![counts.len(), states], |i| f64::from(u8::from(i[1] < counts[i[0]])))
}
