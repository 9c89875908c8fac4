//! Euclidean distances between all samples of two sets.

use ndarray::{Array2, ArrayRef, ArrayRef2, Dimension};
use rayon::prelude::*;

use crate::error::EvaluationError;
use crate::vector::widest_vectors;

/// Partial sums that one distance is accumulated in, so that the loop vectorises.
const PARTIALS: usize = 8;

/// Samples of the first set that each of the second is compared with at once.
const ROWS: usize = 4;

/// ‖x_i − y_j‖², by differences: exact zeros for equal samples, no cancellation.
///
/// Shapes: `x` [N, D], `y` [M, D], result [N, M].
/// Panics: the samples differ in length.
pub fn squared_distances(x: &ArrayRef2<f64>, y: &ArrayRef2<f64>) -> Array2<f64> {
    assert_eq!(
        x.ncols(),
        y.ncols(),
        "distances between samples of shapes {:?} and {:?}",
        x.shape(),
        y.shape()
    );
    let (n, m, d) = (x.nrows(), y.nrows(), x.ncols());
    let mut out = Array2::zeros((n, m));
    if n == 0 || m == 0 || d == 0 {
        return out;
    }
    let (x, y) = (x.as_standard_layout(), y.as_standard_layout());
    let x = x.as_slice().expect("standard layout is contiguous");
    let y = y.as_slice().expect("standard layout is contiguous");
    let out_rows = out.as_slice_mut().expect("a fresh array is contiguous").par_chunks_mut(ROWS * m);
    out_rows.zip(x.par_chunks(ROWS * d)).for_each(|(out, x)| {
        if x.len() == ROWS * d {
            distances_of_rows(x, y, d, out);
        } else {
            for (out, x) in out.chunks_exact_mut(m).zip(x.chunks_exact(d)) {
                distances_of_row(x, y, d, out);
            }
        }
    });
    out
}

widest_vectors! {
    fn distances_of_rows(x: &[f64], y: &[f64], d: usize, out: &mut [f64]) -> () = distances_body::<ROWS>
}

widest_vectors! {
    fn distances_of_row(x: &[f64], y: &[f64], d: usize, out: &mut [f64]) -> () = distances_body::<1>
}

/// From N rows to all, so that the rows of `y` are read once for N of `x`.
#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn distances_body<const N: usize>(x: &[f64], y: &[f64], d: usize, out: &mut [f64]) {
    let x: [&[f64]; N] = std::array::from_fn(|r| &x[r * d..(r + 1) * d]);
    let m = y.len() / d;
    for (j, y) in y.chunks_exact(d).enumerate() {
        let distances = distances_to_one(x, y);
        for r in 0..N {
            out[r * m + j] = distances[r];
        }
    }
}

/// ‖x_r − y‖² in [`PARTIALS`] partial sums and a rest; the same sums at any N.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn distances_to_one<const N: usize>(x: [&[f64]; N], y: &[f64]) -> [f64; N] {
    let mut sums = [[0.0; PARTIALS]; N];
    let (chunks, rest) = y.as_chunks::<PARTIALS>();
    let x = x.map(|x| x.as_chunks::<PARTIALS>());
    for (b, y) in chunks.iter().enumerate() {
        for r in 0..N {
            let x = &x[r].0[b];
            for k in 0..PARTIALS {
                sums[r][k] += (x[k] - y[k]) * (x[k] - y[k]);
            }
        }
    }
    std::array::from_fn(|r| {
        let rest: f64 = x[r].1.iter().zip(rest).map(|(x, y)| (x - y) * (x - y)).sum();
        sums[r].iter().sum::<f64>() + rest
    })
}

/// Samples [N, …] as rows [N, D].
///
/// Errors: no samples, or one that is not finite.
pub(crate) fn rows<S: Dimension>(
    metric: &'static str,
    set: &'static str,
    samples: &ArrayRef<f64, S>,
) -> Result<Array2<f64>, EvaluationError> {
    let n = samples.shape().first().copied().unwrap_or(0);
    if n == 0 {
        return Err(EvaluationError::Empty { metric, set });
    }
    let d = samples.len() / n;
    let rows =
        Array2::from_shape_vec((n, d), samples.iter().copied().collect()).expect("N samples of D numbers");
    match rows.outer_iter().position(|row| row.iter().any(|x| !x.is_finite())) {
        Some(sample) => Err(EvaluationError::NotFinite { metric, set, sample }),
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use sda_core::Stream;

    use super::*;

    #[test]
    fn distances_at_awkward_shapes() {
        for (n, m, d) in [(1, 1, 1), (3, 5, 7), (2, 4, 8), (5, 13, 17), (0, 3, 2), (2, 3, 0)] {
            let draw = |id: u32, rows: usize| {
                let mut a = Array2::<f64>::zeros((rows, d));
                Stream::new(0, id).fill_normal(0, 0, d, a.as_slice_mut().unwrap());
                a
            };
            let (x, y) = (draw(1, n), draw(2, m));
            let got = squared_distances(&x, &y);
            assert_eq!(got.dim(), (n, m));
            for ((i, j), got) in got.indexed_iter() {
                let want: f64 = x.row(i).iter().zip(y.row(j)).map(|(x, y)| (x - y).powi(2)).sum();
                assert!((got - want).abs() <= 1e-14 * want);
            }
        }
    }
}
