//! Scores of the posterior samples beside the particle filter's, and the experiment's expectations.

use super::assimilate::PosteriorSamples;
use super::keys;
use super::observe::Observed;
use super::reference::{Reference, per_state};
use super::scores::{self, Values};
use crate::config::{Expectation, Settings};
use crate::error::ExperimentError;
use crate::report::Check;
use crate::run::Run;
use ndarray::{Array2, Array3, ArrayView3, Axis};
use sda_evaluation::{Summary, gaussian_log_density, squared_mmd, wasserstein1};
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
    /// Test trajectory; none for the mean over all.
    pub(crate) trajectory: Option<usize>,
    /// Name.
    pub(crate) metric: String,
    /// Value.
    pub(crate) value: f64,
    /// Standard error of the mean over trajectories.
    pub(crate) standard_error: Option<f64>,
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
    /// The mean over trajectories of one metric, with its standard error.
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

/// Scores everything and writes metrics.csv and metrics.json.
pub(crate) fn evaluate(
    run: &Run,
    observed: &[Observed],
    references: &[Reference],
    samples: &[PosteriorSamples],
) -> Result<Scores, ExperimentError> {
    let progress = run.progress(STAGE, observed.len() + samples.len());
    let (mut metrics, mut of_references, mut all_reused) = (Vec::new(), Vec::new(), true);
    for (o, reference) in observed.iter().zip(references) {
        run.go_on(STAGE)?;
        let key = keys::scores("", &reference.key);
        let (values, fresh) = scores::reuse_or(run, &o.stem(), &key, || of_reference(run, o, reference))?;
        add(&mut metrics, o, None, &values);
        of_references.push(values);
        all_reused &= !fresh;
        progress.advance(1);
    }
    for p in samples {
        run.go_on(STAGE)?;
        let (o, reference) = (&observed[p.observed], &references[p.observed]);
        let key = keys::scores(&p.key, &reference.key);
        let stem = format!("{}-c{}", o.stem(), p.corrections);
        let known = &of_references[p.observed];
        let (values, fresh) = scores::reuse_or(run, &stem, &key, || of_samples(run, o, reference, known, p))?;
        add(&mut metrics, o, Some(p.corrections), &values);
        all_reused &= !fresh;
        progress.advance(1);
    }
    metrics.extend(means(&metrics));
    let checks = checks(run, &metrics);
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

fn of_reference(run: &Run, o: &Observed, r: &Reference) -> Result<Vec<(&'static str, f64)>, ExperimentError> {
    let [first, second] = &r.runs;
    let mut values = densities(run, o, first)?;
    values.push(("w1", w1(&first.view(), &second.view())?));
    values.push(("mmd2", mmd2(&first.view(), &second.view())?));
    if let Some([first, second]) = &r.paths {
        values.push(("w1_bootstrap", w1(&first.view(), &second.view())?));
    }
    values.push(("least_effective_sample_size", r.least_effective));
    values.push(("log_evidence", r.log_evidence));
    Ok(values)
}

fn of_samples(
    run: &Run,
    o: &Observed,
    r: &Reference,
    of_reference: &Values,
    p: &PosteriorSamples,
) -> Result<Vec<(&'static str, f64)>, ExperimentError> {
    let mut values = vec![("diverged", p.diverged as f64)];
    if p.count() < 2 {
        return Ok(values);
    }
    // The distance between sets depends on their sizes: the reference is cut to what is left of the samples.
    let [first, second] = r.runs.each_ref().map(|run| run.slice_axis(Axis(0), (0..p.count()).into()));
    let distance = w1(&p.values.view(), &first)?;
    let all = r.runs.iter().all(|run| run.len_of(Axis(0)) == p.count());
    let known = of_reference.iter().find(|(name, _)| all && name == "w1").map(|(_, value)| *value);
    let floor = known.map_or_else(|| w1(&first, &second), Ok)?;
    values.extend(densities(run, o, &p.values)?);
    values.push(("w1", distance));
    values.push(("w1_ratio", distance / floor));
    values.push(("mmd2", mmd2(&p.values.view(), &first)?));
    if let Some([paths, _]) = &r.paths {
        let paths = paths.slice_axis(Axis(0), (0..p.count()).into());
        values.push(("w1_bootstrap", w1(&p.values.view(), &paths)?));
    }
    for (name, metric) in
        [("log_likelihood", "log_likelihood_difference"), ("log_prior", "log_prior_difference")]
    {
        let own = values.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        let reference = of_reference.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
        if let (Some(own), Some(reference)) = (own, reference) {
            values.push((metric, own - reference));
        }
    }
    Ok(values)
}

/// Means over samples of log p(x_{2:L} | x_1), log p(y | x) and the residual's deviation over the noise's.
fn densities(
    run: &Run,
    o: &Observed,
    samples: &Array3<f64>,
) -> Result<Vec<(&'static str, f64)>, ExperimentError> {
    let mut values = Vec::new();
    if let Some(prior) = log_trajectory(&*run.system, samples) {
        values.push(("log_prior", prior.mean().unwrap_or(f64::NAN)));
    }
    let residuals = residuals(run, o, samples)?;
    let std = o.config.noise_std;
    let likelihood = residuals.outer_iter().map(|r| gaussian_log_density(r.iter().copied(), std));
    values.push(("log_likelihood", likelihood.sum::<f64>() / residuals.nrows() as f64));
    let square = residuals.iter().map(|r| r * r).sum::<f64>() / residuals.len() as f64;
    values.push(("residual_over_noise", square.sqrt() / std));
    Ok(values)
}

/// y − A(x) of every sample, [N, P].
fn residuals(run: &Run, o: &Observed, samples: &Array3<f64>) -> Result<Array2<f64>, ExperimentError> {
    let (observations, operator) = per_state(run, o)?;
    let (n, p) = (samples.len_of(Axis(0)), observations.values().ncols());
    let mut out = Array2::zeros((n, observations.steps().len() * p));
    for (sample, mut row) in samples.outer_iter().zip(out.outer_iter_mut()) {
        for (k, &step) in observations.steps().iter().enumerate() {
            let predicted = operator.linear.matrix.dot(&sample.row(step)) + &operator.linear.offset;
            for j in 0..p {
                row[k * p + j] = observations.values()[[k, j]] - (operator.function)(predicted[j]);
            }
        }
    }
    Ok(out)
}

fn w1(x: &ArrayView3<'_, f64>, y: &ArrayView3<'_, f64>) -> Result<f64, ExperimentError> {
    wasserstein1(x, y).map_err(ExperimentError::stage(STAGE))
}

fn mmd2(x: &ArrayView3<'_, f64>, y: &ArrayView3<'_, f64>) -> Result<f64, ExperimentError> {
    squared_mmd(x, y).map_err(ExperimentError::stage(STAGE))
}

/// Means over trajectories, in the order of first appearance.
fn means(metrics: &[Metric]) -> Vec<Metric> {
    let same = |a: &Metric, b: &Metric| {
        a.observation == b.observation && a.corrections == b.corrections && a.metric == b.metric
    };
    let mut out: Vec<Metric> = Vec::new();
    for m in metrics {
        if out.iter().any(|o| same(o, m)) {
            continue;
        }
        if let Some(summary) = Summary::of(metrics.iter().filter(|o| same(o, m)).map(|o| o.value)) {
            let standard_error = (summary.count > 1).then_some(summary.standard_error);
            out.push(Metric { trajectory: None, value: summary.mean, standard_error, ..m.clone() });
        }
    }
    out
}

/// The experiment's expectations in this tier.
fn checks(run: &Run, metrics: &[Metric]) -> Vec<Check> {
    let e = &run.loaded.experiment;
    let tier = e.tier.as_deref().unwrap_or_default();
    let is_tuned = e.assimilation.settings == Settings::Tuned;
    // A number of corrections is of settings that are given, `tuned` of those that are not.
    let is_of_these = |x: &Expectation| match x.metric.split('.').nth(1) {
        Some("tuned") => is_tuned,
        Some(corrections) => !is_tuned || corrections.parse::<u32>().is_err(),
        None => true,
    };
    let applies = e.expect.iter().filter(|x| x.tiers.is_empty() || x.tiers.iter().any(|t| t == tier));
    let applies = applies.filter(|x| is_of_these(x));
    applies
        .map(|x| {
            let name = |m: &Metric| match m.corrections {
                Some(_) if is_tuned => format!("{}.tuned.{}", m.observation, m.metric),
                Some(c) => format!("{}.{c}.{}", m.observation, m.metric),
                None => format!("{}.reference.{}", m.observation, m.metric),
            };
            let found = metrics.iter().find(|m| m.trajectory.is_none() && name(m) == x.metric);
            Check {
                quantity: x.metric.clone(),
                value: found.map_or(f64::NAN, |m| m.value),
                lower: x.at_least,
                upper: x.at_most,
                source: x.source.clone(),
            }
        })
        .collect()
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
