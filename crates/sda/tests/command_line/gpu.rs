//! A whole run on a GPU, hardware or a program on the CPU: the CPU's samples, and the same bits when it goes on.

use super::sandbox::{Contents, Sandbox, assert_same, has, run_until, succeed};
use sda::data::ModelFile;
use std::process::{Command, Stdio};

/// Settings that leave few kernels to build and few steps to run: a program on the CPU takes its time for both.
const SHORT: &[&str] = &[
    "training.epochs=6",
    "assimilation.length=11",
    "assimilation.trajectories=1",
    "assimilation.corrections=[1]",
    "assimilation.sampler.steps=8",
];

/// Results on the CPU and on a GPU from the same seed: largest difference, of the largest number of the array.
///
/// Each kernel is within its exactness class, about 1e-6 of what it adds up. A training of 18 steps and a sampling of 16
/// carry that on; a wrong draw, a lost barrier or a swapped axis is off by 0.1 … 1.
const SAME_SAMPLES: f32 = 1e-3;

fn has_adapter(test: &str) -> bool {
    let found = !sda::device::adapters().is_empty();
    if !found {
        let required = std::env::var("SDA_REQUIRE_GPU").is_ok_and(|v| v == "1");
        assert!(!required, "{test}: there is no GPU adapter, and SDA_REQUIRE_GPU=1 asks for one");
        eprintln!("{test}: skipped, there is no GPU adapter");
    }
    found
}

fn short(sandbox: &Sandbox, more: &[&str]) -> Command {
    let mut command = sandbox.small(&[]);
    command.args(SHORT.iter().flat_map(|setting| ["--set", setting])).args(more);
    command
}

fn on(device: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    succeed(short(&sandbox, &["--device", device]).output().unwrap());
    sandbox
}

#[track_caller]
fn assert_near(cpu: &Sandbox, gpu: &Sandbox, file: &str) {
    let load = |s: &Sandbox| ModelFile::load(&s.out().join(file)).unwrap().tensors;
    let (cpu, gpu) = (load(cpu), load(gpu));
    assert_eq!(cpu.keys().collect::<Vec<_>>(), gpu.keys().collect::<Vec<_>>(), "{file}");
    for (name, want) in &cpu {
        let largest = want.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
        let apart = want.iter().zip(&gpu[name]).fold(0.0, |m: f32, (a, b)| m.max((a - b).abs()));
        assert_eq!(want.shape(), gpu[name].shape(), "{file} {name}");
        assert!(apart <= SAME_SAMPLES * largest, "{file} {name}: {apart} apart, of {largest}");
    }
}

/// Everything but what tells the device.
fn results(contents: &Contents) -> Contents {
    let tells = |name: &str| name.starts_with("out/versions.") || name.starts_with("out/report.");
    contents.iter().filter(|(name, _)| !tells(name)).map(|(n, b)| (n.clone(), b.clone())).collect()
}

#[test]
fn parity_of_a_run_on_the_gpu() {
    if !has_adapter("parity_of_a_run_on_the_gpu") {
        return;
    }
    let (cpu, gpu) = (on("cpu"), on("gpu"));
    for file in ["model.safetensors", "samples/lo-0-c1.safetensors", "samples/hi-0-c1.safetensors"] {
        assert_near(&cpu, &gpu, file);
    }
    let versions = std::fs::read_to_string(gpu.out().join("versions.json")).unwrap();
    assert!(sda::device::adapters().iter().any(|a| versions.contains(&a.name)), "{versions}");
    let again = succeed(short(&gpu, &["--device", "gpu"]).output().unwrap());
    let text = String::from_utf8(again.stderr).unwrap();
    assert!(text.contains("train: unchanged") && text.contains("assimilate: unchanged"), "{text}");

    // Interrupted where there is a checkpoint, it goes on to the same bits.
    let stopped = Sandbox::new();
    let child =
        short(&stopped, &["--device", "gpu", "--checkpoint-seconds", "0", "--quiet"]).spawn().unwrap();
    let checkpoint = stopped.out().join("checkpoint.safetensors");
    let child = run_until(child, || checkpoint.exists() && has(&stopped.out(), "", ".ron"));
    let mut child = child.expect("six epochs last longer than it takes to see the first checkpoint");
    let sent =
        Command::new("sh").args(["-c", &format!("kill -KILL {}", child.id())]).stderr(Stdio::null()).status();
    assert!(sent.is_ok() && !child.wait().unwrap().success());
    assert!(!stopped.out().join("model.safetensors").exists(), "the training was over");
    succeed(short(&stopped, &["--device", "gpu"]).output().unwrap());
    assert_same(&results(&stopped.contents()), &results(&gpu.contents()));
}
