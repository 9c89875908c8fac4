//! Pearson's test of counts against what was expected.

use crate::gamma::gamma_q;

/// Pearson's statistic and the probability of a larger one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquared {
    /// χ² = Σ_b (counted − expected)²/expected.
    pub statistic: f64,
    /// Degrees of freedom k: bins less one.
    pub degrees: usize,
    /// Q(k/2, χ²/2), right where every bin expects about five counts or more, all independent.
    pub p_value: f64,
}

impl ChiSquared {
    /// Of at least two bins.
    ///
    /// Shapes: `counts` and `expected` `[B]`, of the same sum.
    /// Source: Pearson 1900.
    pub(crate) fn new(counts: &[u64], expected: &[f64]) -> Self {
        let terms = counts.iter().zip(expected).map(|(&c, e)| (c as f64 - e).powi(2) / e);
        let (statistic, degrees) = (terms.sum::<f64>(), counts.len() - 1);
        Self { statistic, degrees, p_value: gamma_q(0.5 * degrees as f64, 0.5 * statistic) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_case_by_hand() {
        let got = ChiSquared::new(&[7, 2, 3], &[4.0, 4.0, 4.0]);
        assert_eq!((got.statistic, got.degrees), (3.5, 2));
        // Of two degrees of freedom the tail is e^{−χ²/2}.
        assert!((got.p_value - f64::exp(-1.75)).abs() < 1e-14);
        let uneven = ChiSquared::new(&[3, 3], &[4.0, 2.0]);
        assert!((uneven.statistic - 0.75).abs() < 1e-15);
    }

    /// The 95 % points of the printed tables, to their digits.
    #[test]
    fn tabulated_quantiles() {
        for (degrees, quantile) in
            [(1, 3.841459), (2, 5.991465), (5, 11.070498), (10, 18.307038), (30, 43.772972)]
        {
            // Two unequal bins carry the statistic, the others are met.
            let expected = vec![1e6; degrees + 1];
            let mut counts = vec![1_000_000; degrees + 1];
            let shift = f64::sqrt(0.5e6 * quantile);
            (counts[0], counts[1]) = ((1e6 + shift) as u64, (1e6 - shift) as u64);
            let got = ChiSquared::new(&counts, &expected);
            // Counts are whole: χ² is short of the quantile by up to two in the shift.
            assert!((got.statistic / quantile - 1.0).abs() < 3e-3);
            assert!((gamma_q(0.5 * degrees as f64, 0.5 * quantile) - 0.05).abs() < 1e-7);
            assert!((got.p_value - 0.05).abs() < 2e-3);
        }
    }
}
