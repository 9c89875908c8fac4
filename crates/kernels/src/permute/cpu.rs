use crate::Call;
use crate::strided::{copy, strides};

/// Side of the squares in which a matrix is transposed: 32 lines of each side stay in the first-level cache.
const SQUARE: usize = 32;

pub(crate) fn cpu(axes: &[usize], call: Call<'_, f32>) {
    if axes == [1, 0] {
        transpose(call.inputs[0], call.shapes[0][0], call.shapes[0][1], call.output);
        return;
    }
    let own = strides(call.shapes[0]);
    let mut from = own;
    axes.iter().enumerate().for_each(|(i, &a)| from[i] = own[a]);
    copy(call.output, 0, &strides(call.shape), call.inputs[0], 0, &from, call.shape);
}

fn transpose(x: &[f32], rows: usize, cols: usize, y: &mut [f32]) {
    for top in (0..rows).step_by(SQUARE) {
        for left in (0..cols).step_by(SQUARE) {
            for r in top..rows.min(top + SQUARE) {
                for c in left..cols.min(left + SQUARE) {
                    y[c * rows + r] = x[r * cols + c];
                }
            }
        }
    }
}
