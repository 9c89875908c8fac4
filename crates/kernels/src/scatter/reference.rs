use crate::Call;
use crate::strided::{ravel, unravel};
use sda_core::Real;

pub(crate) fn reference<T: Real>(axis: usize, indices: &[usize], call: Call<'_, T>) {
    call.output.fill(T::ZERO);
    for (flat, &x) in call.inputs[0].iter().enumerate() {
        let mut index = unravel(flat, call.shapes[0]);
        index[axis] = indices[index[axis]];
        call.output[ravel(&index, call.shape)] += x;
    }
}
