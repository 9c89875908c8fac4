//! Scores of the posterior samples beside the particle filter's, and the experiment's expectations.

use super::assimilate::PosteriorSamples;
use super::calibration::{self, relative_rank};
use super::climate::Climate;
use super::observe::Observed;
use super::reference::{Reference, per_state, predictions};
use super::scores::{self, Values};
use super::{checks, fields, keys, modes};
use crate::error::ExperimentError;
use crate::report::Check;
use crate::run::Run;
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayRef3, ArrayView3, Axis};
use sda_data::TrajectoryStore;
use sda_diffusion::Weighing;
use sda_evaluation::{Summary, log_likelihood, residual_over_noise, squared_mmd, wasserstein1};
use sda_systems::log_trajectory;
use serde::Serialize;

const STAGE: &str = "evaluate";

/// One number of metrics.csv.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(clippy::struct_field_names, reason = "the column's name in metrics.csv")]
pub(crate) struct Metric {
    /// Name of the observation.
    pub(crate) observation: String,
    /// Langevin corrections; the reference's own metrics have none.
    pub(crate) corrections: Option<u32>,
    /// Test trajectory; none for what all say together.
    pub(crate) trajectory: Option<usize>,
    /// Name.
    pub(crate) metric: String,
    /// Value.
    pub(crate) value: f64,
    /// Standard error of the mean over trajectories.
    pub(crate) standard_error: Option<f64>,
}

impl Metric {
    /// Whether both are of the same samples, over trajectories.
    pub(crate) fn is_of_the_same_set(&self, other: &Self) -> bool {
        self.observation == other.observation && self.corrections == other.corrections
    }
}

/// All scores of a run.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    /// Every number.
    pub(crate) metrics: Vec<Metric>,
    /// Expectations.
    pub(crate) checks: Vec<Check>,
}

impl Scores {
    /// One metric over all trajectories, with its standard error.
    pub(crate) fn mean(
        &self,
        observation: &str,
        corrections: Option<u32>,
        metric: &str,
    ) -> Option<(f64, f64)> {
        let found = self.metrics.iter().find(|m| {
            m.observation == observation
                && m.corrections == corrections
                && m.trajectory.is_none()
                && m.metric == metric
        })?;
        Some((found.value, found.standard_error.unwrap_or(0.0)))
    }
}

/// Scores everything and writes metrics.csv and metrics.json, with the prior's metrics, which are known.
pub(crate) fn evaluate(
    run: &Run,
    store: &TrajectoryStore,
    (observed, references): (&[Observed], &[Option<Reference>]),
    samples: &[PosteriorSamples],
    of_prior: Vec<Metric>,
) -> Result<Scores, ExperimentError> {
    let mut climate = Climate::new(run, store);
    let mut mean_field: Option<Vec<f64>> = None;
    let progress = run.progress(STAGE, observed.len() + samples.len());
    let (mut metrics, mut of_references, mut all_reused) = (Vec::new(), Vec::new(), true);
    for (o, reference) in observed.iter().zip(references) {
        run.go_on(STAGE)?;
        if let Some(reference) = reference {
            let (values, fresh) = reference_values(run, o, reference, &mut climate)?;
            add(&mut metrics, o, None, &values);
            of_references.push(Some(values));
            all_reused &= !fresh;
            progress.count(1, fresh);
        } else {
            of_references.push(None);
            if run.system.flow().is_some() && o.config.target.is_none() {
                let mean = match mean_field.take() {
                    Some(mean) => mean,
                    None => fields::climate(run, store)?,
                };
                let mut floors = fields::floors(run, o, &mean)?;
                let truth = o.truth.view().insert_axis(Axis(0)).to_owned();
                floors.extend(fields::one_state_error(&run.system, &truth).map(|x| ("one_state_error", x)));
                add_floors(&mut metrics, o, &floors);
                mean_field = Some(mean);
            }
            progress.advance(1);
        }
    }
    for p in samples {
        run.go_on(STAGE)?;
        let o = &observed[p.observed];
        let beside = references[p.observed].as_ref().zip(of_references[p.observed].as_ref());
        let (values, fresh) = sample_values(run, o, beside, p)?;
        add(&mut metrics, o, Some(p.corrections), &values);
        if !run.loaded.experiment.assimilation.keep_samples {
            Run::remove(&PosteriorSamples::path(run, o, p.corrections))?;
        }
        all_reused &= !fresh;
        progress.count(1, fresh);
    }
    let pooled = calibration::pooled(&metrics).map_err(ExperimentError::stage(STAGE))?;
    metrics.extend(means(&metrics, pooled));
    metrics.extend(of_prior);
    let checks = checks::checks(run, &metrics);
    let scores = Scores { metrics, checks };
    write(run, &scores)?;
    run.finish(progress, STAGE, all_reused, "scores");
    Ok(scores)
}

fn add(metrics: &mut Vec<Metric>, o: &Observed, corrections: Option<u32>, values: &Values) {
    metrics.extend(values.iter().map(|(name, value)| Metric {
        observation: o.config.name.clone(),
        corrections,
        trajectory: Some(o.trajectory),
        metric: name.clone(),
        value: *value,
        standard_error: None,
    }));
}

/// Scores samples as soon as they are made, so that a long table that keeps no samples has what it has done so far;
/// [`evaluate`] finds the scores under their keys.
pub(crate) fn at_once(
    run: &Run,
    store: &TrajectoryStore,
    o: &Observed,
    reference: Option<&Reference>,
    p: &PosteriorSamples,
) -> Result<(), ExperimentError> {
    let mut climate = Climate::new(run, store);
    let of_reference = match reference {
        Some(reference) => Some(reference_values(run, o, reference, &mut climate)?.0),
        None => None,
    };
    sample_values(run, o, reference.zip(of_reference.as_ref()), p).map(|_| ())
}

/// A reference's scores, and whether they were computed now.
fn reference_values(
    run: &Run,
    o: &Observed,
    reference: &Reference,
    climate: &mut Climate<'_>,
) -> Result<(Values, bool), ExperimentError> {
    let key = keys::scores("", &reference.key, &run.loaded.experiment);
    scores::reuse_or(run, &o.stem(), &key, || of_reference(run, o, reference, climate))
}

/// Scores of samples, and whether they were computed now.
fn sample_values(
    run: &Run,
    o: &Observed,
    beside: Option<(&Reference, &Values)>,
    p: &PosteriorSamples,
) -> Result<(Values, bool), ExperimentError> {
    let reference = beside.map_or("", |(reference, _)| &reference.key);
    let key = keys::scores(&p.key, reference, &run.loaded.experiment);
    let stem = PosteriorSamples::stem(o, p.corrections);
    scores::reuse_or(run, &stem, &key, || of_samples(run, o, beside, p))
}

/// What is computed in no time and kept nowhere.
fn add_floors(metrics: &mut Vec<Metric>, o: &Observed, floors: &[(&'static str, f64)]) {
    let values: Values = floors.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    add(metrics, o, None, &values);
}

fn of_reference(
    run: &Run,
    o: &Observed,
    r: &Reference,
    climate: &mut Climate<'_>,
) -> Result<Vec<(&'static str, f64)>, ExperimentError> {
    let [first, second] = &r.runs;
    let mut values = of_set(run, o, first)?;
    values.push(("w1", w1(&first.view(), &second.view())?));
    values.push(("mmd2", mmd2(&first.view(), &second.view())?));
    if let Some([first, second]) = &r.paths {
        values.push(("w1_bootstrap", w1(&first.view(), &second.view())?));
    }
    values.push(("least_effective_sample_size", r.least_effective));
    values.push(("log_evidence", r.log_evidence));
    values.extend(climate.innovation(o)?.map(|value| ("climatological_innovation_chi2", value)));
    values.extend(modes::of_case(run, o, second, first)?);
    Ok(values)
}

fn of_samples(
    run: &Run,
    o: &Observed,
    beside: Option<(&Reference, &Values)>,
    p: &PosteriorSamples,
) -> Result<Vec<(&'static str, f64)>, ExperimentError> {
    let near = within_reach(run, o, &p.values)?;
    let samples = near.as_ref().unwrap_or(&p.values);
    let count = samples.len_of(Axis(0));
    let mut values = vec![("diverged", (p.diverged + p.count() - count) as f64)];
    if let Some(Weighing { effective_sample_size, distinct }) = &p.weighing {
        let least = effective_sample_size.iter().copied().fold(f64::INFINITY, f64::min);
        let last = effective_sample_size.last().copied().unwrap_or(f64::NAN);
        values.push(("least_effective_sample_size", least));
        values.push(("last_effective_sample_size", last));
        values.push(("distinct_samples", *distinct as f64));
    }
    if count < 2 {
        return Ok(values);
    }
    let Some((r, of_reference)) = beside else {
        if o.config.target.is_some() {
            values.push(("residual_over_noise", densities(run, o, samples)?.residual_over_noise));
            values.extend(fields::one_state_error(&run.system, samples).map(|x| ("one_state_error", x)));
            return Ok(values);
        }
        values.extend(of_set(run, o, samples)?);
        return Ok(values);
    };
    // The distance between sets depends on their sizes: the reference is cut to what is left of the samples.
    let [first, second] = r.runs.each_ref().map(|run| run.slice_axis(Axis(0), (0..count).into()));
    let distance = w1(&samples.view(), &first)?;
    let all = r.runs.iter().all(|run| run.len_of(Axis(0)) == count);
    let known = of_reference.iter().find(|(name, _)| all && name == "w1").map(|(_, value)| *value);
    let floor = known.map_or_else(|| w1(&first, &second), Ok)?;
    values.extend(of_set(run, o, samples)?);
    values.push(("w1", distance));
    values.push(("w1_ratio", distance / floor));
    values.push(("mmd2", mmd2(&samples.view(), &first)?));
    if let Some([paths, _]) = &r.paths {
        let paths = paths.slice_axis(Axis(0), (0..count).into());
        values.push(("w1_bootstrap", w1(&samples.view(), &paths)?));
    }
    let value = |values: &[(&str, f64)], name| values.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let reference = |name| of_reference.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
    let compare = |name, of: fn(f64, f64) -> f64| Some(of(value(&values, name)?, reference(name)?));
    let compared = [
        ("log_likelihood_difference", compare("log_likelihood", |own, other| own - other)),
        ("log_prior_difference", compare("log_prior", |own, other| own - other)),
        ("rmse_ratio", compare("rmse", |own, other| own / other)),
    ];
    values.extend(compared.into_iter().filter_map(|(name, value)| Some((name, value?))));
    values.extend(modes::of_case(run, o, samples, &r.runs[0])?);
    Ok(values)
}

/// The samples whose densities are numbers, where some's are none: their states are finite, but so far away that a step of
/// the dynamics or a square overflows. They are as lost as those that left the real numbers.
fn within_reach(
    run: &Run,
    o: &Observed,
    samples: &Array3<f64>,
) -> Result<Option<Array3<f64>>, ExperimentError> {
    if samples.is_empty() {
        return Ok(None);
    }
    let prior = log_prior(run, samples);
    let likelihood = log_likelihood(&predicted(run, o, samples)?, &flat(&o.y), o.config.noise_std);
    let is_finite =
        |i: &usize| likelihood[*i].is_finite() && prior.as_ref().is_none_or(|log| log[*i].is_finite());
    let near: Vec<usize> = (0..samples.len_of(Axis(0))).filter(is_finite).collect();
    Ok((near.len() < samples.len_of(Axis(0))).then(|| samples.select(Axis(0), &near)))
}

/// log p(x_{2:L} | x_1) `[N]`; none where the transition is deterministic.
fn log_prior(run: &Run, samples: &ArrayRef3<f64>) -> Option<Array1<f64>> {
    run.system.chain().and_then(|chain| log_trajectory(chain, samples))
}

fn flat(y: &ArrayD<f64>) -> Array1<f64> {
    y.iter().copied().collect()
}

/// What any set of samples is scored by: its densities, and whether the truth could be one of it.
///
/// Ranks of log p(y | x) and log p(x_{2:L} | x_1) are the test functions of simulation-based calibration that see y and
/// the whole trajectory.
fn of_set(
    run: &Run,
    o: &Observed,
    samples: &Array3<f64>,
) -> Result<Vec<(&'static str, f64)>, ExperimentError> {
    let wrap = ExperimentError::stage(STAGE);
    let truth = o.truth.view().insert_axis(Axis(0));
    let (of_samples, of_truth) = (densities(run, o, samples)?, densities(run, o, &truth)?);
    let mut values = Vec::new();
    let mut draws = calibration::draws(run.loaded.experiment.seed, o);
    let mut calibrated =
        calibration::of_case(samples, &o.truth, &run.system.normalisation(), &mut draws).map_err(&wrap)?;
    let mean = |densities: &Array1<f64>| densities.mean().unwrap_or(f64::NAN);
    if let (Some(log), Some(of_truth)) = (&of_samples.log_prior, &of_truth.log_prior) {
        values.push(("log_prior", mean(log)));
        calibrated.push(("rank_log_prior", relative_rank(log, of_truth[0], &mut draws).map_err(&wrap)?));
    }
    let (log, of_truth) = (&of_samples.log_likelihood, &of_truth.log_likelihood);
    values.push(("log_likelihood", mean(log)));
    values.push(("residual_over_noise", of_samples.residual_over_noise));
    calibrated.push(("rank_log_likelihood", relative_rank(log, of_truth[0], &mut draws).map_err(&wrap)?));
    values.extend(calibrated);
    values.extend(fields::one_state_error(&run.system, samples).map(|x| ("one_state_error", x)));
    Ok(values)
}

/// Densities of samples, and the residual's deviation over the noise's.
struct Densities {
    /// log p(x_{2:L} | x_1) `[N]`; none where the transition is deterministic.
    log_prior: Option<Array1<f64>>,
    /// log p(y | x) `[N]`.
    log_likelihood: Array1<f64>,
    residual_over_noise: f64,
}

fn densities(run: &Run, o: &Observed, samples: &ArrayRef3<f64>) -> Result<Densities, ExperimentError> {
    let (std, wrap) = (o.config.noise_std, ExperimentError::stage(STAGE));
    let y = flat(&o.y);
    let predicted = predicted(run, o, samples)?;
    Ok(Densities {
        log_prior: log_prior(run, samples),
        log_likelihood: log_likelihood(&predicted, &y, std),
        residual_over_noise: residual_over_noise(&predicted, &y, std).map_err(wrap)?,
    })
}

/// A(x) of whole trajectories, by the filter's form of the operator where there is one.
///
/// Shapes: `samples` [N, L, D], result [N, P].
pub(crate) fn predicted(
    run: &Run,
    o: &Observed,
    samples: &ArrayRef3<f64>,
) -> Result<Array2<f64>, ExperimentError> {
    let (_, length, dim) = samples.dim();
    let values = if run.system.chain().is_some() && o.config.operator.per_state(length, dim).is_some() {
        let (observations, operator) = per_state(run, o)?;
        predictions(samples, observations.steps(), &operator).into_dyn()
    } else {
        let mut normalised = samples.to_owned();
        run.system.normalisation().normalise(&mut normalised);
        let fields = normalised
            .into_shape_with_order(run.shape(samples.dim().0, length))
            .map_err(ExperimentError::stage(STAGE))?;
        o.config.operator.apply(fields.view()).map_err(ExperimentError::stage(STAGE))?
    };
    let shape = (values.len_of(Axis(0)), o.y.len());
    values
        .as_standard_layout()
        .into_owned()
        .into_shape_with_order(shape)
        .map_err(ExperimentError::stage(STAGE))
}

fn w1(x: &ArrayView3<'_, f64>, y: &ArrayView3<'_, f64>) -> Result<f64, ExperimentError> {
    wasserstein1(x, y).map_err(ExperimentError::stage(STAGE))
}

fn mmd2(x: &ArrayView3<'_, f64>, y: &ArrayView3<'_, f64>) -> Result<f64, ExperimentError> {
    squared_mmd(x, y).map_err(ExperimentError::stage(STAGE))
}

/// Means over trajectories, in the order of first appearance, or what is pooled in their place; then the rest of that.
fn means(metrics: &[Metric], pooled: Vec<Metric>) -> Vec<Metric> {
    let same = |a: &Metric, b: &Metric| a.is_of_the_same_set(b) && a.metric == b.metric;
    let mut out: Vec<Metric> = Vec::new();
    for m in metrics {
        if out.iter().any(|o| same(o, m)) {
            continue;
        }
        if let Some(pooled) = pooled.iter().find(|o| same(o, m)) {
            out.push(pooled.clone());
        } else if let Some(summary) = Summary::of(metrics.iter().filter(|o| same(o, m)).map(|o| o.value)) {
            let standard_error = (summary.count > 1).then_some(summary.standard_error);
            out.push(Metric { trajectory: None, value: summary.mean, standard_error, ..m.clone() });
        }
    }
    let rest: Vec<Metric> = pooled.into_iter().filter(|p| !out.iter().any(|o| same(o, p))).collect();
    out.extend(rest);
    out
}

fn write(run: &Run, scores: &Scores) -> Result<(), ExperimentError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for m in &scores.metrics {
        csv.serialize(m).map_err(ExperimentError::stage(STAGE))?;
    }
    let bytes = csv.into_inner().map_err(ExperimentError::stage(STAGE))?;
    run.write("metrics.csv", &bytes)?;
    let json = serde_json::json!({ "metrics": scores.metrics, "checks": scores.checks });
    let text = serde_json::to_vec_pretty(&json).map_err(ExperimentError::stage(STAGE))?;
    run.write("metrics.json", &text)?;
    Ok(())
}
