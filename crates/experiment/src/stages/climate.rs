//! What the system's climate says of an observation, before anything is assimilated.

use super::observe::Observed;
use super::reference::{per_state, predictions};
use crate::error::ExperimentError;
use crate::run::Run;
use ndarray::{Array3, ArrayRef1, ArrayRef2, Axis, Ix2};
use sda_data::TrajectoryStore;
use sda_evaluation::{EvaluationError, innovation_chi_squared};

const STAGE: &str = "evaluate";
/// Training trajectories read at most.
const MOST: usize = 1024;
/// Samples a number observed at once, below which a sampled covariance says little.
const SAMPLES_OF_A_NUMBER: usize = 10;

/// States of training trajectories, an ensemble of the prior; read when they are first asked for.
pub(crate) struct Climate<'a> {
    run: &'a Run,
    store: &'a TrajectoryStore,
    states: Option<Array3<f64>>,
}

impl<'a> Climate<'a> {
    pub(crate) fn new(run: &'a Run, store: &'a TrajectoryStore) -> Self {
        Self { run, store, states: None }
    }

    /// χ² of an observation against the climate's prediction of it, over the observed states.
    ///
    /// It is 1 in the mean where observations are what the data's law and the noise say; of a forecast it says nothing.
    /// None where too few trajectories are there for what is observed of a state.
    pub(crate) fn innovation(&mut self, o: &Observed) -> Result<Option<f64>, ExperimentError> {
        let (observations, operator) = per_state(self.run, o)?;
        let size = MOST.min(self.store.description().split.train.len());
        if !samples_suffice(size, observations.values().ncols()) {
            return Ok(None);
        }
        let predicted = predictions(self.states(size)?, observations.steps(), &operator);
        let chi_squared = innovation_by_state(&predicted, observations.values(), o.config.noise_std);
        chi_squared.map(Some).map_err(ExperimentError::stage(STAGE))
    }

    fn states(&mut self, size: usize) -> Result<&Array3<f64>, ExperimentError> {
        let states = match self.states.take() {
            Some(states) => states,
            None => self.read(size)?,
        };
        Ok(self.states.insert(states))
    }

    /// The first states of each trajectory, as many as any observation is of [N, L, D].
    fn read(&self, size: usize) -> Result<Array3<f64>, ExperimentError> {
        let e = &self.run.loaded.experiment;
        let longest = e.observations.iter().map(|o| e.of(o).assimilation.length).max();
        let (length, dim) = (longest.unwrap_or(e.assimilation.length), self.run.system.state_dim());
        let mut states = Array3::zeros((size, length, dim));
        for (mut states, trajectory) in
            states.outer_iter_mut().zip(self.store.description().split.train.clone())
        {
            let window =
                self.store.read_window(trajectory, 0, length).map_err(ExperimentError::stage(STAGE))?;
            let window = window.mapv(f64::from).into_dimensionality::<Ix2>();
            states.assign(&window.map_err(ExperimentError::stage(STAGE))?);
        }
        Ok(states)
    }
}

/// Whether a covariance that is sampled says enough of what is observed of a state.
pub(super) fn samples_suffice(samples: usize, observed: usize) -> bool {
    samples >= 2.max(SAMPLES_OF_A_NUMBER * observed)
}

/// Mean over the observed states of each one's innovation χ², a state at a time: its few numbers stay far below N.
///
/// Shapes: `predicted` [N, K, P], `y` [K, P].
/// Units: all in the observation's unit, the result has none.
/// Errors: as [`innovation_chi_squared`].
pub(super) fn innovation_by_state(
    predicted: &Array3<f64>,
    y: &ArrayRef2<f64>,
    noise_std: f64,
) -> Result<f64, EvaluationError> {
    let of_state = |k: usize, y: &ArrayRef1<f64>| {
        innovation_chi_squared(&predicted.index_axis(Axis(1), k), y, noise_std)
    };
    let each: Result<Vec<f64>, _> = y.outer_iter().enumerate().map(|(k, y)| of_state(k, &y)).collect();
    Ok(each?.iter().sum::<f64>() / y.len_of(Axis(0)) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use sda_core::Stream;

    /// Predictions of variances 1 and 4 about 0 and 10, at two states.
    fn predicted() -> Array3<f64> {
        let mut draws = Stream::new(11, 0).sequence(0, 0);
        Array3::from_shape_fn((4000, 2, 1), |(_, k, _)| [0.0, 10.0][k] + [1.0, 2.0][k] * draws.normal())
    }

    /// ((1.5)²/(1 + 1) + 4²/(4 + 1))/2, each state by its own variance and with the noise's.
    #[test]
    fn states_are_judged_each_by_its_own_spread() {
        let got = innovation_by_state(&predicted(), &array![[1.5], [14.0]], 1.0).unwrap();
        let want = 0.5 * (1.5f64.powi(2) / 2.0 + 16.0 / 5.0);
        // Sampling errors of mean and variance are 2 % of each term.
        assert!((got / want - 1.0).abs() < 0.06, "{got} for {want}");
        assert!(innovation_by_state(&predicted(), &array![[1.5]], 0.0).is_err());
    }
}
