//! The experiment's expectations, held against its metrics.

use super::evaluate::Metric;
use super::prior::NAME as PRIOR;
use crate::config::{Expectation, Settings};
use crate::report::Check;
use crate::run::Run;

/// The experiment's expectations in this tier.
pub(super) fn checks(run: &Run, metrics: &[Metric]) -> Vec<Check> {
    let e = &run.loaded.experiment;
    let tier = e.tier.as_deref().unwrap_or_default();
    let is_tuned = e.assimilation.settings == Settings::Tuned;
    // A number of corrections is of settings that are given, `tuned` of those that are not; the prior has its own.
    let is_of_these = |metric: &str| {
        let mut parts = metric.split('.');
        match (parts.next(), parts.next()) {
            (Some(PRIOR), _) | (_, None) => true,
            (_, Some("tuned")) => is_tuned,
            (_, Some(corrections)) => !is_tuned || corrections.parse::<u32>().is_err(),
        }
    };
    let applies = e.expect.iter().filter(|x| x.tiers.is_empty() || x.tiers.iter().any(|t| t == tier));
    let variant = run.variant.as_ref().map(|name| format!("{name}.")).unwrap_or_default();
    let name = |m: &Metric| match m.corrections {
        Some(_) if is_tuned && m.observation != PRIOR => format!("{}.tuned.{}", m.observation, m.metric),
        Some(c) => format!("{}.{c}.{}", m.observation, m.metric),
        None => format!("{}.reference.{}", m.observation, m.metric),
    };
    let asked: Vec<(&Expectation, &str)> = applies
        .filter_map(|x| x.metric.strip_prefix(&variant).map(|metric| (x, metric)))
        .filter(|(_, metric)| is_of_these(metric))
        .collect();
    let lost = lost(metrics, name, &asked).into_iter().map(|(metric, value)| Check {
        quantity: format!("{variant}{metric}"),
        value,
        lower: None,
        upper: Some(0.0),
        source: "samples that left the real numbers are in no score".into(),
    });
    asked
        .iter()
        .map(|&(x, metric)| {
            let found = metrics.iter().find(|m| m.trajectory.is_none() && name(m) == metric);
            let near = x.published.map(|p| {
                let room = p.reading + 2.0 * found.map_or(f64::NAN, |m| uncertainty(m, metrics));
                [p.value - room, p.value + room]
            });
            Check {
                quantity: x.metric.clone(),
                value: found.map_or(f64::NAN, |m| m.value),
                lower: x.at_least.or(near.map(|[lower, _]| lower)),
                upper: x.at_most.or(near.map(|[_, upper]| upper)),
                source: x.source.clone(),
            }
        })
        .chain(lost)
        .collect()
}

/// Means of `diverged` of sets that something is expected of, where they are not 0 and the experiment has no word on them
/// itself: a score of what is left would pass for one of all.
fn lost(
    metrics: &[Metric],
    name: impl Fn(&Metric) -> String,
    asked: &[(&Expectation, &str)],
) -> Vec<(String, f64)> {
    let set = |metric: &str| metric.rsplit_once('.').map(|(set, _)| set.to_owned());
    metrics
        .iter()
        .filter(|m| m.trajectory.is_none() && m.metric == "diverged" && m.value > 0.0)
        .map(|m| (name(m), m.value))
        .filter(|(diverged, _)| {
            asked.iter().any(|(_, metric)| set(metric) == set(diverged))
                && asked.iter().all(|(_, metric)| metric != diverged)
        })
        .collect()
}

/// Standard error of a mean over trajectories; of a single trajectory the deviation that the same metric has over the
/// trajectories of the nearest number of corrections that has several, of two as near the greater.
fn uncertainty(of: &Metric, metrics: &[Metric]) -> f64 {
    if let Some(error) = of.standard_error {
        return error;
    }
    let of_this = |m: &&Metric| m.observation == of.observation && m.metric == of.metric;
    let Some(corrections) = of.corrections else { return 0.0 };
    let others = metrics.iter().filter(of_this).filter(|m| m.trajectory.is_none());
    let several = others.filter_map(|m| Some((m.corrections?, m.standard_error?)));
    let nearest = several.min_by_key(|(c, _)| (c.abs_diff(corrections), std::cmp::Reverse(*c)));
    nearest.map_or(0.0, |(c, error)| {
        let trajectories =
            metrics.iter().filter(of_this).filter(|m| m.trajectory.is_some() && m.corrections == Some(c));
        error * (trajectories.count() as f64).sqrt()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(
        corrections: u32,
        trajectory: Option<usize>,
        value: f64,
        standard_error: Option<f64>,
    ) -> Metric {
        let (observation, metric) = ("lo".into(), "w1".into());
        Metric { observation, corrections: Some(corrections), trajectory, metric, value, standard_error }
    }

    /// Deviations 8, 1, 3 at 0, 1, 4 corrections over four trajectories; one trajectory at 2, 3 and 16.
    #[test]
    fn a_single_trajectory_scatters_as_those_of_the_nearest_corrections() {
        let mut metrics = Vec::new();
        for (c, deviation) in [(0, 8.0), (1, 1.0), (4, 3.0)] {
            metrics.extend((0..4).map(|trajectory| metric(c, Some(trajectory), 20.0, None)));
            metrics.push(metric(c, None, 20.0, Some(deviation / 2.0)));
        }
        let alone = |c| metric(c, None, 20.0, None);
        for (c, expected) in [(16, 3.0), (3, 3.0), (2, 1.0)] {
            metrics.extend([metric(c, Some(0), 20.0, None), alone(c)]);
            let got = uncertainty(&alone(c), &metrics);
            assert!((got - expected).abs() < 1e-12, "{got} at {c}");
        }
        assert_eq!(uncertainty(&metric(1, None, 20.0, Some(0.5)), &metrics), 0.5);
        let other = Metric { metric: "crps".into(), ..alone(16) };
        assert_eq!(uncertainty(&other, &metrics), 0.0);
    }
}
