//! One run: an experiment, its folders, and the stages in order.

use crate::config::{self, Experiment, Loaded, Recipe, Setting};
use crate::error::ExperimentError;
use crate::progress::{self, Progress};
use crate::report::Report;
use crate::stages;
use crate::stages::assimilate::PosteriorSamples;
use crate::stages::evaluate::Scores;
use crate::stages::observe::Observed;
use crate::stages::prior::PriorLaw;
use crate::stages::reference::Reference;
use crate::stages::rollout::Rolled;
use crate::stages::train::Model;
use crate::stages::tune::Settled;
use crate::versions::versions;
use sda_data::{Lock, TrajectoryStore, whole_file};
use sda_device::{Device, DeviceChoice};
use sda_graph::ExecutorError;
use sda_kernels::gpu::Precision;
use sda_systems::{Dynamics, System};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Folders of a run directory.
pub(crate) const FOLDERS: [&str; 6] = ["observations", "reference", "samples", "scores", "figures", "tuning"];

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
    /// Where what was made for each variant lies; without variants the same folder.
    pub parts: Vec<PathBuf>,
}

/// What comes of one variant, or of the experiment where it has none.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) run: &'a Run,
    pub(crate) model: Model,
    pub(crate) settled: Settled,
    pub(crate) samples: Vec<PosteriorSamples>,
    pub(crate) scores: Scores,
    pub(crate) rollouts: Vec<Rolled>,
    /// Where the experiment asks for it.
    pub(crate) prior: Option<PriorLaw>,
}

impl Part<'_> {
    /// In tables and figures.
    pub(crate) fn name(&self) -> &str {
        self.run.variant.as_deref().unwrap_or("SDA")
    }

    /// Numbers of corrections of an observation's samples.
    pub(crate) fn corrections(&self, observation: &str) -> &[u32] {
        let named = self.run.loaded.experiment.observations.iter().position(|o| o.name == observation);
        named.map_or(&[], |kind| &self.settled.experiments[kind].assimilation.corrections)
    }
}

/// Everything that the stages share.
#[derive(Debug)]
pub struct Run {
    pub(crate) loaded: Loaded,
    /// Which variant it is.
    pub(crate) variant: Option<String>,
    pub(crate) recipe: Recipe,
    pub(crate) system: Dynamics,
    pub(crate) folder: PathBuf,
    pub(crate) data_folder: PathBuf,
    /// What files that the experiment names are sought from.
    root: PathBuf,
    pub(crate) threads: usize,
    /// The device in one line.
    pub(crate) described: String,
    /// The device, which every stage's executor is on.
    device: Device,
    pub(crate) checkpoint: Duration,
    quiet: bool,
    interrupted: Arc<AtomicBool>,
    /// On the folder; a variant's is the whole run's.
    _lock: Option<Lock>,
}

impl Run {
    /// Reads and checks everything, and makes the run directory.
    ///
    /// Errors: the experiment, its recipe, a device that is not there, a folder that can't be written or that another run
    /// is writing.
    pub fn prepare(name: &str, options: &Options) -> Result<Self, ExperimentError> {
        let path = config::find(&options.root.join("experiments"), name)?;
        let loaded = config::load(&path, options.tier.as_deref(), &options.settings)?;
        let recipes = options.root.join("datasets");
        let mut recipe = config::load_recipe(&recipes, &loaded.experiment.dataset)?;
        let data = &loaded.experiment.data;
        recipe.split = data.split.unwrap_or(recipe.split);
        recipe.steps = data.steps.unwrap_or(recipe.steps);
        loaded.validate_with(&recipe)?;
        let system = recipe.system.dynamics().map_err(ExperimentError::stage("build the system"))?;
        let tier = loaded.experiment.tier.as_deref().map(|t| format!("-{t}")).unwrap_or_default();
        let folder = options
            .out
            .clone()
            .unwrap_or_else(|| options.root.join("runs").join(format!("{}{tier}", loaded.name)));
        let precision: Precision = loaded.experiment.precision.into();
        let opened = Device::choose(&options.device, options.threads, precision).map_err(start_device)?;
        let lock =
            Lock::take(&folder.join(".lock")).map_err(ExperimentError::stage("open the run directory"))?;
        let run = Self {
            loaded,
            variant: None,
            recipe,
            system,
            folder,
            data_folder: options.data.clone().unwrap_or(recipes),
            root: options.root.clone(),
            threads: options.threads,
            described: opened.device.describe(),
            device: opened.device,
            checkpoint: options.checkpoint,
            quiet: options.quiet,
            interrupted: Arc::clone(&options.interrupted),
            _lock: Some(lock),
        };
        run.describe()?;
        run.say_device(opened.remark.as_deref(), run.device.precision() == precision);
        Ok(run)
    }

    /// Runs every stage that is not done yet.
    ///
    /// Errors: a stage's; an interruption, after which the same call goes on.
    pub fn execute(&self) -> Result<Outcome, ExperimentError> {
        let pool = self.pool()?;
        let variants = self.variants()?;
        let runs: Vec<&Self> = if variants.is_empty() { vec![self] } else { variants.iter().collect() };
        let (store, models) = self.learn(&pool, &runs)?;
        let settled: Vec<Settled> = runs
            .iter()
            .zip(&models)
            .map(|(run, model)| pool.install(|| stages::tune::settle(run, &store, model)))
            .collect::<Result<_, _>>()?;
        let observed = stages::observe::observe(self, &store)?;
        let references = pool.install(|| stages::reference::reference(self, &observed))?;
        let mut parts = Vec::with_capacity(runs.len());
        for ((run, model), settled) in runs.into_iter().zip(models).zip(settled) {
            let experiments = &settled.experiments;
            let at_once = |o: &Observed, reference: Option<&Reference>, p: &PosteriorSamples| {
                pool.install(|| stages::evaluate::at_once(run, &store, o, reference, p))
            };
            let all = (&observed[..], &references[..]);
            let samples = stages::assimilate::assimilate(run, &store, &model, all, experiments, at_once)?;
            let prior = pool.install(|| stages::prior::prior(run, &store, &model))?;
            let scores = pool.install(|| {
                let of_prior = prior.as_ref().map(PriorLaw::metrics).unwrap_or_default();
                stages::evaluate::evaluate(run, &store, (&observed, &references), &samples, of_prior)
            })?;
            let rollouts = pool.install(|| stages::rollout::rollouts(run, &model, &observed))?;
            parts.push(Part { run, model, settled, samples, scores, rollouts, prior });
        }
        let report = pool.install(|| stages::report::report(self, &observed, &references, &parts))?;
        Ok(self.outcome(report))
    }

    /// Chooses guidance and sampler of every observation by simulation, with what that needs: data and a model.
    ///
    /// Errors: as [`Run::execute`].
    pub fn tune(&self) -> Result<Outcome, ExperimentError> {
        let pool = self.pool()?;
        let variants = self.variants()?;
        let runs: Vec<&Self> = if variants.is_empty() { vec![self] } else { variants.iter().collect() };
        let (store, models) = self.learn(&pool, &runs)?;
        let mut report = Report { title: self.loaded.experiment.title.clone(), ..Report::default() };
        for (run, model) in runs.into_iter().zip(&models) {
            let tuned = pool.install(|| stages::tune::tune(run, &store, model, |_| true))?;
            report.tables.extend(tuned.tables);
            report.notes.extend(tuned.notes);
        }
        Ok(self.outcome(report))
    }

    fn outcome(&self, report: Report) -> Outcome {
        let variants: Vec<PathBuf> =
            self.loaded.variants.iter().map(|(name, _)| self.folder.join(name)).collect();
        let parts = if variants.is_empty() { vec![self.folder.clone()] } else { variants };
        Outcome { report, folder: self.folder.clone(), parts }
    }

    /// The host's own loops run on this pool, so that --threads holds for them too; an executor has its own.
    fn pool(&self) -> Result<rayon::ThreadPool, ExperimentError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()
            .map_err(ExperimentError::stage("start the threads"))
    }

    /// The data, and the network of each run, trained on them or shipped.
    fn learn(
        &self,
        pool: &rayon::ThreadPool,
        runs: &[&Self],
    ) -> Result<(TrajectoryStore, Vec<Model>), ExperimentError> {
        // Files before the work of minutes.
        let given = |run: &&Self| {
            let shipped = stages::train::shipped(run)?;
            let start = if shipped.is_none() { stages::train::start(run)? } else { None };
            Ok((shipped, start))
        };
        let given: Vec<_> = runs.iter().map(given).collect::<Result<_, ExperimentError>>()?;
        // Chains take seconds, and their evaluation reads the training data.
        let reads_all = |(run, (shipped, _)): (&&Self, &(Option<Model>, _))| {
            shipped.is_none() || run.loaded.experiment.estimates_covariances()
        };
        let is_whole = self.system.flow().is_none() || runs.iter().zip(&given).any(reads_all);
        let part = if is_whole { stages::simulate::Part::Whole } else { stages::simulate::Part::HeldOut };
        let store = pool.install(|| stages::simulate::simulate(self, part))?;
        let models = runs
            .iter()
            .zip(given)
            .map(|(run, (shipped, start))| {
                shipped.map_or_else(|| stages::train::train(run, &store, start), Ok)
            })
            .collect::<Result<_, _>>()?;
        Ok((store, models))
    }

    /// The experiment's variants, each in a folder of its own.
    fn variants(&self) -> Result<Vec<Self>, ExperimentError> {
        let variants = self.loaded.variants.iter();
        variants.map(|(name, experiment)| self.variant(name, experiment.clone())).collect()
    }

    fn variant(&self, name: &str, experiment: Experiment) -> Result<Self, ExperimentError> {
        Ok(Self {
            loaded: Loaded { experiment, variants: Vec::new(), ..self.loaded.clone() },
            variant: Some(name.to_owned()),
            recipe: self.recipe.clone(),
            system: self.recipe.system.dynamics().map_err(ExperimentError::stage("build the system"))?,
            folder: self.folder.join(name),
            data_folder: self.data_folder.clone(),
            root: self.root.clone(),
            threads: self.threads,
            described: self.described.clone(),
            device: self.executor()?,
            checkpoint: self.checkpoint,
            quiet: self.quiet,
            interrupted: Arc::clone(&self.interrupted),
            _lock: None,
        })
    }

    /// The system as a chain, which a particle filter and densities need; the experiment was checked for it.
    pub(crate) fn chain(&self) -> Result<&dyn System, ExperimentError> {
        self.system
            .chain()
            .ok_or(sda_systems::SystemError::NoChain)
            .map_err(ExperimentError::stage("reference"))
    }

    /// The shape of so many trajectories as a network sees them: [N, L, D], [N, L, x, y, C].
    pub(crate) fn shape(&self, samples: usize, length: usize) -> Vec<usize> {
        [&[samples, length], &self.system.state_shape()[..]].concat()
    }

    /// The file of trained weights, where the experiment names one.
    pub(crate) fn weights(&self) -> Option<PathBuf> {
        self.loaded.experiment.weights.as_ref().map(|name| self.beside(name))
    }

    /// A file that the experiment names.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
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
        let variants = self.loaded.variants.iter().map(|(name, _)| self.folder.join(name));
        let parts: Vec<PathBuf> = [self.folder.clone()].into_iter().chain(variants).collect();
        let folders = parts.iter().flat_map(|part| FOLDERS.iter().map(|name| part.join(name)));
        for folder in folders.chain(parts.iter().cloned()).filter(|folder| folder.is_dir()) {
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
        if self.quiet {
            return Progress::silent();
        }
        Progress::new(&format!("{stage}{}", self.of_variant()), total as u64)
    }

    /// `, k4` where this is a variant, to be put after what is the variant's.
    pub(crate) fn of_variant(&self) -> String {
        self.variant.as_ref().map(|name| format!(", {name}")).unwrap_or_default()
    }

    /// Says something on stderr.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            tell(text);
        }
    }

    /// Says on stderr that a result is reused.
    pub(crate) fn reused(&self, stage: &str, path: &Path) {
        if !self.quiet {
            tell(&format!("{stage}: unchanged, from {}", path.display()));
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
            tell(&format!("device: {remark}"));
        }
        tell(&format!("device: {}", self.described));
        if !is_precise_as_asked {
            tell("device: precision: Mixed needs a GPU with f16; this one computes in f32");
        }
    }

    /// A fresh executor on the run's device.
    pub(crate) fn executor(&self) -> Result<Device, ExperimentError> {
        self.device.fresh().map_err(start_device)
    }
}

fn tell(text: &str) {
    progress::say(&mut std::io::stderr(), text);
}

fn start_device(error: ExecutorError) -> ExperimentError {
    let reason = match error {
        ExecutorError::Device(reason) => reason,
        other => other.to_string(),
    };
    ExperimentError::Stage { stage: "start the device", reason }
}
