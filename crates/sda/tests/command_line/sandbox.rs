//! A folder with the workspace's experiments and recipes, where the command runs and leaves its results.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Settings that make every stage short and none empty.
pub(super) const SMALL: &[&str] = &[
    "data.split=(150, 10, 3)",
    "data.steps=40",
    "training.epochs=24",
    "training.batch=64",
    "training.validation_every=5",
    "training.learning_rate=3e-3",
    "training.average=0.9",
    "score.network.hidden_features=[24]",
    "observations.0.noise_std=1.0",
    "observations.1.noise_std=1.0",
    "assimilation.length=25",
    "assimilation.trajectories=2",
    "assimilation.samples=10",
    "assimilation.corrections=[0, 2]",
    "assimilation.sampler.steps=24",
    "reference.particles=512",
    "expect=[]",
];

/// Contents of files by their path from a folder.
pub(super) type Contents = BTreeMap<String, Vec<u8>>;

/// A root with `experiments/` and `datasets/`, and places for results beside them.
pub(super) struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for part in ["experiments", "datasets"] {
            fs::create_dir(folder.path().join(part)).unwrap();
            for entry in fs::read_dir(workspace.join(part)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|e| e == "ron") {
                    fs::copy(&path, folder.path().join(part).join(path.file_name().unwrap())).unwrap();
                }
            }
        }
        Self { folder }
    }

    /// Copies the weights that the workspace ships.
    pub(super) fn ship_models(&self) {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        fs::create_dir(self.path("models")).unwrap();
        for entry in fs::read_dir(models).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "safetensors") {
                fs::copy(&path, self.path("models").join(path.file_name().unwrap())).unwrap();
            }
        }
    }

    pub(super) fn path(&self, of: &str) -> PathBuf {
        self.folder.path().join(of)
    }

    /// The run directory.
    pub(super) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// The data that the run has simulated: a Zarr store.
    pub(super) fn store(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.path("data")).ok()?;
        entries.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "zarr") && !hidden(p))
    }

    /// `sda experiment …` with the sandbox's folders.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        self.command_with_data(&self.path("data"), arguments)
    }

    /// As [`Sandbox::command`], with the data elsewhere.
    pub(super) fn command_with_data(&self, data: &Path, arguments: &[&str]) -> Command {
        self.command_of("experiment", data, arguments)
    }

    /// `sda experiment …` or `sda tune …`.
    fn command_of(&self, name: &str, data: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sda"));
        command.arg(name).arg("--root").arg(self.folder.path()).arg("--data").arg(data).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The small run, into `out`, on the CPU unless `more` has another device.
    pub(super) fn small(&self, more: &[&str]) -> Command {
        self.small_of("experiment", more)
    }

    /// The small run of `sda experiment` or `sda tune`.
    pub(super) fn small_of(&self, name: &str, more: &[&str]) -> Command {
        let mut command = self.command_of(name, &self.path("data"), &["lorenz_rozet2023", "--tier", "smoke"]);
        command.arg("--out").arg(self.out()).args(["--device", "cpu"]);
        command.args(SMALL.iter().flat_map(|setting| ["--set", setting])).args(more);
        command
    }

    /// Runs the small experiment to its end.
    #[track_caller]
    pub(super) fn finish(&self, more: &[&str]) -> Output {
        succeed(self.small(more).output().unwrap())
    }

    /// Everything in the run directory and in the data.
    pub(super) fn contents(&self) -> Contents {
        let mut all = Contents::new();
        collect(self.folder.path(), &self.out(), &mut all);
        collect(self.folder.path(), &self.path("data"), &mut all);
        all
    }
}

/// What a small run that nobody disturbs leaves.
pub(super) fn undisturbed() -> &'static Contents {
    static CONTENTS: OnceLock<Contents> = OnceLock::new();
    CONTENTS.get_or_init(|| {
        let sandbox = Sandbox::new();
        sandbox.finish(&[]);
        sandbox.contents()
    })
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn collect(root: &Path, folder: &Path, into: &mut Contents) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, into);
        } else {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            into.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// The same files with the same bytes.
#[track_caller]
pub(super) fn assert_same(found: &Contents, expected: &Contents) {
    let names = |c: &Contents| c.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "other files");
    let differing: Vec<&String> =
        found.iter().filter(|(name, bytes)| expected[*name] != **bytes).map(|(n, _)| n).collect();
    assert!(differing.is_empty(), "other bytes in {differing:?}");
}

pub(super) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub(super) fn succeed(output: Output) -> Output {
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    output
}

/// The command fails with an error, no panic, whose text holds all of these words.
#[track_caller]
pub(super) fn fails(command: &mut Command, words: &[&str]) {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert!(!output.status.success(), "it succeeded: {text}");
    assert!(output.status.code().is_some(), "ended by a signal: {text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(text.contains("error:"), "{text}");
    for word in words {
        assert!(text.contains(word), "«{word}» is not in: {text}");
    }
}

/// Waits until the child has ended (none) or the condition holds (the child, still running as far as seen).
pub(super) fn run_until(mut child: Child, condition: impl Fn() -> bool) -> Option<Child> {
    let limit = Instant::now() + Duration::from_mins(2);
    loop {
        if condition() {
            return Some(child);
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if Instant::now() > limit {
            child.kill().unwrap();
            panic!("nothing happened in two minutes");
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Whether a folder has a file whose name begins and ends so.
pub(super) fn has(folder: &Path, begin: &str, end: &str) -> bool {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name());
    names.map(|n| n.to_string_lossy().into_owned()).any(|n| n.starts_with(begin) && n.ends_with(end))
}
