use crate::Call;
use crate::strided::{ravel, unravel};
use sda_core::Real;

pub(crate) fn reference<T: Real>(axis: usize, call: Call<'_, T>) {
    for (flat, y) in call.output.iter_mut().enumerate() {
        let mut index = unravel(flat, call.shape);
        let mut k = 0;
        while index[axis] >= call.shapes[k][axis] {
            index[axis] -= call.shapes[k][axis];
            k += 1;
        }
        *y = call.inputs[k][ravel(&index, call.shapes[k])];
    }
}
