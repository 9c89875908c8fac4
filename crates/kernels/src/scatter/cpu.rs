use crate::Call;
use crate::gather::cpu::runs;

/// Runs of adjacent indices are one sweep.
pub(crate) fn cpu(axis: usize, indices: &[usize], call: Call<'_, f32>) {
    let inner: usize = call.shape[axis + 1..].iter().product();
    let (from, to) = (call.shapes[0][axis] * inner, call.shape[axis] * inner);
    call.output.fill(0.0);
    if from == 0 {
        return;
    }
    for (x, y) in call.inputs[0].chunks_exact(from).zip(call.output.chunks_exact_mut(to)) {
        for (at, first, run) in runs(indices) {
            let added = &x[at * inner..(at + run) * inner];
            y[first * inner..(first + run) * inner].iter_mut().zip(added).for_each(|(y, x)| *y += x);
        }
    }
}
