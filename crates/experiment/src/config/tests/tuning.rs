//! The section `tuning`: its defaults, and what can't be.

use super::{SMALL, Written, root};
use crate::config::{Recipe, Settings, load_recipe};

const TUNED: &str = "assimilation.settings=Tuned";
const ONE: &str = "(guidance: Sda(gamma: 1e-2), sampler: (steps: 8))";

fn recipe() -> Recipe {
    let recipe = load_recipe(&root().join("datasets"), "lorenz63").unwrap();
    Recipe { steps: 64, split: (4, 40, 1), ..recipe }
}

/// The message for `SMALL` with these settings.
#[track_caller]
fn check(settings: &[&str], recipe: &Recipe, words: &[&str]) {
    let file = Written::new(SMALL);
    let message = match file.load(None, settings) {
        Ok(loaded) => loaded.experiment.validate_with(recipe, &file.path).expect_err(words[0]).to_string(),
        Err(e) => e.to_string(),
    };
    for word in words {
        assert!(message.contains(word), "«{word}» is not in: {message}");
    }
}

#[test]
fn settings_are_given_unless_tuned_and_then_there_are_candidates() {
    let file = Written::new(SMALL);
    let given = file.load(None, &[]).unwrap();
    assert_eq!((given.experiment.assimilation.settings, &given.experiment.tuning), (Settings::Given, &None));
    let tuned = file.load(None, &[TUNED, "tuning.samples=16"]).unwrap();
    let tuning = tuned.experiment.tuning.clone().unwrap();
    assert_eq!((tuning.trajectories, tuning.samples), (32, 16));
    assert!(tuning.candidates.len() > 10 && tuning.chosen.is_empty());
    tuned.experiment.validate_with(&recipe(), &file.path).unwrap();
    let again = Written::new(&tuned.resolved).load(None, &[]).unwrap();
    assert_eq!(again.experiment, tuned.experiment);
    assert!(tuned.resolved.contains("settings: Tuned") && tuned.resolved.contains("residual: (0.85, 1.15)"));
}

#[test]
fn what_cannot_be_tuned() {
    let candidates = |text: &str| format!("tuning.candidates=[{ONE}, {text}]");
    for (setting, words) in [
        ("tuning.candidates=[]".to_owned(), &["tuning.candidates", "at least one"][..]),
        ("tuning.trajectories=1".into(), &["tuning.trajectories", "at least 2", "1"]),
        ("tuning.samples=1".into(), &["tuning.samples", "at least 2"]),
        ("tuning.rule.least_p=1.5".into(), &["tuning.rule.least_p", "[0, 1)", "1.5"]),
        ("tuning.rule.residual=(1.1, 0.9)".into(), &["tuning.rule.residual", "(1.1, 0.9)"]),
        ("tuning.sample=16".into(), &["tuning.sample=16", "samples"]),
        (
            candidates("(guidance: Sda(gamma: -1.0), sampler: (steps: 8))"),
            &["tuning.candidates.1.guidance", "gamma", "-1"],
        ),
        (
            candidates("(guidance: Tmpd, sampler: (steps: 0))"),
            &["tuning.candidates.1.sampler", "steps", "at least 1"],
        ),
        (
            candidates("(guidance: Dps(zeta: 1.0, norm: Batch), sampler: (steps: 8))"),
            &["tuning.candidates.1.guidance", "norm: Sample"],
        ),
        (format!("tuning.chosen={{\"low\": {ONE}}}"), &["tuning.chosen", "«low»", "no observation"]),
    ] {
        // It is told whether or not the section is used.
        check(&[&setting], &recipe(), words);
        check(&[&setting, TUNED], &recipe(), words);
    }
}

#[test]
fn a_candidate_that_cannot_serve_an_observation_is_refused_with_the_reason() {
    // JFPS is given the data's covariance.
    let jfps = "tuning.candidates=[(guidance: Jfps(covariance: Diagonal), sampler: (steps: 8))]";
    let file = Written::new(SMALL);
    file.load(None, &[jfps, TUNED]).unwrap().experiment.validate_with(&recipe(), &file.path).unwrap();
    for (candidate, words) in [
        (
            "(guidance: SdaPerVariable(gamma: [1e-2, 1e-2]), sampler: (steps: 8))",
            &["«lo»", "2 γ", "1 observed"][..],
        ),
        (
            "(guidance: SdaSpectral(gamma: [1e-2]), place: Windowed, sampler: (steps: 8))",
            &["place: Composed"],
        ),
    ] {
        let setting = format!("tuning.candidates=[{ONE}, {candidate}]");
        let all: Vec<&str> = ["tuning.candidates.1", "can't serve"].iter().chain(words).copied().collect();
        check(&[&setting, TUNED], &recipe(), &all);
        // It is not used where settings are given.
        let file = Written::new(SMALL);
        file.load(None, &[&setting]).unwrap().experiment.validate_with(&recipe(), &file.path).unwrap();
    }
}

#[test]
fn a_validation_split_that_is_too_small_is_told_with_the_remedy() {
    let small = Recipe { split: (4, 31, 1), ..recipe() };
    let words = ["tuning.trajectories", "32", "31 to validate", "lower it", "set data.split=(4, 32, 1)"];
    check(&[TUNED], &small, &words);
    let file = Written::new(SMALL);
    let loaded = file.load(None, &[TUNED, "tuning.trajectories=31"]).unwrap();
    loaded.experiment.validate_with(&small, &file.path).unwrap();
}

/// A variant is checked as the experiment is.
#[test]
fn a_variant_that_is_tuned_has_candidates_which_are_checked() {
    let variant = |more: &str| format!("variants=[(name: \"a\", settings: [\"{TUNED}\"{more}])]");
    let file = Written::new(SMALL);
    let loaded = file.load(None, &[&variant("")]).unwrap();
    let tuned = file.load(None, &[TUNED]).unwrap().experiment;
    assert_eq!((&loaded.variants[0].1.tuning, &loaded.experiment.tuning), (&tuned.tuning, &None));
    loaded.validate_with(&recipe()).unwrap();
    let small = Recipe { split: (4, 31, 1), ..recipe() };
    let message = loaded.validate_with(&small).unwrap_err().to_string();
    assert!(message.contains("variant a: tuning.trajectories: 32 are asked for"), "{message}");
    let message = file.load(None, &[&variant(", \"tuning.samples=1\"")]).unwrap_err().to_string();
    assert!(message.contains("variant a: tuning.samples: must be at least 2"), "{message}");
}

#[test]
fn samples_of_all_trajectories_at_once_have_room() {
    let words = ["tuning.samples", "32000000 trajectories of 17 states are 1632000000 numbers"];
    check(&[TUNED, "tuning.samples=1000000"], &recipe(), &words);
}
