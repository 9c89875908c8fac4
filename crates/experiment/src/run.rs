//! One run: an experiment, its folders, and the stages in order.

use crate::config::{self, Loaded, Recipe, Setting};
use crate::error::ExperimentError;
use crate::progress::Progress;
use crate::report::Report;
use crate::stages;
use crate::versions::versions;
use sda_data::whole_file;
use sda_device::{Device, DeviceChoice};
use sda_graph::ExecutorError;
use sda_kernels::gpu::Precision;
use sda_systems::System;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Folders of a run directory.
const FOLDERS: [&str; 5] = ["observations", "reference", "samples", "scores", "figures"];

/// What the command line chooses.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with `experiments/` and `datasets/`.
    pub root: PathBuf,
    /// The run directory; `runs/NAME-TIER` where there is none.
    pub out: Option<PathBuf>,
    /// Where generated data lie; `datasets/` of the root where there is none.
    pub data: Option<PathBuf>,
    /// `smoke`, `quick`, `paper`.
    pub tier: Option<String>,
    /// `path=value`.
    pub settings: Vec<Setting>,
    /// Threads; 0 is all.
    pub threads: usize,
    /// What trains and samples; the rest is the CPU's.
    pub device: DeviceChoice,
    /// Whether progress is shown.
    pub quiet: bool,
    /// Time between two checkpoints; a kill loses at most that much work.
    pub checkpoint: Duration,
    /// Set by Ctrl-C.
    pub interrupted: Arc<AtomicBool>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// What it has to say.
    pub report: Report,
    /// Where it lies.
    pub folder: PathBuf,
}

/// Everything that the stages share.
#[derive(Debug)]
pub struct Run {
    pub(crate) loaded: Loaded,
    pub(crate) recipe: Recipe,
    pub(crate) system: Box<dyn System>,
    pub(crate) folder: PathBuf,
    pub(crate) data_folder: PathBuf,
    /// Of the trained weights, where the experiment names some.
    pub(crate) weights: Option<PathBuf>,
    pub(crate) threads: usize,
    /// The device in one line.
    pub(crate) described: String,
    /// The device, which every stage's executor is on.
    device: Device,
    pub(crate) checkpoint: Duration,
    quiet: bool,
    interrupted: Arc<AtomicBool>,
}

impl Run {
    /// Reads and checks everything, and makes the run directory.
    ///
    /// Errors: the experiment, its recipe, a device that is not there, a folder that can't be written.
    pub fn prepare(name: &str, options: &Options) -> Result<Self, ExperimentError> {
        let path = config::find(&options.root.join("experiments"), name)?;
        let loaded = config::load(&path, options.tier.as_deref(), &options.settings)?;
        let recipes = options.root.join("datasets");
        let mut recipe = config::load_recipe(&recipes, &loaded.experiment.dataset)?;
        let data = &loaded.experiment.data;
        recipe.split = data.split.unwrap_or(recipe.split);
        recipe.steps = data.steps.unwrap_or(recipe.steps);
        loaded.experiment.validate_with(&recipe, &path)?;
        let system = recipe.system.build().map_err(ExperimentError::stage("build the system"))?;
        let tier = loaded.experiment.tier.as_deref().map(|t| format!("-{t}")).unwrap_or_default();
        let folder = options
            .out
            .clone()
            .unwrap_or_else(|| options.root.join("runs").join(format!("{}{tier}", loaded.name)));
        let precision: Precision = loaded.experiment.precision.into();
        let opened = Device::choose(&options.device, options.threads, precision).map_err(start_device)?;
        let weights = loaded.experiment.weights.as_ref().map(|name| options.root.join(name));
        let run = Self {
            loaded,
            recipe,
            system,
            folder,
            data_folder: options.data.clone().unwrap_or(recipes),
            weights,
            threads: options.threads,
            described: opened.device.describe(),
            device: opened.device,
            checkpoint: options.checkpoint,
            quiet: options.quiet,
            interrupted: Arc::clone(&options.interrupted),
        };
        run.describe()?;
        run.say_device(opened.remark.as_deref(), run.device.precision() == precision);
        Ok(run)
    }

    /// Runs every stage that is not done yet.
    ///
    /// Errors: a stage's; an interruption, after which the same call goes on.
    pub fn execute(&self) -> Result<Outcome, ExperimentError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()
            .map_err(ExperimentError::stage("start the threads"))?;
        // The host's own loops run on this pool, so that --threads holds for them too; an executor has its own.
        let shipped = stages::train::shipped(self)?;
        let store = pool.install(|| stages::simulate::simulate(self))?;
        let model = shipped.map_or_else(|| stages::train::train(self, &store), Ok)?;
        let observed = stages::observe::observe(self, &store)?;
        let references = pool.install(|| stages::reference::reference(self, &observed))?;
        let samples = stages::assimilate::assimilate(self, &model, &observed)?;
        let scores = pool.install(|| stages::evaluate::evaluate(self, &observed, &references, &samples))?;
        let rollouts = stages::rollout::rollouts(self, &model, &observed)?;
        let report =
            stages::report::report(self, &model, &observed, &references, &samples, &scores, &rollouts)?;
        Ok(Outcome { report, folder: self.folder.clone() })
    }

    /// What the run is, beside its results.
    fn describe(&self) -> Result<(), ExperimentError> {
        self.write("experiment.ron", self.loaded.written.as_bytes())?;
        self.write("resolved.ron", self.loaded.resolved.as_bytes())?;
        let mut facts: serde_json::Map<String, serde_json::Value> =
            versions(self).into_iter().map(|(k, v)| (k, v.into())).collect();
        facts.insert("seed".into(), self.loaded.experiment.seed.into());
        facts.insert("data seed".into(), self.recipe.seed.into());
        let text = serde_json::to_vec_pretty(&facts).map_err(ExperimentError::stage("describe the run"))?;
        self.write("versions.json", &text)?;
        let folders = FOLDERS.iter().map(|name| self.folder.join(name)).filter(|folder| folder.is_dir());
        for folder in folders.chain([self.folder.clone()]) {
            whole_file::remove_unfinished(&folder)
                .map_err(ExperimentError::stage("clean the run directory"))?;
        }
        Ok(())
    }

    /// Removes what an earlier run needed to go on, once its result is there.
    pub(crate) fn remove(path: &Path) -> Result<(), ExperimentError> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ExperimentError::io("remove", path, e)),
            _ => Ok(()),
        }
    }

    /// Writes a file of the run directory whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, ExperimentError> {
        let path = self.folder.join(name);
        whole_file::write(&path, bytes).map_err(ExperimentError::stage("write the run directory"))?;
        Ok(path)
    }

    pub(crate) fn progress(&self, stage: &str, total: usize) -> Progress {
        if self.quiet { Progress::silent() } else { Progress::new(stage, total as u64) }
    }

    /// Says on stderr that a result is reused.
    pub(crate) fn reused(&self, stage: &str, path: &Path) {
        if !self.quiet {
            eprintln!("{stage}: unchanged, from {}", path.display());
        }
    }

    /// Ends a stage of which all, or not all, was reused from a folder of the run directory.
    pub(crate) fn finish(&self, progress: Progress, stage: &str, all_reused: bool, folder: &str) {
        if all_reused {
            progress.discard();
            self.reused(stage, &self.folder.join(folder));
        } else {
            progress.finish();
        }
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Errors: Ctrl-C was pressed.
    pub(crate) fn go_on(&self, stage: &'static str) -> Result<(), ExperimentError> {
        if self.is_interrupted() { Err(ExperimentError::Interrupted { stage }) } else { Ok(()) }
    }

    /// Says on stderr what trains and samples.
    fn say_device(&self, remark: Option<&str>, is_precise_as_asked: bool) {
        if self.quiet {
            return;
        }
        if let Some(remark) = remark {
            eprintln!("device: {remark}");
        }
        eprintln!("device: {}", self.described);
        if !is_precise_as_asked {
            eprintln!("device: precision: Mixed needs a GPU with f16; this one computes in f32");
        }
    }

    /// A fresh executor on the run's device.
    pub(crate) fn executor(&self) -> Result<Device, ExperimentError> {
        self.device.fresh().map_err(start_device)
    }
}

fn start_device(error: ExecutorError) -> ExperimentError {
    let reason = match error {
        ExecutorError::Device(reason) => reason,
        other => other.to_string(),
    };
    ExperimentError::Stage { stage: "start the device", reason }
}
