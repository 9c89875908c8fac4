//! A network's weights with their losses, and the files that they come from.

use super::STAGE;
use crate::config::{ScoreConfig, Training};
use crate::error::ExperimentError;
use crate::run::Run;
use crate::stages::keys;
use ndarray::{Array1, ArrayD};
use sda_data::{ModelFile, ModelHeader};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What the losses' tensors in a file of weights begin with.
pub(crate) const CURVE: &str = "curve.";

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

    /// Errors: the file can't be written.
    pub(super) fn save(&self, run: &Run, path: &Path) -> Result<(), ExperimentError> {
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
            other: [("key".to_owned(), json!(self.key))].into_iter().collect(),
        };
        let mut tensors = self.weights.clone();
        tensors.extend(self.curve.tensors());
        ModelFile::new(tensors, header).save(path).map_err(ExperimentError::stage(STAGE))
    }

    /// The model of a file, if it is there and has this key.
    ///
    /// Errors: a file that can't be read, or whose weights are not those of the experiment's network.
    pub(super) fn load(run: &Run, path: &Path, key: &str) -> Result<Option<Self>, ExperimentError> {
        if !path.exists() {
            return Ok(None);
        }
        let wrap = ExperimentError::stage::<sda_data::DataError>(STAGE);
        let remedy = "delete the file; the same command trains again";
        let file = ModelFile::load_or(path, remedy).map_err(&wrap)?;
        if file.header.other.get("key").and_then(Value::as_str) != Some(key) {
            return Ok(None);
        }
        Self::of(run, key.into(), file).map(Some)
    }

    /// Errors: the file's tensors are not those of the experiment's network.
    fn of(run: &Run, key: String, mut file: ModelFile) -> Result<Self, ExperimentError> {
        let curve = Curve::of(&file.tensors);
        file.tensors.retain(|name, _| !name.starts_with(CURVE));
        let parameters = run.loaded.experiment.score.network().parameters();
        let expected: Vec<(&str, &[usize])> =
            parameters.iter().map(|p| (p.name.as_str(), p.shape.as_slice())).collect();
        file.expect_shapes(&expected).map_err(ExperimentError::stage::<sda_data::DataError>(STAGE))?;
        let training = settings_of(&file.header, &curve);
        Ok(Self { key, weights: file.tensors, curve, training })
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

impl Curve {
    /// As tensors of a file.
    pub(super) fn tensors(&self) -> [(String, ArrayD<f32>); 2] {
        [("curve.training", &self.training), ("curve.validation", &self.validation)]
            .map(|(name, values)| (name.to_owned(), Array1::from(values.clone()).into_dyn()))
    }

    /// Of a file's tensors; empty where there are none.
    pub(super) fn of(tensors: &BTreeMap<String, ArrayD<f32>>) -> Self {
        let values = |name: &str| tensors.get(name).map(|t| t.iter().copied().collect()).unwrap_or_default();
        Self { training: values("curve.training"), validation: values("curve.validation") }
    }
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
    let file = ModelFile::load(path).map_err(ExperimentError::stage::<sda_data::DataError>(STAGE))?;
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
    Model::of(run, key, file)
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<Value, ExperimentError> {
    serde_json::to_value(value).map_err(ExperimentError::stage(STAGE))
}
