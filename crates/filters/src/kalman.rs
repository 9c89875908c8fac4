//! The Kalman filter for linear Gaussian chains.
//!
//! Source: Kalman 1960, "A new approach to linear filtering and prediction problems".

use ndarray::{Array1, Array2, ArrayRef1};
use sda_core::linalg::{LinalgError, log_det_spd, solve_spd};
use sda_systems::LinearGaussian;

use crate::error::FilterError;
use crate::observation::{LinearOperator, Observations, StateOperator};

/// Means and covariances of p(x_i | y up to i) and p(x_i | y before i).
#[derive(Clone, Debug)]
pub struct Filtered {
    /// E[x_i | y_{≤ i}], L of [D].
    pub means: Vec<Array1<f64>>,
    /// Cov[x_i | y_{≤ i}], L of [D, D].
    pub covariances: Vec<Array2<f64>>,
    /// E[x_i | y_{< i}], L of [D].
    pub predicted_means: Vec<Array1<f64>>,
    /// Cov[x_i | y_{< i}], L of [D, D].
    pub predicted_covariances: Vec<Array2<f64>>,
    /// log p(y).
    pub log_evidence: f64,
}

/// Filters `steps` states of a linear Gaussian chain. For a burn-in, see [`LinearGaussian::after`].
///
///   S = H P Hᵀ + σ² I, K = P Hᵀ S⁻¹, m ← m + K (y − H m − c), P ← (I − K H) P (I − K H)ᵀ + σ² K Kᵀ
///
/// Errors: observations after the last state; a covariance that is not positive definite.
/// Panics: the operator does not fit the chain or the observations.
pub fn kalman_filter(
    chain: &LinearGaussian,
    steps: usize,
    observations: &Observations,
    operator: &LinearOperator,
) -> Result<Filtered, FilterError> {
    let d = chain.initial_mean.len();
    assert_eq!(
        operator.matrix.ncols(),
        d,
        "an operator of shape {:?} for states of {d}",
        operator.matrix.shape()
    );
    observations.check(steps, operator.observed_dim())?;
    let mut filtered = Filtered {
        means: vec![],
        covariances: vec![],
        predicted_means: vec![],
        predicted_covariances: vec![],
        log_evidence: 0.0,
    };
    let (mut mean, mut covariance) = (chain.initial_mean.clone(), chain.initial_covariance.clone());
    for step in 0..steps {
        if step > 0 {
            mean = chain.transition.dot(&mean) + &chain.offset;
            covariance =
                chain.transition.dot(&covariance).dot(&chain.transition.t()) + &chain.noise_covariance;
        }
        filtered.predicted_means.push(mean.clone());
        filtered.predicted_covariances.push(covariance.clone());
        if let Some(k) = observations.at(step) {
            let y = observations.values().row(k);
            let log = update(&mut mean, &mut covariance, &y, observations.noise_std(), operator)
                .map_err(|source| FilterError::Singular { step, source })?;
            filtered.log_evidence += log;
        }
        filtered.means.push(mean.clone());
        filtered.covariances.push(covariance.clone());
    }
    Ok(filtered)
}

/// Conditions N(mean, covariance) on one observation, in Joseph's form; returns log p(y).
fn update(
    mean: &mut Array1<f64>,
    covariance: &mut Array2<f64>,
    y: &ArrayRef1<f64>,
    noise_std: f64,
    operator: &LinearOperator,
) -> Result<f64, LinalgError> {
    let h = &operator.matrix;
    let (p, variance) = (y.len(), noise_std * noise_std);
    let innovation = y.to_owned() - h.dot(mean) - &operator.offset;
    let innovation_covariance = h.dot(covariance).dot(&h.t()) + Array2::<f64>::eye(p) * variance;
    let gain = solve_spd(&innovation_covariance, &h.dot(covariance))?.t().to_owned();
    let misfit = innovation.dot(&solve_spd(&innovation_covariance, &innovation)?);
    let log_det = log_det_spd(&innovation_covariance)?;
    *mean += &gain.dot(&innovation);
    let rest = Array2::<f64>::eye(mean.len()) - gain.dot(h);
    *covariance = symmetric(&(rest.dot(covariance).dot(&rest.t()) + gain.dot(&gain.t()) * variance));
    Ok(-0.5 * (misfit + log_det + p as f64 * std::f64::consts::TAU.ln()))
}

/// (A + Aᵀ)/2.
pub(crate) fn symmetric(a: &Array2<f64>) -> Array2<f64> {
    (a + &a.t()) * 0.5
}
