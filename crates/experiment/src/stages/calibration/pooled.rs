//! What the cases of an observation say together, where that is no mean of their scores.

use super::super::evaluate::Metric;
use super::bin;
use ndarray::Array2;
use sda_evaluation::{EvaluationError, Sbc};

/// Scores of a case that are ranks, uniform where samples and truth are exchangeable.
const RANKS: [&str; 3] = ["rank", "rank_log_likelihood", "rank_log_prior"];
/// Cases in a bin on average, below which Pearson's χ² is no χ².
const CASES_OF_A_BIN: usize = 5;
const MOST_BINS: usize = 20;
/// Steps of a bin in which the ranks' distribution function is compared.
const STEPS_OF_A_BIN: usize = 16;

/// How the values of many cases become one.
#[derive(Clone, Copy)]
enum Pool {
    /// √ mean of squares.
    RootMeanSquare,
    /// Of a ratio a/b of roots of mean squares: √(mean a²/mean b²), a being this score.
    RatioOf(&'static str),
    /// The same, b being this score.
    RatioOver(&'static str),
    Least,
    Most,
}

/// Every score that is not simply averaged.
const POOLED: [(&str, Pool); 10] = [
    // Its square alone is 1 in the mean: a mean of roots of few numbers each is below 1 of an exact posterior too.
    ("residual_over_noise", Pool::RootMeanSquare),
    ("rmse", Pool::RootMeanSquare),
    ("rmse_normalised", Pool::RootMeanSquare),
    ("spread", Pool::RootMeanSquare),
    ("rmse_ratio", Pool::RatioOf("rmse")),
    ("spread_skill", Pool::RatioOver("rmse_normalised")),
    // A claim on every mode is one on the worst of all trajectories.
    ("mode_ratio_least", Pool::Least),
    ("mode_ratio_most", Pool::Most),
    ("mirror_share_least", Pool::Least),
    ("mirror_share_most", Pool::Most),
];

/// Pooled scores of each observation and number of corrections, and the p-values of the ranks.
///
/// - [`POOLED`]'s, with standard errors where there are any;
/// - `rank_p`: χ² of the ranks of one number a case;
/// - `sbc_p`: simulation-based calibration by all of [`RANKS`], which holds the Bonferroni bound.
///
/// Trajectories are independent, so that p-values hold; there are none below two bins of five cases.
///
/// Errors: those of [`Sbc::of`].
pub(crate) fn pooled(metrics: &[Metric]) -> Result<Vec<Metric>, EvaluationError> {
    let mut sets: Vec<&Metric> = Vec::new();
    for m in metrics {
        if !sets.iter().any(|of| of.is_of_the_same_set(m)) {
            sets.push(m);
        }
    }
    let mut out = Vec::new();
    for set in sets {
        let cases: Vec<&Metric> = metrics.iter().filter(|m| m.is_of_the_same_set(set)).collect();
        let metric = |name: &str, (value, standard_error): (f64, Option<f64>)| Metric {
            trajectory: None,
            metric: name.into(),
            value,
            standard_error,
            ..set.clone()
        };
        let found =
            POOLED.iter().filter_map(|&(name, pool)| Some(metric(name, of_cases(&cases, name, pool)?)));
        out.extend(found);
        for (name, p_value) in p_values(&cases)? {
            out.push(metric(name, (p_value, None)));
        }
    }
    Ok(out)
}

/// The value of one score in one trajectory.
fn value(cases: &[&Metric], name: &str, trajectory: Option<usize>) -> Option<f64> {
    cases.iter().find(|m| m.metric == name && m.trajectory == trajectory).map(|m| m.value)
}

fn of_cases(cases: &[&Metric], name: &str, pool: Pool) -> Option<(f64, Option<f64>)> {
    let of_this = || cases.iter().filter(|m| m.metric == name);
    let values = || of_this().map(|m| m.value);
    let beside = |other: &str| -> Vec<(f64, f64)> {
        of_this().filter_map(|m| Some((m.value, value(cases, other, m.trajectory)?))).collect()
    };
    let roots: Vec<(f64, f64)> = match pool {
        Pool::Least => return Some((values().reduce(f64::min)?, None)),
        Pool::Most => return Some((values().reduce(f64::max)?, None)),
        Pool::RootMeanSquare => values().map(|a| (a, 1.0)).collect(),
        Pool::RatioOf(a) => beside(a).into_iter().map(|(ratio, a)| (a, a / ratio)).collect(),
        Pool::RatioOver(b) => beside(b).into_iter().map(|(ratio, b)| (ratio * b, b)).collect(),
    };
    (!roots.is_empty()).then(|| root_ratio(&roots))
}

/// √(Σ a²/Σ b²) over independent cases, and its standard error to first order in the cases' scatter.
///
///   R = Σ a²/Σ b², se(R) = √(Σ (a² − R b²)²/(n (n − 1)))/mean b², se(√R) = se(R)/(2 √R)
///
/// Source: Cochran 1977, "Sampling Techniques", section 2.11.
fn root_ratio(cases: &[(f64, f64)]) -> (f64, Option<f64>) {
    let n = cases.len() as f64;
    let total = |of: fn(&(f64, f64)) -> f64| cases.iter().map(of).sum::<f64>();
    let (a, b) = (total(|(a, _)| a * a), total(|(_, b)| b * b));
    let ratio = a / b;
    let residual = cases.iter().map(|(a, b)| (a * a - ratio * b * b).powi(2)).sum::<f64>();
    let error = (residual / (n * (n - 1.0))).sqrt() / (b / n) / (2.0 * ratio.sqrt());
    (ratio.sqrt(), (cases.len() > 1).then_some(error))
}

/// `rank_p` and `sbc_p`, where there are cases enough.
fn p_values(cases: &[&Metric]) -> Result<Vec<(&'static str, f64)>, EvaluationError> {
    let quantities: Vec<&str> =
        RANKS.into_iter().filter(|name| cases.iter().any(|m| m.metric == *name)).collect();
    let ranked = cases.iter().filter(|m| m.metric == RANKS[0]);
    let complete = ranked.filter_map(|m| {
        quantities.iter().map(|name| value(cases, name, m.trajectory)).collect::<Option<Vec<f64>>>()
    });
    let rows: Vec<Vec<f64>> = complete.collect();
    let bins = (rows.len() / CASES_OF_A_BIN).min(MOST_BINS);
    if bins < 2 {
        return Ok(Vec::new());
    }
    let steps = bins * STEPS_OF_A_BIN;
    let ranks = Array2::from_shape_fn((rows.len(), quantities.len()), |(r, k)| bin(rows[r][k], steps));
    let sbc = Sbc::of(&ranks, steps - 1, bins)?;
    Ok(vec![("rank_p", sbc.quantities[0].chi_squared.p_value), ("sbc_p", sbc.p_value)])
}
