//! Rollouts of the score, and whether they can be.

use super::validate::{Problems, nothing_seen};
use super::{Experiment, ObservationConfig, RolloutConfig, ScoreConfig};
use sda_diffusion::{Conditioning, Guidance, Levels, NoisePredictor, Rolling, Rollout};
use sda_observe::Observation;
use std::collections::BTreeSet;

impl Experiment {
    /// A rollout that follows one of the observations.
    pub(crate) fn rolling(
        &self,
        r: &RolloutConfig,
        o: &ObservationConfig,
        observation: Observation,
    ) -> Rolling<Box<dyn NoisePredictor>> {
        let a = &self.assimilation;
        Rolling {
            rollout: r.rollout,
            conditioning: r.conditioning,
            sampler: a.sampler.with(self.schedule, r.corrections, o.noise_of_state()),
            guidance: r.guidance.clone().unwrap_or_else(|| a.guidance.clone()),
            place: a.place,
            prior: self.prior(),
            observation: Some(observation),
        }
    }

    /// Whether each rollout's guidance serves its windows, of trajectories [L, state…].
    pub(super) fn check_rollouts_with(&self, state: &[usize], p: &mut Problems) {
        let shape = [&[self.assimilation.samples, self.assimilation.length], state].concat();
        for (i, r) in self.rollouts.iter().enumerate() {
            let Some(o) = self.observations.iter().find(|o| o.name == r.observation) else { continue };
            let Some(observation) = nothing_seen(o, &shape) else { continue };
            p.result(&format!("rollouts.{i}"), self.rolling(r, o, observation).check(&shape));
        }
    }

    /// Values of the rollouts, and how they fit what they follow and the network.
    pub(super) fn check_rollouts(&self, p: &mut Problems) {
        let (length, a) = (self.assimilation.length, &self.assimilation);
        let mut names = BTreeSet::new();
        for (i, r) in self.rollouts.iter().enumerate() {
            let at = |field: &str| format!("rollouts.{i}.{field}");
            let plain = r.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            p.that(plain && !r.name.is_empty(), &at("name"), "must be letters, digits, '_' or '-'");
            p.that(names.insert(&r.name), &at("name"), format!("«{}» is there twice", r.name));
            let is_known = self.observations.iter().any(|o| o.name == r.observation);
            p.that(is_known, &at("observation"), format!("there is no observation «{}»", r.observation));
            let own = |o: &&ObservationConfig| {
                o.name == r.observation && (o.length.is_some() || o.target.is_some())
            };
            let reason =
                "a rollout follows an observation of assimilation.length states of a test trajectory";
            p.that(!self.observations.iter().any(|o| own(&o)), &at("observation"), reason);
            p.result(&at("conditioning"), r.conditioning.check());
            p.result(&at("corrections"), a.sampler.with(self.schedule, r.corrections, 0.0).check());
            if let Some(guidance) = &r.guidance {
                p.result(&at("guidance"), guidance.check());
            }
            let is_told = r.conditioning == Conditioning::Levels;
            let is_guided = !(is_told && matches!(r.rollout, Rollout::Forecast { .. }));
            let guidance = r.guidance.as_ref().unwrap_or(&a.guidance);
            let reason = "JFPS has no covariance for a rollout's windows; choose MMPS, TMPD or SDA";
            p.that(!(is_guided && matches!(guidance, Guidance::Jfps { .. })), &at("guidance"), reason);
            let reason = "Levels needs a network that reads each state's level, and training.levels is Shared; choose \
                          Guided, or a network that was trained with PerState";
            let is_read = self.training.levels != Levels::Shared || r.rollout == Rollout::Smoothing;
            p.that(!is_told || is_read, &at("conditioning"), reason);
            for o in self.observations.iter().filter(|o| o.name == r.observation) {
                p.result(&at("rollout"), r.rollout.check_operator(&o.operator));
            }
            let sampler = a.sampler.with(self.schedule, r.corrections, 0.0);
            if sampler.check().is_ok() {
                p.result(&at("rollout"), r.rollout.first_step(&sampler));
            }
            match r.rollout.width(length) {
                Err(e) => p.add(&at("rollout"), e.to_string()),
                Ok(width) => {
                    let window = self.score.window();
                    let fits = matches!(self.score, ScoreConfig::Global { .. }) || width >= window;
                    let reason = format!(
                        "has windows of {width} states, and the network's are of {window}; lengthen them"
                    );
                    p.that(fits, &at("rollout"), reason);
                }
            }
        }
    }
}
