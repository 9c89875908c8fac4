//! Weights of particles: how many they are worth, and drawing by them.

/// Kish's effective sample size.
///
///   (Σ w)² / Σ w²
///
/// NaN where all weights are zero.
pub fn effective_sample_size(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    sum * sum / weights.iter().map(|w| w * w).sum::<f64>()
}

/// Systematic resampling: index i is drawn ⌊n w_i⌋ or ⌈n w_i⌉ times, n w_i on average over `u`.
///
///   the k-th index is the first with Σ_{j ≤ i} w_j > (k + u)/n · Σ w
///
/// Shapes: `weights` any, not negative; `u` in [0, 1); result [n], rising.
/// Panics: the weights sum to zero or are not finite.
pub fn systematic(weights: &[f64], n: usize, u: f64) -> Vec<u32> {
    let total: f64 = weights.iter().sum();
    assert!(total > 0.0 && total.is_finite(), "resampling by weights of sum {total}");
    let last = weights.iter().rposition(|&w| w > 0.0).expect("a positive sum has a positive term");
    let (mut i, mut reached) = (0, weights[0]);
    (0..n)
        .map(|k| {
            let target = (k as f64 + u) / n as f64 * total;
            // Rounding may leave the last target at the sum itself.
            while reached <= target && i < last {
                i += 1;
                reached += weights[i];
            }
            i as u32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(weights: &[f64], n: usize, u: f64) -> Vec<f64> {
        let mut counts = vec![0.0; weights.len()];
        for i in systematic(weights, n, u) {
            counts[i as usize] += 1.0;
        }
        counts
    }

    #[test]
    fn effective_sample_sizes_in_closed_form() {
        assert_eq!(effective_sample_size(&[0.25; 7]), 7.0);
        assert_eq!(effective_sample_size(&[0.0, 3.0, 0.0]), 1.0);
        assert!((effective_sample_size(&[1.0, 2.0]) - 9.0 / 5.0).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn counts_are_the_neighbours_of_their_means(
            weights in prop::collection::vec(0.0..1.0f64, 1..30), n in 1usize..100, u in 0.0..1.0
        ) {
            prop_assume!(weights.iter().sum::<f64>() > 1e-3);
            let total: f64 = weights.iter().sum();
            for (count, w) in counts(&weights, n, u).iter().zip(&weights) {
                prop_assert!((count - n as f64 * w / total).abs() < 1.0 + 1e-9);
                prop_assert!(*w > 0.0 || *count == 0.0);
            }
        }
    }

    #[test]
    fn resampling_is_unbiased() {
        let weights = [0.03, 0.4, 0.0, 0.17, 0.25, 0.15];
        let (n, draws) = (7, 10_000);
        let mut mean = [0.0; 6];
        for k in 0..draws {
            let counts = counts(&weights, n, (f64::from(k) + 0.5) / f64::from(draws));
            mean.iter_mut().zip(counts).for_each(|(m, c)| *m += c / f64::from(draws));
        }
        for (mean, w) in mean.iter().zip(weights) {
            assert!((mean - n as f64 * w).abs() < 1e-3, "{mean} is not {}", n as f64 * w);
        }
    }
}
