//! Weights that were trained elsewhere, in place of a training.

use super::sandbox::{Sandbox, fails, stderr, undisturbed};
use std::fs;
use std::process::Command;

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

/// Half the bytes, scores that differ by f16's rounding alone; what is no file of weights is refused.
#[test]
fn halved_weights_are_sampled_with() {
    let sandbox = with_weights();
    let halve = |from: &str, to: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sda"));
        command.arg("halve").arg(sandbox.path(from)).arg(sandbox.path(to));
        command
    };
    let output = halve("trained.safetensors", "halved.safetensors").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let length = |name| fs::metadata(sandbox.path(name)).unwrap().len() as f64;
    let share = length("halved.safetensors") / length("trained.safetensors");
    assert!((0.5..0.75).contains(&share), "{share}");
    sandbox.finish(&["--set", "weights=\"halved.safetensors\""]);
    let scores = |all: &super::sandbox::Contents| {
        let text = String::from_utf8(all["out/metrics.csv"].clone()).unwrap();
        let w1 = text.lines().filter(|line| line.contains(",w1,"));
        w1.map(|line| line.split(',').nth(4).unwrap().parse().unwrap()).collect::<Vec<f64>>()
    };
    let (halved, whole) = (scores(&sandbox.contents()), scores(undisturbed()));
    assert!(halved.len() == whole.len() && halved.len() > 4);
    assert!(halved != whole);
    for (a, b) in halved.iter().zip(&whole) {
        assert!((a / b - 1.0).abs() < 0.05, "{a} beside {b}");
    }

    let absent = ["none.safetensors", "nothing is there"];
    fails(&mut halve("none.safetensors", "a.safetensors"), &absent);
    fails(&mut halve("experiments/lorenz.ron", "a.safetensors"), &["lorenz.ron"]);
    assert!(!sandbox.path("a.safetensors").exists());
    fails(&mut halve("trained.safetensors", "no/folder/../.."), &["no/folder"]);
}

#[test]
fn weights_of_another_network_window_or_diffusion_are_refused_before_anything_is_made() {
    for (setting, word) in [
        ("score.network.hidden_features=[25]", "score.network"),
        ("schedule.eta=2e-3", "schedule"),
        // Of the same shapes, learned from another system.
        ("dataset=\"lorenz63_other\"", "the system of its data"),
        ("denoiser=Preconditioned(data_std: 1.0)", "denoiser"),
        (
            "score=Local(order: 2, network: ResMlp((features: 15, embedding: 32, hidden_features: [24])))",
            "score.network",
        ),
    ] {
        let sandbox = with_weights();
        let recipe = fs::read_to_string(sandbox.path("datasets/lorenz63.ron")).unwrap();
        let other = recipe.replace("Lorenz63(", "Lorenz63(rho: 27.0, ");
        assert_ne!(other, recipe);
        fs::write(sandbox.path("datasets/lorenz63_other.ron"), other).unwrap();
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

/// A training may begin with another's weights, of another system too; the result depends on what they are, not on the
/// file's name.
#[test]
fn a_training_begins_with_weights_of_a_file() {
    let sandbox = with_weights();
    let recipe = fs::read_to_string(sandbox.path("datasets/lorenz63.ron")).unwrap();
    fs::write(
        sandbox.path("datasets/lorenz63_other.ron"),
        recipe.replace("Lorenz63(", "Lorenz63(rho: 27.0, "),
    )
    .unwrap();
    let more = ["--set", "dataset=\"lorenz63_other\"", "--set", "training.epochs=1"];
    let first_loss = |start: &str| -> f64 {
        let start = format!("training.start={start}");
        sandbox.finish(&[&more[..], &["--set", &start]].concat());
        let curve = String::from_utf8(sandbox.contents()["out/training.csv"].clone()).unwrap();
        curve.lines().nth(1).unwrap().split(',').nth(1).unwrap().parse().unwrap()
    };
    let random = first_loss("None");
    let trained = first_loss("\"trained.safetensors\"");
    assert!(trained < 0.8 * random, "{trained} beside {random}");
    fs::copy(sandbox.path("trained.safetensors"), sandbox.path("same.safetensors")).unwrap();
    let again = sandbox.finish(&[&more[..], &["--set", "training.start=\"same.safetensors\""]].concat());
    assert!(!stderr(&again).contains("train: done"), "{}", stderr(&again));

    let sandbox = with_weights();
    let start = "training.start=\"trained.safetensors\"";
    let other = ["score.network", "trained.safetensors", "--set training.start=None"];
    fails(&mut sandbox.small(&["--set", start, "--set", "score.network.hidden_features=[25]"]), &other);
    fails(&mut sandbox.small(&["--set", "training.start=\"none.safetensors\""]), &["none.safetensors"]);
    assert!(sandbox.store().is_none(), "data were simulated");
}
