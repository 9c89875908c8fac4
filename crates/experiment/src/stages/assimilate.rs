//! Posterior samples of every observation with every number of corrections.

use super::checkpoint::Clock;
use super::observe::Observed;
use super::reference::Reference;
use super::samples::Keyed;
use super::scores;
use super::train::Model;
use super::{covariance, keys};
use crate::config::Experiment;
use crate::error::ExperimentError;
use crate::key::seed;
use crate::progress::Progress;
use crate::run::Run;
use ndarray::{Array3, Axis};
use sda_data::TrajectoryStore;
use sda_device::Device;
use sda_diffusion::{
    DiffusionError, NoiseSource, Posterior, Sampled, SamplerRun, Samples, Twisted, TwistedRun, Weighing,
};
use sda_graph::Executor;
use sda_nn::Weights;
use sda_observe::Observation;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const STAGE: &str = "assimilate";

/// The samples of one observation with one number of corrections.
#[derive(Clone, Debug)]
pub(crate) struct PosteriorSamples {
    /// What they depend on.
    pub(crate) key: String,
    /// Position of the observation.
    pub(crate) observed: usize,
    /// Langevin steps per predictor step.
    pub(crate) corrections: u32,
    /// [N, L, D], physical units, a field's states laid out flat; those that diverged are left out.
    pub(crate) values: Array3<f64>,
    /// How many diverged.
    pub(crate) diverged: usize,
    /// How evenly a twisted sampler's were weighed.
    pub(crate) weighing: Option<Weighing>,
}

/// All samples: by observation, then by corrections. Those that are not kept are scored when they are made, and not
/// made again where they are scored.
///
/// Shapes: `settled` one for each of the experiment's observations.
pub(crate) fn assimilate(
    run: &Run,
    store: &TrajectoryStore,
    model: &Model,
    (observed, references): (&[Observed], &[Option<Reference>]),
    settled: &[Experiment],
    score: impl Fn(&Observed, Option<&Reference>, &PosteriorSamples) -> Result<(), ExperimentError>,
) -> Result<Vec<PosteriorSamples>, ExperimentError> {
    let of = |o: usize| &settled[observed[o].kind].assimilation;
    let wanted = |o: usize, c: u32| of(o).fewer.get(&c).is_none_or(|&n| observed[o].trajectory < n);
    let jobs: Vec<(usize, u32)> = (0..observed.len())
        .flat_map(|o| of(o).corrections.iter().map(move |&c| (o, c)))
        .filter(|&(o, c)| wanted(o, c))
        .collect();
    let cost = |o: usize, c: u32| (of(o).sampler.steps * (1 + c)) as usize;
    let progress = run.progress(STAGE, jobs.iter().map(|(o, c)| cost(*o, *c)).sum());
    let mut out = Vec::with_capacity(jobs.len());
    let mut all_reused = true;
    for (o, corrections) in jobs {
        run.go_on(STAGE)?;
        let job = Job { e: &settled[observed[o].kind], o: &observed[o], at: o, corrections };
        let (samples, fresh) = job.samples(run, store, model, references[o].as_ref(), &progress)?;
        all_reused &= !fresh;
        // Of a killed run there may be samples that are not scored; those that are scored have no samples.
        if !of(o).keep_samples && samples.count() > 0 {
            score(&observed[o], references[o].as_ref(), &samples)?;
        }
        if !fresh {
            progress.skip(cost(o, corrections) as u64);
        }
        out.push(samples);
    }
    run.finish(progress, STAGE, all_reused, "samples");
    Ok(out)
}

/// One observation with one number of corrections.
struct Job<'a> {
    /// The experiment with this observation's settings.
    e: &'a Experiment,
    o: &'a Observed,
    /// Position of the observation.
    at: usize,
    corrections: u32,
}

impl Job<'_> {
    /// The samples, and whether they were made now.
    fn samples(
        &self,
        run: &Run,
        store: &TrajectoryStore,
        model: &Model,
        reference: Option<&Reference>,
        progress: &Progress,
    ) -> Result<(PosteriorSamples, bool), ExperimentError> {
        let Self { e, o, at: observed, corrections } = *self;
        let key = keys::samples(&model.key, &o.key, e, &o.config, corrections);
        let stem = PosteriorSamples::stem(o, corrections);
        let path = PosteriorSamples::path(run, o, corrections);
        let partial = run.folder.join(format!("samples/{stem}.partial.safetensors"));
        let finish = |file: &Keyed| {
            let diverged = file.facts["diverged"].as_u64().unwrap_or(0) as usize;
            let values = file.trajectories("samples", &path, STAGE)?;
            let weighing = read_weighing(&file.facts);
            Ok::<_, ExperimentError>(PosteriorSamples {
                key: key.clone(),
                observed,
                corrections,
                values,
                diverged,
                weighing,
            })
        };
        if let Some(file) = Keyed::load(&path, &key, STAGE)? {
            Run::remove(&partial)?;
            return Ok((finish(&file)?, false));
        }
        let scored = keys::scores(&key, reference.map_or("", |r| &r.key), e);
        if !e.assimilation.keep_samples
            && let Some(scores) = scores::stored(run, &stem, &scored)?
        {
            let values = Array3::zeros((0, e.assimilation.length, run.system.state_dim()));
            let known = scores.iter().find(|(name, _)| name == "diverged");
            let diverged = known.map_or(0, |(_, lost)| *lost as usize);
            let none = PosteriorSamples { key, observed, corrections, values, diverged, weighing: None };
            return Ok((none, false));
        }
        let file = self.sample(run, store, model, (&key, &partial), progress)?;
        let samples = finish(&file)?;
        file.save(&path, STAGE)?;
        Run::remove(&partial)?;
        Ok((samples, true))
    }

    fn sample(
        &self,
        run: &Run,
        store: &TrajectoryStore,
        model: &Model,
        kept: (&str, &Path),
        progress: &Progress,
    ) -> Result<Keyed, ExperimentError> {
        let wrap = ExperimentError::diffusion(STAGE);
        let Self { e, o, corrections, .. } = *self;
        let a = &e.assimilation;
        let mut executor = with_weights(run, model, STAGE)?;
        let sampler = a.sampler.with(e.schedule, corrections, o.config.noise_of_state());
        let observation = Observation::new(o.config.operator.clone(), o.y.clone(), o.config.noise_std)
            .map_err(ExperimentError::stage(STAGE))?;
        let prior = e.prior();
        let mut predictor =
            Posterior { place: a.place, ..Posterior::new(&*prior, observation, a.guidance.clone()) };
        covariance::give(&mut predictor, run, store, a.length)?;
        let shape = run.shape(a.samples, a.length);
        let planned: Box<dyn Resumable> = match a.twisted {
            None => Box::new(
                sampler.compile(&mut executor, &predictor, &shape, NoiseSource::Drawn).map_err(&wrap)?,
            ),
            Some(resampling) => Box::new(
                Twisted { sampler, resampling }.compile(&mut executor, &predictor, &shape).map_err(&wrap)?,
            ),
        };
        let seed = seed(e.seed, [0x0400 + o.kind as u32, o.trajectory as u32, corrections]);
        let per_step = u64::from(1 + corrections);
        let samples = drive(run, STAGE, &mut executor, &*planned, seed, kept, (progress, per_step))?;
        Ok(finished(run, kept.0, &samples))
    }
}

/// A fresh executor that holds the trained weights.
pub(super) fn with_weights(run: &Run, model: &Model, stage: &'static str) -> Result<Device, ExperimentError> {
    let mut executor = run.executor()?;
    for (name, values) in &model.weights {
        executor
            .write(&Weights::Trained.state(name), values.view())
            .map_err(ExperimentError::executor(stage))?;
    }
    Ok(executor)
}

/// A sampler that stops at a step and goes on from its states.
pub(super) trait Resumable {
    /// States that a stopped run is resumed from, beside the step's number.
    fn state_names(&self) -> Vec<&'static str>;

    /// Samples from a step on, from the start where there is none.
    ///
    /// Errors: the sampler's.
    fn go(
        &self,
        executor: &mut Device,
        seed: u64,
        from: Option<u32>,
        on_step: &mut dyn FnMut(u32) -> ControlFlow<()>,
    ) -> Result<Sampled<f32>, DiffusionError>;
}

/// Both samplers have these methods by these names.
macro_rules! resumable {
    ($($run:ty),*) => {$(
        impl Resumable for $run {
            fn state_names(&self) -> Vec<&'static str> {
                self.state_names()
            }

            fn go(
                &self,
                executor: &mut Device,
                seed: u64,
                from: Option<u32>,
                on_step: &mut dyn FnMut(u32) -> ControlFlow<()>,
            ) -> Result<Sampled<f32>, DiffusionError> {
                match from {
                    Some(step) => self.resume(executor, seed, step, on_step),
                    None => self.run(executor, seed, on_step),
                }
            }
        }
    )*};
}

resumable!(SamplerRun, TwistedRun);

/// Samples from where an earlier run of this key stopped, or from the start; writes down now and then where it is.
///
/// `kept` is the key and the file of what is written down, `advance` is told of steps done.
///
/// Errors: the sampler's; an interruption.
pub(super) fn drive(
    run: &Run,
    stage: &'static str,
    executor: &mut Device,
    planned: &dyn Resumable,
    seed: u64,
    (key, partial): (&str, &Path),
    (progress, per_step): (&Progress, u64),
) -> Result<Samples<f32>, ExperimentError> {
    let wrap = ExperimentError::diffusion(stage);
    let mut clock = Clock::new(run.checkpoint);
    let mut on_step = |_| {
        progress.advance(per_step);
        if clock.is_due() || run.is_interrupted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let mut from = restore(stage, executor, planned, (key, partial))?;
    progress.skip(from.map_or(0, u64::from) * per_step);
    loop {
        match planned.go(executor, seed, from, &mut on_step).map_err(&wrap)? {
            Sampled::Finished(samples) => return Ok(samples),
            Sampled::Interrupted { step } => {
                keep(stage, executor, planned, (key, partial), step)?;
                run.go_on(stage)?;
                from = Some(step);
            }
        }
    }
}

/// Samples in physical units without those that diverged, or that single precision does not hold in these units.
pub(super) fn finished(run: &Run, key: &str, samples: &Samples<f32>) -> Keyed {
    let mut physical = samples.values.mapv(f64::from);
    run.system.normalisation().denormalise(&mut physical);
    let physical = physical.mapv(|x| x as f32);
    let is_finite = |i: usize| physical.index_axis(Axis(0), i).iter().all(|x| x.is_finite());
    let is_kept = |i: &usize| samples.diverged.iter().all(|d| d.sample != *i) && is_finite(*i);
    let all = physical.len_of(Axis(0));
    let kept: Vec<usize> = (0..all).filter(is_kept).collect();
    let tensors = BTreeMap::from([("samples".to_owned(), physical.select(Axis(0), &kept))]);
    let mut facts = json!({ "diverged": all - kept.len() });
    if let Some(Weighing { effective_sample_size, distinct }) = &samples.weighing {
        facts["effective_sample_size"] = json!(effective_sample_size);
        facts["distinct"] = json!(distinct);
    }
    Keyed { key: key.into(), tensors, facts }
}

/// What [`finished`] noted of a twisted sampler's weights.
fn read_weighing(facts: &Value) -> Option<Weighing> {
    let sizes = facts["effective_sample_size"].as_array()?;
    let effective_sample_size = sizes.iter().filter_map(Value::as_f64).collect();
    let distinct = facts["distinct"].as_u64()? as usize;
    Some(Weighing { effective_sample_size, distinct })
}

/// Sets the states of an interrupted run, and says at which step it goes on.
fn restore(
    stage: &'static str,
    executor: &mut Device,
    planned: &dyn Resumable,
    (key, partial): (&str, &Path),
) -> Result<Option<u32>, ExperimentError> {
    let Some(file) = Keyed::load(partial, key, stage)? else { return Ok(None) };
    for name in planned.state_names() {
        let Some(value) = file.tensors.get(name) else { return Ok(None) };
        executor.write(name, value.view()).map_err(ExperimentError::executor(stage))?;
    }
    Ok(file.facts["step"].as_u64().map(|s| s as u32))
}

/// Writes down where an interrupted run is. A sample that has left the real numbers can't be stored: such a run
/// starts anew.
fn keep(
    stage: &'static str,
    executor: &mut Device,
    planned: &dyn Resumable,
    (key, partial): (&str, &Path),
    step: u32,
) -> Result<(), ExperimentError> {
    let mut tensors = BTreeMap::new();
    for name in planned.state_names() {
        let value = executor.read(name).map_err(ExperimentError::executor(stage))?;
        if value.iter().any(|x| !x.is_finite()) {
            return Ok(());
        }
        tensors.insert(name.to_owned(), value);
    }
    Keyed { key: key.into(), tensors, facts: json!({ "step": step }) }.save(partial, stage)
}

impl PosteriorSamples {
    /// Where they lie.
    pub(crate) fn path(run: &Run, o: &Observed, corrections: u32) -> PathBuf {
        run.folder.join(format!("samples/{}.safetensors", Self::stem(o, corrections)))
    }

    /// `lo-0-c1`, for files.
    pub(crate) fn stem(o: &Observed, corrections: u32) -> String {
        format!("{}-c{corrections}", o.stem())
    }

    /// N, those that are left.
    pub(crate) fn count(&self) -> usize {
        self.values.len_of(Axis(0))
    }
}
