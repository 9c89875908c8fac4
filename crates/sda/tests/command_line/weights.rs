//! Weights that were trained elsewhere, in place of a training.

use super::sandbox::{Sandbox, fails, stderr, undisturbed};
use std::fs;

const NAME: &str = "weights=\"trained.safetensors\"";

/// A sandbox with the small run's weights in its root.
fn with_weights() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("trained.safetensors"), &undisturbed()["out/model.safetensors"]).unwrap();
    sandbox
}

#[test]
fn trained_weights_are_sampled_with_and_nothing_is_trained() {
    let sandbox = with_weights();
    let output = sandbox.finish(&["--set", NAME]);
    assert!(stderr(&output).contains("train: unchanged, from "), "{}", stderr(&output));
    let contents = sandbox.contents();
    assert!(!contents.contains_key("out/model.safetensors"));
    let scores = |all: &super::sandbox::Contents| all["out/metrics.csv"].clone();
    assert_eq!(scores(&contents), scores(undisturbed()));
}

#[test]
fn weights_of_another_network_window_or_diffusion_are_refused_before_anything_is_made() {
    for (setting, word) in [
        ("score.network.hidden_features=[25]", "score.network"),
        ("schedule.eta=2e-3", "schedule"),
        ("denoiser=Preconditioned(data_std: 1.0)", "denoiser"),
        (
            "score=Local(order: 2, network: ResMlp((features: 15, embedding: 32, hidden_features: [24])))",
            "score.network",
        ),
    ] {
        let sandbox = with_weights();
        let words = ["trained.safetensors", word, "--set weights=None"];
        fails(&mut sandbox.small(&["--set", NAME, "--set", setting]), &words);
        assert!(sandbox.store().is_none(), "{setting}: data were simulated");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    fails(&mut sandbox.small(&["--set", NAME]), &["trained.safetensors"]);
    assert!(sandbox.store().is_none());
}
