use crate::Call;
use crate::strided::{copy, strides};

pub(crate) fn cpu(axes: &[usize], call: Call<'_, f32>) {
    let own = strides(call.shapes[0]);
    let mut from = own;
    axes.iter().enumerate().for_each(|(i, &a)| from[i] = own[a]);
    copy(call.output, 0, &strides(call.shape), call.inputs[0], 0, &from, call.shape);
}
