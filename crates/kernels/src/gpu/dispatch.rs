//! One launch of one kernel.

use super::{GRID, GpuCall, INVOCATIONS, Text, numbers};
use std::sync::Arc;

/// What a kernel binds.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// The step's input of this position, read.
    Input(usize),
    /// The step's output of this position, written; also read where it stands for an input.
    Output(usize),
    /// Indices fixed when the plan is made, read.
    Table(Arc<[u32]>),
    /// Memory between the launches of one step.
    Scratch {
        /// Which of the step's.
        slot: usize,
        /// 32-bit numbers.
        len: usize,
        /// Whether this launch writes it; else an earlier one has.
        written: bool,
    },
    /// Seed and step of the run: low and high half of the seed, the step.
    Key,
}

impl Array {
    /// Whether a launch writes it.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Output(_) | Self::Scratch { written: true, .. })
    }
}

/// One launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// Its op and form, for profiles.
    pub name: String,
    /// The WGSL text. Equal texts with the same kinds of arrays are one pipeline.
    pub text: String,
    /// Bindings 1, 2, … of group 0.
    pub arrays: Vec<Array>,
    /// Numbers of the uniform `Dims` of binding 0.
    pub dims: Vec<u32>,
    /// Workgroups.
    pub groups: usize,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes that must cross memory: every input read and every output written once.
    pub bytes: u64,
}

impl Dispatch {
    /// A launch with one invocation for each of `count` numbers.
    pub(crate) fn each(
        name: &str,
        text: Text,
        call: &GpuCall<'_>,
        arrays: Vec<Array>,
        dims: &[u32],
        count: usize,
    ) -> Self {
        Self {
            name: name.into(),
            text: text.file(GRID).into_string(),
            arrays,
            dims: dims.to_vec(),
            groups: count.div_ceil(INVOCATIONS),
            flops: 0,
            bytes: 4 * (numbers(call.shapes) + numbers(call.outputs)),
        }
    }
}
