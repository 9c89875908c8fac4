//! The truth's stand-in: two independent runs of the bootstrap particle filter for each observation.

use super::keys;
use super::observe::Observed;
use super::samples::Keyed;
use crate::config::ParticleReference;
use crate::error::ExperimentError;
use crate::key::seed;
use crate::run::Run;
use ndarray::{Array1, Array2, Array3, ArrayRef3, Axis};
use sda_core::Stream;
use sda_filters::{BentOperator, BootstrapFilter, LinearOperator, Observations, ParticleHistory};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

const STAGE: &str = "reference";
/// Stream of the particle filter.
const PARTICLES: u32 = 0x0300;

/// The filter's posterior of one observation, in physical units.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// What it depends on.
    pub(crate) key: String,
    /// Two independent runs' samples [N, L, D].
    pub(crate) runs: [Array3<f64>; 2],
    /// Two bootstrap filters' traced paths [N, L, D], where they are asked for.
    pub(crate) paths: Option<[Array3<f64>; 2]>,
    /// Smallest effective sample size over the observations.
    pub(crate) least_effective: f64,
    /// log p(y).
    pub(crate) log_evidence: f64,
}

/// One reference for each observation, in their order.
///
/// None of any where the experiment has none.
pub(crate) fn reference(run: &Run, observed: &[Observed]) -> Result<Vec<Option<Reference>>, ExperimentError> {
    let Some(settings) = &run.loaded.experiment.reference else { return Ok(vec![None; observed.len()]) };
    let progress = run.progress(STAGE, observed.len());
    let mut out = Vec::with_capacity(observed.len());
    let mut all_reused = true;
    for o in observed {
        run.go_on(STAGE)?;
        let (reference, fresh) = one(run, o, settings)?;
        all_reused &= !fresh;
        out.push(Some(reference));
        progress.count(1, fresh);
    }
    run.finish(progress, STAGE, all_reused, "reference");
    Ok(out)
}

/// The reference of one observation, and whether it was made now.
fn one(run: &Run, o: &Observed, settings: &ParticleReference) -> Result<(Reference, bool), ExperimentError> {
    let e = &run.loaded.experiment;
    let key = keys::reference(&o.key, e);
    let path = run.folder.join(format!("reference/{}.safetensors", o.stem()));
    if let Some(file) = Keyed::load(&path, &key, STAGE)? {
        return Ok((restored(&file, key, &path, settings.bootstrap.is_some())?, false));
    }
    let mut tensors = BTreeMap::new();
    let (mut least, mut evidence) = (f64::INFINITY, f64::NAN);
    for (independent, name) in RUNS.into_iter().enumerate() {
        let history = filter(run, o, settings.particles, settings.burn_in, independent as u32)?;
        let samples = if settings.backward {
            history
                .sample_backward(run.chain()?, e.assimilation.samples)
                .map_err(ExperimentError::stage(STAGE))?
        } else {
            history.sample_paths(e.assimilation.samples)
        };
        least = history.effective_sample_size.iter().copied().fold(least, f64::min);
        evidence = if independent == 0 { history.log_evidence } else { evidence };
        // Rounded to what the file holds, so that a run that reads it again has the same bits.
        tensors.insert(name.to_owned(), samples.mapv(|x| x as f32).into_dyn());
    }
    for (independent, name) in PATHS.into_iter().enumerate() {
        if let Some(particles) = settings.bootstrap {
            let history = filter(run, o, particles, settings.burn_in, 2 + independent as u32)?;
            let paths = history.sample_paths(e.assimilation.samples);
            tensors.insert(name.to_owned(), paths.mapv(|x| x as f32).into_dyn());
        }
    }
    let facts = json!({ "least_effective_sample_size": least, "log_evidence": evidence });
    let file = Keyed { key: key.clone(), tensors, facts };
    let reference = restored(&file, key, &path, settings.bootstrap.is_some())?;
    file.save(&path, STAGE)?;
    Ok((reference, true))
}

/// Tensors of the two runs, and of the two bootstrap filters.
const RUNS: [&str; 2] = ["first", "second"];
const PATHS: [&str; 2] = ["first paths", "second paths"];

/// The reference that a file holds.
fn restored(file: &Keyed, key: String, path: &Path, has_paths: bool) -> Result<Reference, ExperimentError> {
    let number = |name: &str| file.facts[name].as_f64().unwrap_or(f64::NAN);
    let both = |[first, second]: [&str; 2]| {
        Ok::<_, ExperimentError>([
            file.trajectories(first, path, STAGE)?,
            file.trajectories(second, path, STAGE)?,
        ])
    };
    Ok(Reference {
        runs: both(RUNS)?,
        paths: has_paths.then(|| both(PATHS)).transpose()?,
        least_effective: number("least_effective_sample_size"),
        log_evidence: number("log_evidence"),
        key,
    })
}

/// An independent run of the bootstrap filter.
fn filter(
    run: &Run,
    o: &Observed,
    particles: usize,
    burn_in: u32,
    independent: u32,
) -> Result<ParticleHistory, ExperimentError> {
    let e = &run.loaded.experiment.of(&o.config);
    let (observations, operator) = per_state(run, o)?;
    let stream = Stream::new(seed(e.seed, [o.kind as u32, o.trajectory as u32, independent]), PARTICLES);
    let filter = BootstrapFilter { system: run.chain()?, particles, burn_in, resample_below: 1.0, stream };
    filter.run(e.assimilation.length, &observations, &operator).map_err(ExperimentError::stage(STAGE))
}

/// An operator on single physical states.
pub(crate) type Seen = BentOperator<Box<dyn Fn(f64) -> f64 + Sync>>;

/// The observation as the filter takes it: a function of single physical states.
pub(crate) fn per_state(run: &Run, o: &Observed) -> Result<(Observations, Seen), ExperimentError> {
    let e = &run.loaded.experiment.of(&o.config);
    let d = run.system.state_dim();
    let part =
        o.config.operator.per_state(e.assimilation.length, d).ok_or_else(|| ExperimentError::Stage {
            stage: STAGE,
            reason: format!(
                "the particle filter needs an operator that acts on single states, and «{}» does not; \
             choose Components and EveryNth",
                o.config.name
            ),
        })?;
    let normalisation = run.system.normalisation();
    let scale = Array1::from(normalisation.scale.clone());
    let origin = Array1::from(normalisation.offset.clone());
    let matrix: Array2<f64> = &part.matrix / &scale.view().insert_axis(Axis(0));
    let offset = &part.offset - &matrix.dot(&origin);
    let p = part.matrix.nrows();
    let values = Array2::from_shape_vec((part.steps.len(), p), o.y.iter().copied().collect())
        .map_err(ExperimentError::stage(STAGE))?;
    let observations = Observations::new(part.steps.clone(), values, o.config.noise_std)
        .map_err(ExperimentError::stage(STAGE))?;
    let linear = LinearOperator { matrix, offset };
    Ok((observations, BentOperator { linear, function: Box::new(move |value| part.bend(value)) }))
}

/// A(x) of single states.
///
/// Shapes: `trajectories` [N, L, D], `steps` `[K]`, result [N, K, P].
pub(crate) fn predictions(trajectories: &ArrayRef3<f64>, steps: &[usize], operator: &Seen) -> Array3<f64> {
    let (n, p) = (trajectories.dim().0, operator.linear.matrix.nrows());
    let mut out = Array3::zeros((n, steps.len(), p));
    for (trajectory, mut out) in trajectories.outer_iter().zip(out.outer_iter_mut()) {
        for (&step, mut out) in steps.iter().zip(out.outer_iter_mut()) {
            let predicted = operator.linear.matrix.dot(&trajectory.row(step)) + &operator.linear.offset;
            out.assign(&predicted.mapv(&operator.function));
        }
    }
    out
}
