//! Whether a tuning can be.

use super::{Candidate, Settings, Tuning};
use crate::config::prior::check_posterior;
use crate::config::validate::Problems;
use crate::config::{Experiment, ObservationConfig, Recipe};
use crate::tuning::Cases;
use ndarray::ArrayD;
use sda_core::Stream;
use sda_diffusion::{DpsNorm, Guidance};

impl Experiment {
    /// Values of the tuning's own.
    pub(in crate::config) fn check_tuning(&self, p: &mut Problems) {
        let Some(tuning) = &self.tuning else { return };
        let least = |p: &mut Problems, field: &str, n: usize| {
            p.that(n > 1, field, format!("must be at least 2, and is {n}"));
            p.count(field, n);
        };
        least(p, "tuning.trajectories", tuning.trajectories);
        least(p, "tuning.samples", tuning.samples);
        let (p_value, (lowest, highest)) = (tuning.rule.least_p, tuning.rule.residual);
        p.that(
            (0.0..1.0).contains(&p_value),
            "tuning.rule.least_p",
            format!("must be in [0, 1), and is {p_value}"),
        );
        p.that(
            0.0 <= lowest && lowest < highest,
            "tuning.rule.residual",
            format!("must be two numbers from 0 on, the lower first, and is ({lowest}, {highest})"),
        );
        let none = "needs at least one; leave the field out for the default candidates";
        p.that(!tuning.candidates.is_empty(), "tuning.candidates", none);
        for (field, candidate) in tuning.all() {
            p.result(&format!("{field}.guidance"), candidate.guidance.check());
            p.result(&format!("{field}.sampler"), candidate.sampler(self.schedule, 0.0).check());
            // The norm would run over all trajectories of the tuning, and later over one's samples.
            let over_all = matches!(candidate.guidance, Guidance::Dps { norm: DpsNorm::Batch, .. });
            let reason = "DPS with norm: Batch depends on how many are sampled at once; choose norm: Sample";
            p.that(!over_all, &format!("{field}.guidance"), reason);
        }
        for name in tuning.chosen.keys() {
            let is_there = self.observations.iter().any(|o| o.name == *name);
            p.that(is_there, "tuning.chosen", format!("«{name}» is no observation"));
        }
    }

    /// The tuning against the data, where the settings are tuned.
    ///
    /// Shapes: `state` that of one state.
    pub(in crate::config) fn check_tuning_with(&self, recipe: &Recipe, state: &[usize], p: &mut Problems) {
        let Some(tuning) = self.tuning.as_ref().filter(|_| self.assimilation.settings == Settings::Tuned)
        else {
            return;
        };
        let (asked, (train, found, test)) = (tuning.trajectories, recipe.split);
        let reason = format!(
            "{asked} are asked for, and the data has {found} to validate; lower it, or set \
             data.split=({train}, {asked}, {test})"
        );
        p.that(asked <= found, "tuning.trajectories", reason);
        for (field, candidate) in tuning.all() {
            for o in &self.observations {
                if let Err(reason) = self.serves(candidate, o, state) {
                    p.add(&field, format!("it can't serve observation «{}»: {reason}", o.name));
                }
            }
        }
    }

    /// Errors: why a candidate can't serve an observation.
    fn serves(&self, candidate: &Candidate, o: &ObservationConfig, state: &[usize]) -> Result<(), String> {
        let nothing = ArrayD::zeros([&[1, self.of(o).assimilation.length], state].concat());
        let cases = Cases::observe(nothing, o.operator.clone(), o.noise_std, Stream::new(0, 0));
        let posterior =
            cases.and_then(|cases| Ok((cases.shape(1), cases.posterior(self.prior(), candidate, 1)?)));
        let (shape, posterior) = posterior.map_err(|e| e.to_string())?;
        check_posterior(posterior, &shape)
    }
}

impl Tuning {
    /// Every candidate, and what was chosen before, with the path of its field.
    fn all(&self) -> impl Iterator<Item = (String, &Candidate)> {
        let candidates = self.candidates.iter().enumerate();
        let candidates = candidates.map(|(i, candidate)| (format!("tuning.candidates.{i}"), candidate));
        let chosen = self.chosen.iter();
        candidates.chain(chosen.map(|(name, candidate)| (format!("tuning.chosen.{name}"), candidate)))
    }
}
