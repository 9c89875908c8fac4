use crate::Call;
use crate::strided::strides;

pub(crate) fn cpu(call: Call<'_, f32>) {
    call.output.fill(0.0);
    let mut to = strides(call.shape);
    for (stride, (a, b)) in to.iter_mut().zip(call.shapes[0].iter().zip(call.shape)) {
        if a != b {
            *stride = 0;
        }
    }
    add(call.inputs[0], call.shapes[0], call.output, 0, &to);
}

/// Adds `x` of shape `dims` to `y[at..]` walked by `strides`; stride 0 sums.
fn add(x: &[f32], dims: &[usize], y: &mut [f32], at: usize, strides: &[usize]) {
    match dims {
        [] => y[at] += x[0],
        [n] if strides[0] == 0 => y[at] += sum(&x[..*n]),
        [n] => y[at..at + n].iter_mut().zip(x).for_each(|(y, x)| *y += x),
        [n, rest @ ..] => {
            let step = rest.iter().product::<usize>();
            // Axes that are summed together are one long row.
            if strides[0] == 0 && strides[1..=rest.len()].iter().all(|&s| s == 0) {
                y[at] += sum(&x[..n * step]);
                return;
            }
            for i in 0..*n {
                add(&x[i * step..], rest, y, at + i * strides[0], &strides[1..]);
            }
        }
    }
}

/// Blocks of 1024 with 16 partial sums each: short chains of rounding, whatever the length.
fn sum(x: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut total = 0.0;
    for block in x.chunks(1024) {
        let mut lanes = [0f32; LANES];
        let mut chunks = block.chunks_exact(LANES);
        for chunk in &mut chunks {
            lanes.iter_mut().zip(chunk).for_each(|(l, x)| *l += x);
        }
        let rest: f32 = chunks.remainder().iter().sum();
        total += lanes.iter().sum::<f32>() + rest;
    }
    total
}
