use crate::Call;

/// Runs of adjacent indices are one sweep.
pub(crate) fn cpu(axis: usize, indices: &[usize], call: Call<'_, f32>) {
    let inner: usize = call.shape[axis + 1..].iter().product();
    let (from, to) = (call.shapes[0][axis] * inner, call.shape[axis] * inner);
    call.output.fill(0.0);
    if from == 0 {
        return;
    }
    for (x, y) in call.inputs[0].chunks_exact(from).zip(call.output.chunks_exact_mut(to)) {
        let mut at = 0;
        while at < indices.len() {
            let first = indices[at];
            let run = indices[at..].iter().enumerate().take_while(|(i, n)| **n == first + i).count();
            let added = &x[at * inner..(at + run) * inner];
            y[first * inner..(first + run) * inner].iter_mut().zip(added).for_each(|(y, x)| *y += x);
            at += run;
        }
    }
}
