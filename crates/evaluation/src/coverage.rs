//! How often truths lie inside the central intervals of their ensembles.

use ndarray::{ArrayRef, Dimension};

use crate::ensemble::Ensemble;
use crate::error::EvaluationError;
use crate::quantile::quantile_sorted;

const METRIC: &str = "coverage";

/// Coverage of the central interval of one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// Probability that the interval claims.
    pub level: f64,
    /// Share of truths inside.
    pub share: f64,
    /// Share that exchangeable truths would have, level (N − 1)/(N + 1): see [`CoverageCounts::finish`].
    pub expected: f64,
    /// Numbers that these are over, all cases together.
    pub numbers: usize,
}

/// Counts of [`Coverage`], to which cases are added one at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageCounts {
    levels: Vec<f64>,
    inside: Vec<usize>,
    numbers: usize,
    /// Σ (N − 1)/(N + 1).
    expected: f64,
}

impl CoverageCounts {
    /// Nothing counted yet.
    ///
    /// Shapes: `levels` [Q].
    /// Good values: 0.5 and 0.9.
    /// Errors: no levels, a level outside [0, 1].
    pub fn new(levels: &[f64]) -> Result<Self, EvaluationError> {
        if levels.is_empty() {
            return Err(EvaluationError::Missing { metric: METRIC, what: "levels" });
        }
        if let Some(&level) = levels.iter().find(|level| !(0.0..=1.0).contains(*level)) {
            return Err(EvaluationError::Level { level });
        }
        Ok(Self { levels: levels.to_vec(), inside: vec![0; levels.len()], numbers: 0, expected: 0.0 })
    }

    /// Adds an ensemble and its truth; sizes may differ from case to case.
    ///
    /// Shapes: `samples` [N, …], `truth` […].
    /// Good values: N well above 2/(1 − level); below it an interval ends at the outermost samples.
    /// Errors: shapes that disagree, no numbers, no samples, a number that is not finite.
    pub fn add<S: Dimension, T: Dimension>(
        &mut self,
        samples: &ArrayRef<f64, S>,
        truth: &ArrayRef<f64, T>,
    ) -> Result<(), EvaluationError> {
        let ensemble = Ensemble::new(METRIC, 1, samples, truth)?;
        let (n, numbers) = (ensemble.size() as f64, ensemble.numbers());
        self.numbers += numbers;
        self.expected += numbers as f64 * (n - 1.0) / (n + 1.0);
        let levels = &self.levels;
        for inside in ensemble.map(|_, samples, truth| inside(samples, truth, levels)) {
            self.inside.iter_mut().zip(inside).for_each(|(count, inside)| *count += usize::from(inside));
        }
        Ok(())
    }

    /// Coverage of every level over everything added.
    ///
    ///   share of q((1 − level)/2) ≤ y ≤ q((1 + level)/2), expected = level (N − 1)/(N + 1)
    ///
    /// The quantile of level p lies at h = p (N − 1) between sorted samples, and of N + 1 exchangeable values each gap of
    /// two samples holds the truth with probability 1/(N + 1). So the expectation holds for any law where h is whole, and
    /// for a uniform one between. A density that falls over the gap puts more of it inside: with h < 1, an end among the
    /// outermost samples, by a part of 1/(N + 1) (Gaussian, N = 8, level 0.9: 0.722 for 0.700), else by O(1/N²).
    /// Numbers that depend on each other leave it right and make the share less certain.
    ///
    /// Shapes: result [Q].
    /// Errors: nothing was added.
    /// Source: David & Nagaraja 2003, "Order Statistics".
    pub fn finish(&self) -> Result<Vec<Coverage>, EvaluationError> {
        if self.numbers == 0 {
            return Err(EvaluationError::Missing { metric: METRIC, what: "cases" });
        }
        let (numbers, n) = (self.numbers, self.numbers as f64);
        let of = |(&level, &inside): (&f64, &usize)| Coverage {
            level,
            share: inside as f64 / n,
            expected: level * self.expected / n,
            numbers,
        };
        Ok(self.levels.iter().zip(&self.inside).map(of).collect())
    }
}

fn inside(samples: &mut [f64], truth: f64, levels: &[f64]) -> Vec<bool> {
    samples.sort_unstable_by(f64::total_cmp);
    let quantile = |level: f64| quantile_sorted(samples, level);
    let holds =
        |&level: &f64| (quantile(0.5 * (1.0 - level))..=quantile(0.5 * (1.0 + level))).contains(&truth);
    levels.iter().map(holds).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array, aview0, s};
    use sda_core::Stream;

    use super::*;

    #[test]
    fn small_case_by_hand() {
        let samples = array![[0.0], [4.0], [1.0], [2.0], [3.0]];
        for (truth, want) in
            [(2.0, [1.0; 3]), (0.9, [0.0, 1.0, 1.0]), (3.3, [0.0, 1.0, 1.0]), (4.1, [0.0; 3])]
        {
            let mut counts = CoverageCounts::new(&[0.5, 0.8, 1.0]).unwrap();
            counts.add(&samples, &array![truth]).unwrap();
            let shares: Vec<f64> = counts.finish().unwrap().iter().map(|c| c.share).collect();
            assert_eq!(shares, want, "at {truth}");
        }
    }

    /// Each of N + 1 values as the truth of the others, for levels whose quantiles are samples: exact for any values.
    #[test]
    fn exchangeable_truths_meet_the_expectation() {
        for (size, levels) in [(5, vec![0.5, 1.0]), (9, vec![0.25, 0.5, 0.75, 1.0]), (2, vec![1.0])] {
            let values: Vec<f64> = (0..=size).map(|i| f64::from((7 * i + 2) % 31).powi(3)).collect();
            let mut counts = CoverageCounts::new(&levels).unwrap();
            for truth in &values {
                let others: Array1<f64> = values.iter().copied().filter(|x| x != truth).collect();
                counts.add(&others, &aview0(truth)).unwrap();
            }
            for c in counts.finish().unwrap() {
                assert!((c.share - c.expected).abs() < 1e-15, "{c:?}");
                assert_eq!(c.numbers, size as usize + 1);
            }
        }
    }

    /// At a level whose quantiles are between samples: 0.9 · 7/9 of uniform draws, and of Gaussian ones
    /// 1 − 2 E Φ(0.65 x_(1) + 0.35 x_(2)), by quadrature.
    #[test]
    fn draws_meet_the_expectation_between_samples() {
        let mut draws = Array2::zeros((9, 200_000));
        for (gaussian, want) in [(false, 0.7), (true, 0.7224716)] {
            let (stream, out) = (Stream::new(6, u32::from(gaussian)), draws.as_slice_mut().unwrap());
            if gaussian {
                stream.fill_normal(0, 0, 4, out);
            } else {
                stream.fill_uniform(0, 0, 4, out);
            }
            let mut counts = CoverageCounts::new(&[0.9]).unwrap();
            counts.add(&draws.slice(s![1.., ..]), &draws.row(0)).unwrap();
            let got = counts.finish().unwrap()[0];
            assert!((got.expected - 0.7).abs() < 1e-12);
            // Three standard errors.
            assert!((got.share - want).abs() < 0.003, "{got:?}");
        }
    }

    #[test]
    fn cases_of_different_sizes_average_their_expectations() {
        let mut counts = CoverageCounts::new(&[0.5]).unwrap();
        counts.add(&Array2::zeros((3, 2)), &array![0.0, 1.0]).unwrap();
        counts.add(&Array2::zeros((9, 1)), &array![1.0]).unwrap();
        let got = counts.finish().unwrap()[0];
        assert!((got.expected - 0.5 * (0.5 + 0.5 + 0.8) / 3.0).abs() < 1e-15);
        assert_eq!((got.share, got.numbers), (1.0 / 3.0, 3));
    }

    #[test]
    fn bad_levels_and_no_cases_are_errors() {
        assert!(matches!(CoverageCounts::new(&[]), Err(EvaluationError::Missing { what: "levels", .. })));
        assert_eq!(CoverageCounts::new(&[0.5, 1.5]), Err(EvaluationError::Level { level: 1.5 }));
        assert!(matches!(CoverageCounts::new(&[f64::NAN]), Err(EvaluationError::Level { .. })));
        let mut counts = CoverageCounts::new(&[0.5]).unwrap();
        assert!(matches!(counts.finish(), Err(EvaluationError::Missing { what: "cases", .. })));
        assert!(counts.add(&array![[0.0], [f64::NAN]], &array![0.0]).is_err());
        assert!(counts.finish().is_err());
    }
}
