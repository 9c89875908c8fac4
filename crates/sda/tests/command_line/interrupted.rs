//! Ctrl-C ends a run in order: it says that the same command goes on, and that does.

use super::sandbox::{Sandbox, assert_same, has, run_until, stderr, undisturbed};
use std::process::{Command, Stdio};

/// What shells have for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

#[track_caller]
fn check(signal: &str, begun: fn(&Sandbox) -> bool, stage: &str) {
    for _ in 0..8 {
        let sandbox = Sandbox::new();
        let child = sandbox.small(&["--checkpoint-seconds", "0", "--quiet"]).spawn().unwrap();
        let Some(child) = run_until(child, || begun(&sandbox)) else { continue };
        let number = child.id().to_string();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {number}")])
            .stderr(Stdio::null())
            .status();
        assert!(sent.is_ok());
        let output = child.wait_with_output().unwrap();
        let text = stderr(&output);
        if output.status.success() || !text.contains(stage) {
            // It came through, or into a later stage, before the signal.
            continue;
        }
        assert_eq!(output.status.code(), Some(INTERRUPTED), "{text}");
        assert!(text.contains("interrupted; the same command goes on"), "{text}");
        sandbox.finish(&[]);
        assert_same(&sandbox.contents(), undisturbed());
        return;
    }
    panic!("{stage} was missed again and again");
}

#[test]
fn in_train() {
    check("INT", |s| s.out().join("checkpoint.safetensors").exists(), "train");
}

#[test]
fn in_assimilate() {
    check("INT", |s| has(&s.out().join("samples"), "", ".partial.safetensors"), "assimilate");
}

#[test]
fn terminated() {
    check("TERM", |s| s.out().join("checkpoint.safetensors").exists(), "train");
}
