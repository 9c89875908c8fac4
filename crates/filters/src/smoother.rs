//! The Rauch–Tung–Striebel smoother, with the joint posterior of the whole trajectory.
//!
//! Source: Rauch, Tung & Striebel 1965, "Maximum likelihood estimates of linear dynamic systems".

use ndarray::{Array1, Array2, Axis};
use sda_core::linalg::solve_spd;
use sda_systems::LinearGaussian;

use crate::error::FilterError;
use crate::kalman::{Filtered, symmetric};

/// The exact posterior p(x_1 … x_L | y) of a linear Gaussian chain.
#[derive(Clone, Debug)]
pub struct Smoothed {
    /// E[x_i | y], L of [D].
    pub means: Vec<Array1<f64>>,
    /// Cov[x_i | y], L of [D, D].
    pub covariances: Vec<Array2<f64>>,
    /// G_i = Cov[x_i, x_{i+1} | y] Cov[x_{i+1} | y]⁻¹, L − 1 of [D, D].
    pub gains: Vec<Array2<f64>>,
}

/// Smooths what the Kalman filter left, from the last state to the first.
///
///   G_i = P_i Aᵀ (P_{i+1}⁻)⁻¹, m_i ← m_i + G_i (m_{i+1} − m_{i+1}⁻), P_i ← P_i + G_i (P_{i+1} − P_{i+1}⁻) G_iᵀ
///
/// Errors: a predicted covariance is not positive definite.
pub fn rts_smoother(chain: &LinearGaussian, filtered: &Filtered) -> Result<Smoothed, FilterError> {
    let last = filtered.means.len() - 1;
    let mut smoothed = Smoothed {
        means: filtered.means.clone(),
        covariances: filtered.covariances.clone(),
        gains: Vec::with_capacity(last),
    };
    for step in (0..last).rev() {
        let predicted = &filtered.predicted_covariances[step + 1];
        let forward = chain.transition.dot(&filtered.covariances[step]);
        let gain = solve_spd(predicted, &forward).map_err(|source| FilterError::Singular { step, source })?;
        let gain = gain.t().to_owned();
        let shift = gain.dot(&(&smoothed.means[step + 1] - &filtered.predicted_means[step + 1]));
        smoothed.means[step] += &shift;
        let spread = gain.dot(&(&smoothed.covariances[step + 1] - predicted)).dot(&gain.t());
        smoothed.covariances[step] = symmetric(&(&smoothed.covariances[step] + &spread));
        smoothed.gains.push(gain);
    }
    smoothed.gains.reverse();
    Ok(smoothed)
}

impl Smoothed {
    /// The posterior mean of the whole trajectory.
    ///
    /// Shapes: result [L, D].
    pub fn mean(&self) -> Array2<f64> {
        let rows: Vec<_> = self.means.iter().map(|mean| mean.view()).collect();
        ndarray::stack(Axis(0), &rows).expect("all states have one dimension")
    }

    /// Cov[x_i, x_j | y] = G_i G_{i+1} … G_{j−1} Cov[x_j | y] for i ≤ j.
    ///
    /// Shapes: result [D, D].
    pub fn cross_covariance(&self, i: usize, j: usize) -> Array2<f64> {
        if i > j {
            return self.cross_covariance(j, i).t().to_owned();
        }
        (i..j).rev().fold(self.covariances[j].clone(), |covariance, step| self.gains[step].dot(&covariance))
    }

    /// The posterior covariance of the whole trajectory, states flattened in order.
    ///
    /// Shapes: result [L·D, L·D].
    pub fn joint_covariance(&self) -> Array2<f64> {
        let (l, d) = (self.means.len(), self.means[0].len());
        let mut joint = Array2::zeros((l * d, l * d));
        for j in 0..l {
            let mut block = self.covariances[j].clone();
            for i in (0..=j).rev() {
                if i < j {
                    block = self.gains[i].dot(&block);
                }
                for ((r, c), &value) in block.indexed_iter() {
                    joint[[i * d + r, j * d + c]] = value;
                    joint[[j * d + c, i * d + r]] = value;
                }
            }
        }
        joint
    }
}
