//! Quantiles of samples, for bands and tables.

use ndarray::{Array, ArrayRef, Axis, Dimension, RemoveAxis};

/// Quantile at `level` of sorted values, linear between them.
///
///   h = level (n − 1): x_⌊h⌋ + (h − ⌊h⌋)(x_⌊h⌋₊₁ − x_⌊h⌋)
///
/// Panics: no values, or a level outside [0, 1].
pub fn quantile_sorted(sorted: &[f64], level: f64) -> f64 {
    assert!(!sorted.is_empty(), "a quantile of no values");
    assert!((0.0..=1.0).contains(&level), "a quantile at level {level}");
    let h = level * (sorted.len() - 1) as f64;
    let (below, above) = (h.floor() as usize, h.ceil() as usize);
    sorted[below] + (h - h.floor()) * (sorted[above] - sorted[below])
}

/// Quantiles over the samples, for each level and each position of an event.
///
/// Shapes: `samples` [N, …], `levels` [Q], result [Q, …].
/// Panics: no samples, or a level outside [0, 1].
pub fn quantiles<S: Dimension + RemoveAxis>(samples: &ArrayRef<f64, S>, levels: &[f64]) -> Array<f64, S> {
    let mut shape = samples.raw_dim();
    shape[0] = levels.len();
    let mut out = Array::zeros(shape);
    for (mut out, lane) in out.lanes_mut(Axis(0)).into_iter().zip(samples.lanes(Axis(0))) {
        let mut sorted = lane.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        for (out, &level) in out.iter_mut().zip(levels) {
            *out = quantile_sorted(&sorted, level);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_cases_by_hand() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (level, want) in [(0.0, 1.0), (0.5, 3.0), (1.0, 8.0), (0.25, 1.75), (1.0 / 3.0, 2.0)] {
            assert!((quantile_sorted(&sorted, level) - want).abs() < 1e-15);
        }
        let samples = array![[3.0, 0.0], [1.0, 0.0], [2.0, 9.0]];
        assert_eq!(quantiles(&samples, &[0.0, 0.5, 1.0]), array![[1.0, 0.0], [2.0, 0.0], [3.0, 9.0]]);
        assert_eq!(quantiles(&Array3::<f64>::zeros((7, 4, 2)), &[0.1]).dim(), (1, 4, 2));
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_within(mut x in prop::collection::vec(-1e3..1e3, 1..40), a in 0.0..1.0, b in 0.0..1.0) {
            x.sort_by(f64::total_cmp);
            let (low, high) = (f64::min(a, b), f64::max(a, b));
            let (q, r) = (quantile_sorted(&x, low), quantile_sorted(&x, high));
            prop_assert!(x[0] <= q && q <= r + 1e-9 && r <= x[x.len() - 1] + 1e-9);
        }
    }
}
