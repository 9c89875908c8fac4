//! Posterior samples of every observation with every number of corrections.

use super::checkpoint::Clock;
use super::keys;
use super::observe::Observed;
use super::samples::Keyed;
use super::train::Model;
use crate::config::ScoreConfig;
use crate::error::ExperimentError;
use crate::key::seed;
use crate::progress::Progress;
use crate::run::Run;
use ndarray::{Array3, ArrayD, Axis};
use sda_device::Device;
use sda_diffusion::{GlobalScore, NoisePredictor, NoiseSource, Posterior, Sampled, SamplerRun};
use sda_graph::Executor;
use sda_nn::Weights;
use sda_observe::Observation;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

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
    /// [N, L, D], physical units; those that diverged are left out.
    pub(crate) values: Array3<f64>,
    /// How many diverged.
    pub(crate) diverged: usize,
}

/// All samples: by observation, then by corrections.
pub(crate) fn assimilate(
    run: &Run,
    model: &Model,
    observed: &[Observed],
) -> Result<Vec<PosteriorSamples>, ExperimentError> {
    let a = &run.loaded.experiment.assimilation;
    let jobs: Vec<(usize, u32)> =
        (0..observed.len()).flat_map(|o| a.corrections.iter().map(move |&c| (o, c))).collect();
    let cost = |c: u32| (a.sampler.steps * (1 + c)) as usize;
    let progress = run.progress(STAGE, jobs.iter().map(|(_, c)| cost(*c)).sum());
    let mut out = Vec::with_capacity(jobs.len());
    let (mut done, mut all_reused) = (0, true);
    for (o, corrections) in jobs {
        run.go_on(STAGE)?;
        let (samples, fresh) = one(run, model, &observed[o], o, corrections, &progress)?;
        done += cost(corrections);
        all_reused &= !fresh;
        if !fresh {
            progress.resume_at(done as u64);
        }
        out.push(samples);
    }
    run.finish(progress, STAGE, all_reused, "samples");
    Ok(out)
}

fn one(
    run: &Run,
    model: &Model,
    o: &Observed,
    observed: usize,
    corrections: u32,
    progress: &Progress,
) -> Result<(PosteriorSamples, bool), ExperimentError> {
    let e = &run.loaded.experiment;
    let key = keys::samples(&model.key, &o.key, e, &o.config, corrections);
    let stem = format!("samples/{}-c{corrections}", o.stem());
    let path = run.folder.join(format!("{stem}.safetensors"));
    let partial = run.folder.join(format!("{stem}.partial.safetensors"));
    let finish = |file: &Keyed| {
        let diverged = file.facts["diverged"].as_u64().unwrap_or(0) as usize;
        let values = file.trajectories("samples", &path, STAGE)?;
        Ok::<_, ExperimentError>(PosteriorSamples {
            key: key.clone(),
            observed,
            corrections,
            values,
            diverged,
        })
    };
    if let Some(file) = Keyed::load(&path, &key, STAGE)? {
        Run::remove(&partial)?;
        return Ok((finish(&file)?, false));
    }
    let file = sample(run, model, o, corrections, &key, &partial, progress)?;
    let samples = finish(&file)?;
    file.save(&path, STAGE)?;
    Run::remove(&partial)?;
    Ok((samples, true))
}

/// The prior's noise estimate.
pub(super) fn prior(run: &Run) -> Box<dyn NoisePredictor> {
    let e = &run.loaded.experiment;
    let score = &e.score;
    let global = GlobalScore {
        network: score.network().clone(),
        weights: Weights::Trained,
        denoiser: e.denoiser,
        levels: e.training.levels,
    };
    match *score {
        ScoreConfig::Local { order, stride, .. } => Box::new(global.local(order, stride)),
        ScoreConfig::Global { .. } => Box::new(global),
    }
}

fn sample(
    run: &Run,
    model: &Model,
    o: &Observed,
    corrections: u32,
    key: &str,
    partial: &Path,
    progress: &Progress,
) -> Result<Keyed, ExperimentError> {
    let wrap = ExperimentError::diffusion(STAGE);
    let e = &run.loaded.experiment;
    let a = &e.assimilation;
    let mut executor = run.executor()?;
    for (name, values) in &model.weights {
        executor
            .write(&Weights::Trained.state(name), values.view())
            .map_err(ExperimentError::executor(STAGE))?;
    }
    let sampler = a.sampler.with(e.schedule, corrections, o.config.noise_std);
    let observation = Observation::new(o.config.operator.clone(), o.y.clone(), o.config.noise_std)
        .map_err(ExperimentError::stage(STAGE))?;
    let prior = prior(run);
    let predictor = Posterior { place: a.place, ..Posterior::new(&*prior, observation, a.guidance.clone()) };
    let shape = [a.samples, a.length, run.system.state_dim()];
    let planned = sampler.compile(&mut executor, &predictor, &shape, NoiseSource::Drawn).map_err(&wrap)?;
    let seed = seed(e.seed, [0x0400 + o.kind as u32, o.trajectory as u32, corrections]);
    let per_step = u64::from(1 + corrections);
    let mut clock = Clock::new(run.checkpoint);
    let mut on_step = |_| {
        progress.advance(per_step);
        if clock.is_due() || run.is_interrupted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let from = restore(&mut executor, &planned, partial, key)?;
    let mut sampled = match from {
        Some(step) => {
            progress.advance(u64::from(step) * per_step);
            planned.resume(&mut executor, seed, step, &mut on_step)
        }
        None => planned.run(&mut executor, seed, &mut on_step),
    }
    .map_err(&wrap)?;
    loop {
        match sampled {
            Sampled::Finished(samples) => {
                let diverged: Vec<usize> = samples.diverged.iter().map(|d| d.sample).collect();
                return Ok(finished(run, key, &samples.values, &diverged));
            }
            Sampled::Interrupted { step } => {
                keep(&mut executor, &planned, partial, key, step)?;
                run.go_on(STAGE)?;
                sampled = planned.resume(&mut executor, seed, step, &mut on_step).map_err(&wrap)?;
            }
        }
    }
}

/// Samples in physical units without those that diverged, or that single precision does not hold in these units.
fn finished(run: &Run, key: &str, values: &ArrayD<f32>, diverged: &[usize]) -> Keyed {
    let mut physical = values.mapv(f64::from);
    run.system.normalisation().denormalise(&mut physical);
    let physical = physical.mapv(|x| x as f32);
    let is_finite = |i: usize| physical.index_axis(Axis(0), i).iter().all(|x| x.is_finite());
    let all = physical.len_of(Axis(0));
    let kept: Vec<usize> = (0..all).filter(|i| !diverged.contains(i) && is_finite(*i)).collect();
    let tensors = BTreeMap::from([("samples".to_owned(), physical.select(Axis(0), &kept))]);
    Keyed { key: key.into(), tensors, facts: json!({ "diverged": all - kept.len() }) }
}

/// Sets the states of an interrupted run, and says at which step it goes on.
fn restore(
    executor: &mut Device,
    planned: &SamplerRun,
    partial: &Path,
    key: &str,
) -> Result<Option<u32>, ExperimentError> {
    let Some(file) = Keyed::load(partial, key, STAGE)? else { return Ok(None) };
    for name in planned.state_names() {
        let Some(value) = file.tensors.get(name) else { return Ok(None) };
        executor.write(name, value.view()).map_err(ExperimentError::executor(STAGE))?;
    }
    Ok(file.facts["step"].as_u64().map(|s| s as u32))
}

/// Writes down where an interrupted run is. A sample that has left the real numbers can't be stored: such a run
/// starts anew.
fn keep(
    executor: &mut Device,
    planned: &SamplerRun,
    partial: &Path,
    key: &str,
    step: u32,
) -> Result<(), ExperimentError> {
    let mut tensors = BTreeMap::new();
    for name in planned.state_names() {
        let value = executor.read(name).map_err(ExperimentError::executor(STAGE))?;
        if value.iter().any(|x| !x.is_finite()) {
            return Ok(());
        }
        tensors.insert(name.to_owned(), value);
    }
    Keyed { key: key.into(), tensors, facts: json!({ "step": step }) }.save(partial, STAGE)
}

impl PosteriorSamples {
    /// N, those that are left.
    pub(crate) fn count(&self) -> usize {
        self.values.len_of(Axis(0))
    }
}
