use crate::Call;
use crate::strided::{copy, strides};

pub(crate) fn cpu(call: Call<'_, f32>) {
    let mut from = strides(call.shapes[0]);
    for (stride, (a, b)) in from.iter_mut().zip(call.shapes[0].iter().zip(call.shape)) {
        if a != b {
            *stride = 0;
        }
    }
    copy(call.output, 0, &strides(call.shape), call.inputs[0], 0, &from, call.shape);
}
