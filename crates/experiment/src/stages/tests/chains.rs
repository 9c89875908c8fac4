//! Experiments on chains from end to end, where samples are lost.

use super::super::samples::Keyed;
use crate::config::Setting;
use crate::report::Report;
use crate::run::{Options, Run};
use sda_device::DeviceChoice;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The smoke tier of the published recipe with next to no training, and fewer particles.
const SETTINGS: [&str; 7] = [
    "training.epochs=2",
    "data.split=(8, 2, 2)",
    "assimilation.samples=6",
    "assimilation.sampler.steps=4",
    "assimilation.guidance=Mmps(iterations: 1)",
    "score.network.hidden_features=[16]",
    "reference.particles=64",
];
/// Corrections that throw every sample out of the real numbers.
const LOSES_ALL: &str = "assimilation.sampler.tau=1e30";

/// A smoke tier in a folder.
pub(crate) fn smoke(folder: &Path, settings: &[&str]) -> Options {
    Options {
        root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        out: Some(folder.join("run")),
        data: Some(folder.join("data")),
        tier: Some("smoke".into()),
        settings: settings.iter().map(|s| Setting::parse(s).unwrap()).collect(),
        threads: 1,
        device: DeviceChoice::Cpu,
        quiet: true,
        checkpoint: Duration::ZERO,
        interrupted: Arc::default(),
    }
}

fn report(folder: &Path, settings: &[&str]) -> Report {
    let options = smoke(folder, &[&SETTINGS[..], settings].concat());
    let run = Run::prepare("lorenz_rozet2023", &options).unwrap_or_else(|e| panic!("failed to {e}"));
    run.execute().unwrap_or_else(|e| panic!("failed to {e}")).report
}

/// The values of a metric of one trajectory, in the order of their observations and corrections.
fn values(folder: &Path, metric: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(folder.join("run/metrics.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let of_this = |m: &&Value| m["metric"] == metric && m["trajectory"] == 0 && !m["corrections"].is_null();
    all["metrics"].as_array().unwrap().iter().filter(of_this).map(|m| m["value"].as_f64().unwrap()).collect()
}

fn has_figure(report: &Report, stem: &str) -> bool {
    report.figures.iter().any(|figure| figure.file.contains(stem))
}

/// Some corrections lose all samples: what is left is drawn. All do: nothing is drawn, and the report is there.
#[test]
fn a_report_is_made_where_all_samples_of_a_number_of_corrections_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let some = report(folder.path(), &[LOSES_ALL]);
    assert_eq!(values(folder.path(), "diverged"), [0.0, 6.0, 0.0, 6.0]);
    assert!(has_figure(&some, "w1-against-corrections"), "without corrections there are distances");
    let none = report(folder.path(), &[LOSES_ALL, "assimilation.corrections=[1]"]);
    assert!(!has_figure(&none, "w1-against-corrections"));
    assert!(none.notes.iter().any(|note| note.starts_with("12 samples left")), "{:?}", none.notes);
}

#[test]
fn distances_stand_at_the_corrections_that_were_made() {
    let folder = tempfile::tempdir().unwrap();
    let variants = "variants=[(name: \"a\", settings: [\"assimilation.corrections=[2]\"]), \
                    (name: \"b\", settings: [\"assimilation.corrections=[0, 2]\"])]";
    let of_variants = report(folder.path(), &[variants]);
    assert!(has_figure(&of_variants, "w1-against-corrections-lo"));
    let own = report(folder.path(), &["observations.0.corrections=2", "observations.1.corrections=2"]);
    assert!(has_figure(&own, "w1-against-corrections"));
}

#[test]
fn particles_that_are_all_lost_are_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let twisted = [
        LOSES_ALL,
        "assimilation.corrections=[1]",
        "assimilation.sampler.integrator=StochasticDpm2m(eta: 1.0)",
        "assimilation.twisted=(gamma: 0.3)",
    ];
    let report = report(folder.path(), &twisted);
    assert_eq!(values(folder.path(), "diverged"), [6.0, 6.0]);
    assert!(report.notes.iter().any(|note| note.starts_with("12 samples left")), "{:?}", report.notes);
}

/// A state of 1e30 is a number, and a step from there is none.
#[test]
fn samples_out_of_the_densities_reach_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    report(folder.path(), &["assimilation.corrections=[0]"]);
    let before = values(folder.path(), "w1");
    let path = folder.path().join("run/samples/lo-0-c0.safetensors");
    let key = sda_data::ModelFile::load(&path).unwrap().header.other["key"].as_str().unwrap().to_owned();
    let mut file = Keyed::load(&path, &key, "test").unwrap().unwrap();
    for component in 0..3 {
        file.tensors.get_mut("samples").unwrap()[[2, 7, component]] = 1e30;
    }
    file.save(&path, "test").unwrap();
    std::fs::remove_file(folder.path().join("run/scores/lo-0-c0.json")).unwrap();
    let told = report(folder.path(), &["assimilation.corrections=[0]"]);
    assert_eq!(values(folder.path(), "diverged"), [1.0, 0.0]);
    let after = values(folder.path(), "w1");
    assert!((after[0] / before[0] - 1.0).abs() < 0.5 && after[1] == before[1], "{after:?}, {before:?}");
    assert!(told.notes.iter().any(|note| note.starts_with("1 samples left")), "{:?}", told.notes);
}
