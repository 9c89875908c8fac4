//! Euclidean distances between all samples of two sets.

use ndarray::{Array2, ArrayRef, ArrayRef2, Dimension};
use rayon::prelude::*;
use sda_core::{Vectors, widest_vectors};

use crate::error::EvaluationError;

/// Samples of the second set side by side, so that the loop over them vectorises and no sum is taken across lanes.
const COLUMNS: usize = 16;

/// Samples of the first set that those are compared with at once.
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
    let x = x.as_standard_layout();
    let x = x.as_slice().expect("standard layout is contiguous");
    let y = side_by_side(y);
    let out_rows = out.as_slice_mut().expect("a fresh array is contiguous").par_chunks_mut(ROWS * m);
    let vectors = Vectors::widest();
    out_rows.zip(x.par_chunks(ROWS * d)).for_each(|(out, x)| {
        if x.len() == ROWS * d {
            distances_of_rows(vectors, x, &y, d, out);
        } else {
            for (out, x) in out.chunks_exact_mut(m).zip(x.chunks_exact(d)) {
                distances_of_row(vectors, x, &y, d, out);
            }
        }
    });
    out
}

/// Samples [M, D] in blocks of [`COLUMNS`], filled up with zeros [M/COLUMNS blocks, D, COLUMNS].
fn side_by_side(y: &ArrayRef2<f64>) -> Vec<[f64; COLUMNS]> {
    let (m, d) = y.dim();
    let mut out = vec![[0.0; COLUMNS]; m.div_ceil(COLUMNS) * d];
    for (j, y) in y.outer_iter().enumerate() {
        for (lanes, &y) in out[j / COLUMNS * d..][..d].iter_mut().zip(y) {
            lanes[j % COLUMNS] = y;
        }
    }
    out
}

widest_vectors! {
    fn distances_of_rows(x: &[f64], y: &[[f64; COLUMNS]], d: usize, out: &mut [f64]) -> () = distances_body::<ROWS>
}

widest_vectors! {
    fn distances_of_row(x: &[f64], y: &[[f64; COLUMNS]], d: usize, out: &mut [f64]) -> () = distances_body::<1>
}

/// From N rows to all, each distance one sum in the order of the components.
#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn distances_body<const N: usize>(x: &[f64], y: &[[f64; COLUMNS]], d: usize, out: &mut [f64]) {
    let m = out.len() / N;
    for (block, y) in y.chunks_exact(d).enumerate() {
        let mut sums = [[0.0; COLUMNS]; N];
        for (c, y) in y.iter().enumerate() {
            for r in 0..N {
                let x = x[r * d + c];
                for k in 0..COLUMNS {
                    sums[r][k] += (x - y[k]) * (x - y[k]);
                }
            }
        }
        let first = block * COLUMNS;
        let present = COLUMNS.min(m - first);
        for r in 0..N {
            out[r * m + first..][..present].copy_from_slice(&sums[r][..present]);
        }
    }
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
        for (n, m, d) in
            [(1, 1, 1), (3, 5, 7), (2, 4, 8), (5, 13, 17), (4, 16, 5), (9, 33, 4), (0, 3, 2), (2, 3, 0)]
        {
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
