//! A step of a plan as its launches.

use super::{Abilities, Dispatch, Precision};
use crate::{broadcast, concat, conv, fused, gather, matmul, noise, pad, permute, scatter, slice, sum};
use sda_graph::{Op, StepKind};

/// What launches are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What kernels may use.
    pub abilities: Abilities,
    /// How products are rounded.
    pub precision: Precision,
}

impl Target {
    /// f32 on any adapter: what every other form is compared with.
    pub const PORTABLE: Self = Self { abilities: Abilities::PORTABLE, precision: Precision::F32 };
}

/// A step, or what one block of rows takes of it.
#[derive(Clone, Copy, Debug)]
pub struct GpuCall<'a> {
    /// What is computed.
    pub kind: &'a StepKind,
    /// Shapes of what is read.
    pub shapes: &'a [&'a [usize]],
    /// Shapes of what is written.
    pub outputs: &'a [&'a [usize]],
    /// Rows of a fused step.
    pub rows: usize,
    /// Names the memory of each input, then of each output: equal numbers are the same array.
    pub memory: &'a [usize],
    /// Global index of the first entry of axis 0, for random numbers.
    pub first_row: usize,
    /// Whether a sum over rows is added to what the output holds.
    pub adds: bool,
}

/// The launches of a step, in order; none where nothing is written.
///
/// Panics: as [`crate::reference`]; a fused step that reads and writes more arrays than `target` allows.
pub fn launches(target: &Target, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let mut made = match call.kind {
        StepKind::Fused(fused) => fused::gpu::launches(target, fused, call),
        StepKind::Op(op) => of_op(target, op, call),
    };
    made.retain(|d| d.groups > 0);
    made
}

fn of_op(target: &Target, op: &Op, call: &GpuCall<'_>) -> Vec<Dispatch> {
    match op {
        // The planner makes a fused step of each.
        Op::Unary(_) | Op::Binary(_) | Op::Select => panic!("{} is part of a fused step", op.name()),
        Op::Broadcast => broadcast::gpu::launches(call),
        Op::Sum { axes } => sum::gpu::launches(target, axes, call),
        Op::Permute { axes } => permute::gpu::launches(axes, call),
        Op::Slice { axis, start, step } => slice::gpu::launches(*axis, *start, *step, call),
        Op::Pad { axis, before, step } => pad::gpu::launches(*axis, *before, *step, call),
        Op::Gather { axis, indices } => gather::gpu::launches(*axis, indices, call),
        Op::Scatter { axis, indices } => scatter::gpu::launches(*axis, indices, call),
        Op::Concat { axis } => concat::gpu::launches(*axis, call),
        Op::MatMul { ta, tb } => matmul::gpu::launches(target, *ta, *tb, call),
        Op::Conv(face, geometry) => conv::gpu::launches(target, *face, geometry, call),
        Op::Noise { stream, law } => noise::gpu::launches(*stream, *law, call),
        Op::Input(_) | Op::State(_) | Op::Constant(_) | Op::Reshape | Op::Detach | Op::Rows => {
            panic!("{} computes nothing", op.name())
        }
    }
}
