//! Training: epochs of one random window from each training trajectory, streamed from the store.

use super::checkpoint::Clock;
use super::keys;
use super::samples::Keyed;
use crate::config::{ScoreConfig, Training};
use crate::error::ExperimentError;
use crate::key::seed;
use crate::progress::Progress;
use crate::run::Run;
use ndarray::{Array1, ArrayD};
use sda_core::Stream;
use sda_data::{ModelFile, ModelHeader, TrajectoryStore};
use sda_device::Device;
use sda_diffusion::{DiffusionError, Trainer};
use sda_graph::Executor;
use sda_nn::{Average, Weights};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

const STAGE: &str = "train";
/// What the losses' tensors in a file of weights begin with.
pub(crate) const CURVE: &str = "curve.";
/// Streams of the order of trajectories and of the windows' starts.
const ORDER: u32 = 0x0500;
const STARTS: u32 = 0x0501;
/// Batches read ahead.
const AHEAD: usize = 8;

/// A trained network.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// What it depends on.
    pub(crate) key: String,
    /// The weights that the score uses.
    pub(crate) weights: BTreeMap<String, ArrayD<f32>>,
    /// Losses.
    pub(crate) curve: Curve,
    /// How it was trained, which of shipped weights is not the experiment's section `training`; none where that is not
    /// known, or did not make these losses.
    pub(crate) training: Option<Training>,
}

impl Model {
    /// Epochs after which there is a validation loss, counted from 1.
    pub(crate) fn validated(&self) -> Vec<usize> {
        let (epochs, count) = (self.curve.training.len(), self.curve.validation.len());
        match &self.training {
            Some(t) => (1..=epochs)
                .filter(|e| e.is_multiple_of(t.validation_every) || *e == epochs)
                .take(count)
                .collect(),
            None => (1..=count).map(|i| i * epochs / count).collect(),
        }
    }
}

/// The settings in a file's header that made these losses.
fn settings_of(header: &ModelHeader, curve: &Curve) -> Option<Training> {
    let t: Training = serde_json::from_value(header.training["training"].clone()).ok()?;
    (t.epochs as usize == curve.training.len() && t.validation_every > 0).then_some(t)
}

/// Losses of a training.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curve {
    /// Mean over each epoch's batches.
    pub(crate) training: Vec<f32>,
    /// After every `validation_every`-th epoch.
    pub(crate) validation: Vec<f32>,
}

/// The model, trained, from `start` or from random weights.
pub(crate) fn train(
    run: &Run,
    store: &TrajectoryStore,
    start: Option<Model>,
) -> Result<Model, ExperimentError> {
    let e = &run.loaded.experiment;
    let key = keys::model(&run.recipe, e, start.as_ref().map(|model| model.key.as_str()));
    let path = run.folder.join("model.safetensors");
    if let Some(model) = load(run, &path, &key)? {
        Run::remove(&checkpoint_path(run))?;
        run.reused(STAGE, &path);
        return Ok(model);
    }
    let mut executor = run.executor()?;
    let window = [&[e.score.window()], &run.system.state_shape()[..]].concat();
    let average = e.training.average.map(|decay| Average { decay });
    let settings = sda_diffusion::Training {
        schedule: e.schedule,
        optimiser: e.training.optimiser,
        average,
        denoiser: e.denoiser,
        times: e.training.times,
        weight: e.training.weight,
        levels: e.training.levels,
    };
    let wrap = ExperimentError::diffusion(STAGE);
    let network = e.score.network().clone();
    let mut trainer =
        Trainer::new(&mut executor, network.clone(), &window, settings, seed(e.seed, [0x0500, 0, 0]))
            .map_err(&wrap)?;
    match start {
        Some(model) => trainer.begin(&model.weights),
        None => trainer.begin(&network.initialise(seed(e.seed, [0x0501, 0, 0]))),
    }
    .map_err(&wrap)?;
    let used = if average.is_some() { Weights::Averaged } else { Weights::Trained };
    let curve = epochs(run, store, &mut trainer, used, &key)?;
    let weights = trainer.weights(used).map_err(&wrap)?;
    let model = Model { key, weights, curve, training: Some(e.training.clone()) };
    save(run, &path, &model)?;
    Run::remove(&checkpoint_path(run))?;
    Ok(model)
}

fn checkpoint_path(run: &Run) -> std::path::PathBuf {
    run.folder.join("checkpoint.safetensors")
}

fn epochs(
    run: &Run,
    store: &TrajectoryStore,
    trainer: &mut Trainer<'_, Device>,
    used: Weights,
    key: &str,
) -> Result<Curve, ExperimentError> {
    let e = &run.loaded.experiment;
    let epochs = e.training.epochs as usize;
    let path = checkpoint_path(run);
    let mut curve = restore(trainer, &path, key)?;
    let begin = curve.training.len();
    let windows = Windows::new(run, store);
    let progress = run.progress(STAGE, epochs * windows.training.len());
    progress.resume_at((begin * windows.training.len()) as u64);
    let mut clock = Clock::new(run.checkpoint);
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel(AHEAD);
        let windows = &windows;
        // Reads ahead of the training; ends when it is done or the receiver is gone.
        scope.spawn(move || {
            for epoch in begin..epochs {
                for batch in windows.epoch(epoch, e.training.batch) {
                    if send.send(batch).is_err() {
                        return;
                    }
                }
            }
        });
        for epoch in begin..epochs {
            let loss = one_epoch(trainer, &e.training, windows, &receive, epoch, &progress)?;
            curve.training.push(loss);
            if (epoch + 1).is_multiple_of(e.training.validation_every) || epoch + 1 == epochs {
                curve.validation.push(validate(trainer, windows, used, e.training.batch)?);
            }
            let due = clock.is_due();
            if due || run.is_interrupted() {
                checkpoint(trainer, &path, key, &curve)?;
                run.go_on(STAGE)?;
            }
        }
        Ok::<_, ExperimentError>(())
    })?;
    progress.finish();
    Ok(curve)
}

/// One pass over the training trajectories; the mean loss over its windows.
fn one_epoch(
    trainer: &mut Trainer<'_, Device>,
    training: &Training,
    windows: &Windows<'_>,
    batches: &Receiver<Result<Vec<f32>, ExperimentError>>,
    epoch: usize,
    progress: &Progress,
) -> Result<f32, ExperimentError> {
    let rate = training.decay.at(epoch, training.epochs as usize, training.learning_rate);
    let per_epoch = windows.training.len().div_ceil(training.batch);
    for batch in 0..per_epoch {
        let values = batches.recv().map_err(ExperimentError::stage(STAGE))??;
        let n = values.len() / windows.window_len();
        let step = (epoch * per_epoch + batch) as u32;
        trainer.advance(step, rate, &values).map_err(|e| in_epoch(epoch, e))?;
        progress.advance(n as u64);
    }
    // The one place where an epoch waits for the device.
    let loss = trainer.mean_loss().map_err(|e| in_epoch(epoch, e))? as f32;
    progress.message(format!("epoch {} loss {loss:.4}", epoch + 1));
    Ok(loss)
}

/// A training's error, with its epoch and the remedy where the numbers are at fault.
fn in_epoch(epoch: usize, error: DiffusionError) -> ExperimentError {
    match error {
        DiffusionError::NonFiniteLoss { .. } => ExperimentError::Stage {
            stage: STAGE,
            reason: format!("epoch {epoch}: {error}; lower training.learning_rate"),
        },
        other => ExperimentError::diffusion(STAGE)(other),
    }
}

/// Mean loss over one fixed window of each validation trajectory.
fn validate(
    trainer: &mut Trainer<'_, Device>,
    windows: &Windows<'_>,
    used: Weights,
    batch: usize,
) -> Result<f32, ExperimentError> {
    let (mut sum, mut count) = (0.0, 0);
    for (i, values) in windows.held_out(batch).enumerate() {
        let values = values?;
        let n = values.len() / windows.window_len();
        sum += n as f64
            * trainer.validate(i as u32, used, &values).map_err(ExperimentError::diffusion(STAGE))?;
        count += n;
    }
    Ok((sum / f64::from(count as u32)) as f32)
}

/// Random windows of the store, normalised.
pub(crate) struct Windows<'a> {
    store: &'a TrajectoryStore,
    pub(crate) training: Range<usize>,
    validation: Range<usize>,
    states: usize,
    state_dim: usize,
    offset: Vec<f32>,
    scale: Vec<f32>,
    order: Stream,
    starts: Stream,
}

impl<'a> Windows<'a> {
    fn new(run: &Run, store: &'a TrajectoryStore) -> Self {
        Self::of(run, store, run.loaded.experiment.score.window())
    }

    /// Windows of another number of states than the network's.
    pub(crate) fn of(run: &Run, store: &'a TrajectoryStore, states: usize) -> Self {
        let split = &store.description().split;
        let normalisation = run.system.normalisation();
        let seed = run.loaded.experiment.seed;
        Self {
            store,
            training: split.train.clone(),
            validation: split.validation.clone(),
            states,
            state_dim: run.system.state_dim(),
            offset: normalisation.offset.iter().map(|&x| x as f32).collect(),
            scale: normalisation.scale.iter().map(|&x| x as f32).collect(),
            order: Stream::new(seed, ORDER),
            starts: Stream::new(seed, STARTS),
        }
    }

    /// Numbers of one window.
    pub(crate) fn window_len(&self) -> usize {
        self.states * self.state_dim
    }

    /// One random window of every training trajectory, in random order: a function of (seed, epoch).
    pub(crate) fn epoch(
        &self,
        epoch: usize,
        batch: usize,
    ) -> impl Iterator<Item = Result<Vec<f32>, ExperimentError>> {
        let mut trajectories: Vec<usize> = self.training.clone().collect();
        self.order.sequence(epoch as u32, 0).shuffle(&mut trajectories);
        self.batches(trajectories, epoch as u32 + 1, batch)
    }

    /// One window of every validation trajectory, the same each time.
    fn held_out(&self, batch: usize) -> impl Iterator<Item = Result<Vec<f32>, ExperimentError>> {
        self.batches(self.validation.clone().collect(), 0, batch)
    }

    fn batches(
        &self,
        trajectories: Vec<usize>,
        step: u32,
        batch: usize,
    ) -> impl Iterator<Item = Result<Vec<f32>, ExperimentError>> {
        let free = (self.store.layout().length - self.states + 1) as u32;
        let mut random = self.starts.sequence(step, 0);
        let places: Vec<(usize, usize)> =
            trajectories.into_iter().map(|t| (t, random.below(free) as usize)).collect();
        let batches: Vec<Vec<(usize, usize)>> = places.chunks(batch).map(<[_]>::to_vec).collect();
        batches.into_iter().map(move |places| self.read(&places))
    }

    fn read(&self, places: &[(usize, usize)]) -> Result<Vec<f32>, ExperimentError> {
        let mut values = vec![0.0; places.len() * self.window_len()];
        self.store.windows(places, self.states, &mut values).map_err(ExperimentError::stage(STAGE))?;
        for state in values.chunks_exact_mut(self.offset.len()) {
            for ((x, offset), scale) in state.iter_mut().zip(&self.offset).zip(&self.scale) {
                *x = (*x - offset) / scale;
            }
        }
        Ok(values)
    }
}

fn curve_tensors(curve: &Curve) -> [(String, ArrayD<f32>); 2] {
    [("curve.training", &curve.training), ("curve.validation", &curve.validation)]
        .map(|(name, values)| (name.to_owned(), Array1::from(values.clone()).into_dyn()))
}

fn curve_of(tensors: &BTreeMap<String, ArrayD<f32>>) -> Curve {
    let values = |name: &str| tensors.get(name).map(|t| t.iter().copied().collect()).unwrap_or_default();
    Curve { training: values("curve.training"), validation: values("curve.validation") }
}

/// The exact state after an epoch.
fn checkpoint(
    trainer: &mut Trainer<'_, Device>,
    path: &Path,
    key: &str,
    curve: &Curve,
) -> Result<(), ExperimentError> {
    let mut tensors: BTreeMap<String, ArrayD<f32>> = curve_tensors(curve).into();
    for name in trainer.state_names() {
        let value = trainer.executor().read(&name).map_err(ExperimentError::executor(STAGE))?;
        tensors.insert(name, value);
    }
    Keyed { key: key.into(), tensors, facts: Value::Null }.save(path, STAGE)
}

/// Sets the states of an interrupted training; the losses so far.
fn restore(trainer: &mut Trainer<'_, Device>, path: &Path, key: &str) -> Result<Curve, ExperimentError> {
    let Some(file) = Keyed::load(path, key, STAGE)? else { return Ok(Curve::default()) };
    for name in trainer.state_names() {
        let value = file.tensors.get(&name).ok_or_else(|| ExperimentError::Stage {
            stage: STAGE,
            reason: format!("{}: there is no tensor «{name}»; delete the file to train anew", path.display()),
        })?;
        trainer.executor().write(&name, value.view()).map_err(ExperimentError::executor(STAGE))?;
    }
    Ok(curve_of(&file.tensors))
}

fn save(run: &Run, path: &Path, model: &Model) -> Result<(), ExperimentError> {
    let e = &run.loaded.experiment;
    let wrap = ExperimentError::stage::<serde_json::Error>(STAGE);
    let normalisation = run.system.normalisation();
    let header = ModelHeader {
        architecture: json!({
            "window": e.score.window(),
            "network": serde_json::to_value(e.score.network()).map_err(&wrap)?,
        }),
        normalisation: json!({ "offset": normalisation.offset, "scale": normalisation.scale }),
        training: json!({
            "data": serde_json::to_value(&run.recipe).map_err(&wrap)?,
            "schedule": serde_json::to_value(e.schedule).map_err(&wrap)?,
            "denoiser": serde_json::to_value(e.denoiser).map_err(&wrap)?,
            "training": serde_json::to_value(&e.training).map_err(&wrap)?,
            "seed": e.seed,
        }),
        progress: Value::Null,
        other: [("key".to_owned(), json!(model.key))].into_iter().collect(),
    };
    let mut tensors = model.weights.clone();
    tensors.extend(curve_tensors(&model.curve));
    ModelFile::new(tensors, header).save(path).map_err(ExperimentError::stage(STAGE))
}

/// The model of the file that the experiment names, if it names one.
///
/// Errors: a file that can't be read; weights of another system, network, window, diffusion or denoiser.
pub(crate) fn shipped(run: &Run) -> Result<Option<Model>, ExperimentError> {
    let Some(path) = run.weights() else { return Ok(None) };
    let system = to_json(&run.recipe.system)?;
    let of_data = ("the system of its data", ["data", "system"], system);
    let remedy = "change the experiment, or train with --set weights=None";
    let model = trained(run, &path, Some(of_data), remedy)?;
    run.reused(STAGE, &path);
    Ok(Some(model))
}

/// What the training begins with, where that is a file.
///
/// Errors: as [`shipped`], but that weights of another system may be a beginning.
pub(crate) fn start(run: &Run) -> Result<Option<Model>, ExperimentError> {
    let Some(name) = &run.loaded.experiment.training.start else { return Ok(None) };
    trained(
        run,
        &run.beside(name),
        None,
        "change the experiment, or begin anew with --set training.start=None",
    )
    .map(Some)
}

/// The model of a file, if it is what the experiment's score needs; `more` is a field of the training's header to be
/// compared beside those.
fn trained(
    run: &Run,
    path: &Path,
    more: Option<(&str, [&str; 2], Value)>,
    remedy: &str,
) -> Result<Model, ExperimentError> {
    let e = &run.loaded.experiment;
    let mut file = ModelFile::load(path).map_err(ExperimentError::stage::<sda_data::DataError>(STAGE))?;
    let header = &file.header;
    let mut compared = vec![
        ("score.network", &header.architecture["network"], to_json(e.score.network())?),
        ("schedule", &header.training["schedule"], to_json(&e.schedule)?),
        ("denoiser", &header.training["denoiser"], to_json(&e.denoiser)?),
    ];
    // A network without a window of its own, a convolution, may see more than it was trained on.
    if matches!(e.score, ScoreConfig::Local { .. }) {
        compared.push(("the window of score", &header.architecture["window"], to_json(&e.score.window())?));
    }
    if let Some((field, [section, name], expected)) = more {
        compared.push((field, &header.training[section][name], expected));
    }
    for (field, found, expected) in compared {
        if *found != expected {
            let reason = format!(
                "use {}: it was trained with {found} for {field}, and the experiment has {expected}; {remedy}",
                path.display()
            );
            return Err(ExperimentError::Stage { stage: STAGE, reason });
        }
    }
    let key = keys::shipped(&file.tensors);
    let curve = curve_of(&file.tensors);
    file.tensors.retain(|name, _| !name.starts_with(CURVE));
    expect_parameters(run, &file)?;
    let training = settings_of(&file.header, &curve);
    Ok(Model { key, weights: file.tensors, curve, training })
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<Value, ExperimentError> {
    serde_json::to_value(value).map_err(ExperimentError::stage(STAGE))
}

/// Errors: the tensors are not those of the experiment's network.
fn expect_parameters(run: &Run, file: &ModelFile) -> Result<(), ExperimentError> {
    let parameters = run.loaded.experiment.score.network().parameters();
    let expected: Vec<(&str, &[usize])> =
        parameters.iter().map(|p| (p.name.as_str(), p.shape.as_slice())).collect();
    file.expect_shapes(&expected).map_err(ExperimentError::stage::<sda_data::DataError>(STAGE))
}

/// The model of a file, if it is there and has this key.
///
/// Errors: a file that can't be read, or whose weights are not those of the experiment's network.
fn load(run: &Run, path: &Path, key: &str) -> Result<Option<Model>, ExperimentError> {
    if !path.exists() {
        return Ok(None);
    }
    let wrap = ExperimentError::stage::<sda_data::DataError>(STAGE);
    let remedy = "delete the file; the same command trains again";
    let mut file = ModelFile::load_or(path, remedy).map_err(&wrap)?;
    if file.header.other.get("key").and_then(Value::as_str) != Some(key) {
        return Ok(None);
    }
    let curve = curve_of(&file.tensors);
    file.tensors.retain(|name, _| !name.starts_with(CURVE));
    expect_parameters(run, &file)?;
    let training = settings_of(&file.header, &curve);
    Ok(Some(Model { key: key.into(), weights: file.tensors, curve, training }))
}
