//! Pointwise quantiles of an ensemble, for the bands of a fan.

use ndarray::{Array2, ArrayView2};

/// Quantiles along the ensemble, by linear interpolation between order statistics.
///
///   q(p) = z₍ᵢ₎ + (p (N − 1) − i) (z₍ᵢ₊₁₎ − z₍ᵢ₎),  i = ⌊p (N − 1)⌋
///
/// Shapes: `samples` [N, L] with N ≥ 1 and no NaN, result [levels, L].
pub(super) fn quantiles(samples: &ArrayView2<'_, f64>, levels: &[f64]) -> Array2<f64> {
    let (n, length) = samples.dim();
    let mut result = Array2::zeros((levels.len(), length));
    let mut column = Vec::with_capacity(n);
    for i in 0..length {
        column.clear();
        column.extend(samples.column(i));
        column.sort_unstable_by(f64::total_cmp);
        for (row, &p) in levels.iter().enumerate() {
            let rank = p * (n - 1) as f64;
            let below = (rank.floor() as usize).min(n - 1);
            let above = (below + 1).min(n - 1);
            result[(row, i)] = column[below] + (rank - below as f64) * (column[above] - column[below]);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_between_order_statistics() {
        let samples = Array2::from_shape_fn((5, 2), |(n, i)| [3.0, 0.0, 4.0, 1.0, 2.0][n] * (i + 1) as f64);
        let q = quantiles(&samples.view(), &[0.0, 0.1, 0.5, 1.0]);
        assert_eq!(q.column(0).to_vec(), [0.0, 0.4, 2.0, 4.0]);
        assert_eq!(q.column(1).to_vec(), [0.0, 0.8, 4.0, 8.0]);
    }

    #[test]
    fn one_sample_is_all_its_quantiles() {
        let samples = Array2::from_elem((1, 3), 7.0);
        assert!(quantiles(&samples.view(), &[0.05, 0.5, 0.95]).iter().all(|&q| q == 7.0));
    }
}
