//! One call of one op's kernel, and the dispatch over ops.

use crate::{
    Level, broadcast, concat, conv, elementwise, gather, matmul, noise, pad, permute, scatter, slice, sum,
};
use sda_core::Real;
use sda_graph::{Face, Op, RunKey};

/// What a kernel is given.
#[derive(Debug)]
pub struct Call<'a, T> {
    /// Row-major inputs.
    pub inputs: &'a [&'a [T]],
    /// Their shapes.
    pub shapes: &'a [&'a [usize]],
    /// Row-major output.
    pub output: &'a mut [T],
    /// Its shape.
    pub shape: &'a [usize],
    /// Seed and step of the run.
    pub key: RunKey,
    /// Global index of the first entry of axis 0, for random numbers.
    pub first_row: usize,
    /// Whether the result is added to what the output holds; only where [`can_add`] says so.
    pub adds: bool,
}

/// Whether [`cpu`] can add an op's result to what the output holds.
pub fn can_add(level: Level, op: &Op) -> bool {
    matches!(op, Op::Conv(Face::Filter, geometry) if conv::cpu::can_add(level, geometry))
}

/// Plain loops, for any op that computes.
///
/// Panics: the op is a leaf or an alias, which hold memory and compute nothing.
pub fn reference<T: Real>(op: &Op, call: Call<'_, T>) {
    match op {
        Op::Unary(_) | Op::Binary(_) | Op::Select => elementwise::reference::reference(op, call),
        Op::Broadcast => broadcast::reference::reference(call),
        Op::Sum { .. } => sum::reference::reference(call),
        Op::Permute { axes } => permute::reference::reference(axes, call),
        Op::Slice { axis, start, step } => slice::reference::reference(*axis, *start, *step, call),
        Op::Pad { axis, before, step } => pad::reference::reference(*axis, *before, *step, call),
        Op::Gather { axis, indices } => gather::reference::reference(*axis, indices, call),
        Op::Scatter { axis, indices } => scatter::reference::reference(*axis, indices, call),
        Op::Concat { axis } => concat::reference::reference(*axis, call),
        Op::MatMul { ta, tb } => matmul::reference::reference(*ta, *tb, call),
        Op::Conv(face, geometry) => conv::reference::reference(*face, geometry, call),
        Op::Noise { stream, law } => noise::reference::reference(*stream, *law, call),
        Op::Input(_) | Op::State(_) | Op::Constant(_) | Op::Reshape | Op::Detach | Op::Rows => {
            panic!("{} computes nothing", op.name())
        }
    }
}

/// Numbers of the packed form of a product's second input; 0: the product reads it as it is.
///
/// `shapes` are those of the whole step, all rows, so that every block of rows decides alike.
pub fn packed_len(level: Level, op: &Op, shapes: &[&[usize]]) -> usize {
    match op {
        Op::MatMul { ta, tb } => matmul::cpu::packed_len(level, *ta, *tb, shapes),
        Op::Conv(face, geometry) => conv::cpu::packed_len(level, *face, geometry, shapes),
        _ => 0,
    }
}

/// Packs a product's second input; nothing where [`packed_len`] is 0.
///
/// `shapes` are those of the whole step; `packed` holds [`packed_len`] numbers, all of which are written; `parallel`
/// allows the threads of rayon's current pool.
///
/// Panics: a slice does not fit the shapes.
pub fn pack(level: Level, op: &Op, shapes: &[&[usize]], weights: &[f32], packed: &mut [f32], parallel: bool) {
    match op {
        Op::MatMul { ta, tb } => matmul::cpu::pack(level, *ta, *tb, shapes, weights, packed, parallel),
        Op::Conv(face, geometry) => {
            conv::cpu::pack(level, *face, geometry, shapes, weights, packed, parallel);
        }
        _ => {}
    }
}

/// Numbers of scratch that [`cpu`] needs for a call of these shapes, packed or not.
pub fn scratch_len(level: Level, op: &Op, shapes: &[&[usize]]) -> usize {
    match op {
        Op::MatMul { ta, tb } => matmul::cpu::scratch_len(level, *ta, *tb, shapes),
        Op::Conv(face, geometry) => conv::cpu::scratch_len(level, *face, geometry, shapes),
        _ => 0,
    }
}

/// The fast form. Elementwise ops reach it only alone; the planner fuses them ([`crate::fused`]).
///
/// `level` is one that the machine has. `packed` is what [`pack`] wrote, exactly [`packed_len`] numbers, wherever that
/// is not 0 for the whole step. `scratch` holds at least [`scratch_len`] numbers. `parallel` allows the threads of
/// rayon's current pool. Bits depend on none of these but the level.
///
/// Panics: as [`reference`]; a slice does not fit the shapes.
pub fn cpu(
    level: Level,
    op: &Op,
    call: Call<'_, f32>,
    packed: Option<&[f32]>,
    scratch: &mut [f32],
    parallel: bool,
) {
    match op {
        Op::Broadcast => broadcast::cpu::cpu(call),
        Op::Sum { .. } => sum::cpu::cpu(call),
        Op::Permute { axes } => permute::cpu::cpu(axes, call),
        Op::Slice { axis, start, step } => slice::cpu::cpu(*axis, *start, *step, call),
        Op::Pad { axis, before, step } => pad::cpu::cpu(*axis, *before, *step, call),
        Op::Gather { axis, indices } => gather::cpu::cpu(*axis, indices, call),
        Op::Scatter { axis, indices } => scatter::cpu::cpu(*axis, indices, call),
        Op::Concat { axis } => concat::cpu::cpu(*axis, call),
        Op::MatMul { ta, tb } => matmul::cpu::cpu(level, *ta, *tb, call, packed, scratch, parallel),
        Op::Conv(face, geometry) => {
            conv::cpu::cpu(level, *face, geometry, call, packed, scratch, parallel);
        }
        Op::Noise { stream, law } => noise::cpu::cpu(*stream, *law, call),
        _ => reference(op, call),
    }
}
