//! The data's covariance, for guidance that asks for it.

use super::train::Windows;
use crate::error::ExperimentError;
use crate::run::Run;
use ndarray::Array2;
use sda_data::TrajectoryStore;
use sda_diffusion::{CovarianceForm, Guidance, NoisePredictor, Posterior, PriorCovariance};

const STAGE: &str = "assimilate";
/// Windows for each number of a window: the covariance's relative error is √(1/100) in each direction.
const WINDOWS_A_NUMBER: usize = 100;

/// Gives a posterior of so many states, guided by JFPS, the covariance of training trajectories, normalised: of as many
/// states as it takes.
///
/// Errors: trajectories shorter than these states; a covariance without eigenvalues.
pub(crate) fn give<P: NoisePredictor>(
    posterior: &mut Posterior<P>,
    run: &Run,
    store: &TrajectoryStore,
    length: usize,
) -> Result<(), ExperimentError> {
    if let Guidance::Jfps { covariance, .. } = posterior.guidance {
        let states = posterior.covariance_states(length);
        posterior.covariance = Some(estimate(run, store, states, covariance)?);
    }
    Ok(())
}

/// From random windows, one of each training trajectory and again, until there are enough.
fn estimate(
    run: &Run,
    store: &TrajectoryStore,
    states: usize,
    form: CovarianceForm,
) -> Result<PriorCovariance, ExperimentError> {
    let windows = Windows::of(run, store, states);
    let numbers = windows.window_len();
    let mut values = Vec::new();
    let mut pass = 0;
    while values.len() < WINDOWS_A_NUMBER * numbers * numbers {
        for batch in windows.epoch(pass, windows.training.len()) {
            values.extend(batch?.into_iter().map(f64::from));
        }
        pass += 1;
    }
    let samples = Array2::from_shape_vec((values.len() / numbers, numbers), values)
        .map_err(ExperimentError::stage(STAGE))?;
    PriorCovariance::estimate(&samples, form, states).map_err(ExperimentError::stage(STAGE))
}
