//! Checks against the dataset.

use super::sizes::numbers;
use super::{LARGEST_COUNT, Problems};
use crate::config::prior::check_posterior;
use crate::config::{Experiment, ObservationConfig, Recipe, ScoreConfig, Settings};
use crate::error::ExperimentError;
use ndarray::ArrayD;
use sda_diffusion::{GlobalScore, Guidance, Levels, NoisePredictor, Posterior};
use sda_nn::Network;
use sda_observe::Observation;
use sda_systems::Dynamics;
use std::path::Path;

const SINGLE: &str = "the particle filter needs an operator that acts on single states: \
    Identity, Components, EveryNth, States, Affine, Saturate, Arctan or a Compose of these";

/// An observation of trajectories [N, L, …] before anything was seen; none where the operator does not apply, which is
/// told on its own.
pub(in crate::config) fn nothing_seen(o: &ObservationConfig, shape: &[usize]) -> Option<Observation> {
    let seen = o.operator.output_shape(shape).ok()?;
    Observation::new(o.operator.clone(), ArrayD::zeros(&seen[1..]), o.noise_std).ok()
}

impl Experiment {
    /// Checks against the dataset.
    ///
    /// Errors: as [`Experiment::validate`].
    pub fn validate_with(&self, recipe: &Recipe, path: &Path) -> Result<(), ExperimentError> {
        let mut p = Problems::default();
        self.check_counts(recipe, &mut p);
        match recipe.system.dynamics() {
            // In a file it is refused with the file's path.
            Err(e) => p.add("the recipe's system", e.to_string()),
            Ok(system) => self.check_system(recipe, &system, &mut p),
        }
        p.finish(path)
    }

    /// Trajectories and their states.
    fn check_counts(&self, recipe: &Recipe, p: &mut Problems) {
        let steps = recipe.steps;
        for (field, length, is_of_data) in self.lengths() {
            let reason = format!("{length} states are longer than the data's {steps}");
            p.that(!is_of_data || length <= steps, &field, reason);
        }
        let window = self.score.window();
        let reason = format!("a window of {window} states is longer than the data's {steps}");
        p.that(window <= steps, "score", reason);
        p.count("data.split", recipe.trajectories());
        p.count("data.steps", steps.saturating_add(recipe.burn_in as usize));
        let (train, validation, test) = recipe.split;
        p.that(train > 0 && validation > 0, "data.split", "needs trajectories to train and to validate");
        let asked = self.assimilation.trajectories;
        let reason = format!("{asked} are asked for, and the data has {test} to test");
        p.that(asked <= test, "assimilation.trajectories", reason);
    }

    fn check_system(&self, recipe: &Recipe, system: &Dynamics, p: &mut Problems) {
        let (d, state) = (system.state_dim(), system.state_shape());
        self.check_network(system, p);
        self.check_operators(recipe, system, p);
        self.check_sizes(p, &state);
        if let Some(modes) = &self.evaluation.modes {
            let reason =
                format!("must be one of the state's {d}, counted from 0, and is {}", modes.component);
            p.that(modes.component < d, "evaluation.modes.component", reason);
        }
        if let Some(prior) = &self.prior {
            let reason = format!("is of fields, and {} has none: leave `prior` out", system.name());
            p.that(system.flow().is_some(), "prior", reason);
            if p.0.is_empty() {
                p.result("prior", self.prior().check(&[&[1, self.drawn(prior).1], &state[..]].concat()));
            }
        }
        // What is too large has no place to be checked in.
        if p.0.is_empty() {
            self.check_posteriors(recipe, &state, p);
            self.check_rollouts_with(&state, p);
        }
        self.check_reference(system, p);
        // What is wrong already would be told again for every candidate.
        if p.0.is_empty() {
            self.check_tuning_with(recipe, &state, p);
        }
    }

    /// Whether the network takes the system's states.
    fn check_network(&self, system: &Dynamics, p: &mut Problems) {
        let (d, state, levels) = (system.state_dim(), system.state_shape(), self.training.levels);
        let (network, window) = (self.score.network(), self.score.window());
        match (network, &state[..]) {
            (Network::ResMlp(_), [_, _, ..]) => {
                let reason = format!(
                    "ResMlp takes states of components, and {} has fields {state:?}: use a UNet",
                    system.name()
                );
                p.add("score.network", reason);
            }
            (Network::ResMlp(mlp), _) => {
                let told = d + levels.components();
                let want = window.saturating_mul(told);
                let level = if levels == Levels::Shared { "" } else { " with their level" };
                let reason = format!(
                    "must be {window} states × {told} components{level} = {want}, and is {}",
                    mlp.features
                );
                p.that(mlp.features == want, "score.network.features", reason);
            }
            (Network::UNet(_), _) => self.check_u_net(network, &state, p),
        }
    }

    /// Whether a U-Net takes windows, and where it sees trajectories whole these and the rollouts', of states `state`.
    fn check_u_net(&self, network: &Network, state: &[usize], p: &mut Problems) {
        let of = |length: usize| [&[1, length], state].concat();
        let score = GlobalScore { levels: self.training.levels, ..GlobalScore::new(network.clone()) };
        p.result("score.network", score.check(&of(self.score.window())));
        if let ScoreConfig::Global { .. } = self.score {
            let length = self.assimilation.length;
            p.result("score.network", score.check(&of(length)));
            for (i, r) in self.rollouts.iter().enumerate() {
                let Ok(width) = r.rollout.width(length) else { continue };
                p.result(&format!("rollouts.{i}.rollout"), score.check(&of(width)));
            }
        }
    }

    /// Whether each operator sees the system's states.
    fn check_operators(&self, recipe: &Recipe, system: &Dynamics, p: &mut Problems) {
        let (d, state) = (system.state_dim(), system.state_shape());
        for (i, o) in self.observations.iter().enumerate() {
            let at = format!("observations.{i}.operator");
            let length = o.length.unwrap_or(self.assimilation.length);
            match o.operator.output_shape(&[&[1, length], &state[..]].concat()) {
                Err(e) => p.add(&at, e.to_string()),
                Ok(seen) if numbers(&seen) > LARGEST_COUNT => {
                    p.add(&at, format!("shows {seen:?} numbers, and {LARGEST_COUNT} are the most"));
                }
                // What is longer than the data is told already, and would be laid out state by state.
                Ok(_) if self.reference.is_none() || length > recipe.steps => {}
                Ok(_) => p.that(o.operator.per_state(length, d).is_some(), &at, SINGLE),
            }
        }
    }

    /// Whether the guidance, where it is given, serves each of the observations, of trajectories [L, state…].
    fn check_posteriors(&self, recipe: &Recipe, state: &[usize], p: &mut Problems) {
        if self.assimilation.settings == Settings::Tuned {
            return;
        }
        let (prior, steps) = (self.prior(), recipe.steps);
        for (i, o) in self.observations.iter().enumerate() {
            let a = &self.of(o).assimilation;
            let shape = [&[a.samples, a.length], state].concat();
            let Some(observation) = nothing_seen(o, &shape) else { continue };
            let posterior =
                Posterior { place: a.place, ..Posterior::new(&*prior, observation, a.guidance.clone()) };
            let states = posterior.covariance_states(a.length);
            if matches!(a.guidance, Guidance::Jfps { .. }) && states > steps {
                // Only a target is longer than the data.
                let reason = format!(
                    "JFPS takes the covariance of {states} states, and the data's trajectories have {steps}; shorten it, \
                     or choose MMPS"
                );
                p.add(&format!("observations.{i}.length"), reason);
            } else if let Err(reason) = check_posterior(posterior, &shape) {
                p.add("assimilation.guidance", format!("it can't serve observation «{}»: {reason}", o.name));
            }
        }
    }

    /// Whether the system has a particle filter.
    fn check_reference(&self, system: &Dynamics, p: &mut Problems) {
        let Some(reference) = &self.reference else { return };
        let reason = format!("{} has no particle filter: leave `reference` out", system.name());
        p.that(system.chain().is_some(), "reference", reason);
        let has_noise = system.chain().is_none_or(|chain| chain.noise_std().is_some());
        let reason = format!("{} has no noise to simulate backward", system.name());
        p.that(!reference.backward || has_noise, "reference.backward", reason);
    }
}
