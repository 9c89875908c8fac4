//! The continuous ranked probability score of an ensemble.

use ndarray::{ArrayRef, ArrayRef1, Dimension, aview0};

use crate::ensemble::Ensemble;
use crate::error::EvaluationError;

const METRIC: &str = "the CRPS";

/// How the distance between two draws is estimated from N samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrpsForm {
    /// Over all N² pairs: the score of the empirical distribution itself, which prefers large ensembles.
    Plain,
    /// Over the N (N − 1) pairs of different samples: its expectation does not depend on N. It can be negative.
    Fair,
}

impl CrpsForm {
    /// Ordered pairs that the mean distance is over.
    fn pairs(self, n: f64) -> f64 {
        match self {
            Self::Plain => n * n,
            Self::Fair => n * (n - 1.0),
        }
    }

    fn least(self) -> usize {
        match self {
            Self::Plain => 1,
            Self::Fair => 2,
        }
    }
}

/// Continuous ranked probability score of an ensemble for one number, lower is better.
///
///   CRPS = mean_n |x_n − y| − Σ_nm |x_n − x_m| / (2 pairs), pairs = N² (plain) or N (N − 1) (fair)
///
/// By sorting, in O(N log N): Σ_{n < m} |x_n − x_m| = Σ_i i (N − i)(x_(i+1) − x_(i)).
///
/// Shapes: `samples` `[N]`.
/// Units: those of the samples.
/// Errors: no samples, or one where the form is fair; a number that is not finite.
/// Source: Gneiting & Raftery 2007, section 4.2; fair form: Ferro 2014, "Fair scores for ensemble forecasts".
pub fn crps(form: CrpsForm, samples: &ArrayRef1<f64>, truth: f64) -> Result<f64, EvaluationError> {
    mean_crps(form, samples, &aview0(&truth))
}

/// [`crps`] of every number against its own samples, averaged over the numbers.
///
/// Shapes: `samples` [N, …], `truth` […].
/// Units: those of the samples, which numbers of different units have to be brought to first.
/// Errors: shapes that disagree, no numbers, too few samples for the form, a number that is not finite.
/// Source: as [`crps`].
pub fn mean_crps<S: Dimension, T: Dimension>(
    form: CrpsForm,
    samples: &ArrayRef<f64, S>,
    truth: &ArrayRef<f64, T>,
) -> Result<f64, EvaluationError> {
    let ensemble = Ensemble::new(METRIC, form.least(), samples, truth)?;
    let numbers = ensemble.numbers() as f64;
    let scores = ensemble.map(|_, samples, truth| score(form, samples, truth));
    Ok(scores.iter().sum::<f64>() / numbers)
}

fn score(form: CrpsForm, samples: &mut [f64], truth: f64) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let n = samples.len() as f64;
    let error = samples.iter().map(|x| (x - truth).abs()).sum::<f64>() / n;
    let gaps = samples.windows(2).zip(1u32..);
    let distance: f64 = gaps.map(|(x, i)| f64::from(i) * (n - f64::from(i)) * (x[1] - x[0])).sum();
    // Every unordered pair stands for two ordered ones, and the sum is halved.
    error - distance / form.pairs(n)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array3, array};
    use proptest::prelude::*;

    use super::*;
    use crate::gamma::gamma_q;

    fn brute_force(form: CrpsForm, x: &[f64], y: f64) -> f64 {
        let n = x.len() as f64;
        let error = x.iter().map(|x| (x - y).abs()).sum::<f64>() / n;
        let distance: f64 = x.iter().flat_map(|a| x.iter().map(move |b| (a - b).abs())).sum();
        let pairs = if form == CrpsForm::Fair { n * (n - 1.0) } else { n * n };
        error - distance / (2.0 * pairs)
    }

    proptest! {
        #[test]
        fn sorting_agrees_with_brute_force(x in prop::collection::vec(-9.0..9.0, 2..40), y in -9.0..9.0) {
            for form in [CrpsForm::Plain, CrpsForm::Fair] {
                let got = crps(form, &Array1::from(x.clone()), y).unwrap();
                prop_assert!((got - brute_force(form, &x, y)).abs() < 1e-13);
            }
        }
    }

    /// Φ(z) by Q(½, z²/2) = erfc(|z|/√2).
    fn normal_cdf(z: f64) -> f64 {
        let tail = 0.5 * gamma_q(0.5, 0.5 * z * z);
        if z > 0.0 { 1.0 - tail } else { tail }
    }

    fn normal_quantile(level: f64) -> f64 {
        let (mut low, mut high) = (-9.0, 9.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if normal_cdf(middle) < level { low = middle } else { high = middle }
        }
        low
    }

    /// σ (z (2 Φ(z) − 1) + 2 φ(z) − 1/√π), z = (y − μ)/σ.
    fn gaussian_crps(mean: f64, std: f64, y: f64) -> f64 {
        let z = (y - mean) / std;
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        std * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * density - 1.0 / std::f64::consts::PI.sqrt())
    }

    /// An ensemble of evenly spaced quantiles is the Gaussian to O(1/N²) in its middle.
    #[test]
    fn a_gaussian_ensemble_tends_to_the_closed_form() {
        let n = 4000;
        let (mean, std) = (0.7, 1.3);
        let quantile = |i: usize| mean + std * normal_quantile((i as f64 + 0.5) / n as f64);
        let samples = Array1::from_shape_fn(n, quantile);
        for y in [-2.0, 0.0, 0.7, 1.1, 4.0] {
            let got = crps(CrpsForm::Plain, &samples, y).unwrap();
            let want = gaussian_crps(mean, std, y);
            assert!((got - want).abs() < 2e-6, "{got} is not {want} at {y}");
        }
    }

    /// Mean over all N draws with replacement from three values: an expectation without sampling error.
    fn expectation(form: CrpsForm, values: &[f64; 3], n: u32, y: f64) -> f64 {
        let draw =
            |code: usize| Array1::from_shape_fn(n as usize, |i| values[code / 3usize.pow(i as u32) % 3]);
        let total: f64 = (0..3usize.pow(n)).map(|code| crps(form, &draw(code), y).unwrap()).sum();
        total / f64::from(3u32.pow(n))
    }

    #[test]
    fn the_fair_form_is_unbiased_and_the_plain_one_off_by_half_a_distance_over_n() {
        let values = [-1.0, 0.5, 3.0];
        // E|X − X'| of the three values: the ordered pairs' distances 1.5, 4 and 2.5, twice each, over 9.
        let distance = 16.0 / 9.0;
        for y in [-2.0, 0.2, 5.0] {
            let population = brute_force(CrpsForm::Plain, &values, y);
            for n in 2..7 {
                let fair = expectation(CrpsForm::Fair, &values, n, y);
                assert!((fair - population).abs() < 1e-13);
                let plain = expectation(CrpsForm::Plain, &values, n, y);
                assert!((plain - population - 0.5 * distance / f64::from(n)).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn one_sample_is_its_distance_and_never_fair() {
        assert_eq!(crps(CrpsForm::Plain, &array![2.0], -1.5), Ok(3.5));
        let fair = crps(CrpsForm::Fair, &array![2.0], -1.5);
        assert_eq!(fair, Err(EvaluationError::TooFew { metric: METRIC, found: 1, least: 2 }));
    }

    #[test]
    fn arrays_average_over_their_numbers() {
        let samples = Array3::from_shape_fn((5, 2, 3), |(n, i, j)| ((7 * n + 3 * i + 5 * j) % 11) as f64);
        let truth = array![[0.0, 4.0, 3.5], [1.0, 12.0, -2.0]];
        for form in [CrpsForm::Plain, CrpsForm::Fair] {
            let each = truth.indexed_iter().map(|((i, j), &y)| {
                let x: Vec<f64> = (0..5).map(|n| samples[[n, i, j]]).collect();
                brute_force(form, &x, y)
            });
            let want = each.sum::<f64>() / 6.0;
            assert!((mean_crps(form, &samples, &truth).unwrap() - want).abs() < 1e-14);
        }
    }

    #[test]
    fn a_truth_that_is_not_a_number_is_an_error() {
        let got = crps(CrpsForm::Plain, &array![0.0, 1.0], f64::NAN);
        assert_eq!(got, Err(EvaluationError::TruthNotFinite { metric: METRIC, number: 0 }));
    }
}
