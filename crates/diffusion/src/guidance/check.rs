//! What a guidance can't serve.

use super::{Guidance, Place, Posterior};
use crate::error::DiffusionError;
use crate::predictor::NoisePredictor;

impl<P: NoisePredictor> Posterior<P> {
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
        if let Some(each) = &self.each {
            let expected = self.observed_shape(shape[0]);
            if each.shape() != expected {
                let found = each.shape();
                return refuse(format!(
                    "observations of each sample have shape {found:?}, and {expected:?} belong"
                ));
            }
        }
        if let Some(seen) = self.seen.as_ref().filter(|seen| seen.shape() != values) {
            let found = seen.shape();
            return refuse(format!("what was seen is told in shape {found:?}, and {values:?} was observed"));
        }
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
        if found == numbers {
            return Ok(());
        }
        refuse(format!(
            "the data's covariance has {found} rows, and the {states} states have {numbers} numbers"
        ))
    }
}
