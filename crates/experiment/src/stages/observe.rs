//! Observations of test trajectories: y = A(x) + noise, x in normalised units.

use super::keys;
use crate::config::{ObservationConfig, to_text};
use crate::error::ExperimentError;
use crate::run::Run;
use ndarray::{Array2, ArrayD, Axis};
use sda_core::Stream;
use sda_data::{Observations, TrajectoryStore};
use serde_json::json;

const STAGE: &str = "observe";
/// Stream of the observations' noise.
const NOISE: u32 = 0x0200;

/// One observation of one trajectory.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// How.
    pub(crate) config: ObservationConfig,
    /// Position of the observation among the experiment's.
    pub(crate) kind: usize,
    /// Position of the trajectory among the test trajectories.
    pub(crate) trajectory: usize,
    /// What it depends on.
    pub(crate) key: String,
    /// y, of the operator's output shape.
    pub(crate) y: ArrayD<f64>,
    /// The truth [L, D] in physical units, a field's states laid out flat; zeros where there is none.
    pub(crate) truth: Array2<f64>,
}

impl Observed {
    /// `lo-0`, for files.
    pub(crate) fn stem(&self) -> String {
        format!("{}-{}", self.config.name, self.trajectory)
    }
}

/// Every observation of every test trajectory, in that order; a target once, since it is nobody's.
pub(crate) fn observe(run: &Run, store: &TrajectoryStore) -> Result<Vec<Observed>, ExperimentError> {
    let e = &run.loaded.experiment;
    let mut out = Vec::new();
    for (kind, config) in e.observations.iter().enumerate() {
        let trajectories = if config.target.is_some() { 1 } else { e.assimilation.trajectories };
        for trajectory in 0..trajectories {
            run.go_on(STAGE)?;
            out.push(one(run, store, kind, config, trajectory)?);
        }
    }
    Ok(out)
}

fn one(
    run: &Run,
    store: &TrajectoryStore,
    kind: usize,
    config: &ObservationConfig,
    trajectory: usize,
) -> Result<Observed, ExperimentError> {
    let wrap = ExperimentError::stage::<sda_data::DataError>(STAGE);
    let e = &run.loaded.experiment.of(config);
    let key = keys::observation(&run.recipe, e, config, kind, trajectory);
    let path = run.folder.join(format!("observations/{}-{trajectory}.safetensors", config.name));
    let observed = |y: ArrayD<f64>, truth: Array2<f64>| Observed {
        config: config.clone(),
        kind,
        trajectory,
        key: key.clone(),
        y,
        truth,
    };
    if path.exists() {
        let file = Observations::load(&path).map_err(&wrap)?;
        let same = file.other.get("key").and_then(|k| k.as_str()) == Some(&key);
        if let (true, Some(truth)) = (same, &file.truth) {
            file.expect_length(e.assimilation.length).map_err(&wrap)?;
            return Ok(observed(file.y.mapv(f64::from), flat(truth)));
        }
    }
    let test = store.description().split.test.start + trajectory;
    let truth = match config.target {
        Some(_) => ArrayD::zeros(&run.shape(1, e.assimilation.length)[1..]),
        None => store.read_window(test, 0, e.assimilation.length).map_err(&wrap)?,
    };
    let mut normalised = truth.mapv(f64::from).insert_axis(Axis(0));
    run.system.normalisation().normalise(&mut normalised);
    let clean = config.operator.apply(normalised.view()).map_err(ExperimentError::stage(STAGE))?;
    let clean = clean.index_axis_move(Axis(0), 0);
    let mut noise = vec![0.0; clean.len()];
    Stream::new(e.seed, NOISE + kind as u32).fill_normal(
        0,
        trajectory as u32,
        clean.len().max(1),
        &mut noise,
    );
    let mut y = clean.as_standard_layout().into_owned();
    // Rounded to what the file holds, so that a run that reads it again has the same bits.
    y.iter_mut().zip(&noise).for_each(|(y, z)| {
        *y = f64::from(config.target.unwrap_or(*y + config.noise_std * z) as f32);
    });
    let file = Observations {
        y: y.mapv(|v| v as f32),
        noise_std: ArrayD::from_elem(vec![], config.noise_std as f32),
        truth: Some(truth),
        operator: json!(to_text(&config.operator)),
        other: [("key".to_owned(), json!(key)), ("trajectory".to_owned(), json!(test))].into_iter().collect(),
        ..Observations::default()
    };
    file.save(&path).map_err(&wrap)?;
    let truth = file.truth.as_ref().map(flat).unwrap_or_default();
    Ok(observed(y, truth))
}

/// [L, state…] as [L, D].
fn flat(trajectory: &ArrayD<f32>) -> Array2<f64> {
    let length = trajectory.len_of(Axis(0));
    let values: Vec<f64> = trajectory.iter().copied().map(f64::from).collect();
    Array2::from_shape_vec((length, values.len() / length.max(1)), values).expect("all of its numbers")
}
