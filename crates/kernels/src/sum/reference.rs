use crate::Call;
use crate::strided::{ravel, unravel};
use sda_core::Real;

pub(crate) fn reference<T: Real>(call: Call<'_, T>) {
    call.output.fill(T::ZERO);
    for (flat, &x) in call.inputs[0].iter().enumerate() {
        let mut index = unravel(flat, call.shapes[0]);
        index.iter_mut().zip(call.shape).for_each(|(i, n)| *i = (*i).min(n - 1));
        call.output[ravel(&index, call.shape)] += x;
    }
}
