//! Rollouts of the trained network on the first test trajectories, and their scores by block.

use super::checkpoint::Clock;
use super::climate::{innovation_by_state, samples_suffice};
use super::keys;
use super::observe::Observed;
use super::samples::Keyed;
use super::train::Model;
use crate::config::RolloutConfig;
use crate::error::ExperimentError;
use crate::key::seed;
use crate::progress::Progress;
use crate::report::{Cell, Table};
use crate::run::Run;
use ndarray::{Array2, Array3, ArrayD, Axis, Slice};
use sda_diffusion::{Rollout, RolloutRun, RolloutState};
use sda_evaluation::{CrpsForm, SpreadSkillSums, mean_crps};
use sda_graph::Executor;
use sda_nn::Weights;
use sda_observe::Observation;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;

const STAGE: &str = "rollout";
/// Use of the experiment's seed.
const SEED: u32 = 0x0600;
/// Groups of blocks that a rollout is scored by, at most.
const GROUPS: usize = 12;

/// A rollout's scores over the trajectories.
#[derive(Clone, Debug)]
pub(crate) struct Rolled {
    config: RolloutConfig,
    /// Samples of each trajectory, and how many diverged over all.
    samples: usize,
    diverged: usize,
    trajectories: usize,
    scores: Vec<Score>,
}

/// One line of rollouts.csv: some states of a rollout, over the trajectories.
#[derive(Clone, Debug, Serialize)]
struct Score {
    rollout: String,
    observation: String,
    /// States scored, the last included; of a forecast the first known state's number is lead 0.
    first_state: usize,
    last_state: usize,
    /// Mean fair CRPS, normalised units.
    crps: f64,
    /// Of the ensemble's mean, normalised units.
    rmse: f64,
    /// √((N + 1)/N) spread / RMSE.
    spread_skill: f64,
    /// Of what was forecast before its analysis, where anything was and was observed; the mean over its states.
    innovation_chi_squared: Option<f64>,
    /// Evaluations of the network for all states of one trajectory.
    evaluations: u64,
}

/// The samples of a rollout of one trajectory.
struct Ensemble {
    /// [N, L, D], normalised; those that diverged are left out.
    values: Array3<f64>,
    /// Of the same samples, where there are forecasts before an analysis.
    forecasts: Option<Array3<f64>>,
    diverged: usize,
    evaluations: u64,
}

/// Rolls out and scores everything, and writes rollouts.csv; without rollouts nothing.
pub(crate) fn rollouts(
    run: &Run,
    model: &Model,
    observed: &[Observed],
) -> Result<Vec<Rolled>, ExperimentError> {
    let e = &run.loaded.experiment;
    if e.rollouts.is_empty() {
        return Ok(Vec::new());
    }
    let length = e.assimilation.length;
    let blocks = |r: &RolloutConfig| r.rollout.blocks(length).map_err(ExperimentError::diffusion(STAGE));
    let mut total = 0;
    for r in &e.rollouts {
        total += blocks(r)? * e.assimilation.trajectories;
    }
    let progress = run.progress(STAGE, total);
    let (mut out, mut all_reused) = (Vec::new(), true);
    for (position, r) in e.rollouts.iter().enumerate() {
        let followed: Vec<&Observed> = observed.iter().filter(|o| o.config.name == r.observation).collect();
        let mut ensembles = Vec::with_capacity(followed.len());
        for o in &followed {
            run.go_on(STAGE)?;
            let (ensemble, fresh) = one(run, model, o, (position, r), &progress)?;
            if !fresh {
                progress.skip(blocks(r)? as u64);
            }
            all_reused &= !fresh;
            ensembles.push(ensemble);
        }
        out.push(scored(run, r, &followed, &ensembles)?);
    }
    write(run, &out)?;
    run.finish(progress, STAGE, all_reused, "samples");
    Ok(out)
}

/// The samples of one trajectory, and whether they were made now.
fn one(
    run: &Run,
    model: &Model,
    o: &Observed,
    (position, r): (usize, &RolloutConfig),
    progress: &Progress,
) -> Result<(Ensemble, bool), ExperimentError> {
    let key = keys::rollout(&model.key, (&o.key, &o.config), &run.loaded.experiment, (position, r));
    let stem = format!("samples/rollout-{}-{}", r.name, o.trajectory);
    let path = run.folder.join(format!("{stem}.safetensors"));
    let partial = run.folder.join(format!("{stem}.partial.safetensors"));
    if let Some(file) = Keyed::load(&path, &key, STAGE)? {
        Run::remove(&partial)?;
        return Ok((ensemble(&file, &path)?, false));
    }
    let file = roll(run, model, o, (position, r), (&key, &partial), progress)?;
    let made = ensemble(&file, &path)?;
    file.save(&path, STAGE)?;
    Run::remove(&partial)?;
    Ok((made, true))
}

fn ensemble(file: &Keyed, path: &Path) -> Result<Ensemble, ExperimentError> {
    let number = |name: &str| file.facts[name].as_u64().unwrap_or(0);
    let has_forecasts = file.tensors.contains_key("forecasts");
    Ok(Ensemble {
        values: file.trajectories("samples", path, STAGE)?,
        forecasts: has_forecasts.then(|| file.trajectories("forecasts", path, STAGE)).transpose()?,
        diverged: number("diverged") as usize,
        evaluations: number("evaluations"),
    })
}

fn roll(
    run: &Run,
    model: &Model,
    o: &Observed,
    (position, r): (usize, &RolloutConfig),
    (key, partial): (&str, &Path),
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
    let observation = Observation::new(o.config.operator.clone(), o.y.clone(), o.config.noise_std)
        .map_err(ExperimentError::stage(STAGE))?;
    let rolling = e.rolling(r, &o.config, observation);
    let shape = run.shape(a.samples, a.length);
    let planned = rolling.compile(&mut executor, &shape).map_err(&wrap)?;
    let mut state = match restore(&planned, partial, key)? {
        Some(state) => state,
        None => planned.begin(first_states(run, o, &r.rollout, a.samples).as_ref()).map_err(&wrap)?,
    };
    let seed = seed(e.seed, [SEED + position as u32, o.trajectory as u32, r.corrections]);
    let mut clock = Clock::new(run.checkpoint);
    progress.skip(state.blocks as u64);
    while state.blocks < planned.blocks() {
        let before = state.blocks;
        let stop = |_| if run.is_interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let end = planned.advance(&mut executor, seed, &mut state, stop).map_err(&wrap)?;
        progress.advance((state.blocks - before) as u64);
        if end.is_break() || run.is_interrupted() || (clock.is_due() && state.blocks < planned.blocks()) {
            keep(&state, partial, key)?;
        }
        run.go_on(STAGE)?;
    }
    Ok(finished(&planned, &state, key))
}

/// The truth's first states, of every sample, normalised: what a forecast starts from.
fn first_states(run: &Run, o: &Observed, rollout: &Rollout, samples: usize) -> Option<ArrayD<f32>> {
    let known = rollout.known_at_first()?;
    let first = normalised_truth(run, o)
        .slice_axis(Axis(0), Slice::from(..known))
        .mapv(|x| x as f32)
        .insert_axis(Axis(0));
    let all = first.broadcast((samples, known, first.dim().2)).expect("an axis of one").to_owned();
    let shape = run.shape(samples, known);
    Some(all.into_shape_with_order(shape).expect("a state's numbers, laid out flat"))
}

/// [L, D].
fn normalised_truth(run: &Run, o: &Observed) -> Array2<f64> {
    let mut truth = o.truth.clone().into_dyn();
    run.system.normalisation().normalise(&mut truth);
    truth.into_dimensionality().expect("of rank 2, as it was")
}

/// The samples without those that left the real numbers.
fn finished(planned: &RolloutRun, state: &RolloutState<f32>, key: &str) -> Keyed {
    let is_finite = |i: usize| state.values.index_axis(Axis(0), i).iter().all(|x| x.is_finite());
    let all = state.values.len_of(Axis(0));
    let kept: Vec<usize> = (0..all).filter(|i| !state.diverged.contains(i) && is_finite(*i)).collect();
    let mut tensors = BTreeMap::from([("samples".to_owned(), state.values.select(Axis(0), &kept))]);
    if let Some(forecasts) = &state.forecasts {
        tensors.insert("forecasts".into(), forecasts.select(Axis(0), &kept));
    }
    let facts = json!({ "diverged": all - kept.len(), "evaluations": planned.evaluations() });
    Keyed { key: key.into(), tensors, facts }
}

const PARTS: [&str; 3] = ["values", "window", "forecasts"];

/// Where an interrupted rollout is.
fn restore(
    planned: &RolloutRun,
    partial: &Path,
    key: &str,
) -> Result<Option<RolloutState<f32>>, ExperimentError> {
    let Some(mut file) = Keyed::load(partial, key, STAGE)? else { return Ok(None) };
    let [values, window, forecasts] = PARTS.map(|name| file.tensors.remove(name));
    let (Some(values), Some(window)) = (values, window) else { return Ok(None) };
    let blocks = file.facts["blocks"].as_u64().unwrap_or(0) as usize;
    let numbers = file.facts["diverged"].as_array().map_or(&[][..], Vec::as_slice);
    let diverged = numbers.iter().filter_map(Value::as_u64).map(|n| n as usize).collect();
    let state = RolloutState { blocks, values, forecasts, window, diverged };
    Ok((state.blocks <= planned.blocks()).then_some(state))
}

/// Writes down where a rollout is, between two blocks. A sample that has left the real numbers can't be stored: such a
/// rollout starts anew.
fn keep(state: &RolloutState<f32>, partial: &Path, key: &str) -> Result<(), ExperimentError> {
    let parts = [Some(&state.values), Some(&state.window), state.forecasts.as_ref()];
    let tensors: BTreeMap<String, ArrayD<f32>> = PARTS
        .iter()
        .zip(parts)
        .filter_map(|(name, part)| Some(((*name).to_owned(), part?.clone())))
        .collect();
    if tensors.values().any(|values| values.iter().any(|x| !x.is_finite())) {
        return Ok(());
    }
    let facts = json!({ "blocks": state.blocks, "diverged": state.diverged });
    Keyed { key: key.into(), tensors, facts }.save(partial, STAGE)
}

/// Scores over the trajectories, by groups of blocks and over all states.
fn scored(
    run: &Run,
    r: &RolloutConfig,
    followed: &[&Observed],
    ensembles: &[Ensemble],
) -> Result<Rolled, ExperimentError> {
    let length = run.loaded.experiment.assimilation.length;
    let mut groups = r.rollout.groups(length, GROUPS).map_err(ExperimentError::diffusion(STAGE))?;
    if groups.len() > 1 {
        groups.push(groups[0].start..length);
    }
    let mut scores = Vec::new();
    for states in groups {
        scores.extend(score(run, r, followed, ensembles, states)?);
    }
    Ok(Rolled {
        config: r.clone(),
        samples: run.loaded.experiment.assimilation.samples,
        diverged: ensembles.iter().map(|e| e.diverged).sum(),
        trajectories: ensembles.len(),
        scores,
    })
}

/// Scores of some states; none where too few samples are left.
fn score(
    run: &Run,
    r: &RolloutConfig,
    followed: &[&Observed],
    ensembles: &[Ensemble],
    states: Range<usize>,
) -> Result<Option<Score>, ExperimentError> {
    let wrap = ExperimentError::stage::<sda_evaluation::EvaluationError>(STAGE);
    let (mut crps, mut innovations) = (Vec::new(), Vec::new());
    let mut sums = SpreadSkillSums::default();
    for (o, ensemble) in followed.iter().zip(ensembles).filter(|(_, e)| e.values.len_of(Axis(0)) > 1) {
        let truth = normalised_truth(run, o);
        let truth = truth.slice_axis(Axis(0), Slice::from(states.clone()));
        let values = ensemble.values.slice_axis(Axis(1), Slice::from(states.clone()));
        crps.push(mean_crps(CrpsForm::Fair, &values, &truth).map_err(&wrap)?);
        sums.add(&values, &truth).map_err(&wrap)?;
        innovations.extend(innovation(run, r, o, ensemble, states.clone())?);
    }
    if crps.is_empty() {
        return Ok(None);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let skill = sums.finish().map_err(&wrap)?;
    Ok(Some(Score {
        rollout: r.name.clone(),
        observation: r.observation.clone(),
        first_state: states.start,
        last_state: states.end - 1,
        crps: mean(&crps),
        rmse: skill.rmse,
        spread_skill: skill.ratio,
        innovation_chi_squared: (!innovations.is_empty()).then(|| mean(&innovations)),
        evaluations: ensembles.first().map_or(0, |e| e.evaluations),
    }))
}

/// χ² of the observations of some states against their forecast, where they have one: all of a forecast, and what a cycle
/// forecast before its analysis. The mean over the states of each one's own; none where the samples are few for what is
/// observed of a state.
fn innovation(
    run: &Run,
    r: &RolloutConfig,
    o: &Observed,
    ensemble: &Ensemble,
    states: Range<usize>,
) -> Result<Option<f64>, ExperimentError> {
    let forecasts = match (&r.rollout, &ensemble.forecasts) {
        (Rollout::Forecast { .. }, _) => &ensemble.values,
        // The first window is not forecast.
        (Rollout::Cycle { window, .. }, Some(forecasts)) if states.start >= *window => forecasts,
        _ => return Ok(None),
    };
    let wrap = ExperimentError::stage::<sda_observe::ObserveError>(STAGE);
    let Some(operator) = o.config.operator.on_each_state() else { return Ok(None) };
    let (n, length) = (forecasts.len_of(Axis(0)), forecasts.len_of(Axis(1)));
    let observed = o.config.operator.states(length);
    let (places, here): (Vec<usize>, Vec<usize>) =
        observed.into_iter().enumerate().filter(|(_, i)| states.contains(i)).unzip();
    let y = o.y.select(Axis(0), &places);
    if here.is_empty() || !samples_suffice(n, y.len() / here.len()) {
        return Ok(None);
    }
    let numbers = y.len() / here.len();
    let y = y.into_shape_with_order((here.len(), numbers)).map_err(ExperimentError::stage(STAGE))?;
    let here = forecasts.select(Axis(1), &here);
    let shape = run.shape(n, here.len_of(Axis(1)));
    let here = here.as_standard_layout().into_owned();
    let here = here.into_shape_with_order(shape).map_err(ExperimentError::stage(STAGE))?;
    let predicted: Vec<f64> = operator.apply(here.view()).map_err(wrap)?.iter().copied().collect();
    let shape = (n, y.nrows(), y.ncols());
    let predicted = Array3::from_shape_vec(shape, predicted).map_err(ExperimentError::stage(STAGE))?;
    innovation_by_state(&predicted, &y, o.config.noise_std).map(Some).map_err(ExperimentError::stage(STAGE))
}

fn write(run: &Run, rollouts: &[Rolled]) -> Result<(), ExperimentError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for score in rollouts.iter().flat_map(|r| &r.scores) {
        csv.serialize(score).map_err(ExperimentError::stage(STAGE))?;
    }
    let bytes = csv.into_inner().map_err(ExperimentError::stage(STAGE))?;
    run.write("rollouts.csv", &bytes).map(|_| ())
}

/// Scores of a rollout by states.
pub(crate) fn table(run: &Run, rolled: &Rolled) -> Table {
    let r = &rolled.config;
    let row = |score: &Score| {
        let chi = score.innovation_chi_squared.map_or(Cell::Missing, Cell::Number);
        vec![
            Cell::Text(format!("{} … {}", score.first_state, score.last_state)),
            Cell::Number(score.crps),
            Cell::Number(score.rmse),
            Cell::Number(score.spread_skill),
            chi,
            Cell::Count(score.evaluations),
        ]
    };
    let from = r.rollout.known_at_first().map_or(String::new(), |known| {
        format!(" It starts from the truth's first {known} state(s); state {known} is lead 1.")
    });
    let lost =
        if rolled.diverged > 0 { format!(" {} samples diverged.", rolled.diverged) } else { String::new() };
    let columns = [
        "states",
        "CRPS",
        "RMSE",
        "spread / skill",
        "innovation χ² of the forecast",
        "evaluations of the network",
    ];
    Table {
        title: format!("Rollout «{}»{}: {:?}, {:?}", r.name, run.of_variant(), r.rollout, r.conditioning),
        note: format!(
            "Observation «{}», {} trajectories, {} samples, normalised units; evaluations are for all states.{from}{lost}",
            r.observation, rolled.trajectories, rolled.samples
        ),
        columns: columns.map(str::to_owned).to_vec(),
        rows: rolled.scores.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests;
