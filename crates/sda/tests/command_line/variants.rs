//! Variants of an experiment, on the same observations.

use super::sandbox::{Sandbox, fails, stderr, undisturbed};
use std::fs;

const VARIANTS: &str = "variants=[(name: \"narrow\", settings: [\"score.order=1\", \"score.network.features=9\"]), \
    (name: \"same\", settings: [])]";
const FEWER: &str = "assimilation.fewer={2: 1}";

#[test]
fn each_has_a_folder_and_all_share_observations_and_reference() {
    let sandbox = Sandbox::new();
    let output = sandbox.finish(&["--set", VARIANTS, "--set", FEWER]);
    let shown = String::from_utf8(output.stdout).unwrap();
    for word in [
        "narrow, C = 0",
        "narrow, C = 2",
        "same, C = 2",
        "Means over 2 trajectories (C = 2: 1) ± standard error",
        "there are fewer trajectories (C = 2: 1)",
    ] {
        assert!(shown.contains(word), "«{word}» is not in: {shown}");
    }
    // What is of one variant says so.
    let report = fs::read_to_string(sandbox.out().join("report.html")).unwrap();
    for word in
        ["over the training, narrow.", "observation «hi», same; flat", "corrections (C = 2: 1); dashed"]
    {
        assert!(report.contains(word), "«{word}» is not in the report");
    }
    let contents = sandbox.contents();
    assert!(contents.contains_key("out/reference/lo-1.safetensors"));
    assert!(!contents.keys().any(|name| name.starts_with("out/same/reference")));
    // The variant without settings is the experiment without variants.
    for name in ["model.safetensors", "samples/hi-0-c2.safetensors", "scores/lo-1-c0.json"] {
        assert_eq!(contents[&format!("out/same/{name}")], undisturbed()[&format!("out/{name}")], "{name}");
    }
    let narrow = &contents["out/narrow/samples/hi-0-c0.safetensors"];
    assert!(*narrow != undisturbed()["out/samples/hi-0-c0.safetensors"]);
    // Fewer trajectories of the costly ones.
    assert!(contents.contains_key("out/same/scores/lo-0-c2.json"));
    assert!(!contents.contains_key("out/same/scores/lo-1-c2.json"));
}

/// What has been scored need not be sampled again: scores are small enough to keep where samples are not.
#[test]
fn samples_that_are_not_kept_go_once_they_are_scored_and_are_not_made_again() {
    const SCORES_ALONE: [&str; 2] = ["--set", "assimilation.keep_samples=false"];
    let sandbox = Sandbox::new();
    sandbox.finish(&SCORES_ALONE);
    let metrics = |sandbox: &Sandbox| fs::read(sandbox.out().join("metrics.csv")).unwrap();
    let samples = |sandbox: &Sandbox| fs::read_dir(sandbox.out().join("samples")).unwrap().flatten().count();
    assert_eq!(metrics(&sandbox), undisturbed()["out/metrics.csv"]);
    assert_eq!(samples(&sandbox), 0);
    let told = stderr(&sandbox.finish(&SCORES_ALONE));
    assert!(told.contains("assimilate: unchanged"), "{told}");
    fs::remove_file(sandbox.out().join("scores/hi-1-c2.json")).unwrap();
    let told = stderr(&sandbox.finish(&SCORES_ALONE));
    assert!(!told.contains("assimilate: unchanged"), "{told}");
    assert_eq!(metrics(&sandbox), undisturbed()["out/metrics.csv"]);
    // Kept again, all of them are made.
    sandbox.finish(&[]);
    assert_eq!(samples(&sandbox), 8);
    assert_eq!(metrics(&sandbox), undisturbed()["out/metrics.csv"]);
}

#[test]
fn what_they_share_and_what_is_not_there_is_refused() {
    let sandbox = Sandbox::new();
    for (setting, words) in [
        ("variants=[(name: \"a\", settings: [\"seed=2\"])]", &["variant a", "it changes seed"][..]),
        ("variants=[(name: \"a\", settings: [\"assimilation.samples=5\"])]", &["assimilation.samples"]),
        ("variants=[(name: \"a\", settings: [\"score.odrer=5\"])]", &["variant a", "odrer"]),
        (
            "variants=[(name: \"a\", settings: []), (name: \"a\", settings: [])]",
            &["variants.1.name", "twice"],
        ),
        (
            "variants=[(name: \"a\", settings: [\"assimilation.sampler.steps=0\"])]",
            &["variant a: assimilation.sampler", "steps"],
        ),
        (
            "variants=[(name: \"a\", settings: [\"score.order=1\"])]",
            &["variant a: score.network.features", "9"],
        ),
        (
            "variants=[(name: \"a\", settings: [\"assimilation.settings=Tuned\"])]",
            &["variant a: tuning.trajectories", "10 to validate", "data.split=(150, 32, 3)"],
        ),
        ("variants=[(name: \"scores\", settings: [])]", &["variants.0.name", "folder"]),
        ("assimilation.fewer={3: 1}", &["assimilation.fewer.3", "no 3"]),
        ("assimilation.fewer={2: 3}", &["assimilation.fewer.2", "1 … 2"]),
    ] {
        fails(&mut sandbox.small(&["--set", setting]), words);
    }
    assert!(sandbox.contents().is_empty(), "something was written");
}
