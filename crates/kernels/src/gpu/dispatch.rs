//! One launch of one kernel.

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
    /// Scratch of this many 32-bit numbers, written by one dispatch of the step and read by a later one.
    ScratchWritten(usize),
    /// Scratch that an earlier dispatch of the step has written.
    ScratchRead(usize),
    /// Seed and step of the run: low and high half of the seed, the step.
    Key,
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
    /// Bytes that must cross memory.
    pub bytes: u64,
}
