//! Maximum mean discrepancy with a sum of Gaussian kernels.

use ndarray::{Array2, ArrayRef, Dimension};
use rayon::prelude::*;

use crate::distance::{rows, squared_distances};
use crate::error::EvaluationError;

/// The kernels' squared bandwidths s.
const BANDWIDTHS: [f64; 7] = [1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3];

/// Squared MMD, diagonals included (the biased V-statistic).
///
///   MMD² = mean k(x, x) + mean k(y, y) − 2 mean k(x, y), k = Σ_s exp(−‖·‖²/s), s = 1e-3, 1e-2 … 1e3
///
/// Shapes: `x` [N, …], `y` [M, …], the same length per sample.
/// Errors: an empty set, a sample that is not finite.
/// Panics: the samples differ in length.
pub fn squared_mmd<S: Dimension>(x: &ArrayRef<f64, S>, y: &ArrayRef<f64, S>) -> Result<f64, EvaluationError> {
    let (x, y) = (rows("MMD", "first", x)?, rows("MMD", "second", y)?);
    let mean = |a: &Array2<f64>, b: &Array2<f64>| mean_kernel(&squared_distances(a, b));
    Ok(mean(&x, &x) + mean(&y, &y) - 2.0 * mean(&x, &y))
}

fn mean_kernel(squared: &Array2<f64>) -> f64 {
    let kernel = |d2: f64| BANDWIDTHS.iter().map(|s| (-d2 / s).exp()).sum::<f64>();
    // Row sums in parallel, then added in order: the same bits on any number of threads.
    let rows = squared.as_slice().expect("a fresh array is contiguous").par_chunks(squared.ncols());
    let sums: Vec<f64> = rows.map(|row| row.iter().map(|&d2| kernel(d2)).sum()).collect();
    sums.iter().sum::<f64>() / squared.len() as f64
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::reference::Case;

    #[test]
    fn reference_case() {
        let case = Case::read("metrics_two_sample");
        let got = squared_mmd(&case.tensor("in.x"), &case.tensor("in.y")).unwrap();
        let want = case.scalar("out.mmd");
        assert!((got - want).abs() < 1e-6 * want, "{got} is not {want}");
    }

    #[test]
    fn one_point_each_is_a_closed_form() {
        let (x, y) = (Array1::from(vec![0.0]), Array1::from(vec![2.0]));
        let want: f64 = BANDWIDTHS.iter().map(|s| 2.0 - 2.0 * f64::exp(-4.0 / s)).sum();
        assert!((squared_mmd(&x, &y).unwrap() - want).abs() < 1e-14);
        assert_eq!(squared_mmd(&x, &x).unwrap(), 0.0);
    }
}
