//! Tuning: what it leaves, that it is used, and that nothing is done twice.

use super::sandbox::{Contents, Sandbox, assert_same, fails, has, run_until, stderr, succeed};
use std::fs;
use std::process::{Command, Stdio};

/// Two cheap candidates.
const TUNING: &str = "tuning=(trajectories: 4, samples: 6, candidates: [\
    (guidance: Mmps(iterations: 1), sampler: (steps: 8, grid: Squared)), \
    (guidance: Sda(gamma: 1e-2), corrections: 1, sampler: (steps: 12))])";
const TUNED: &str = "assimilation.settings=Tuned";
/// One of tuned settings that is met, and one of settings that are given, which would not be.
const EXPECT: &str = "expect=[(metric: \"lo.tuned.w1_ratio\", at_least: 0.0, source: \"a distance\"), \
    (metric: \"lo.2.w1_ratio\", at_most: -1.0, source: \"no distance\")]";

fn tune(sandbox: &Sandbox, more: &[&str]) -> Command {
    sandbox.small_of("tune", &[&["--set", TUNING], more].concat())
}

#[test]
fn each_variant_is_tuned_and_says_so() {
    let sandbox = Sandbox::new();
    let variants = "variants=[(name: \"narrow\", settings: [\"score.order=1\", \"score.network.features=9\"]), \
        (name: \"same\", settings: [])]";
    let output = succeed(tune(&sandbox, &["--set", variants]).output().unwrap());
    let shown = String::from_utf8(output.stdout).unwrap();
    for name in ["narrow", "same"] {
        assert!(shown.contains(&format!("Tuning of «lo», {name}, noise")), "{shown}");
        let file = sandbox.out().join(name).join("tuning.json");
        assert!(file.is_file() && shown.contains(&format!("Tuning: {}", file.display())), "{shown}");
    }
}

/// Files of the run directory that hold results.
fn results(sandbox: &Sandbox) -> Contents {
    let mut all = sandbox.contents();
    all.retain(|name, _| name.starts_with("out/") && !name.ends_with("versions.json"));
    all
}

#[test]
fn a_tuning_is_kept_used_by_the_experiment_and_held_by_what_it_resolves_to() {
    let sandbox = Sandbox::new();
    let first = succeed(tune(&sandbox, &["--threads", "1"]).output().unwrap());
    let shown = String::from_utf8(first.stdout.clone()).unwrap();
    for word in ["Tuning of «lo»", "Tuning of «hi»", "Mmps(iterations: 1)", "✓", "tuning.json"] {
        assert!(shown.contains(word), "«{word}» is not in: {shown}");
    }
    let left = results(&sandbox);
    let trials = |o: &str| left.keys().filter(|n| n.starts_with(&format!("out/tuning/{o}-"))).count();
    assert_eq!((trials("lo"), trials("hi")), (2, 2), "{:?}", left.keys());
    let csv = std::str::from_utf8(&left["out/tuning.csv"]).unwrap();
    assert_eq!((csv.lines().count(), csv.matches(",Chosen,").count()), (5, 2), "{csv}");

    let second = succeed(tune(&sandbox, &["--threads", "2"]).output().unwrap());
    assert!(stderr(&second).contains("tune: unchanged, from "), "{}", stderr(&second));
    assert_eq!(second.stdout, first.stdout);
    assert_same(&results(&sandbox), &left);

    let used = sandbox.finish(&["--set", TUNING, "--set", TUNED, "--set", EXPECT]);
    let told = stderr(&used);
    assert!(told.contains("tune: unchanged, from ") && told.contains("assimilate: done"), "{told}");
    let report = String::from_utf8(used.stdout.clone()).unwrap();
    for word in ["Tuning of «lo»", "particle filter", "1 of 1 checks passed"] {
        assert!(report.contains(word), "«{word}» is not in: {report}");
    }
    let resolved = fs::read_to_string(sandbox.out().join("resolved.ron")).unwrap();
    assert!(resolved.contains("chosen: {") && resolved.contains("\"lo\": ("), "{resolved}");

    // The resolved file samples with what was chosen, and tunes nothing.
    fs::remove_dir_all(sandbox.out().join("tuning")).unwrap();
    fs::write(sandbox.path("experiments/resolved.ron"), resolved).unwrap();
    let mut again = sandbox.command(&["resolved", "--device", "cpu", "--out"]);
    let told = stderr(&succeed(again.arg(sandbox.out()).output().unwrap()));
    assert!(told.contains("assimilate: unchanged, from ") && !told.contains("tune:"), "{told}");
}

#[test]
fn an_interrupted_tuning_goes_on_and_threads_change_nothing() {
    let whole = Sandbox::new();
    succeed(tune(&whole, &["--threads", "2"]).output().unwrap());
    for _ in 0..8 {
        let sandbox = Sandbox::new();
        let child = tune(&sandbox, &["--checkpoint-seconds", "0", "--threads", "1"]).spawn().unwrap();
        let begun = || has(&sandbox.out().join("tuning"), "hi", ".partial.safetensors");
        let Some(child) = run_until(child, begun) else { continue };
        let number = child.id().to_string();
        let kill =
            Command::new("sh").args(["-c", &format!("kill -INT {number}")]).stderr(Stdio::null()).status();
        assert!(kill.is_ok());
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            continue;
        }
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(130), "{text}");
        assert!(text.contains("finish tune: interrupted; the same command goes on"), "{text}");
        succeed(tune(&sandbox, &[]).output().unwrap());
        assert_same(&results(&sandbox), &results(&whole));
        return;
    }
    panic!("the tuning was missed again and again");
}

#[test]
fn what_cannot_be_tuned_is_told_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.small_of("tune", &[]);
    fails(
        &mut command,
        &["lorenz_rozet2023.ron", "tuning.trajectories", "32", "10 to validate", "data.split"],
    );
    let none = "tuning=(trajectories: 4, candidates: [])";
    fails(&mut sandbox.small_of("tune", &["--set", none]), &["tuning.candidates", "at least one"]);
    assert!(sandbox.contents().is_empty(), "something was written");
}
