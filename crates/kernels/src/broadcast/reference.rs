use crate::Call;
use crate::strided::{ravel, unravel};
use sda_core::Real;

pub(crate) fn reference<T: Real>(call: Call<'_, T>) {
    let from = call.shapes[0];
    for (flat, y) in call.output.iter_mut().enumerate() {
        let mut index = unravel(flat, call.shape);
        index.iter_mut().zip(from).for_each(|(i, n)| *i = (*i).min(n - 1));
        *y = call.inputs[0][ravel(&index, from)];
    }
}
