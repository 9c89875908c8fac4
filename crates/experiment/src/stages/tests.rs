//! Experiments on fields from end to end: a flow of 16 × 16 points.

use crate::config::Setting;
use crate::error::ExperimentError;
use crate::run::{Options, Outcome, Run};
use sda_data::ModelFile;
use sda_device::DeviceChoice;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) mod chains;

const RECIPE: &str = r#"(
    description: "a small flow",
    system: Kolmogorov(grid: 32, output: 16),
    seed: 3,
    burn_in: 2,
    steps: 12,
    split: (4, 2, 2),
)"#;

/// Everything that is seen of fields, with next to no training.
const EXPERIMENT: &str = r#"(
    title: "a small flow",
    source: "nowhere",
    seed: 1,
    dataset: "flow",
    score: Local(
        order: 1,
        network: UNet((
            channels: 6,
            embedding: 8,
            hidden_channels: [4, 8],
            hidden_blocks: [1, 1],
            kernel: 3,
            stride: 2,
            boundary: [Circular, Circular],
            context: Forcing(wavenumber: 4),
        )),
    ),
    denoiser: Preconditioned(data_std: 1.0),
    training: (epochs: 2, batch: 4, learning_rate: 1e-3),
    observations: [
        (name: "coarse", operator: Compose([EveryNth(3), Coarsen(4)]), noise_std: 0.1),
        (
            name: "bent",
            operator: Compose([EveryNth(2), Vorticity, Saturate, Crop(start: (2, 2), size: (8, 9))]),
            noise_std: 0.05,
            length: 5,
            steps: 3,
        ),
        (
            name: "ring",
            operator: Compose([States(start: 7, count: 1), Vorticity, Mask(Ring(inner: 0.4, outer: 0.6))]),
            noise_std: 0.2,
            target: 0.6,
            length: 8,
        ),
        (
            name: "loop",
            operator: Difference(first: 0, second: 14),
            noise_std: 0.01,
            target: 0.0,
            length: 15,
            guidance: Sda(gamma: 0.1),
            place: Composed,
        ),
    ],
    assimilation: (
        length: 10,
        trajectories: 2,
        samples: 3,
        corrections: [1],
        guidance: Mmps(iterations: 1),
        place: Windowed,
        sampler: (steps: 4, tau: 0.25, grid: Squared),
    ),
)"#;

fn run(folder: &Path, out: &str, threads: usize, settings: &[&str]) -> String {
    let outcome = execute(folder, (out, threads), settings, Arc::default());
    let outcome = outcome.unwrap_or_else(|e| panic!("failed to {e}"));
    std::fs::read_to_string(outcome.folder.join("metrics.csv")).unwrap()
}

fn execute(
    folder: &Path,
    (out, threads): (&str, usize),
    settings: &[&str],
    interrupted: Arc<AtomicBool>,
) -> Result<Outcome, ExperimentError> {
    Run::prepare("flow", &options(folder, (out, threads), settings, interrupted))?.execute()
}

fn options(
    folder: &Path,
    (out, threads): (&str, usize),
    settings: &[&str],
    interrupted: Arc<AtomicBool>,
) -> Options {
    Options {
        root: folder.to_owned(),
        out: Some(folder.join(out)),
        data: Some(folder.join("data")),
        tier: None,
        settings: settings.iter().map(|s| Setting::parse(s).unwrap()).collect(),
        threads,
        device: DeviceChoice::Cpu,
        quiet: true,
        checkpoint: Duration::ZERO,
        interrupted,
    }
}

fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("datasets/flow.ron", RECIPE), ("experiments/flow.ron", EXPERIMENT)] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Names of one observation's metrics over the trajectories.
fn metrics(csv: &str, observation: &str) -> BTreeSet<String> {
    let all = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    all.filter(|cells| cells[0] == observation && cells[2].is_empty())
        .map(|cells| cells[3].to_owned())
        .collect()
}

#[test]
fn fields_are_assimilated_scored_and_reported_on_any_number_of_threads() {
    let folder = workspace();
    let csv = run(folder.path(), "run", 1, &[]);
    assert_eq!(csv, run(folder.path(), "again", 2, &[]), "on two threads");
    for seen in ["coarse", "bent"] {
        let names = metrics(&csv, seen);
        for name in [
            "residual_over_noise",
            "log_likelihood",
            "rmse",
            "crps",
            "spread_skill",
            "coverage_90",
            "one_state_error",
        ] {
            assert!(names.contains(name), "{seen}: {names:?}");
        }
        assert!(!names.contains("log_prior") && !names.contains("w1"), "{names:?}");
    }
    let floors = ["rmse_climatology", "rmse_interpolation"];
    assert!(floors.iter().all(|name| metrics(&csv, "coarse").contains(*name)), "{csv}");
    assert_eq!(floors.map(|name| metrics(&csv, "bent").contains(name)), [true, false]);
    // There is no truth to be held against.
    for painted in ["ring", "loop"] {
        let want = ["diverged", "residual_over_noise", "one_state_error"].map(str::to_owned);
        assert_eq!(metrics(&csv, painted), want.into());
    }
    let samples = |name: &str| {
        let file =
            ModelFile::load(&folder.path().join(format!("run/samples/{name}-c1.safetensors"))).unwrap();
        file.tensors["samples"].shape().to_vec()
    };
    assert_eq!(samples("coarse-0"), [3, 10, 16, 16, 2]);
    assert_eq!(samples("bent-1"), [3, 5, 16, 16, 2]);
    assert_eq!(samples("loop-0"), [3, 15, 16, 16, 2]);
    // A target is no trajectory's: it is sampled once.
    let is_there = |name: &str| folder.path().join(format!("run/samples/{name}-c1.safetensors")).exists();
    assert_eq!(["coarse-1", "ring-1", "loop-1"].map(is_there), [true, false, false]);
}

/// The truth follows the physics and samples of an untrained network do not; the prior has its metrics, its figures and
/// its table, beside those of one half of the test data against the other.
#[test]
fn the_prior_alone_is_held_against_the_data() {
    let folder = workspace();
    let drawn = "prior=(samples: 5, length: 4, steps: 3, corrections: 1)";
    let csv = run(folder.path(), "run", 1, &[drawn]);
    assert_eq!(csv, run(folder.path(), "again", 2, &[drawn]), "on two threads");
    let value = |observation: &str, corrections: &str, metric: &str| -> f64 {
        let begin = format!("{observation},{corrections},,{metric},");
        let line =
            csv.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("{begin}: {csv}"));
        line[begin.len()..].split(',').next().unwrap().parse().unwrap()
    };
    // What 16 × 16 points do not show of 32 × 32 is most of the truth's error here, .49.
    let (truth, sample) = (value("coarse", "", "one_state_error"), value("coarse", "1", "one_state_error"));
    assert!(truth < 0.55 && sample > 0.8, "{truth}, {sample}");
    let laws = [
        "spectrum_log10",
        "energy_w1",
        "energy_ratio",
        "enstrophy_w1",
        "vorticity_quantiles",
        "divergence",
        "one_state_error",
    ];
    for metric in laws {
        assert!(
            value("prior", "", metric).is_finite() && value("prior", "1", metric).is_finite(),
            "{metric}"
        );
    }
    // Halves of the data are nearer each other than noise is to them.
    assert!(value("prior", "", "spectrum_log10") < value("prior", "1", "spectrum_log10"));
    assert!(value("prior", "", "divergence") < value("prior", "1", "divergence"), "{csv}");
    let report = std::fs::read_to_string(folder.path().join("run/report.md")).unwrap();
    assert!(report.contains("The prior alone") && report.contains("simulated"), "{report}");
    for figure in ["prior-spectrum", "prior-quantiles", "residuals-coarse", "residuals-ring", "strips-bent"] {
        assert!(folder.path().join(format!("run/figures/{figure}.png")).exists(), "{figure}");
    }
    let file = ModelFile::load(&folder.path().join("run/samples/prior.safetensors")).unwrap();
    assert_eq!(file.tensors["samples"].shape(), [5, 4, 16, 16, 2]);
    // One test trajectory has no halves.
    let settings = [drawn, "data.split=(4, 2, 1)", "assimilation.trajectories=1"];
    let alone = run(folder.path(), "alone", 1, &settings);
    assert!(
        alone.contains("prior,1,,spectrum_log10,") && !alone.contains("prior,,,spectrum_log10,"),
        "{alone}"
    );
    // All lost: told, and no figure.
    let lost = run(folder.path(), "lost", 1, &[drawn, "assimilation.sampler.tau=1e30"]);
    assert!(lost.contains("prior,1,,diverged,5"), "{lost}");
    assert!(!folder.path().join("lost/figures/prior-spectrum.png").exists());
}

/// With weights at hand only what a run reads is simulated, and it is what the whole dataset has.
#[test]
fn shipped_weights_need_no_training_data() {
    let first = workspace();
    run(first.path(), "trained", 1, &[]);
    let given = ["weights=\"model.safetensors\""];
    let stores = |folder: &Path| {
        let names = std::fs::read_dir(folder.join("data")).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let second = workspace();
    for folder in [&first, &second] {
        let model = first.path().join("trained/model.safetensors");
        std::fs::copy(model, folder.path().join("model.safetensors")).unwrap();
    }
    let whole = run(first.path(), "given", 1, &given);
    let held_out = run(second.path(), "given", 2, &given);
    assert_eq!(whole, held_out);
    assert!(stores(first.path()).iter().all(|name| !name.contains("held-out")), "{:?}", stores(first.path()));
    let [store] = &stores(second.path())[..] else { panic!("{:?}", stores(second.path())) };
    assert!(store.ends_with("-held-out.zarr"), "{store}");
    // Losses are of the weights' training, whatever the experiment's would be.
    let losses = |settings: &[&str]| {
        run(first.path(), "given", 1, &[&given[..], settings].concat());
        std::fs::read_to_string(first.path().join("given/training.csv")).unwrap()
    };
    let of_its_own = losses(&[]);
    assert_eq!(of_its_own.lines().count(), 3, "{of_its_own}");
    assert_eq!(losses(&["training.epochs=1", "training.validation_every=1"]), of_its_own);
    assert_eq!(losses(&["training.epochs=50"]), of_its_own);
}

/// τ so large that every correction leaves the real numbers.
#[test]
fn samples_that_are_all_lost_are_told_and_break_nothing() {
    let folder = workspace();
    let csv = run(folder.path(), "run", 1, &["assimilation.sampler.tau=1e30"]);
    let lost = csv.lines().find(|line| line.starts_with("coarse,1,,diverged")).unwrap();
    assert!(lost.starts_with("coarse,1,,diverged,3"), "{lost}");
    assert!(!metrics(&csv, "coarse").contains("rmse"), "{csv}");
    let report = std::fs::read_to_string(folder.path().join("run/report.md")).unwrap();
    assert!(report.contains("left the real numbers"), "{report}");
}

/// Guidance so weak that samples are the prior's, beside a fine instrument and beside one that tells nothing.
#[test]
fn samples_that_miss_what_was_observed_are_told() {
    let folder = workspace();
    let told = |noise: &str| {
        let settings = ["assimilation.guidance=Sda(gamma: 1e6)", noise];
        let report = execute(folder.path(), ("run", 1), &settings, Arc::default()).unwrap().report;
        report.notes.iter().any(|note| note.contains("«coarse» do not explain what was observed"))
    };
    assert!(told("observations.0.noise_std=0.01"));
    assert!(!told("observations.0.noise_std=100.0"));
}

/// What is expected of samples does not hold of those that are left of them; what is lost is told again by scores alone.
#[test]
fn an_expectation_of_samples_that_are_lost_fails() {
    let folder = workspace();
    let expect = |extra: &str| {
        format!(
            "expect=[(metric: \"coarse.1.residual_over_noise\", at_most: 1e9, source: \"a bound\"){extra}]"
        )
    };
    let report = |settings: &[&str]| {
        let all = [&["assimilation.sampler.tau=1e30", "assimilation.keep_samples=false"], settings].concat();
        execute(folder.path(), ("run", 1), &all, Arc::default()).unwrap().report
    };
    let first = report(&[&expect("")]);
    let lost = |report: &crate::report::Report| {
        let found = report.checks.iter().find(|check| check.quantity == "coarse.1.diverged");
        found.map(|check| (check.value, check.upper, check.passed()))
    };
    assert_eq!(lost(&first), Some((3.0, Some(0.0), false)));
    let again = report(&[&expect("")]);
    assert_eq!(lost(&again), lost(&first));
    let told =
        |report: &crate::report::Report| report.notes.iter().any(|n| n.contains("left the real numbers"));
    assert!(told(&first) && told(&again));
    let own = report(&[&expect(", (metric: \"coarse.1.diverged\", at_most: 3.0, source: \"known\")")]);
    assert_eq!(lost(&own), Some((3.0, Some(3.0), true)));
    // Of samples that are all there nothing is said.
    let whole = execute(folder.path(), ("whole", 1), &[&expect("")], Arc::default()).unwrap().report;
    assert_eq!(lost(&whole), None);
    assert!(whole.checks[0].passed());
}

/// A forecast of fields is held against what was observed of them.
#[test]
fn fields_are_forecast() {
    let folder = workspace();
    let operator = "observations.0.operator=Compose([EveryNth(3), Coarsen(8)])";
    let rollouts = "rollouts=[(name: \"ahead\", observation: \"coarse\", rollout: Forecast(window: 5, known: 2), \
                    conditioning: Guided(noise_std: 0.05))]";
    let csv = |samples: &str| {
        let settings = [operator, rollouts, &format!("assimilation.samples={samples}")];
        run(folder.path(), "run", 1, &settings);
        std::fs::read_to_string(folder.path().join("run/rollouts.csv")).unwrap()
    };
    let few = csv("3");
    let column = few.lines().next().unwrap().split(',').position(|c| c == "innovation_chi_squared").unwrap();
    let told =
        |csv: &str| csv.lines().skip(1).filter(|l| !l.split(',').nth(column).unwrap().is_empty()).count();
    assert_eq!(told(&few), 0, "{few}");
    // 2 × 2 blocks of 2 velocities at a state, and as many samples as a covariance of those takes.
    let many = csv("80");
    assert!(told(&many) > 0, "{many}");
}

/// Two runs of one data set at the same time: one simulates, the other waits and reads.
#[test]
fn two_runs_share_a_data_set() {
    let folder = workspace();
    let recipe = RECIPE.replace("split: (4, 2, 2)", "split: (40, 2, 2)");
    std::fs::write(folder.path().join("datasets/flow.ron"), recipe).unwrap();
    let csv = std::thread::scope(|scope| {
        let folder = folder.path();
        let runs = ["first", "second"].map(|out| scope.spawn(move || run(folder, out, 1, &[])));
        runs.map(|run| run.join().unwrap())
    });
    assert_eq!(csv[0], csv[1]);
}

#[test]
fn two_runs_into_one_folder_are_kept_apart() {
    let folder = workspace();
    let options = options(folder.path(), ("run", 1), &[], Arc::default());
    let first = Run::prepare("flow", &options).unwrap();
    let error = Run::prepare("flow", &options).unwrap_err().to_string();
    assert!(error.contains("run/.lock") && error.contains("choose another folder"), "{error}");
    drop(first);
    Run::prepare("flow", &options).unwrap();
}

/// A setting of one observation's sampling leaves the others' samples where they are, and all observations.
#[test]
fn an_observations_own_settings_are_a_matter_of_its_samples_alone() {
    let folder = workspace();
    run(folder.path(), "run", 1, &[]);
    let written = |name: &str| {
        let path = folder.path().join("run").join(name);
        std::fs::metadata(&path).unwrap_or_else(|e| panic!("{name}: {e}")).modified().unwrap()
    };
    let names = [
        "samples/coarse-0-c1.safetensors",
        "observations/bent-0.safetensors",
        "samples/bent-0-c1.safetensors",
    ];
    let before = names.map(written);
    run(folder.path(), "run", 1, &["observations.1.steps=5"]);
    let after = names.map(written);
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
}

/// Interrupted when the first scores are there: samples that are not kept are scored one set after another, and a run
/// goes on from the scores.
#[test]
fn what_is_not_kept_is_scored_at_once() {
    let folder = workspace();
    let settings = ["assimilation.keep_samples=false"];
    let want = run(folder.path(), "whole", 1, &settings);
    let scores = |name: &str| folder.path().join("run/scores").join(name);
    let interrupted = Arc::new(AtomicBool::new(false));
    let over = Arc::new(AtomicBool::new(false));
    let watch = {
        let (first, interrupted, over) =
            (scores("coarse-0-c1.json"), Arc::clone(&interrupted), Arc::clone(&over));
        std::thread::spawn(move || {
            while !first.exists() && !over.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            interrupted.store(true, Ordering::Relaxed);
        })
    };
    let outcome = execute(folder.path(), ("run", 1), &settings, interrupted);
    over.store(true, Ordering::Relaxed);
    watch.join().unwrap();
    assert!(matches!(outcome, Err(ExperimentError::Interrupted { .. })), "it ran to its end");
    assert!(scores("coarse-0-c1.json").exists());
    let last = folder.path().join("run/samples/loop-0-c1.safetensors");
    assert!(!last.exists(), "the first scores came after the last samples");
    assert_eq!(run(folder.path(), "run", 1, &settings), want);
    assert!(
        std::fs::read_dir(folder.path().join("run/samples")).unwrap().next().is_none(),
        "samples are gone"
    );
}
