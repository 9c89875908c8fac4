//! Samples weighed on the way: stopped and gone on with, reported, and refused where they can't be.

use super::sandbox::{Sandbox, assert_same, fails, has, run_until, succeed};
use std::fs;

/// Settings that make the small run a twisted one, with weights to the end and with weights above a floor.
const TWISTED: [&str; 6] = [
    "--set",
    "assimilation.twisted=(gamma: 0.3, particles: 2)",
    "--set",
    "assimilation.corrections=[0]",
    "--set",
    "assimilation.sampler.integrator=StochasticDpm2m(eta: 1.0)",
];

#[test]
fn killed_among_its_steps_it_goes_on_with_the_same_bits() {
    killed_it_goes_on(&TWISTED, "0");
    let above_a_floor = [
        "--set",
        "assimilation.twisted=(gamma: 0.3, particles: 2, floor: 0.9)",
        "--set",
        "assimilation.corrections=[1]",
        "--set",
        "assimilation.sampler.noise_floor=0.5",
    ];
    killed_it_goes_on(&[&TWISTED[4..], &above_a_floor].concat(), "1");
}

fn killed_it_goes_on(settings: &[&str], corrections: &str) {
    let whole = Sandbox::new();
    let output = whole.finish(settings);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains(&format!("Twisted, C = {corrections}: of 20 weighed particles")), "{printed}");
    let metrics = fs::read_to_string(whole.out().join("metrics.csv")).unwrap();
    for name in ["least_effective_sample_size", "last_effective_sample_size", "distinct_samples"] {
        let values: Vec<f64> = metrics
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|fields| fields[1] == corrections && fields[3] == name)
            .map(|fields| fields[4].parse().unwrap())
            .collect();
        // Two observations, each of two trajectories and their mean.
        assert_eq!(values.len(), 6, "{name}: {metrics}");
        let most = if name == "distinct_samples" { 10.0 } else { 20.0 };
        assert!(values.iter().all(|v| (1.0..=most).contains(v)), "{name}: {values:?}");
    }
    for _ in 0..8 {
        let sandbox = Sandbox::new();
        let every_step = [settings, &["--checkpoint-seconds", "0", "--quiet"]].concat();
        let child = sandbox.small(&every_step).spawn().unwrap();
        let partial = || has(&sandbox.out().join("samples"), "", ".partial.safetensors");
        let Some(mut child) = run_until(child, partial) else { continue };
        child.kill().unwrap();
        child.wait().unwrap();
        if sandbox.out().join("scores").exists() || !partial() {
            continue;
        }
        succeed(sandbox.small(settings).output().unwrap());
        assert_same(&sandbox.contents(), &whole.contents());
        return;
    }
    panic!("the steps were missed again and again");
}

#[test]
fn what_has_no_weights_is_refused() {
    let check = |settings: &[&str], words: &[&str]| {
        let sandbox = Sandbox::new();
        fails(&mut sandbox.small(&[&TWISTED[..], settings].concat()), words);
        assert!(sandbox.contents().is_empty(), "something was written");
    };
    let at = "assimilation.twisted";
    check(&["--set", "assimilation.sampler.noise_floor=0.1"], &[at, "noise_floor", "weighed by its noise"]);
    check(&["--set", "assimilation.twisted=(gamma: 0.1, floor: 1.0)"], &[at, "floor", "below 1"]);
    check(&["--set", "assimilation.sampler.integrator=Heun"], &[at, "Ancestral or StochasticDpm2m"]);
    check(&["--set", "assimilation.twisted=(gamma: -1.0)"], &[at, "gamma"]);
    check(&["--set", "assimilation.twisted=(gamma: 0.1, below: 2.0)"], &[at, "below", "in 0 … 1"]);
    check(&["--set", "assimilation.twisted=(gamma: 0.1, cut: 0.5)"], &[at, "cut", "at least 1"]);
    check(&["--set", "assimilation.twisted=(gamma: 0.1, particles: 0)"], &[at, "particles"]);
    check(&["--set", "assimilation.settings=Tuned"], &[at, "a tuning chooses settings without it"]);
}
