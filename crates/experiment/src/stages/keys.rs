//! What each result depends on.

use crate::config::{Experiment, ObservationConfig, Recipe, to_text};
use crate::key::key;

/// The simulated data.
pub(crate) fn data(recipe: &Recipe) -> String {
    key("simulate", &[&to_text(recipe)])
}

/// The trained network.
pub(crate) fn model(recipe: &Recipe, e: &Experiment) -> String {
    // Of the score, what is trained; how its windows are composed matters to the samples only.
    let network = format!("{} {}", e.score.window(), to_text(e.score.network()));
    let parts = [data(recipe), network, to_text(&e.schedule), to_text(&e.training), e.seed.to_string()];
    key("train", &parts.each_ref().map(String::as_str))
}

/// One observation of one test trajectory.
///
/// `kind` is its position among the experiment's, which chooses its random numbers.
pub(crate) fn observation(
    recipe: &Recipe,
    e: &Experiment,
    o: &ObservationConfig,
    kind: usize,
    trajectory: usize,
) -> String {
    let place = format!("{} {kind} {trajectory} {}", e.assimilation.length, e.seed);
    key("observe", &[&data(recipe), &to_text(o), &place])
}

/// The particle filter's samples of one observation.
pub(crate) fn reference(observation: &str, e: &Experiment) -> String {
    key("reference", &[observation, &to_text(&e.reference), &e.assimilation.samples.to_string()])
}

/// The posterior samples of one observation with one number of corrections.
pub(crate) fn samples(model: &str, observation: &str, e: &Experiment, corrections: u32) -> String {
    let a = &e.assimilation;
    let sampler = to_text(&a.sampler.with(e.schedule, corrections));
    let parts = [to_text(&e.score), to_text(&a.guidance), sampler, format!("{} {}", a.samples, e.seed)];
    key("assimilate", &[model, observation, &parts[0], &parts[1], &parts[2], &parts[3]])
}

/// The scores of samples beside the reference's.
pub(crate) fn scores(samples: &str, reference: &str) -> String {
    key("evaluate", &[samples, reference])
}
