//! Checks across fields, all reported at once.

mod data;
mod sizes;

pub(super) use data::nothing_seen;

use super::{Experiment, SamplerConfig, ScoreConfig, Settings};
use crate::error::{ExperimentError, Problem};
use crate::run::FOLDERS;
use crate::stages::prior::NAME as PRIOR;
use sda_diffusion::Twisted;
use sda_nn::{Network, NnError};
use std::collections::BTreeSet;
use std::path::Path;

/// Random streams and file layouts count with 32 bits.
const LARGEST_COUNT: usize = u32::MAX as usize / 4;

impl Experiment {
    /// Checks values and how they fit together.
    ///
    /// Errors: all problems, with the path of each field.
    pub fn validate(&self, path: &Path) -> Result<(), ExperimentError> {
        let mut problems = Problems::default();
        self.check_training(&mut problems);
        self.check_score(&mut problems);
        self.check_observations(&mut problems);
        self.check_assimilation(&mut problems);
        self.check_variants(&mut problems);
        self.check_modes(&mut problems);
        self.check_tuning(&mut problems);
        self.check_rollouts(&mut problems);
        self.check_prior(&mut problems);
        problems.finish(path)
    }

    /// The first field that variants share and in which these two differ.
    pub(crate) fn differs_in_what_variants_share(&self, other: &Self) -> Option<&'static str> {
        let (a, b) = (&self.assimilation, &other.assimilation);
        [
            ("seed", self.seed == other.seed),
            ("dataset", self.dataset == other.dataset),
            ("data", self.data == other.data),
            ("observations", self.observations == other.observations),
            ("reference", self.reference == other.reference),
            ("precision", self.precision == other.precision),
            ("assimilation.length", a.length == b.length),
            ("assimilation.trajectories", a.trajectories == b.trajectories),
            ("assimilation.samples", a.samples == b.samples),
        ]
        .into_iter()
        .find_map(|(field, same)| (!same).then_some(field))
    }

    fn check_variants(&self, p: &mut Problems) {
        let mut names = BTreeSet::new();
        for (i, variant) in self.variants.iter().enumerate() {
            let at = format!("variants.{i}.name");
            let plain = variant.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            let taken = FOLDERS.contains(&variant.name.as_str());
            p.that(plain && !variant.name.is_empty(), &at, "must be letters, digits, '_' or '-'");
            p.that(!taken, &at, format!("«{}» is a folder of every run", variant.name));
            p.that(names.insert(&variant.name), &at, format!("«{}» is there twice", variant.name));
        }
        let tier = self.tier.as_deref().unwrap_or_default();
        let in_tier = |tiers: &[String]| tiers.is_empty() || tiers.iter().any(|t| t == tier);
        for (i, x) in self.expect.iter().enumerate().filter(|(_, x)| in_tier(&x.tiers)) {
            let of = x.metric.split('.').next().unwrap_or_default();
            let known = self.variants.is_empty() || self.variants.iter().any(|variant| variant.name == of);
            let reason = format!("«{of}» is no variant; with variants it is VARIANT.{}", x.metric);
            p.that(known, &format!("expect.{i}.metric"), reason);
        }
    }

    fn check_training(&self, p: &mut Problems) {
        let t = &self.training;
        p.that(t.epochs > 0, "training.epochs", "must be at least 1, and is 0");
        p.that(t.batch > 0, "training.batch", "must be at least 1, and is 0");
        p.that(t.validation_every > 0, "training.validation_every", "must be at least 1, and is 0");
        p.positive("training.learning_rate", t.learning_rate);
        if let Some(decay) = t.average {
            p.that(
                (0.0..1.0).contains(&decay),
                "training.average",
                format!("must be in [0, 1), and is {decay}"),
            );
        }
        p.result("schedule", self.schedule.check());
        p.result("training.levels", t.levels.check());
        p.result("training.times", t.times.check());
        match t.optimiser.validate() {
            Ok(()) => {}
            Err(NnError::Optimiser { field, expected, found }) => {
                p.add(&format!("training.optimiser.{field}"), format!("must be {expected}, and is {found}"));
            }
            Err(other) => p.add("training.optimiser", other.to_string()),
        }
    }

    fn check_score(&self, p: &mut Problems) {
        p.result("score.network", self.score.network().validate());
        let window = self.score.window();
        if let ScoreConfig::Local { order, stride, network } = &self.score {
            for (field, length, _) in self.lengths() {
                p.that(
                    window <= length,
                    "score.order",
                    format!(
                        "a window of 2·{order} + 1 = {window} states is longer than the trajectory, {field} = {length}"
                    ),
                );
            }
            p.that(
                (1..=window).contains(stride),
                "score.stride",
                format!("must be 1 … {window} (the window), and is {stride}"),
            );
            if let Network::ResMlp(mlp) = network {
                p.that(
                    mlp.features.is_multiple_of(window),
                    "score.network.features",
                    format!(
                        "must be the window's {window} states times the state's components, and is {}",
                        mlp.features
                    ),
                );
            }
        }
    }

    fn check_observations(&self, p: &mut Problems) {
        p.that(!self.observations.is_empty(), "observations", "needs at least one entry");
        let mut names = BTreeSet::new();
        for (i, o) in self.observations.iter().enumerate() {
            let at = |field: &str| format!("observations.{i}.{field}");
            let plain = o.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            p.that(plain && !o.name.is_empty(), &at("name"), "must be letters, digits, '_' or '-'");
            p.that(names.insert(&o.name), &at("name"), format!("«{}» is there twice", o.name));
            p.positive(&at("noise_std"), o.noise_std);
            let single = o.noise_std as f32;
            let is_held =
                (single > 0.0 && single.is_finite()) || !(o.noise_std > 0.0 && o.noise_std.is_finite());
            let reason = format!("is beyond what single precision holds: {}", o.noise_std);
            p.that(is_held, &at("noise_std"), reason);
            if let Some(target) = o.target {
                let reason = format!("must be finite, and is {target}");
                p.that(target.is_finite(), &at("target"), reason);
                let is_held = (target as f32).is_finite() || !target.is_finite();
                p.that(is_held, &at("target"), format!("is beyond what single precision holds: {target:e}"));
                let reason = "is no observation of a trajectory, which a reference and a tuning need";
                let needed = self.reference.is_some() || self.assimilation.settings == Settings::Tuned;
                p.that(!needed, &at("target"), reason);
            }
            let given = self.assimilation.settings == Settings::Given;
            let tuned = "is what the tuning chooses";
            p.that(given || o.steps.is_none(), &at("steps"), tuned);
            p.that(given || o.corrections.is_none(), &at("corrections"), tuned);
            p.that(given || o.guidance.is_none(), &at("guidance"), tuned);
            p.that(given || o.place.is_none(), &at("place"), tuned);
            if let Some(guidance) = &o.guidance {
                p.result(&at("guidance"), guidance.check());
            }
            if let Some(corrections) = o.corrections {
                let sampler = self.assimilation.sampler.with(self.schedule, corrections, 0.0);
                p.result(&at("corrections"), sampler.check());
            }
            if let Some(steps) = o.steps {
                let sampler = SamplerConfig { steps, ..self.assimilation.sampler.clone() };
                p.result(&at("steps"), sampler.with(self.schedule, 0, 0.0).check());
            }
        }
    }

    /// States of trajectories, with their fields, and whether they are read from data, whose place a target takes: the
    /// assimilation's, and each observation's own.
    fn lengths(&self) -> Vec<(String, usize, bool)> {
        let all = [("assimilation.length".to_owned(), self.assimilation.length, true)];
        let own =
            self.observations.iter().enumerate().filter_map(|(i, o)| {
                Some((format!("observations.{i}.length"), o.length?, o.target.is_none()))
            });
        all.into_iter().chain(own).collect()
    }

    fn check_assimilation(&self, p: &mut Problems) {
        let a = &self.assimilation;
        for (field, length, _) in self.lengths() {
            p.that(length > 0, &field, "must be at least 1, and is 0");
            p.count(&field, length);
        }
        p.that(a.trajectories > 0, "assimilation.trajectories", "must be at least 1, and is 0");
        p.that(a.samples > 1, "assimilation.samples", format!("must be at least 2, and is {}", a.samples));
        p.that(!a.corrections.is_empty(), "assimilation.corrections", "needs at least one number");
        let distinct: BTreeSet<&u32> = a.corrections.iter().collect();
        p.that(distinct.len() == a.corrections.len(), "assimilation.corrections", "holds a number twice");
        for (corrections, trajectories) in &a.fewer {
            let at = format!("assimilation.fewer.{corrections}");
            let known = a.corrections.contains(corrections);
            p.that(known, &at, format!("assimilation.corrections has no {corrections}"));
            let range = 1..=a.trajectories;
            p.that(
                range.contains(trajectories),
                &at,
                format!("must be 1 … {} (assimilation.trajectories), and is {trajectories}", a.trajectories),
            );
        }
        let most = a.corrections.iter().copied().max().unwrap_or(0);
        p.result("assimilation.sampler", a.sampler.with(self.schedule, most, 0.0).check());
        p.result("assimilation.guidance", a.guidance.check());
        if let Some(resampling) = a.twisted {
            let sampler = a.sampler.with(self.schedule, most, 0.0);
            p.result("assimilation.twisted", Twisted { sampler, resampling }.check());
            let reason = "is for settings that are given; a tuning chooses settings without it";
            p.that(a.settings == Settings::Given, "assimilation.twisted", reason);
        }
        p.count("assimilation.samples", a.samples);
        if let Some(twisted) = a.twisted {
            p.count("assimilation.twisted.particles", twisted.particles.saturating_mul(a.samples));
        }
        if let Some(reference) = &self.reference {
            let n = reference.particles;
            p.count("reference.particles", n);
            p.that(
                n >= a.samples,
                "reference.particles",
                format!("must be at least assimilation.samples = {}, and is {n}", a.samples),
            );
            if let Some(n) = reference.bootstrap {
                p.count("reference.bootstrap", n);
                p.that(
                    n >= a.samples,
                    "reference.bootstrap",
                    format!("must be at least assimilation.samples = {}, and is {n}", a.samples),
                );
            }
        }
    }

    fn check_modes(&self, p: &mut Problems) {
        if let Some(modes) = &self.evaluation.modes {
            let reason = "needs a reference, whose samples say what the modes are";
            p.that(self.reference.is_some(), "evaluation.modes", reason);
            p.that(
                modes.least_mass > 0.0 && modes.least_mass <= 1.0,
                "evaluation.modes.least_mass",
                format!("must be above 0 and at most 1, and is {}", modes.least_mass),
            );
        }
    }

    fn check_prior(&self, p: &mut Problems) {
        let Some(prior) = &self.prior else { return };
        p.that(prior.samples > 0, "prior.samples", "must be at least 1, and is 0");
        p.count("prior.samples", prior.samples);
        let ((sampler, length), window) = (self.drawn(prior), self.score.window());
        p.count("prior.length", length);
        let reason = format!("must be at least the score's window of {window} states, and is {length}");
        p.that(length >= window, "prior.length", reason);
        p.result("prior", sampler.check());
        for (i, o) in self.observations.iter().enumerate() {
            let reason = "«prior» is what the samples of the prior alone are called: choose another name";
            p.that(o.name != PRIOR, &format!("observations.{i}.name"), reason);
        }
    }
}

/// Problems found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, field: &str, reason: impl Into<String>) {
        self.0.push(Problem { field: field.into(), reason: reason.into() });
    }

    pub(super) fn that(&mut self, holds: bool, field: &str, reason: impl Into<String>) {
        if !holds {
            self.add(field, reason);
        }
    }

    fn positive(&mut self, field: &str, x: f64) {
        self.that(x > 0.0 && x.is_finite(), field, format!("must be positive and finite, and is {x}"));
    }

    pub(super) fn count(&mut self, field: &str, n: usize) {
        self.that(n <= LARGEST_COUNT, field, format!("must be at most {LARGEST_COUNT}, and is {n}"));
    }

    pub(super) fn result<T, E: std::fmt::Display>(&mut self, field: &str, result: Result<T, E>) {
        if let Err(e) = result {
            self.add(field, e.to_string());
        }
    }

    fn finish(self, path: &Path) -> Result<(), ExperimentError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ExperimentError::Values { path: path.into(), problems: self.0 })
        }
    }
}
