//! Training: epochs of one random window from each training trajectory, streamed from the store.

mod model;
mod windows;

use super::checkpoint::Clock;
use super::keys;
use super::samples::Keyed;
use crate::config::Training;
use crate::error::ExperimentError;
use crate::key::seed;
use crate::progress::Progress;
use crate::run::Run;
use ndarray::ArrayD;
use sda_data::TrajectoryStore;
use sda_device::Device;
use sda_diffusion::{DiffusionError, Trainer};
use sda_graph::Executor;
use sda_nn::{Average, Weights};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

pub(crate) use model::{CURVE, Curve, Model, shipped, start};
pub(crate) use windows::Windows;

const STAGE: &str = "train";
/// Batches read ahead.
const AHEAD: usize = 8;

/// The model, trained, from `start` or from random weights.
pub(crate) fn train(
    run: &Run,
    store: &TrajectoryStore,
    start: Option<Model>,
) -> Result<Model, ExperimentError> {
    let e = &run.loaded.experiment;
    let key = keys::model(&run.recipe, e, start.as_ref().map(|model| model.key.as_str()));
    let path = run.folder.join("model.safetensors");
    if let Some(model) = Model::load(run, &path, &key)? {
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
    model.save(run, &path)?;
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
    let windows = Windows::new(run, store)?;
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
                curve.validation.push(validate(trainer, windows, used, e.training.batch, epoch)?);
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
        DiffusionError::NonFiniteLoss { .. } | DiffusionError::NonFiniteValidation { .. } => {
            ExperimentError::Stage {
                stage: STAGE,
                reason: format!("epoch {epoch}: {error}; lower training.learning_rate"),
            }
        }
        other => ExperimentError::diffusion(STAGE)(other),
    }
}

/// Mean loss over one fixed window of each validation trajectory, after an epoch.
fn validate(
    trainer: &mut Trainer<'_, Device>,
    windows: &Windows<'_>,
    used: Weights,
    batch: usize,
    epoch: usize,
) -> Result<f32, ExperimentError> {
    let (mut sum, mut count) = (0.0, 0);
    for (i, values) in windows.held_out(batch).enumerate() {
        let values = values?;
        let n = values.len() / windows.window_len();
        sum += n as f64 * trainer.validate(i as u32, used, &values).map_err(|e| in_epoch(epoch, e))?;
        count += n;
    }
    Ok((sum / f64::from(count as u32)) as f32)
}

/// The exact state after an epoch.
fn checkpoint(
    trainer: &mut Trainer<'_, Device>,
    path: &Path,
    key: &str,
    curve: &Curve,
) -> Result<(), ExperimentError> {
    let mut tensors: BTreeMap<String, ArrayD<f32>> = curve.tensors().into();
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
    Ok(Curve::of(&file.tensors))
}
