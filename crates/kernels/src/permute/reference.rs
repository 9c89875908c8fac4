use crate::Call;
use crate::strided::{ravel, unravel};
use sda_core::Real;

pub(crate) fn reference<T: Real>(axes: &[usize], call: Call<'_, T>) {
    let mut from = vec![0; axes.len()];
    for (flat, y) in call.output.iter_mut().enumerate() {
        let index = unravel(flat, call.shape);
        axes.iter().zip(&index).for_each(|(&a, &i)| from[a] = i);
        *y = call.inputs[0][ravel(&from, call.shapes[0])];
    }
}
