//! Whether an ensemble is as wide as its mean is wrong.

use ndarray::{ArrayRef, Dimension};

use crate::ensemble::Ensemble;
use crate::error::EvaluationError;

const METRIC: &str = "spread and skill";

/// Error and width of ensembles over many cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpreadSkill {
    /// √ mean (x̄ − y)², the error of the ensemble's mean.
    pub rmse: f64,
    /// √ mean s², s² with the divisor N − 1: the square root of the mean variance, not the mean of its root.
    pub spread: f64,
    /// √((N + 1)/N) spread / rmse; ∞ where the mean is never wrong, NaN where nothing is spread either.
    ///
    /// 1 where truth and samples are exchangeable, since E (x̄ − y)² = (1 + 1/N) σ²; below 1 the ensemble is
    /// overconfident. Numbers that depend on each other leave it right and make it less certain.
    pub ratio: f64,
    /// Numbers that these are over, all cases together.
    pub numbers: usize,
}

/// Sums of [`SpreadSkill`], to which cases are added one at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpreadSkillSums {
    numbers: usize,
    squared_error: f64,
    variance: f64,
    /// Σ (1 + 1/N) s²: what the squared errors would be, for any mixture of sizes.
    predicted: f64,
}

impl SpreadSkillSums {
    /// Adds an ensemble and its truth; sizes may differ from case to case.
    ///
    /// Shapes: `samples` [N, …], `truth` […].
    /// Units: the same for all numbers and cases.
    /// Errors: shapes that disagree, no numbers, fewer than two samples, a number that is not finite.
    pub fn add<S: Dimension, T: Dimension>(
        &mut self,
        samples: &ArrayRef<f64, S>,
        truth: &ArrayRef<f64, T>,
    ) -> Result<(), EvaluationError> {
        let ensemble = Ensemble::new(METRIC, 2, samples, truth)?;
        let factor = 1.0 + 1.0 / ensemble.size() as f64;
        self.numbers += ensemble.numbers();
        for (squared_error, variance) in ensemble.map(|_, samples, truth| moments(samples, truth)) {
            self.squared_error += squared_error;
            self.variance += variance;
            self.predicted += factor * variance;
        }
        Ok(())
    }

    /// Error, spread and their ratio over everything added.
    ///
    ///   RMSE = √ mean (x̄ − y)², spread = √ mean s², ratio = √(mean (N + 1)/N s²) / RMSE
    ///
    /// Errors: nothing was added.
    /// Source: Fortin et al. 2014, "Why should ensemble spread match the RMSE of the ensemble mean?".
    pub fn finish(&self) -> Result<SpreadSkill, EvaluationError> {
        if self.numbers == 0 {
            return Err(EvaluationError::Missing { metric: METRIC, what: "cases" });
        }
        let n = self.numbers as f64;
        Ok(SpreadSkill {
            rmse: (self.squared_error / n).sqrt(),
            spread: (self.variance / n).sqrt(),
            ratio: (self.predicted / self.squared_error).sqrt(),
            numbers: self.numbers,
        })
    }
}

/// ((x̄ − y)², s²).
fn moments(samples: &[f64], truth: f64) -> (f64, f64) {
    let n = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / n;
    let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    ((mean - truth).powi(2), variance)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayView1, array, aview0};

    use super::*;

    #[test]
    fn small_case_by_hand() {
        let mut sums = SpreadSkillSums::default();
        sums.add(&array![[0.0, 1.0], [2.0, 5.0]], &array![2.0, 3.0]).unwrap();
        // Means 1 and 3, errors 1 and 0, variances 2 and 8.
        let got = sums.finish().unwrap();
        assert!((got.rmse - 0.5f64.sqrt()).abs() < 1e-15);
        assert!((got.spread - 5f64.sqrt()).abs() < 1e-15);
        assert!((got.ratio - (1.5 * 5.0 / 0.5f64).sqrt()).abs() < 1e-14);
        assert_eq!(got.numbers, 2);
    }

    /// All ensembles of `n` draws from three values about 0, stretched by `scale`, against all truths from the three.
    fn add_all_draws(sums: &mut SpreadSkillSums, n: u32, scale: f64) {
        let values = [-1.0, -0.5, 1.5];
        for truth in &values {
            for code in 0..3usize.pow(n) {
                let draws: Vec<f64> = (0..n).map(|i| scale * values[code / 3usize.pow(i) % 3]).collect();
                sums.add(&ArrayView1::from(&draws), &aview0(truth)).unwrap();
            }
        }
    }

    #[test]
    fn the_ratio_of_exchangeable_draws_is_one() {
        for n in 2..7 {
            let mut sums = SpreadSkillSums::default();
            add_all_draws(&mut sums, n, 1.0);
            let got = sums.finish().unwrap();
            assert!((got.ratio - 1.0).abs() < 1e-13);
            assert!((got.spread.powi(2) - 3.5 / 3.0).abs() < 1e-13);
        }
        let mut mixed = SpreadSkillSums::default();
        (2..6).for_each(|n| add_all_draws(&mut mixed, n, 1.0));
        assert!((mixed.finish().unwrap().ratio - 1.0).abs() < 1e-13);
    }

    /// E (x̄ − y)² = (1 + a²/N) σ² and E s² = a² σ² for samples stretched by a.
    #[test]
    fn the_ratio_of_stretched_draws_is_a_closed_form() {
        for (n, scale) in [(2u32, 0.5f64), (3, 2.0), (6, 0.1)] {
            let mut sums = SpreadSkillSums::default();
            add_all_draws(&mut sums, n, scale);
            let n = f64::from(n);
            let want = scale * ((n + 1.0) / (n + scale * scale)).sqrt();
            assert!((sums.finish().unwrap().ratio - want).abs() < 1e-13);
        }
    }

    #[test]
    fn bad_cases_are_errors_and_leave_the_sums() {
        let mut sums = SpreadSkillSums::default();
        assert_eq!(sums.finish(), Err(EvaluationError::Missing { metric: METRIC, what: "cases" }));
        let single = sums.add(&Array2::zeros((1, 3)), &array![0.0, 0.0, 0.0]);
        assert_eq!(single, Err(EvaluationError::TooFew { metric: METRIC, found: 1, least: 2 }));
        assert!(sums.add(&Array2::zeros((2, 3)), &array![0.0, f64::NAN, 0.0]).is_err());
        assert_eq!(sums, SpreadSkillSums::default());
    }
}
