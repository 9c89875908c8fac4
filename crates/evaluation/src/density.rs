//! Gaussian log densities of trajectories and observations, constants included.

use ndarray::{Array1, ArrayRef1, ArrayRef2, ArrayRef3, ArrayView2, Axis};

/// log N(residual | 0, std² I).
///
///   −½ Σ_p (r_p / σ)² − P (ln σ + ½ ln 2π)
///
/// Panics: `std` is not positive.
pub fn gaussian_log_density(residuals: impl IntoIterator<Item = f64>, std: f64) -> f64 {
    assert!(std > 0.0, "a Gaussian of standard deviation {std}");
    let constant = std.ln() + 0.5 * std::f64::consts::TAU.ln();
    residuals.into_iter().map(|r| -0.5 * (r / std).powi(2) - constant).sum()
}

/// log p(y | x_n) = log N(y | A(x_n), σ² I) of every sample.
///
/// Shapes: `predicted` A(x) [N, P], `y` [P], result [N].
/// Units: all in the observation's unit.
/// Panics: the shapes differ, or `noise_std` is not positive.
pub fn log_likelihood(predicted: &ArrayRef2<f64>, y: &ArrayRef1<f64>, noise_std: f64) -> Array1<f64> {
    assert_eq!(
        predicted.ncols(),
        y.len(),
        "predictions of shape {:?} for {} observed",
        predicted.shape(),
        y.len()
    );
    predicted
        .outer_iter()
        .map(|predicted| gaussian_log_density(predicted.iter().zip(y).map(|(a, y)| y - a), noise_std))
        .collect()
}

/// log p(x_{2:L} | x_1) of every trajectory of a chain with additive Gaussian noise.
///
///   Σ_{i ≥ 2} log N(x_i | m(x_{i−1}), diag(std²))
///
/// Shapes: `trajectories` [N, L, D]; `means` [N, L − 1, D], m of all states but the last; `std` [D]; result [N].
/// Units: physical, since the density depends on them.
/// Panics: the shapes disagree, or a `std` is not positive.
pub fn log_chain(trajectories: &ArrayRef3<f64>, means: &ArrayRef3<f64>, std: &ArrayRef1<f64>) -> Array1<f64> {
    let (n, l, d) = trajectories.dim();
    let want = (n, l.saturating_sub(1), d);
    assert_eq!(means.dim(), want, "transition means for trajectories of shape {:?}", trajectories.shape());
    assert_eq!(std.len(), d, "noise of {} components for states of {d}", std.len());
    let next = trajectories.slice_axis(Axis(1), (l.min(1)..l).into());
    let of_one = |(next, means): (ArrayView2<'_, f64>, ArrayView2<'_, f64>)| -> f64 {
        next.indexed_iter().map(|((i, c), x)| gaussian_log_density([x - means[[i, c]]], std[c])).sum()
    };
    next.outer_iter().zip(means.outer_iter()).map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, Array2, array, s};
    use sda_systems::{SystemConfig, log_trajectory, transition_means};

    use super::*;
    use crate::reference::{Case, assert_close};

    #[test]
    fn reference_case() {
        let case = Case::read("metrics_lorenz_density");
        let x = case.tensor("in.x").into_dimensionality::<ndarray::Ix3>().unwrap();
        let system = SystemConfig::lorenz63().build().unwrap();
        let (n, l, d) = x.dim();
        let from = x.slice(s![.., ..l - 1, ..]).to_owned().into_shape_with_order((n * (l - 1), d)).unwrap();
        let means = transition_means(&*system, &from).into_shape_with_order((n, l - 1, d)).unwrap();
        let std = Array::from_elem(3, 0.025f64.sqrt());
        let log_prior = log_chain(&x, &means, &std);
        assert_close(&log_prior, &case.vector("out.log_prior"), 1e-6);
        assert_close(&log_prior, &log_trajectory(&*system, &x).unwrap(), 1e-13);
        let predicted: Array2<f64> = x.slice(s![.., ..;4, 0]).to_owned() / 8.0;
        let log_y = log_likelihood(&predicted, &case.vector("in.y"), 0.05);
        assert_close(&log_y, &case.vector("out.log_likelihood"), 1e-6);
    }

    #[test]
    fn densities_integrate_to_one() {
        let step = 1e-3;
        let total: f64 =
            (-8000..8000).map(|i| gaussian_log_density([f64::from(i) * step], 0.7).exp() * step).sum();
        assert!((total - 1.0).abs() < 1e-10);
    }

    #[test]
    fn a_single_state_has_density_one() {
        let x = Array::zeros((2, 1, 3));
        let means = Array::zeros((2, 0, 3));
        assert_eq!(log_chain(&x, &means, &array![1.0, 1.0, 1.0]), array![0.0, 0.0]);
    }
}
