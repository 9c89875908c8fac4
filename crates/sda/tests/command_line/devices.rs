//! What a run computes on: asked for, listed, not there.

use super::sandbox::{Sandbox, fails, stderr, succeed, undisturbed};
use std::process::Command;

/// Takes every Vulkan adapter away: the loader reads no driver's description.
#[cfg(all(feature = "gpu", target_os = "linux"))]
fn without_adapters(command: &mut Command) -> &mut Command {
    command.env("VK_DRIVER_FILES", "/no/such/file.json").env("VK_ICD_FILENAMES", "/no/such/file.json")
}

fn devices() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sda"));
    command.arg("devices");
    command
}

fn shown(command: &mut Command) -> String {
    String::from_utf8(succeed(command.output().unwrap()).stdout).unwrap()
}

/// The run fails with these words and leaves nothing.
#[track_caller]
fn refused(device: &str, words: &[&str]) {
    let sandbox = Sandbox::new();
    fails(&mut sandbox.small(&["--device", device]), words);
    assert!(sandbox.contents().is_empty(), "something was written");
}

#[test]
fn the_cpu_is_listed_and_what_auto_takes() {
    let text = shown(&mut devices());
    assert!(text.starts_with("cpu    CPU, "), "{text}");
    assert!(text.contains(&format!("{:?}", sda::kernels::Level::detect())), "{text}");
    assert!(text.lines().last().unwrap().starts_with("--device auto takes "), "{text}");
    #[cfg(feature = "gpu")]
    for (i, adapter) in sda::device::adapters().iter().enumerate() {
        let row = text.lines().find(|line| line.starts_with(&format!("gpu:{i}  "))).expect("a row");
        assert!(row.contains(&adapter.name), "{row}");
    }
}

/// A reader that has gone is none of the command's business; what can't be written is told.
#[test]
fn nobody_reads_what_is_said() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = devices().stdout(writer).output().unwrap();
    assert!(output.status.success() && !stderr(&output).contains("panicked"), "{}", stderr(&output));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut missing = Command::new(env!("CARGO_BIN_EXE_sda"));
    let output = missing.args(["halve", "no-such.safetensors", "b"]).stderr(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    #[cfg(target_os = "linux")]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        fails(devices().stdout(full), &["write to stdout"]);
    }
}

#[test]
fn what_is_no_device_is_answered_with_the_forms() {
    for device in ["tpu", "gpu:", "cpu:1", ""] {
        let forms = "auto, cpu, gpu, gpu:<index> or gpu:<part of the name>";
        refused(device, &["--device", &format!("«{device}»"), forms]);
    }
}

#[cfg(feature = "gpu")]
#[test]
fn adapters_that_are_not_there() {
    for device in ["gpu:99", "gpu:no-such-adapter"] {
        refused(device, &["failed to start the device", "there is no GPU adapter"]);
    }
}

#[cfg(not(feature = "gpu"))]
#[test]
fn a_build_without_gpus_says_so() {
    for device in ["gpu", "gpu:0"] {
        refused(device, &["no GPU support", "default features"]);
    }
}

/// Vulkan is Linux's only way to a GPU here; elsewhere Metal or DX12 may still find one.
#[cfg(all(feature = "gpu", target_os = "linux"))]
#[test]
fn on_a_machine_without_adapters_gpu_is_an_error_and_auto_the_cpu() {
    let text = shown(without_adapters(&mut devices()));
    for word in ["There is no GPU adapter", "mesa-vulkan-drivers", "--device auto takes the CPU"] {
        assert!(text.contains(word), "«{word}» is not in: {text}");
    }
    let sandbox = Sandbox::new();
    let words = ["failed to start the device", "no GPU adapter", "install", "--device cpu"];
    fails(without_adapters(&mut sandbox.small(&["--device", "gpu"])), &words);
    assert!(sandbox.contents().is_empty(), "something was written");

    let output = without_adapters(&mut sandbox.small(&["--device", "auto"])).output().unwrap();
    let told = stderr(&succeed(output));
    assert_eq!(told.matches("device: CPU, ").count(), 1, "{told}");
    super::sandbox::assert_same(&sandbox.contents(), undisturbed());
}

#[test]
fn the_device_is_said_once_and_kept_with_the_results() {
    let sandbox = Sandbox::new();
    let told = stderr(&sandbox.finish(&[]));
    let line = told.lines().find(|line| line.starts_with("device: ")).expect("a line for the device");
    assert_eq!(told.matches("device: ").count(), 1, "{told}");
    let versions = String::from_utf8(sandbox.contents()["out/versions.json"].clone()).unwrap();
    let said = line.strip_prefix("device: ").unwrap();
    assert!(versions.contains(&format!("\"device\": \"{said}\"")), "{versions}");
    let quiet = stderr(&sandbox.finish(&["--quiet"]));
    assert!(!quiet.contains("device: "), "{quiet}");
}

/// The CPU has f32 alone: the same numbers under other keys.
#[test]
fn mixed_precision_on_the_cpu_is_f32_and_said() {
    let sandbox = Sandbox::new();
    let told = stderr(&sandbox.finish(&["--set", "precision=Mixed"]));
    assert_eq!(told.matches("computes in f32").count(), 1, "{told}");
    let contents = sandbox.contents();
    assert_eq!(contents["out/metrics.csv"], undisturbed()["out/metrics.csv"]);
    assert_ne!(contents["out/model.safetensors"], undisturbed()["out/model.safetensors"], "the same key");
}
