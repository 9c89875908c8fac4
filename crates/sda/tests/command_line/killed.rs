//! A run that is killed, in any stage, and started again ends in the bits of one that was not.

use super::sandbox::{Sandbox, assert_same, has, run_until, undisturbed};
use std::path::Path;
use std::time::Duration;

/// Attempts to hit a stage; a busy machine may let a run slip past the moment.
const ATTEMPTS: usize = 8;

/// Kills a run as soon as `begun` holds, where `over` does not hold yet, and lets the same command finish.
#[track_caller]
fn check(begun: fn(&Sandbox) -> bool, over: fn(&Sandbox) -> bool) {
    for _ in 0..ATTEMPTS {
        let sandbox = Sandbox::new();
        let child = sandbox.small(&["--checkpoint-seconds", "0", "--quiet"]).spawn().unwrap();
        let Some(mut child) = run_until(child, || begun(&sandbox)) else { continue };
        child.kill().unwrap();
        child.wait().unwrap();
        if over(&sandbox) || !begun(&sandbox) {
            continue;
        }
        sandbox.finish(&[]);
        assert_same(&sandbox.contents(), undisturbed());
        return;
    }
    panic!("the stage was missed {ATTEMPTS} times");
}

fn out(sandbox: &Sandbox, name: &str) -> bool {
    sandbox.out().join(name).exists()
}

fn any(sandbox: &Sandbox, folder: &str, end: &str) -> bool {
    has(&sandbox.out().join(folder), "", end)
}

/// Blocks of the store that are whole.
fn blocks(sandbox: &Sandbox) -> usize {
    let data = sandbox.path("data");
    let files = std::fs::read_dir(data).into_iter().flatten().flatten();
    let progress = files.map(|e| e.path()).find(|p| p.to_string_lossy().ends_with(".progress.json"));
    let text = progress
        .and_then(|p: std::path::PathBuf| std::fs::read_to_string(Path::new(&p)).ok())
        .unwrap_or_default();
    let count = text.split("\"blocks\": ").nth(1).and_then(|t| t.split([',', '\n']).next());
    count.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn in_simulate() {
    check(|s| has(&s.path("data"), ".", ".progress.json"), |s| s.store().is_some());
}

#[test]
fn in_simulate_after_a_block() {
    check(|s| blocks(s) > 0, |s| s.store().is_some());
}

#[test]
fn in_train() {
    check(|s| out(s, "checkpoint.safetensors"), |s| out(s, "model.safetensors"));
}

#[test]
fn in_observe() {
    check(|s| any(s, "observations", ".safetensors"), |s| any(s, "reference", ".safetensors"));
}

#[test]
fn in_reference() {
    check(|s| any(s, "reference", ".safetensors"), |s| out(s, "samples"));
}

#[test]
fn in_assimilate() {
    check(|s| any(s, "samples", ".partial.safetensors"), |s| out(s, "scores"));
}

#[test]
fn in_assimilate_after_the_first_samples() {
    check(
        |s| out(s, "samples/lo-1-c2.safetensors") && any(s, "samples", ".partial.safetensors"),
        |s| out(s, "scores"),
    );
}

#[test]
fn in_evaluate() {
    check(|s| any(s, "scores", ".json"), |s| out(s, "metrics.csv"));
}

#[test]
fn in_report() {
    check(|s| any(s, "figures", ".svg"), |s| out(s, "report.html"));
}

/// Killed again and again, a little later each time, until it comes through.
#[test]
fn at_any_moment() {
    let sandbox = Sandbox::new();
    let mut killed = 0;
    for attempt in 0..200 {
        let mut child = sandbox.small(&["--checkpoint-seconds", "0", "--quiet"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(15 + 20 * attempt));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    assert!(killed > 1, "killed {killed} times");
    sandbox.finish(&[]);
    assert_same(&sandbox.contents(), undisturbed());
}
