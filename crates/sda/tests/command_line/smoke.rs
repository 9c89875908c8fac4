//! The smoke tier whole, and again.

use super::sandbox::{Sandbox, assert_same, stderr, succeed};
use std::fs;
use std::process::Command;

fn smoke(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(&["lorenz_rozet2023", "--tier", "smoke"]);
    command.arg("--out").arg(sandbox.out());
    command
}

#[test]
fn the_smoke_tier_leaves_everything_and_again_changes_nothing() {
    let sandbox = Sandbox::new();
    let first = succeed(smoke(&sandbox).output().unwrap());
    let shown = String::from_utf8(first.stdout.clone()).unwrap();
    for word in ["particle filter", "SDA, C = 1", "W₁", "Report:", "report.html"] {
        assert!(shown.contains(word), "«{word}» is not in: {shown}");
    }
    assert!(!shown.contains("left the real numbers"), "{shown}");

    let contents = sandbox.contents();
    let mut expected: Vec<String> = [
        "experiment.ron",
        "resolved.ron",
        "versions.json",
        "metrics.csv",
        "metrics.json",
        "model.safetensors",
    ]
    .into_iter()
    .chain(["training.csv", "report.html", "report.md", "report.json"])
    .map(|name| format!("out/{name}"))
    .collect();
    let of_observations =
        ["fan", "ranks", "residuals"].map(|name| [format!("{name}-lo"), format!("{name}-hi")]);
    let others = ["w1-against-corrections", "training"].map(str::to_owned);
    for figure in of_observations.into_iter().flatten().chain(others) {
        expected.extend(["png", "svg"].map(|ending| format!("out/figures/{figure}.{ending}")));
    }
    for observation in ["lo-0", "hi-0"] {
        expected.extend(["observations", "reference"].map(|f| format!("out/{f}/{observation}.safetensors")));
        expected.push(format!("out/scores/{observation}.json"));
        for c in [0, 1] {
            expected.push(format!("out/samples/{observation}-c{c}.safetensors"));
            expected.push(format!("out/scores/{observation}-c{c}.json"));
        }
    }
    expected.sort();
    let found: Vec<&String> = contents.keys().filter(|name| name.starts_with("out/")).collect();
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
    let written = fs::read(sandbox.path("experiments/lorenz_rozet2023.ron")).unwrap();
    assert_eq!(contents["out/experiment.ron"], written);
    check_metrics(&contents["out/metrics.csv"]);

    let results = [
        "model.safetensors",
        "samples/lo-0-c1.safetensors",
        "reference/hi-0.safetensors",
        "scores/lo-0.json",
    ];
    let times = || results.map(|r| fs::metadata(sandbox.out().join(r)).unwrap().modified().unwrap());
    let before = times();
    let second = succeed(smoke(&sandbox).output().unwrap());
    let told = stderr(&second);
    for stage in ["simulate", "train", "reference", "assimilate", "evaluate"] {
        assert!(told.contains(&format!("{stage}: unchanged, from ")), "{stage}: {told}");
    }
    assert_eq!(times(), before, "a result was made again");
    assert_eq!(second.stdout, first.stdout);
    assert_same(&sandbox.contents(), &contents);

    resolved_is_an_input(&sandbox);
}

/// Our best recipe samples with the shipped weights: nothing is trained, and what comes out is a posterior.
#[test]
fn the_best_recipe_takes_the_shipped_weights() {
    let sandbox = Sandbox::new();
    sandbox.ship_models();
    let mut command = sandbox.command(&["lorenz", "--tier", "smoke", "--device", "cpu"]);
    let output = succeed(command.arg("--out").arg(sandbox.out()).output().unwrap());
    assert!(stderr(&output).contains("train: unchanged, from "), "{}", stderr(&output));
    let contents = sandbox.contents();
    assert!(!contents.contains_key("out/model.safetensors"));
    let text = std::str::from_utf8(&contents["out/metrics.csv"]).unwrap();
    for name in ["lo", "hi"] {
        let residual = mean_of(text, name, "0", "residual_over_noise");
        assert!((0.6..1.4).contains(&residual), "{text}");
        assert!(mean_of(text, name, "0", "w1_ratio") < 2.0, "{text}");
    }
}

/// A mean over trajectories of metrics.csv.
fn mean_of(text: &str, name: &str, corrections: &str, metric: &str) -> f64 {
    let row = format!("{name},{corrections},,{metric},");
    let line = text.lines().find(|l| l.starts_with(&row)).unwrap_or_else(|| panic!("no {row} in {text}"));
    line[row.len()..].split(',').next().unwrap().parse().unwrap()
}

/// A rough posterior: the observations are met, and its distance to the filter's is no other order of magnitude.
fn check_metrics(csv: &[u8]) {
    let text = std::str::from_utf8(csv).unwrap();
    let of = |name: &str, corrections: &str, metric: &str| mean_of(text, name, corrections, metric);
    for name in ["lo", "hi"] {
        assert_eq!(of(name, "1", "diverged"), 0.0);
        assert!((0.3..3.0).contains(&of(name, "1", "residual_over_noise")), "{text}");
        assert!(of(name, "1", "w1_ratio") < 10.0, "{text}");
        assert!((0.5..2.0).contains(&of(name, "", "residual_over_noise")), "{text}");
        // Sixteen samples hold the truth in 0.79 of the intervals.
        assert!(of(name, "", "coverage_90") > 0.5 && of(name, "", "rmse") < 3.0, "{text}");
        assert!((0.2..5.0).contains(&of(name, "1", "rmse_ratio")), "{text}");
        assert!((0.2..5.0).contains(&of(name, "1", "spread_skill")), "{text}");
        let rank = of(name, "1", "rank_log_likelihood");
        assert!((0.0..1.0).contains(&rank) && of(name, "1", "crps") > 0.0, "{text}");
        assert!(of(name, "", "climatological_innovation_chi2") < 4.0, "{text}");
    }
    assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
}

/// The resolved file as an experiment of its own gives the same results, without any setting.
fn resolved_is_an_input(sandbox: &Sandbox) {
    fs::copy(sandbox.out().join("resolved.ron"), sandbox.path("experiments/resolved.ron")).unwrap();
    let mut command = sandbox.command(&["resolved"]);
    let output = succeed(command.arg("--out").arg(sandbox.out()).output().unwrap());
    let told = stderr(&output);
    for stage in ["simulate", "train", "reference", "assimilate", "evaluate"] {
        assert!(told.contains(&format!("{stage}: unchanged, from ")), "{stage}: {told}");
    }
}
