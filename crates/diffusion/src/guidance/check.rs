//! What a guidance can't serve.

use ndarray::Array1;

use super::{Guidance, OBSERVATION, Place, Posterior, PriorCovariance};
use crate::error::DiffusionError;
use crate::predictor::NoisePredictor;

impl<P: NoisePredictor> Posterior<P> {
    pub(super) fn check_prior(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        if self.prior.conditions(shape).iter().all(|(name, _)| name != OBSERVATION) {
            return Ok(());
        }
        Err(DiffusionError::Guidance {
            reason: "the prior has an observation already, which this one would take the place of; see both by one \
                     `Stack` of operators"
                .into(),
        })
    }

    pub(super) fn check_place(&self) -> Result<(), DiffusionError> {
        let refuse = |reason: &'static str| Err(DiffusionError::Guidance { reason: reason.into() });
        match (self.place, &self.guidance) {
            (Place::Windowed, Guidance::SdaSpectral { .. }) => refuse(
                "spectral SDA guidance sees all observed states at once; choose `place: Composed`, or a γ per variable",
            ),
            (Place::Windowed, _) if self.observation.operator.on_each_state().is_none() => refuse(
                "the operator ties states together, which windows see one by one; choose `place: Composed`",
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn check_guidance(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let refuse = |reason: String| Err(DiffusionError::Guidance { reason });
        let values = self.observation.values.shape();
        self.check_values(shape)?;
        let ignores_jacobian =
            matches!(self.guidance, Guidance::Sda { detach: true, .. } | Guidance::Jfps { .. });
        if ignores_jacobian && !self.prior.known_states().is_empty() {
            return refuse(
                "detached SDA guidance and JFPS would move states that are known; choose MMPS, TMPD or SDA"
                    .into(),
            );
        }
        let is_noiseless = self.observation.noise_std == 0.0;
        match &self.guidance {
            Guidance::Sda { gamma, .. } if *gamma == 0.0 && is_noiseless => refuse(
                "SDA guidance with γ = 0 divides by the observation's noise, which is 0; choose γ > 0, or MMPS".into(),
            ),
            Guidance::SdaPerVariable { gamma } | Guidance::SdaSpectral { gamma }
                if is_noiseless && gamma.contains(&0.0) =>
            {
                refuse("SDA guidance with a γ of 0 divides by the observation's noise, which is 0; choose γ > 0, or MMPS".into())
            }
            Guidance::SdaPerVariable { gamma } => {
                let variables = values.last().copied().unwrap_or(1);
                if gamma.len() == variables {
                    return Ok(());
                }
                refuse(format!("SDA guidance has {} γ for {variables} observed variables; give one of each", gamma.len()))
            }
            Guidance::SdaSpectral { gamma } => {
                let states = self.observation.operator.states(shape[1]).len();
                if gamma.len() == states && values.first() == Some(&states) {
                    return Ok(());
                }
                refuse(format!(
                    "spectral SDA guidance has {} γ, and there are {states} observed states; give one of each cosine mode",
                    gamma.len()
                ))
            }
            Guidance::Tmpd if is_noiseless => refuse(
                "TMPD divides by the observation's noise, which is 0, where it sees nothing; give it a noise, or choose MMPS"
                    .into(),
            ),
            Guidance::Jfps { .. } => self.check_covariance(shape),
            _ => Ok(()),
        }
    }

    /// What was seen of each sample, and which of it.
    fn check_values(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let refuse = |reason: String| Err(DiffusionError::Guidance { reason });
        if let Some(each) = &self.each {
            let (found, expected) = (each.shape(), self.observed_shape(shape[0]));
            if found != expected {
                return refuse(format!(
                    "observations of each sample have shape {found:?}, and {expected:?} belong"
                ));
            }
            if let Some(value) = each.iter().find(|value| !value.is_finite()) {
                return refuse(format!(
                    "an observation of some sample is {value}; write 0 where nothing was seen, and say so in `seen`"
                ));
            }
        }
        let Some(seen) = &self.seen else { return Ok(()) };
        let (found, values) = (seen.shape(), self.observation.values.shape());
        if found != values {
            return refuse(format!("what was seen is told in shape {found:?}, and {values:?} was observed"));
        }
        match seen.iter().find(|&&seen| seen != 0.0 && seen != 1.0) {
            None => Ok(()),
            Some(value) => refuse(format!("what was seen is told by {value}; 1 is seen, 0 is not")),
        }
    }

    fn check_covariance(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let refuse = |reason: String| Err(DiffusionError::Guidance { reason });
        let states = self.covariance_states(shape[1]);
        let numbers = states * shape[2..].iter().product::<usize>();
        let Some(covariance) = &self.covariance else {
            return refuse(format!(
                "JFPS guidance needs the data's covariance over {states} states; estimate it first"
            ));
        };
        let found = match &covariance.modes {
            None => covariance.variances.len(),
            Some((basis, _)) => basis.nrows(),
        };
        if found != numbers {
            return refuse(format!(
                "the data's covariance has {found} rows, and the {states} states have {numbers} numbers"
            ));
        }
        check_parts(covariance)
    }
}

/// Whether a covariance's modes and variances belong together and are of a covariance.
fn check_parts(covariance: &PriorCovariance) -> Result<(), DiffusionError> {
    let refuse = |reason: String| Err(DiffusionError::Guidance { reason });
    let PriorCovariance { variances, modes } = covariance;
    let none = Array1::zeros(0);
    let of_modes = match modes {
        None => &none,
        Some((basis, values)) if variances.len() == 1 && basis.ncols() == values.len() => values,
        Some((basis, values)) => {
            return refuse(format!(
                "the data's covariance has {} modes of {} variances and {} of the rest; a variance of each mode and one of \
                 the rest belong",
                basis.ncols(),
                values.len(),
                variances.len()
            ));
        }
    };
    match variances.iter().chain(of_modes).find(|v| !(**v >= 0.0 && v.is_finite())) {
        None => Ok(()),
        Some(v) => refuse(format!("the data's covariance has a variance of {v}; none may be below 0")),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayD, array};
    use sda_observe::{Observation, Operator};

    use super::*;
    use crate::gaussian::GaussianScore;
    use crate::guidance::CovarianceForm;

    const SHAPE: [usize; 3] = [3, 2, 1];

    fn prior() -> GaussianScore {
        GaussianScore::new(array![0.4, -0.2], &array![[0.8, 0.6], [0.6, 1.2]]).unwrap()
    }

    fn observation() -> Observation {
        Observation::new(Operator::Identity, ArrayD::from_elem(vec![2, 1], 1.1), 0.3).unwrap()
    }

    fn posterior() -> Posterior<GaussianScore> {
        Posterior::new(prior(), observation(), Guidance::mmps(1))
    }

    #[track_caller]
    fn refused<P: NoisePredictor>(posterior: &Posterior<P>, word: &str) {
        let message = posterior.check(&SHAPE).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }

    #[test]
    fn a_posterior_of_a_posterior_is_refused() {
        refused(&Posterior::new(posterior(), observation(), Guidance::mmps(1)), "one `Stack` of operators");
    }

    #[test]
    fn what_each_sample_sees_is_finite_and_seen_or_not() {
        let with = |each: f64, seen: f64| Posterior {
            each: Some(ArrayD::from_elem(vec![3, 2, 1], each)),
            seen: Some(ArrayD::from_elem(vec![2, 1], seen)),
            ..posterior()
        };
        for seen in [0.0, 1.0] {
            with(0.3, seen).check(&SHAPE).unwrap();
        }
        refused(&with(f64::NAN, 0.0), "write 0 where nothing was seen");
        refused(&with(0.3, 0.5), "told by 0.5");
        refused(&with(0.3, f64::NAN), "told by NaN");
        let short = Posterior { each: Some(ArrayD::zeros(vec![2, 2, 1])), ..posterior() };
        refused(&short, "[3, 2, 1] belong");
        let short = Posterior { seen: Some(ArrayD::zeros(vec![1, 1])), ..posterior() };
        refused(&short, "[2, 1] was observed");
    }

    #[test]
    fn a_covariance_has_variances_and_one_of_each_mode() {
        let guidance = Guidance::Jfps { covariance: CovarianceForm::Diagonal, iterations: 1 };
        let with = |variances: &[f64], modes: Option<(Array2<f64>, Array1<f64>)>| Posterior {
            covariance: Some(PriorCovariance { variances: Array1::from(variances.to_vec()), modes }),
            guidance: guidance.clone(),
            ..posterior()
        };
        let modes = || Some((Array2::eye(2), array![0.5, 2.0]));
        with(&[1.0, 0.0], None).check(&SHAPE).unwrap();
        with(&[1.0], modes()).check(&SHAPE).unwrap();
        refused(&with(&[1.0], None), "has 1 rows");
        refused(&with(&[1.0, -0.5], None), "a variance of -0.5");
        refused(&with(&[f64::NAN], modes()), "a variance of NaN");
        refused(&with(&[1.0, 1.0], modes()), "2 modes of 2 variances and 2 of the rest");
        refused(&with(&[1.0], Some((Array2::eye(2), array![0.5]))), "2 modes of 1 variances");
        refused(&with(&[1.0], Some((Array2::eye(2), array![0.5, -1.0]))), "a variance of -1");
    }

    #[test]
    fn a_covariance_that_is_no_number_has_no_form() {
        let forms =
            [CovarianceForm::Diagonal, CovarianceForm::Stationary, CovarianceForm::LowRank { modes: 1 }];
        for form in forms {
            let one = PriorCovariance::estimate(&array![[0.3, 0.1]], form, 2);
            assert!(one.is_err(), "{form:?} of one sample");
            let missing = PriorCovariance::estimate(&array![[0.3, 0.1], [0.2, f64::NAN]], form, 2);
            assert!(missing.is_err(), "{form:?} with a NaN");
        }
    }
}
