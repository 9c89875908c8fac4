use crate::Call;
use crate::strided::{ravel, unravel};
use sda_core::Real;

pub(crate) fn reference<T: Real>(axis: usize, indices: &[usize], call: Call<'_, T>) {
    for (flat, y) in call.output.iter_mut().enumerate() {
        let mut index = unravel(flat, call.shape);
        index[axis] = indices[index[axis]];
        *y = call.inputs[0][ravel(&index, call.shapes[0])];
    }
}
