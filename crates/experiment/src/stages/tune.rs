//! Guidance and sampler of each observation, chosen by simulation on validation trajectories.

mod told;

use super::assimilate::{drive, with_weights};
use super::samples::Keyed;
use super::train::Model;
use super::{covariance, keys};
use crate::config::{Candidate, Experiment, ObservationConfig, Settings, Tuning, to_text};
use crate::error::ExperimentError;
use crate::key::seed;
use crate::progress::Progress;
use crate::report::Table;
use crate::run::Run;
use crate::tuning::{Cases, Choice, Scores, Trial, choose};
use ndarray::{ArrayD, Axis, stack};
use sda_core::{Real, Stream};
use sda_data::TrajectoryStore;
use sda_diffusion::{NoisePredictor, NoiseSource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const STAGE: &str = "tune";
/// Streams of the windows' starts, of the observations' noise, and of the numbers ranked.
const STARTS: u32 = 0x0700;
const NOISE: u32 = 0x0701;
const RANKED: u32 = 0x0702;

/// How each observation is sampled.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// The experiment with the settings of each observation, in their order.
    pub(crate) experiments: Vec<Experiment>,
    /// The experiment as resolved, with what was chosen.
    pub(crate) resolved: String,
    /// What the choice was made by.
    pub(crate) tuned: Tuned,
}

/// What a tuning has to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuned {
    /// Settings by the observation's name.
    pub(crate) chosen: BTreeMap<String, Candidate>,
    /// One for each observation.
    pub(crate) tables: Vec<Table>,
    /// What is doubtful about the choice.
    pub(crate) notes: Vec<String>,
}

/// The settings given, or those that are tuned: as chosen before, or else chosen now.
pub(crate) fn settle(run: &Run, store: &TrajectoryStore, model: &Model) -> Result<Settled, ExperimentError> {
    let mut e = run.loaded.experiment.clone();
    if e.assimilation.settings == Settings::Given {
        let resolved = run.loaded.resolved.clone();
        let experiments = e.observations.iter().map(|o| e.of(o)).collect();
        return Ok(Settled { experiments, resolved, tuned: Tuned::default() });
    }
    let mut tuning = e.tuning.clone().unwrap_or_default();
    let is_chosen = |o: &ObservationConfig| tuning.chosen.contains_key(&o.name);
    let tuned = if e.observations.iter().all(is_chosen) {
        Tuned::default()
    } else {
        tune(run, store, model, |o| !is_chosen(o))?
    };
    tuning.chosen.extend(tuned.chosen.clone());
    let with = |o: &ObservationConfig| with(&e.of(o), &tuning.chosen[&o.name]);
    let experiments = e.observations.iter().map(with).collect();
    e.tuning = Some(tuning);
    let resolved = to_text(&e);
    run.write("resolved.ron", resolved.as_bytes())?;
    Ok(Settled { experiments, resolved, tuned })
}

/// The experiment, sampled with a candidate.
fn with(e: &Experiment, candidate: &Candidate) -> Experiment {
    let Candidate { guidance, place, corrections, sampler } = candidate.clone();
    let mut e = e.clone();
    let a = &mut e.assimilation;
    (a.guidance, a.place, a.corrections, a.sampler) = (guidance, place, vec![corrections], sampler);
    e
}

/// Tunes some of the observations and writes tuning.json and tuning.csv.
///
/// Errors: a candidate's; an observation for which all candidates leave the real numbers; an interruption.
pub(crate) fn tune(
    run: &Run,
    store: &TrajectoryStore,
    model: &Model,
    which: impl Fn(&ObservationConfig) -> bool,
) -> Result<Tuned, ExperimentError> {
    let e = &run.loaded.experiment;
    let tuning = &e.tuning.clone().unwrap_or_default();
    let observations: Vec<&ObservationConfig> = e.observations.iter().filter(|o| which(o)).collect();
    let costs = |o: &ObservationConfig| -> Result<Vec<usize>, ExperimentError> {
        let windows = e.prior().windows(e.of(o).assimilation.length);
        let cost = |c: &Candidate| {
            let is_composed = c.place.is_composed(&c.guidance, &o.operator, windows);
            c.evaluations(e.schedule, o.noise_of_state(), is_composed)
        };
        tuning.candidates.iter().map(cost).collect::<Result<_, _>>().map_err(ExperimentError::stage(STAGE))
    };
    let costs: Vec<Vec<usize>> = observations.iter().map(|o| costs(o)).collect::<Result<_, _>>()?;
    let progress = run.progress(STAGE, costs.iter().flatten().sum());
    let (mut all_reused, mut tuned, mut rows) = (true, Tuned::default(), Vec::new());
    for (o, costs) in observations.into_iter().zip(&costs) {
        let noise = Stream::new(e.seed, NOISE);
        let truth = truth(run, store, tuning.trajectories, e.of(o).assimilation.length)?;
        let cases = Cases::observe(truth, o.operator.clone(), o.noise_std, noise)
            .map_err(ExperimentError::stage(STAGE))?;
        let mut trials = Vec::with_capacity(costs.len());
        for (candidate, cost) in tuning.candidates.iter().zip(costs) {
            run.go_on(STAGE)?;
            let one = One { run, store, model, tuning, o, cases: &cases, candidate, cost: *cost };
            let (trial, fresh) = one.trial(&progress)?;
            all_reused &= !fresh;
            if !fresh {
                progress.skip(*cost as u64);
            }
            trials.push(trial);
        }
        let choice = choose(&trials, costs, &tuning.rule).ok_or_else(|| all_diverged(o))?;
        tuned.chosen.insert(o.name.clone(), tuning.candidates[choice.chosen].clone());
        tuned.notes.extend(remark(run, o, &choice));
        let of_this = told::rows(o, tuning, &trials, costs, &choice);
        tuned.tables.push(told::table(run, o, tuning, &of_this));
        rows.extend(of_this);
    }
    told::write(run, &tuned.chosen, &rows)?;
    run.finish(progress, STAGE, all_reused, "tuning");
    Ok(tuned)
}

fn all_diverged(o: &ObservationConfig) -> ExperimentError {
    let reason = format!(
        "observation «{}»: samples of every candidate left the real numbers; add candidates with more steps, a larger \
         γ or no corrections to tuning.candidates",
        o.name
    );
    ExperimentError::Stage { stage: STAGE, reason }
}

fn remark(run: &Run, o: &ObservationConfig, choice: &Choice) -> Option<String> {
    choice.all_refuted.then(|| {
        format!(
            "tuning of «{}»{}: every candidate is refuted by its residual or its ranks; the best CRPS was taken. A \
             longer training, wider windows or other candidates may help.",
            o.name,
            run.of_variant()
        )
    })
}

/// A window of each of the first validation trajectories, normalised [R, L, D].
fn truth(
    run: &Run,
    store: &TrajectoryStore,
    count: usize,
    length: usize,
) -> Result<ArrayD<f64>, ExperimentError> {
    let e = &run.loaded.experiment;
    let free = (store.layout().length - length + 1) as u32;
    let starts = Stream::new(e.seed, STARTS);
    let validation = store.description().split.validation.clone();
    let window = |(i, trajectory): (usize, usize)| {
        let start = starts.sequence(0, i as u32).below(free) as usize;
        store.read_window(trajectory, start, length)
    };
    let windows: Vec<ArrayD<f32>> = validation
        .take(count)
        .enumerate()
        .map(window)
        .collect::<Result<_, _>>()
        .map_err(ExperimentError::stage::<sda_data::DataError>(STAGE))?;
    let views: Vec<_> = windows.iter().map(|window| window.view()).collect();
    let mut truth = stack(Axis(0), &views).map_err(ExperimentError::stage(STAGE))?.mapv(f64::from);
    run.system.normalisation().normalise(&mut truth);
    Ok(truth)
}

/// One candidate for one observation.
struct One<'a> {
    run: &'a Run,
    store: &'a TrajectoryStore,
    model: &'a Model,
    tuning: &'a Tuning,
    o: &'a ObservationConfig,
    cases: &'a Cases,
    candidate: &'a Candidate,
    cost: usize,
}

/// A trial on disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    trial: Trial,
}

impl One<'_> {
    /// The trial under this candidate's key, or else made now, and whether it was.
    fn trial(&self, progress: &Progress) -> Result<(Trial, bool), ExperimentError> {
        let (run, e) = (self.run, &self.run.loaded.experiment);
        let key = keys::tuning(&self.model.key, &run.recipe, e, self.tuning, self.o, self.candidate);
        let name = format!("tuning/{}-{}.json", self.o.name, &key[..12]);
        let partial = run.folder.join(format!("tuning/{}.partial.safetensors", self.o.name));
        if let Some(stored) = load(&run.folder.join(&name))?.filter(|stored| stored.key == key) {
            // Of a run killed before it removed what this candidate was made from; another's stays.
            if matches!(Keyed::load(&partial, &key, STAGE), Ok(Some(_))) {
                Run::remove(&partial)?;
            }
            return Ok((stored.trial, false));
        }
        let trial = self.sample(&key, &partial, progress)?;
        let stored = Stored { key, trial };
        let text = serde_json::to_vec_pretty(&stored).map_err(ExperimentError::stage(STAGE))?;
        run.write(&name, &text)?;
        Run::remove(&partial)?;
        Ok((stored.trial, true))
    }

    fn sample(&self, key: &str, partial: &Path, progress: &Progress) -> Result<Trial, ExperimentError> {
        let (run, e, n) = (self.run, &self.run.loaded.experiment, self.tuning.samples);
        let mut executor = with_weights(run, self.model, STAGE)?;
        let prior = e.prior();
        let mut posterior =
            self.cases.posterior(&*prior, self.candidate, n).map_err(ExperimentError::stage(STAGE))?;
        covariance::give(&mut posterior, run, self.store, e.of(self.o).assimilation.length)?;
        let planned = self
            .candidate
            .sampler(e.schedule, self.o.noise_of_state())
            .compile(&mut executor, &posterior, &self.cases.shape(n), NoiseSource::Drawn)
            .map_err(ExperimentError::diffusion(STAGE))?;
        let per_step = self.cost as u64 / u64::from(self.candidate.sampler.steps);
        // The same for all candidates, and so is where they start.
        let seed = seed(e.seed, [STARTS, 0, 0]);
        let kept = (key, partial);
        let samples = drive(run, STAGE, &mut executor, &planned, seed, kept, (progress, per_step))?;
        progress.advance(self.cost as u64 % u64::from(self.candidate.sampler.steps));
        if !samples.diverged.is_empty() {
            return Ok(Trial::Diverged(samples.diverged.len()));
        }
        let ranked = Stream::new(e.seed, RANKED);
        Scores::of(&samples.values.mapv(Real::to_f64), self.cases, ranked)
            .map(Trial::Scored)
            .map_err(ExperimentError::stage(STAGE))
    }
}

fn load(path: &Path) -> Result<Option<Stored>, ExperimentError> {
    let text = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ExperimentError::io("read the trial in", path, e)),
        Ok(text) => text,
    };
    let stored = serde_json::from_slice(&text).map_err(|e| ExperimentError::Stage {
        stage: STAGE,
        reason: format!("read {}: {e}; delete the file to try the candidate again", path.display()),
    })?;
    Ok(Some(stored))
}
