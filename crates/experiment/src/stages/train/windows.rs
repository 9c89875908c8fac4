//! Windows of states for training, validation and covariances.

use super::STAGE;
use crate::error::ExperimentError;
use crate::run::Run;
use sda_core::Stream;
use sda_data::TrajectoryStore;
use std::ops::Range;

/// Streams of the order of trajectories and of the windows' starts.
const ORDER: u32 = 0x0500;
const STARTS: u32 = 0x0501;

/// Random windows of the store, normalised.
pub(crate) struct Windows<'a> {
    store: &'a TrajectoryStore,
    pub(crate) training: Range<usize>,
    validation: Range<usize>,
    states: usize,
    /// Places in a trajectory where a window may start.
    starts_free: u32,
    state_dim: usize,
    offset: Vec<f32>,
    scale: Vec<f32>,
    order: Stream,
    starts: Stream,
}

impl<'a> Windows<'a> {
    /// Windows of the network's number of states.
    ///
    /// Errors: as [`Windows::of`].
    pub(super) fn new(run: &Run, store: &'a TrajectoryStore) -> Result<Self, ExperimentError> {
        Self::of(run, store, run.loaded.experiment.score.window())
    }

    /// Windows of another number of states than the network's.
    ///
    /// Errors: trajectories are shorter than these states.
    pub(crate) fn of(run: &Run, store: &'a TrajectoryStore, states: usize) -> Result<Self, ExperimentError> {
        let split = &store.description().split;
        let normalisation = run.system.normalisation();
        let seed = run.loaded.experiment.seed;
        Ok(Self {
            store,
            training: split.train.clone(),
            validation: split.validation.clone(),
            states,
            starts_free: starts_free(store.layout().length, states)?,
            state_dim: run.system.state_dim(),
            offset: normalisation.offset.iter().map(|&x| x as f32).collect(),
            scale: normalisation.scale.iter().map(|&x| x as f32).collect(),
            order: Stream::new(seed, ORDER),
            starts: Stream::new(seed, STARTS),
        })
    }

    /// Numbers of one window.
    pub(crate) fn window_len(&self) -> usize {
        self.states * self.state_dim
    }

    /// One random window of every training trajectory, in random order: a function of (seed, epoch).
    pub(crate) fn epoch(
        &self,
        epoch: usize,
        batch: usize,
    ) -> impl Iterator<Item = Result<Vec<f32>, ExperimentError>> {
        let mut trajectories: Vec<usize> = self.training.clone().collect();
        self.order.sequence(epoch as u32, 0).shuffle(&mut trajectories);
        self.batches(trajectories, epoch as u32 + 1, batch)
    }

    /// One window of every validation trajectory, the same each time.
    pub(super) fn held_out(&self, batch: usize) -> impl Iterator<Item = Result<Vec<f32>, ExperimentError>> {
        self.batches(self.validation.clone().collect(), 0, batch)
    }

    fn batches(
        &self,
        trajectories: Vec<usize>,
        step: u32,
        batch: usize,
    ) -> impl Iterator<Item = Result<Vec<f32>, ExperimentError>> {
        let mut random = self.starts.sequence(step, 0);
        let places: Vec<(usize, usize)> =
            trajectories.into_iter().map(|t| (t, random.below(self.starts_free) as usize)).collect();
        let batches: Vec<Vec<(usize, usize)>> = places.chunks(batch).map(<[_]>::to_vec).collect();
        batches.into_iter().map(move |places| self.read(&places))
    }

    fn read(&self, places: &[(usize, usize)]) -> Result<Vec<f32>, ExperimentError> {
        let mut values = vec![0.0; places.len() * self.window_len()];
        self.store.windows(places, self.states, &mut values).map_err(ExperimentError::stage(STAGE))?;
        for state in values.chunks_exact_mut(self.offset.len()) {
            for ((x, offset), scale) in state.iter_mut().zip(&self.offset).zip(&self.scale) {
                *x = (*x - offset) / scale;
            }
        }
        Ok(values)
    }
}

/// Places where a window of these states may start in a trajectory of `length`.
///
/// Errors: there are none.
fn starts_free(length: usize, states: usize) -> Result<u32, ExperimentError> {
    let last = length.checked_sub(states).ok_or_else(|| ExperimentError::Stage {
        stage: STAGE,
        reason: format!("windows of {states} states are longer than the data's {length}; raise data.steps"),
    })?;
    Ok(last as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_longer_than_the_data_are_an_error() {
        assert_eq!([starts_free(12, 12).unwrap(), starts_free(12, 5).unwrap()], [1, 8]);
        let message = starts_free(12, 13).unwrap_err().to_string();
        assert!(message.contains("13 states are longer than the data's 12"), "{message}");
    }
}
