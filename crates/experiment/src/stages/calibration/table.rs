//! The report's table of calibration.

use crate::report::{Cell, Table};
use crate::run::Part;
use crate::stages::report::fewer;

/// Heads and metrics of the columns.
const COLUMNS: [(&str, &str); 9] = [
    ("RMSE", "rmse"),
    ("RMSE / filter's", "rmse_ratio"),
    ("CRPS", "crps"),
    ("spread", "spread"),
    ("spread / skill", "spread_skill"),
    ("in 50 %", "coverage_50"),
    ("in 90 %", "coverage_90"),
    ("p of ranks", "rank_p"),
    ("p of SBC", "sbc_p"),
];

/// What fields have to beat, by its RMSE.
const FLOORS: [(&str, &str); 2] =
    [("interpolation", "rmse_interpolation"), ("climatology", "rmse_climatology")];

/// Calibration of one observation: the filter first, then each number of corrections.
pub(crate) fn table(part: &Part<'_>, name: &str) -> Table {
    let Part { run, scores, .. } = part;
    let a = &run.loaded.experiment.assimilation;
    let row = |label: String, corrections: Option<u32>| -> Vec<Cell> {
        let cell = |metric| match scores.mean(name, corrections, metric) {
            Some((value, error)) if error > 0.0 => Cell::Spread(value, error),
            Some((value, _)) => Cell::Number(value),
            None => Cell::Missing,
        };
        [Cell::Text(label)].into_iter().chain(COLUMNS.iter().map(|(_, metric)| cell(metric))).collect()
    };
    let filtered = run.loaded.experiment.reference.is_some();
    let mut rows = Vec::new();
    rows.extend(filtered.then(|| row("particle filter".into(), None)));
    rows.extend(part.corrections(name).iter().map(|&c| row(format!("SDA, C = {c}"), Some(c))));
    for (label, metric) in FLOORS {
        if let Some((value, error)) = scores.mean(name, None, metric) {
            let cell = if error > 0.0 { Cell::Spread(value, error) } else { Cell::Number(value) };
            let missing = std::iter::repeat_n(Cell::Missing, COLUMNS.len() - 1);
            rows.push([Cell::Text(label.into()), cell].into_iter().chain(missing).collect());
        }
    }
    let fewer = match fewer(a) {
        none if none.is_empty() => none,
        some => format!(" Of some numbers of corrections there are fewer trajectories{some}."),
    };
    let climate = scores.mean(name, None, "climatological_innovation_chi2");
    let climate = climate.map_or(String::new(), |(value, _)| {
        format!(" χ² of the observation's innovation from the training data's climate: {value:.2}, about 1.")
    });
    Table {
        title: format!("Calibration of «{name}»{}", run.of_variant()),
        note: format!("{}{fewer}{climate}{}", note(a.samples, a.trajectories), weighing(part, name)),
        columns: [""].into_iter().chain(COLUMNS.iter().map(|(head, _)| *head)).map(str::to_owned).collect(),
        rows,
    }
}

/// How evenly a twisted sampler's samples were weighed, over the trajectories; nothing without weights.
fn weighing(part: &Part<'_>, name: &str) -> String {
    let a = &part.run.loaded.experiment.assimilation;
    let particles = a.samples * a.twisted.map_or(1, |twisted| twisted.particles);
    let of = |&corrections: &u32| {
        let mean = |metric| Some(part.scores.mean(name, Some(corrections), metric)?.0);
        let least = mean("least_effective_sample_size")?;
        let last = mean("last_effective_sample_size")?;
        let distinct = mean("distinct_samples")?;
        Some(format!(
            " Twisted, C = {corrections}: of {particles} weighed particles {least:.0} effective at the worst step, \
             {last:.0} at the last; {distinct:.0} distinct samples (means over trajectories)."
        ))
    };
    part.corrections(name).iter().filter_map(of).collect()
}

/// What calibrated samples would score, intervals that end at samples included: of few a little more than the formula,
/// which is a uniform law's ([`sda_evaluation::CoverageCounts::finish`]). Of Gaussian ones the most is 0.029, of N = 3 at
/// level 0.5; at 0.9 it is 0.023 of N = 8 and below 0.006 from N = 19 on.
fn note(samples: usize, trajectories: usize) -> String {
    let n = samples as f64;
    let expected = |level: f64| level * (n - 1.0) / (n + 1.0);
    let more = if n < 20.0 { ", or up to 0.03 more with so few samples" } else { "" };
    let p_values = match trajectories {
        0..10 => "p-values need 10 trajectories.".to_owned(),
        _ => "p-values are of ranks of one number, log p(y | x) and log p(x) a trajectory.".to_owned(),
    };
    format!(
        "Against the true trajectory: RMSE of the samples' mean in physical units, CRPS (fair) and spread in normalised \
         ones. Calibrated samples have spread / skill 1 and hold the truth in {:.3} and {:.3} of the intervals{more}; {p_values}",
        expected(0.5),
        expected(0.9)
    )
}
