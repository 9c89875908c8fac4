//! Conformance to reference numbers: every case of the folder, by its kind, in f64 and in f32.

mod dynamics;
mod fields;
mod guidance;
mod metrics;
mod network;
mod report;
mod sampler;
mod schedule;
mod score;
mod train;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use sda_core::Real;
use sda_device::{AdapterChoice, Cpu, Wgpu};
use sda_graph::{Executor, Graph, NodeId, Program, RunKey};
use sda_kernels::Interpreter;
use sda_kernels::gpu::Precision;

use crate::reference::{Case, cases, folder};
use report::{Report, Tolerance};

/// Draws of the inputs' lost digits, where they matter.
const ROUNDINGS: u64 = 4;

/// Checks one case; an unknown kind is a failure.
fn check<E: Executor>(case: &Case, mut executor: E, report: &mut Report<'_>) {
    match case.kind.as_str() {
        "schedule" => schedule::check(case, report),
        "mc_score_net" | "mc_score_wrapper" | "local_score_unet" => score::check(case, &mut executor, report),
        "guidance" => guidance::check(case, &mut executor, report),
        "sampler" => sampler::check(case, &mut executor, report),
        "train" => train::check(case, &mut executor, report),
        "dynamics" => dynamics::check(case, report),
        "field_ops" => fields::check(case, &mut executor, report),
        "metrics" => metrics::check(case, report),
        kind => report.fail(format!("unknown kind `{kind}`")),
    }
}

/// Checks one case; one of another form than its kind's is a failure, not the end of the test.
fn checked<E: Executor>(case: &Case, executor: E, tolerance: Tolerance) -> Report<'_> {
    let mut report = Report::new(case, tolerance);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(case, executor, &mut report))) {
        let why = panic.downcast_ref::<String>().cloned();
        report.fail(why.or(panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default());
    }
    report
}

/// Every failure of every case of a folder.
fn failures<E: Executor>(folder: &Path, executor: impl Fn() -> E, tolerance: Tolerance) -> Vec<String> {
    let cases = match cases(folder) {
        Ok(cases) => cases,
        Err(error) => return vec![error],
    };
    let of_case = |case: &Case| {
        let mut report = checked(case, executor(), tolerance);
        if report.exceeds() {
            let exact = checked(case, Interpreter::<f64>::new(), report::DOUBLE);
            let moved: Vec<Case> = (0..ROUNDINGS).map(|i| case.with_inputs_moved(i)).collect();
            let rounded: Vec<Report<'_>> =
                moved.iter().map(|case| checked(case, Interpreter::<f64>::new(), report::DOUBLE)).collect();
            report.allow_for_rounding(&exact, &rounded);
        }
        report.failures()
    };
    cases.iter().flat_map(of_case).collect()
}

#[track_caller]
fn assert_conformance<E: Executor>(executor: impl Fn() -> E, tolerance: Tolerance) {
    let failures = failures(&folder(), executor, tolerance);
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn conformance_in_f64() {
    assert_conformance(Interpreter::<f64>::new, report::DOUBLE);
}

#[test]
fn conformance_in_f32_by_the_reference_kernels() {
    assert_conformance(Interpreter::<f32>::new, report::SINGLE);
}

#[test]
fn conformance_in_f32_on_the_cpu() {
    assert_conformance(|| Cpu::new(0).unwrap(), report::SINGLE);
}

/// Networks, guidance, sampler and training steps on an adapter, in f32: the published numbers are met there too.
#[test]
fn parity_conformance_in_f32_on_the_gpu() {
    if crate::gpu::has_adapter("parity_conformance_in_f32_on_the_gpu") {
        let gpu = || Wgpu::new(&AdapterChoice::Best, Precision::F32).unwrap();
        assert_conformance(gpu, report::SINGLE);
    }
}

/// Runs a program once, without inputs; its outputs in order, widened.
fn evaluate<E: Executor>(executor: &mut E, g: Graph, nodes: &[NodeId]) -> Vec<ndarray::ArrayD<f64>> {
    let shapes: Vec<Vec<usize>> = nodes.iter().map(|n| g.shape(*n).to_vec()).collect();
    let name = |i: usize| format!("node {i}");
    let program = nodes.iter().enumerate().fold(Program::new(g), |p, (i, node)| p.output(name(i), *node));
    let handle = executor.compile(&program).unwrap();
    executor.run(handle, RunKey { seed: 0, step: 0 }, &[]).unwrap();
    let mut value = |(i, shape): (usize, Vec<usize>)| {
        let values = executor.output(handle, i).unwrap().iter().map(|x| x.to_f64()).collect();
        ndarray::ArrayD::from_shape_vec(shape, values).unwrap()
    };
    shapes.into_iter().enumerate().map(&mut value).collect()
}

/// Writes a case of a kind with one tensor `out.x` of one number.
fn write_case(folder: &Path, kind: &str, config: &str) {
    let metadata =
        [("kind".to_string(), kind.to_string()), ("config".to_string(), config.to_string())].into();
    let bytes = 1f32.to_le_bytes();
    let tensor = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &bytes).unwrap();
    let file = safetensors::serialize([("out.x", tensor)], Some(metadata)).unwrap();
    std::fs::write(folder.join("case.safetensors"), file).unwrap();
}

#[test]
fn conformance_fails_on_an_empty_or_absent_folder() {
    let empty = tempfile::tempdir().unwrap();
    for folder in [empty.path(), &empty.path().join("absent")] {
        assert_eq!(failures(folder, Interpreter::<f64>::new, report::DOUBLE).len(), 1);
    }
}

#[test]
fn conformance_fails_on_an_unknown_kind_and_on_a_tensor_not_compared() {
    let temporary = tempfile::tempdir().unwrap();
    let run = || failures(temporary.path(), Interpreter::<f64>::new, report::DOUBLE).join("\n");
    write_case(temporary.path(), "tea_leaves", "{}");
    assert!(run().contains("unknown kind `tea_leaves`"), "{}", run());
    write_case(temporary.path(), "metrics", "{}");
    assert!(run().contains("`out.x` was not compared"), "{}", run());
    write_case(temporary.path(), "schedule", r#"{"sde": "vp"}"#);
    assert!(run().contains("`alpha` is null, not a word"), "{}", run());
}

#[test]
fn conformance_fails_on_a_result_that_is_slightly_off() {
    let temporary = tempfile::tempdir().unwrap();
    // Three parts in 10⁴ of one result, in every case.
    let mut told = 0;
    for case in cases(&folder()).unwrap() {
        let name = case.tensors.keys().find(|n| n.starts_with("out.")).cloned();
        let Some(name) = name.filter(|n| !n.ends_with("freqs")) else { continue };
        let path = folder().join(format!("{}.safetensors", case.name));
        let mut bytes = std::fs::read(path).unwrap();
        crate::reference::scale_stored(&mut bytes, &name, 1.0 + 3e-4);
        std::fs::write(temporary.path().join("case.safetensors"), bytes).unwrap();
        let failures = failures(temporary.path(), Interpreter::<f64>::new, report::DOUBLE);
        assert!(
            failures.iter().any(|f| f.contains(&name)),
            "{}: {name} scaled, and nothing failed",
            case.name
        );
        told += 1;
    }
    assert!(told > 0);
}
