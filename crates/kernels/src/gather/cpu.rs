use crate::Call;

/// Runs of adjacent indices: (place in the list, first index, length).
pub(crate) fn runs(indices: &[usize]) -> impl Iterator<Item = (usize, usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let first = *indices.get(start)?;
        let run = indices[start..].iter().enumerate().take_while(|(i, n)| **n == first + i).count();
        at += run;
        Some((start, first, run))
    })
}

/// Runs of adjacent indices are one copy.
pub(crate) fn cpu(axis: usize, indices: &[usize], call: Call<'_, f32>) {
    let inner: usize = call.shape[axis + 1..].iter().product();
    let (from, to) = (call.shapes[0][axis] * inner, call.shape[axis] * inner);
    if to == 0 {
        return;
    }
    for (x, y) in call.inputs[0].chunks_exact(from).zip(call.output.chunks_exact_mut(to)) {
        for (at, first, run) in runs(indices) {
            y[at * inner..(at + run) * inner].copy_from_slice(&x[first * inner..(first + run) * inner]);
        }
    }
}
