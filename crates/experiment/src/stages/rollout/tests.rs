use super::super::tests::chains::smoke;
use crate::run::Run;
use std::path::Path;

/// The smoke tier with next to no training, and every rollout.
const SETTINGS: [&str; 9] = [
    "training.epochs=2",
    "data.split=(8, 2, 2)",
    "assimilation.samples=24",
    "assimilation.corrections=[0]",
    "assimilation.sampler.steps=4",
    "assimilation.guidance=Mmps(iterations: 1)",
    "score.network.hidden_features=[16]",
    "reference.particles=64",
    "rollouts=[\
        (name: \"smooth\", observation: \"lo\", rollout: Smoothing, conditioning: Guided(noise_std: 0.02)),\
        (name: \"ahead\", observation: \"lo\", rollout: Forecast(window: 9, known: 1), conditioning: Guided(noise_std: 0.02)),\
        (name: \"lag\", observation: \"hi\", rollout: FixedLag(lag: 16, known: 1, advance: 8), conditioning: Guided(noise_std: 0.02)),\
        (name: \"cycle\", observation: \"lo\", rollout: Cycle(window: 17, advance: 8, start: 0.5), conditioning: Guided(noise_std: 0.02)),\
    ]",
];

fn run(folder: &Path) -> (String, Vec<String>) {
    let options = smoke(folder, &SETTINGS);
    let run = Run::prepare("lorenz_rozet2023", &options).unwrap_or_else(|e| panic!("failed to {e}"));
    let outcome = run.execute().unwrap_or_else(|e| panic!("failed to {e}"));
    let csv = std::fs::read_to_string(outcome.folder.join("rollouts.csv")).unwrap();
    (csv, outcome.report.tables.iter().map(|t| t.title.clone()).collect())
}

#[test]
fn a_run_rolls_out_writes_its_scores_and_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, tables) = run(folder.path());
    assert!(tables.iter().filter(|t| t.starts_with("Rollout «")).count() == 4, "{tables:?}");
    let lines = |name: &str| csv.lines().filter(|l| l.starts_with(&format!("{name},"))).count();
    // 65 states: one window; 8 blocks of 8 and all; 7 blocks of 8 and all, twice.
    assert_eq!(["smooth", "ahead", "lag", "cycle"].map(lines), [1, 9, 8, 8], "{csv}");
    assert!(csv.lines().any(|l| l.starts_with("ahead,lo,1,8,")), "a forecast's first state is known:\n{csv}");
    let samples = folder.path().join("run/samples/rollout-cycle-0.safetensors");
    let written = std::fs::metadata(&samples).unwrap().modified().unwrap();
    let partial = folder.path().join("run/samples/rollout-cycle-0.partial.safetensors");
    assert!(!partial.exists(), "what an unfinished rollout needed is removed");
    assert_eq!(run(folder.path()).0, csv);
    assert_eq!(std::fs::metadata(&samples).unwrap().modified().unwrap(), written, "samples are reused");
}
