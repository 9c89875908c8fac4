//! Euclidean distances between all samples of two sets.

use ndarray::{Array2, ArrayView, ArrayView2, Dimension};
use rayon::prelude::*;

use crate::error::EvaluationError;

/// Partial sums that one distance is accumulated in, so that the loop vectorises.
const PARTIALS: usize = 8;

/// ‖x_i − y_j‖², by differences: exact zeros for equal samples, no cancellation.
///
/// Shapes: `x` [N, D], `y` [M, D], result [N, M].
/// Panics: the samples differ in length.
pub fn squared_distances(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> Array2<f64> {
    assert_eq!(x.ncols(), y.ncols(), "distances between samples of shapes {:?} and {:?}", x.shape(), y.shape());
    let (n, m, d) = (x.nrows(), y.nrows(), x.ncols());
    let mut out = Array2::zeros((n, m));
    if n == 0 || m == 0 || d == 0 {
        return out;
    }
    let (x, y) = (x.as_standard_layout(), y.as_standard_layout());
    let x = x.as_slice().expect("standard layout is contiguous");
    let y = y.as_slice().expect("standard layout is contiguous");
    let out_rows = out.as_slice_mut().expect("a fresh array is contiguous").par_chunks_exact_mut(m);
    out_rows.zip(x.par_chunks_exact(d)).for_each(|(out, x)| {
        for (out, y) in out.iter_mut().zip(y.chunks_exact(d)) {
            *out = squared_distance(x, y);
        }
    });
    out
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; PARTIALS];
    let (x, y) = (x.chunks_exact(PARTIALS), y.chunks_exact(PARTIALS));
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(|(x, y)| (x - y) * (x - y)).sum();
    for (x, y) in x.zip(y) {
        for k in 0..PARTIALS {
            sums[k] += (x[k] - y[k]) * (x[k] - y[k]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Samples [N, …] as rows [N, D].
///
/// Errors: no samples, or one that is not finite.
pub(crate) fn rows<S: Dimension>(
    metric: &'static str,
    set: &'static str,
    samples: ArrayView<'_, f64, S>,
) -> Result<Array2<f64>, EvaluationError> {
    let n = samples.shape().first().copied().unwrap_or(0);
    if n == 0 {
        return Err(EvaluationError::Empty { metric, set });
    }
    let d = samples.len() / n;
    let rows = Array2::from_shape_vec((n, d), samples.iter().copied().collect()).expect("N samples of D numbers");
    match rows.outer_iter().position(|row| row.iter().any(|x| !x.is_finite())) {
        Some(sample) => Err(EvaluationError::NotFinite { metric, set, sample }),
        None => Ok(rows),
    }
}
