//! Which steps are independent along the program's rows.
//!
//! A *row value* consists of R equal contiguous pieces, piece r depending on pieces r of row values and on shared
//! values only. Row-major reshapes keep that, whatever they do to axis 0.

use crate::fuse::Fused;
use crate::op::{Face, Op};
use crate::plan::Access;

/// How a step stands to the rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Class {
    /// Works on any block of rows alone; how it reads each input.
    Rowwise(Vec<Access>),
    /// Sums over the rows: one partial result a block.
    Reduce(Vec<Access>),
    /// Needs everything at once.
    Global,
}

/// An input as the classification sees it.
pub(crate) struct Seen<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) is_row: bool,
}

fn leads(shape: &[usize], rows: usize) -> bool {
    shape.first().is_some_and(|&n| n > 0 && n.is_multiple_of(rows))
}

/// Class of an op step.
pub(crate) fn classify_op(op: &Op, inputs: &[Seen<'_>], output: &[usize], rows: usize) -> Class {
    let piece = Class::Rowwise(vec![Access::Piece; inputs.len()]);
    if let Op::Noise { .. } = op {
        return if output.first() == Some(&rows) { piece } else { Class::Global };
    }
    let any = inputs.iter().any(|i| i.is_row);
    let all_lead = inputs.iter().all(|i| leads(i.shape, rows));
    let shared_second =
        inputs.len() == 2 && inputs[0].is_row && leads(inputs[0].shape, rows) && !inputs[1].is_row;
    let with_weights = || {
        if shared_second { Class::Rowwise(vec![Access::Piece, Access::Whole]) } else { Class::Global }
    };
    let when =
        |condition: bool, class: Class| if any && all_lead && condition { class } else { Class::Global };
    // A gradient of weights from few rows is larger than what it is made of: one product of all rows writes it once,
    // where blocks would each write a partial result.
    let is_long = inputs.iter().map(|i| i.shape.iter().product::<usize>()).sum::<usize>()
        > output.iter().product::<usize>();
    match op {
        Op::Broadcast => when(inputs[0].shape[0] == output[0], piece),
        Op::Sum { axes } if axes.contains(&0) => when(true, Class::Reduce(vec![Access::Piece])),
        Op::Sum { .. } => when(true, piece),
        Op::Permute { axes } => when(axes[0] == 0, piece),
        Op::Slice { axis, .. }
        | Op::Pad { axis, .. }
        | Op::Gather { axis, .. }
        | Op::Scatter { axis, .. }
        | Op::Concat { axis } => when(*axis > 0, piece),
        Op::MatMul { .. } if output.len() == 3 => when(true, piece),
        Op::MatMul { ta: true, tb: false } => when(is_long, Class::Reduce(vec![Access::Piece; 2])),
        Op::MatMul { ta: false, .. } | Op::Conv(Face::Forward | Face::Input, _) => with_weights(),
        Op::Conv(Face::Filter, _) => when(is_long, Class::Reduce(vec![Access::Piece; 2])),
        _ => Class::Global,
    }
}

/// Class of a fused step.
pub(crate) fn classify_fused(fused: &Fused, is_row: &[bool], rows: usize) -> Class {
    if !is_row.iter().any(|&r| r) || !fused.rows.is_multiple_of(rows) {
        return Class::Global;
    }
    let points = fused.rows / rows;
    let access: Option<Vec<Access>> = fused
        .operands
        .iter()
        .zip(is_row)
        .map(|(operand, &row)| match operand.modulus {
            usize::MAX => points.is_multiple_of(operand.div).then_some(Access::Piece),
            m => (!row && points.is_multiple_of(m)).then_some(Access::Whole),
        })
        .collect();
    access.map_or(Class::Global, Class::Rowwise)
}
