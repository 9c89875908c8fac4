//! The report's histograms of ranks.

use super::super::observe::Observed;
use super::super::reference::Reference;
use super::{RANKS, bin};
use crate::error::ExperimentError;
use crate::figures::{Drawing, RankHistograms, RankPanel};
use crate::report::significant;
use crate::run::Part;
use ndarray::{Array2, Array3};
use sda_core::Stream;
use sda_evaluation::{EvaluationError, ranks};

const STAGE: &str = "report";
/// Row of a case's stream that spreads its ranks; those before it break the ties of the numbers.
const SPREAD: u32 = u32::MAX;
const BINS: usize = 16;

/// Ranks of the truth among the filter's samples and among ours, of all numbers of one observation's trajectories; none
/// where no sample is left.
pub(crate) fn histograms(
    part: &Part<'_>,
    name: &str,
    observed: &[Observed],
    references: &[Option<Reference>],
) -> Result<Option<Drawing>, ExperimentError> {
    let Part { run, samples, scores, .. } = part;
    let e = &run.loaded.experiment;
    let of_name = |at: usize| observed[at].config.name == name;
    let first = references.iter().enumerate().filter(|(at, _)| of_name(*at));
    let first = first.filter_map(|(at, r)| Some((at, &r.as_ref()?.runs[0])));
    let mut sets = vec![("particle filter".to_owned(), None, first.collect::<Vec<_>>())];
    for &c in part.corrections(name) {
        let ours = samples.iter().filter(|p| of_name(p.observed) && p.corrections == c && p.count() > 0);
        sets.push((format!("SDA, C = {c}"), Some(c), ours.map(|p| (p.observed, &p.values)).collect()));
    }
    let mut panels = Vec::new();
    for (label, corrections, cases) in sets.iter().filter(|(_, _, cases)| !cases.is_empty()) {
        let mut counts = vec![0; BINS];
        for (at, values) in cases {
            let o = &observed[*at];
            count(
                &mut counts,
                values,
                &o.truth,
                Stream::new(e.seed, RANKS + 1 + o.kind as u32),
                o.trajectory,
            )
            .map_err(ExperimentError::stage(STAGE))?;
        }
        let p_value =
            scores.mean(name, *corrections, "rank_p").map(|(p, _)| format!(": p = {}", significant(p)));
        panels.push((format!("{label}{}", p_value.unwrap_or_default()), counts));
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let panels: Vec<RankPanel<'_>> =
        panels.iter().map(|(title, counts)| RankPanel { title, counts }).collect();
    RankHistograms {
        title: &format!("{}: ranks of the truth, «{name}»{}", e.title, run.of_variant()),
        subtitle: "Of all states and components, which depend on each other; p-values are of one number a trajectory. \
                   A ∪ is too narrow a posterior, a ∩ too wide a one.",
        panels: &panels,
    }
    .draw()
    .map(Some)
    .map_err(ExperimentError::stage(STAGE))
}

/// Adds the relative ranks of a trajectory's numbers.
///
/// Shapes: `counts` `[B]`, `samples` [N, L, D], `truth` [L, D].
fn count(
    counts: &mut [u64],
    samples: &Array3<f64>,
    truth: &Array2<f64>,
    stream: Stream,
    trajectory: usize,
) -> Result<(), EvaluationError> {
    let step = trajectory as u32;
    let mut draws = stream.sequence(step, SPREAD);
    let among = samples.dim().0 as f64 + 1.0;
    for &rank in &ranks(samples, truth, stream, step)? {
        counts[bin((rank as f64 + draws.uniform()) / among, counts.len())] += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples −N/2 … N/2 and truths far below, in the middle and far above.
    #[test]
    fn truths_are_counted_where_they_rank() {
        let samples = Array3::from_shape_fn((31, 3, 1), |(n, _, _)| n as f64 - 15.0);
        let truth = ndarray::array![[-99.0], [0.5], [99.0]];
        let mut counts = vec![0; 8];
        count(&mut counts, &samples, &truth, Stream::new(0, 0), 0).unwrap();
        assert_eq!(counts, [1, 0, 0, 0, 1, 0, 0, 1]);
    }
}
