//! From a program to stages of steps on slots: what an executor replays.

mod again;
mod classify;
mod placement;
mod raw;
mod schedule;

use crate::fuse::Fused;
use crate::op::Op;
use crate::program::Program;
use again::compute_again;
use classify::{Cut, classify, marks};
use placement::Placement;
use raw::raw_steps;
use schedule::schedule;

/// How a step of a row stage reads an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The pieces of its block of rows.
    Piece,
    /// Everything.
    Whole,
}

/// Where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A run's input.
    Input(usize),
    /// A state of the store.
    State(usize),
    /// A constant of the graph.
    Constant(usize),
    /// A slot that holds a whole array.
    Full(usize),
    /// A slot that holds the pieces of one block of rows.
    Local(usize),
}

/// A step's input.
#[derive(Clone, Debug, PartialEq)]
pub struct StepInput {
    /// Where it lies.
    pub place: Place,
    /// Whole shape, as the step sees it.
    pub shape: Vec<usize>,
    /// Part that a block of rows reads.
    pub access: Access,
}

/// A step's output.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutput {
    /// Where it goes.
    pub place: Place,
    /// Whole shape.
    pub shape: Vec<usize>,
}

/// What a step computes.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// One op of the graph.
    Op(Op),
    /// A fused group.
    Fused(Fused),
}

/// One kernel call.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is computed.
    pub kind: StepKind,
    /// What is read.
    pub inputs: Vec<StepInput>,
    /// What is written.
    pub outputs: Vec<StepOutput>,
    /// In a row stage: each block yields a partial result, and they are summed in the order of blocks.
    pub reduces: bool,
}

/// A run of steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Steps on whole arrays, one after another.
    Global(Vec<Step>),
    /// Steps that are independent along the rows: every block of rows goes through all of them.
    Rows {
        /// Number of rows.
        rows: usize,
        /// Rows in a block; the last block may be smaller.
        block: usize,
        /// The blocks are cut into this many consecutive groups. A group's blocks run in order, and share one partial
        /// result of each sum over rows.
        groups: usize,
        /// Steps in order.
        steps: Vec<Step>,
        /// Elements per row of each local slot.
        local: Vec<usize>,
    },
}

/// Choices of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether values share slots and states are updated in place. `false` is the reference of the tests.
    pub reuse: bool,
    /// Rows in a block; `None` chooses by the bytes of a row.
    pub block: Option<usize>,
    /// Bytes of slots for one of the program's rows beyond which rows marked inside the graph ([`Op::Rows`]: the
    /// windows of one long trajectory) are cut along instead.
    pub largest_row: usize,
    /// Bytes that a row stage may read of what earlier ones with its rows made for it, all rows together. Beyond them it
    /// computes that again, block by block: then nothing is kept for all rows but what leaves them.
    pub largest_kept: usize,
    /// Arrays that a fused step reads and writes at most; a single op may have up to four.
    pub arrays: usize,
    /// Whether each step on whole arrays is a stage of its own, so that the next may use its memory: for a device that
    /// takes one step at a time.
    pub sequential: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        let arrays = Fused::MAX_OPERANDS + Fused::MAX_RESULTS;
        Self {
            reuse: true,
            block: None,
            largest_row: 16 << 20,
            largest_kept: 256 << 20,
            arrays,
            sequential: false,
        }
    }
}

/// A planned program. Nothing in it depends on the number of threads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Stages in order.
    pub stages: Vec<Stage>,
    /// Elements of each full slot.
    pub full: Vec<usize>,
    /// Where each output lies at the end of a run, and its length.
    pub outputs: Vec<(Place, usize)>,
    /// Copies into states after the last stage.
    pub copies: Vec<(Place, usize)>,
}

impl Plan {
    /// Fuses, classifies, orders and places a program's steps.
    pub fn new(program: &Program, options: PlanOptions) -> Self {
        let declared = program.rows().is_some_and(|r| r > 1);
        let marked = !marks(program).is_empty();
        if declared || !marked {
            let plan = Self::cut(program, options, Cut::Declared);
            if !marked || plan.bytes_of_a_row() <= options.largest_row {
                return plan;
            }
        }
        Self::cut(program, options, Cut::Marked)
    }

    fn cut(program: &Program, options: PlanOptions, cut: Cut) -> Self {
        let mut raw = raw_steps(program, options.arrays);
        classify(program, &mut raw, cut);
        let mut order = schedule(&raw, options.sequential);
        let program = compute_again(program, &mut raw, &mut order, options.largest_kept);
        Placement::new(&program, &raw, &order, options).finish()
    }

    /// Of the stage whose rows need the most.
    fn bytes_of_a_row(&self) -> usize {
        let rows = self.stages.iter().map(|stage| match stage {
            Stage::Rows { local, .. } => 4 * local.iter().sum::<usize>(),
            Stage::Global(_) => 0,
        });
        rows.max().unwrap_or(0)
    }

    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|s| match s {
            Stage::Global(steps) | Stage::Rows { steps, .. } => steps.iter(),
        })
    }
}
