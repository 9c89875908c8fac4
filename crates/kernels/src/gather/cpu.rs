use crate::Call;

/// Runs of adjacent indices are one copy.
pub(crate) fn cpu(axis: usize, indices: &[usize], call: Call<'_, f32>) {
    let inner: usize = call.shape[axis + 1..].iter().product();
    let (from, to) = (call.shapes[0][axis] * inner, call.shape[axis] * inner);
    if to == 0 {
        return;
    }
    for (x, y) in call.inputs[0].chunks_exact(from).zip(call.output.chunks_exact_mut(to)) {
        let mut at = 0;
        while at < indices.len() {
            let first = indices[at];
            let run = indices[at..].iter().enumerate().take_while(|(i, n)| **n == first + i).count();
            y[at * inner..(at + run) * inner].copy_from_slice(&x[first * inner..(first + run) * inner]);
            at += run;
        }
    }
}
