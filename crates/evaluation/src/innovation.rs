//! Observations against what an ensemble predicts of them.

use ndarray::{Array1, Array2, ArrayRef1, ArrayRef2};
use sda_core::linalg::solve_spd;

use crate::ensemble::Ensemble;
use crate::error::EvaluationError;

const INNOVATION: &str = "the innovation χ²";
const RESIDUAL: &str = "the residual over the noise";

/// χ² of the innovation, a number observed: 1 in the mean over cases whose forecast is consistent.
///
///   (y − ȳ)ᵀ S⁻¹ (y − ȳ) / P, S = cov_n(A x_n) + σ_y² I, ȳ = mean_n A x_n
///
/// Above 1 the forecast is overconfident or biased, below it too wide. The expectation is 1 for N → ∞ only: ȳ is off by
/// a share 1/N of the covariance, and the inverse of a sampled covariance is too large. Where σ_y is small beside the
/// spread, of Gaussian predictions it is
///
///   (N + 1)(N − 1) / (N (N − P − 2)), N > P + 2,
///
/// and for N ≤ P directions that no sample strays to count as certain to σ_y, so that it can be arbitrarily large; where
/// σ_y is large it is 1 for any N. P is to stay far below N, by observing a part at a time if need be.
///
/// Shapes: `predicted` A(x) without noise [N, P], `y` `[P]`.
/// Units: all in the observation's unit, the result has none.
/// Good values: N at least 10 P.
/// Errors: shapes that disagree, nothing observed, fewer than two samples, a number that is not finite, a `noise_std` that
/// is not positive or too small beside the spread to make S definite.
/// Source: Ménard & Chang 2000, "Assimilation of stratospheric chemical tracer observations using a Kalman filter, part
/// II"; the finite N is Hotelling's T², Anderson 2003, section 5.2.
pub fn innovation_chi_squared(
    predicted: &ArrayRef2<f64>,
    y: &ArrayRef1<f64>,
    noise_std: f64,
) -> Result<f64, EvaluationError> {
    let ensemble = Ensemble::new(INNOVATION, 2, predicted, y)?;
    check_noise(INNOVATION, noise_std)?;
    let (n, p) = (ensemble.size(), ensemble.numbers());
    let (anomalies, innovation): (Vec<_>, Vec<_>) =
        ensemble.map(|_, x, y| innovation(x, y)).into_iter().unzip();
    let anomalies = Array2::from_shape_vec((p, n), anomalies.concat()).expect("N anomalies a number");
    let mut covariance = anomalies.dot(&anomalies.t()) / (n as f64 - 1.0);
    covariance.diag_mut().mapv_inplace(|variance| variance + noise_std * noise_std);
    let innovation = Array1::from(innovation);
    let weighted = solve_spd(&covariance, &innovation).map_err(|error| EvaluationError::Covariance {
        metric: INNOVATION,
        numbers: p,
        reason: error.to_string(),
    })?;
    Ok(innovation.dot(&weighted) / p as f64)
}

/// Anomalies x_n − x̄ and the innovation y − x̄ of one number.
fn innovation(samples: &[f64], y: f64) -> (Vec<f64>, f64) {
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    (samples.iter().map(|x| x - mean).collect(), y - mean)
}

/// Root mean square distance of the samples from the observation, in standard deviations of its noise.
///
///   √(mean_np (y_p − A(x_n)_p)²) / σ_y
///
/// Its square is 1 in the mean over cases where the samples are the posterior's, for any N: truth and samples are then
/// exchangeable given y, and the truth's residual is the noise. Below 1 the samples fit the noise.
///
/// Shapes: `predicted` A(x) without noise [N, P], `y` `[P]`.
/// Units: all in the observation's unit, the result has none.
/// Errors: shapes that disagree, nothing observed, no samples, a number that is not finite, a `noise_std` that is not
/// positive.
pub fn residual_over_noise(
    predicted: &ArrayRef2<f64>,
    y: &ArrayRef1<f64>,
    noise_std: f64,
) -> Result<f64, EvaluationError> {
    let ensemble = Ensemble::new(RESIDUAL, 1, predicted, y)?;
    check_noise(RESIDUAL, noise_std)?;
    let count = predicted.len() as f64;
    let squares = ensemble.map(|_, x, y| x.iter().map(|x| (y - x).powi(2)).sum::<f64>());
    Ok((squares.iter().sum::<f64>() / count).sqrt() / noise_std)
}

fn check_noise(metric: &'static str, noise_std: f64) -> Result<(), EvaluationError> {
    if noise_std > 0.0 && noise_std.is_finite() {
        Ok(())
    } else {
        Err(EvaluationError::Noise { metric, noise_std })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{array, s};
    use sda_core::Stream;

    use super::*;

    #[test]
    fn small_case_by_hand_in_any_rotation() {
        let predicted = array![[2.0, 5.0], [0.0, 5.0], [1.0, 7.0], [1.0, 3.0]];
        let y = array![2.0, 8.0];
        // Mean (1, 5), covariance diag(2/3, 8/3), innovation (1, 3); S = diag(1, 3).
        let noise_std = f64::sqrt(1.0 / 3.0);
        for angle in [0.0, 0.3, 2.0f64] {
            let rotation = array![[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]];
            let got =
                innovation_chi_squared(&predicted.dot(&rotation), &y.dot(&rotation), noise_std).unwrap();
            assert!((got - 2.0).abs() < 1e-13, "{got} at {angle}");
        }
    }

    /// Mean over cases of y = x + σ_y ε against N predictions of the law of x, correlated over P = 3 numbers.
    fn mean_of_cases(n: usize, spread: f64, noise_std: f64) -> f64 {
        let (p, cases) = (3, 40_000);
        let mixing = array![[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.5, 0.7]] * spread;
        let mut draws = Array2::zeros((n + 2, p));
        let mut total = 0.0;
        for case in 0..cases {
            Stream::new(3, 0).fill_normal(case, 0, p, draws.as_slice_mut().unwrap());
            let x = draws.dot(&mixing.t());
            let y = &x.row(0) + &(&draws.row(1) * noise_std);
            total += innovation_chi_squared(&x.slice(s![2.., ..]), &y, noise_std).unwrap();
        }
        total / f64::from(cases)
    }

    /// Without noise the statistic is Hotelling's: 21/20 · 19/15 = 1.33, and 1.267 without the error of the mean.
    #[test]
    fn consistent_forecasts_meet_hotellings_expectation() {
        let got = mean_of_cases(20, 1.0, 1e-3);
        assert!((got - 21.0 * 19.0 / (20.0 * 15.0)).abs() < 0.02, "{got}");
    }

    /// Standard error √(2/3/40 000) = 0.004.
    #[test]
    fn large_noise_or_many_samples_give_one() {
        let noisy = mean_of_cases(8, 0.05, 1.0);
        assert!((noisy - 1.0).abs() < 0.014, "{noisy}");
        let many = mean_of_cases(400, 1.0, 1.0);
        assert!((many - 1.0).abs() < 0.018, "{many}");
    }

    /// Fewer samples than numbers: the direction without spread is weighted by the noise alone.
    #[test]
    fn directions_without_samples_count_as_certain() {
        let predicted = array![[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]];
        let got = innovation_chi_squared(&predicted, &array![0.0, 0.0, 1.0], 0.1).unwrap();
        assert!((got - 100.0 / 3.0).abs() < 1e-10, "{got}");
    }

    #[test]
    fn residuals_by_hand() {
        let got = residual_over_noise(&array![[0.0, 1.0], [2.0, 4.0]], &array![1.0, 1.0], 0.5).unwrap();
        // Residuals 1, 0, −1, −3.
        assert!((got - f64::sqrt(11.0 / 4.0) / 0.5).abs() < 1e-15);
    }

    /// x uniform on 0, 1, 2 and noise on −1, 0, 1: the posterior of y is every x within 1, each equally likely.
    #[test]
    fn residuals_of_the_posterior_are_the_noise() {
        let noise_std = f64::sqrt(2.0 / 3.0);
        let mut mean_square = 0.0;
        for y in -1..=3 {
            let posterior: Vec<f64> = (0..3).filter(|x| i32::abs(y - x) <= 1).map(f64::from).collect();
            let weight = posterior.len() as f64 / 9.0;
            let predicted = Array2::from_shape_vec((posterior.len(), 1), posterior).unwrap();
            let got = residual_over_noise(&predicted, &array![f64::from(y)], noise_std).unwrap();
            mean_square += weight * got.powi(2);
        }
        assert!((mean_square - 1.0).abs() < 1e-14);
    }

    #[test]
    fn what_cannot_be_judged_is_an_error() {
        let (x, y) = (array![[0.0, 1.0], [1.0, 2.0]], array![0.0, 0.0]);
        for noise_std in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(matches!(innovation_chi_squared(&x, &y, noise_std), Err(EvaluationError::Noise { .. })));
            assert!(matches!(residual_over_noise(&x, &y, noise_std), Err(EvaluationError::Noise { .. })));
        }
        assert!(matches!(
            innovation_chi_squared(&array![[0.0, 1.0]], &y, 1.0),
            Err(EvaluationError::TooFew { found: 1, least: 2, .. })
        ));
        assert!(matches!(residual_over_noise(&x, &array![0.0], 1.0), Err(EvaluationError::Shapes { .. })));
        // σ_y² is lost beside the spread, which has rank 1.
        let wide = array![[-1e10, -1e10], [1e10, 1e10]];
        let lost = innovation_chi_squared(&wide, &y, 1e-3).unwrap_err();
        assert!(lost.to_string().contains("being unable to find the Cholesky factor"), "{lost}");
    }
}
