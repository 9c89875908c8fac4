//! Chains whose posterior is a closed form.

use ndarray::{Array1, Array2, ArrayD};
use sda_core::linalg::solve;
use sda_observe::{Observation, Operator};
use sda_systems::{Ar1Rotation, LinearGaussian, System};

use crate::error::VerifyError;

/// What is seen of the chain, and how well.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Short name, as in a table.
    pub name: &'static str,
    /// A, linear and state by state.
    pub operator: Operator,
    /// σ_y.
    pub noise_std: f64,
}

impl Seen {
    /// The first component of every 8th state with noise 0.05: few and good.
    pub fn lo() -> Self {
        let operator = Operator::Compose(vec![Operator::EveryNth(8), Operator::Components(vec![0])]);
        Self { name: "lo", operator, noise_std: 0.05 }
    }

    /// The first component of every state with noise 0.25: many and bad.
    pub fn hi() -> Self {
        Self { name: "hi", operator: Operator::Components(vec![0]), noise_std: 0.25 }
    }
}

/// L states of a linear Gaussian chain, what is seen of them, and the exact posterior.
///
///   x ~ N(m, C), y = A x + N(0, σ_y² I):  p(x | y) = N(m + K (y − A m), C − K A C),  K = C Aᵀ (A C Aᵀ + σ_y² I)⁻¹
///
/// Shapes: M = L · D numbers of a trajectory, P observed.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The dynamics.
    pub dynamics: LinearGaussian,
    /// L.
    pub length: usize,
    /// D.
    pub dim: usize,
    /// What is seen.
    pub seen: Seen,
    /// m [M].
    pub mean: Array1<f64>,
    /// C [M, M].
    pub covariance: Array2<f64>,
    /// A [P, M].
    pub operator: Array2<f64>,
    /// A C Aᵀ + σ_y² I [P, P].
    pub observation_covariance: Array2<f64>,
    /// K [M, P].
    pub gain: Array2<f64>,
    /// C − K A C [M, M].
    pub posterior_covariance: Array2<f64>,
}

impl Chain {
    /// Errors: the observation's covariance is singular.
    /// Panics: the operator is not linear state by state, or adds a constant.
    #[track_caller]
    pub fn new(dynamics: LinearGaussian, length: usize, seen: Seen) -> Result<Self, VerifyError> {
        let dim = dynamics.initial_mean.len();
        let (mean, covariance) = (dynamics.trajectory_mean(length), dynamics.trajectory_covariance(length));
        let part = seen.operator.per_state(length, dim).expect("an operator that is linear state by state");
        let is_linear = part.pointwise.is_empty() && part.offset.iter().all(|&c| c == 0.0);
        assert!(is_linear, "verify a chain: {:?} is not linear; observe y = H x", seen.operator);
        let p = part.matrix.nrows();
        let mut operator = Array2::zeros((part.steps.len() * p, length * dim));
        for (k, &step) in part.steps.iter().enumerate() {
            for ((i, j), &value) in part.matrix.indexed_iter() {
                operator[[k * p + i, step * dim + j]] = value;
            }
        }
        let noise = Array2::<f64>::eye(operator.nrows()) * seen.noise_std.powi(2);
        let observation_covariance = operator.dot(&covariance).dot(&operator.t()) + noise;
        let gain = solve(&observation_covariance, &operator.dot(&covariance))?.reversed_axes();
        let posterior_covariance = &covariance - &gain.dot(&operator).dot(&covariance);
        Ok(Self {
            dynamics,
            length,
            dim,
            seen,
            mean,
            covariance,
            operator,
            observation_covariance,
            gain,
            posterior_covariance,
        })
    }

    /// The rotating AR(1) of the table: ρ 0.995, a turn in 30 steps, stationary covariance I, 65 states.
    ///
    /// Errors: as [`Chain::new`].
    /// Panics: never, with these constants.
    pub fn rotation(seen: Seen) -> Result<Self, VerifyError> {
        let system = Ar1Rotation::new(0.995, 30.0).expect("ρ below 1 and a period");
        Self::new(system.linear_gaussian().expect("linear and Gaussian"), 65, seen)
    }

    /// M = L · D.
    pub fn numbers(&self) -> usize {
        self.mean.len()
    }

    /// P.
    pub fn observed(&self) -> usize {
        self.operator.nrows()
    }

    /// The observation as the guidance takes it, with y = 0.
    ///
    /// Errors: the operator does not apply.
    pub fn observation(&self) -> Result<Observation, VerifyError> {
        let shape = self.seen.operator.output_shape(&[1, self.length, self.dim])?;
        Ok(Observation::new(
            self.seen.operator.clone(),
            ArrayD::zeros(shape[1..].to_vec()),
            self.seen.noise_std,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closed form would be that of another observation than the sampler's.
    #[test]
    fn what_is_not_linear_has_no_closed_form() {
        for part in [Operator::Arctan, Operator::Saturate, Operator::Affine { scale: 1.0, offset: 0.5 }] {
            let operator = Operator::Compose(vec![Operator::Components(vec![0]), part]);
            let seen = Seen { operator, ..Seen::hi() };
            let panic = std::panic::catch_unwind(|| Chain::rotation(seen).map(|_| ())).unwrap_err();
            let told = panic.downcast_ref::<String>().unwrap();
            assert!(told.contains("is not linear; observe y = H x"), "{told}");
        }
        let doubled = Operator::Affine { scale: 2.0, offset: 0.0 };
        let operator = Operator::Compose(vec![Operator::Components(vec![0]), doubled]);
        let chain = Chain::rotation(Seen { operator, ..Seen::hi() }).unwrap();
        assert_eq!(chain.operator.row(1).to_vec()[..4], [0.0, 0.0, 2.0, 0.0]);
    }
}
