//! The planner's elementwise groups: one pass over memory for a chain of elementwise functions, sums over the last
//! axis and the broadcasts around them. Layer norm, its gradient, activations and AdamW are all of this form.
//!
//! The reference is the composed graph in the interpreter. Exactness: that of the functions; sums over the columns
//! are reductions of length `cols` with 16 partial sums.
//!
//! Rows are taken in strips of about 512 points, so that every register of a strip stays in the first-level cache.

pub(crate) mod cases;
mod code;
pub(crate) mod gpu;
mod strip;

use crate::Level;
use sda_graph::{Fused, Operand};

/// Points in a strip.
const STRIP: usize = 512;

/// Memory of one call. Inputs and outputs start at the call's block of rows.
#[derive(Debug)]
pub struct FusedCall<'a> {
    /// The code.
    pub fused: &'a Fused,
    /// First row of this call in the memory given.
    pub first_row: usize,
    /// Rows of this call.
    pub rows: usize,
    /// Start and length of each operand.
    pub inputs: &'a [(*const f32, usize)],
    /// Start and length of each output.
    pub outputs: &'a [(*mut f32, usize)],
    /// At least [`scratch_len`] numbers.
    pub scratch: &'a mut [f32],
}

/// Rows in a strip.
pub(crate) fn strip_rows(fused: &Fused) -> usize {
    (STRIP / fused.cols.max(1)).max(1).min(fused.rows.max(1))
}

/// Numbers of scratch that [`run`] needs.
pub fn scratch_len(fused: &Fused) -> usize {
    let rows = strip_rows(fused);
    rows * (fused.cols * (fused.full_registers + fused.results.len()) + fused.row_registers)
}

/// Runs a block of rows.
///
/// # Safety
/// Each pointer is valid for its length, and no other thread writes what this call reads or touches what it writes.
/// An output may be the memory of an operand that is read point by point (div 1, no cycle), and of no other.
///
/// Panics: an operand, an output or the scratch is too short for the rows.
pub unsafe fn run(level: Level, call: FusedCall<'_>) {
    let fused = call.fused;
    let end = call.first_row + call.rows;
    if call.rows == 0 || fused.cols == 0 {
        return;
    }
    for (operand, (_, len)) in fused.operands.iter().zip(call.inputs) {
        let need = operand_len(operand, fused.cols, end);
        assert!(*len >= need, "fused: an operand of {len} numbers, {need} are read");
    }
    for (result, (_, len)) in fused.results.iter().zip(call.outputs) {
        let need = end * if fused.is_full(*result) { fused.cols } else { 1 };
        assert!(*len >= need, "fused: an output of {len} numbers, {need} are written");
    }
    assert!(call.inputs.len() == fused.operands.len() && call.outputs.len() == fused.results.len());
    assert!(call.scratch.len() >= scratch_len(fused), "fused: scratch");
    // SAFETY: the caller's contract, the bounds above, and instructions that `Level::detect` has found.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Amx => strip::run_avx512(call),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => strip::run_avx2(call),
            _ => strip::run_portable(call),
        }
    }
}

/// Numbers of an operand that rows below `end` read.
fn operand_len(operand: &Operand, cols: usize, end: usize) -> usize {
    let rows = (end - 1) / operand.div + 1;
    rows.min(operand.modulus) * if operand.columns { cols } else { 1 }
}
