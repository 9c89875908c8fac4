//! What is told of a tuning: a table for each observation, tuning.csv and tuning.json.

use crate::config::{Candidate, ObservationConfig, Tuning, to_line};
use crate::error::ExperimentError;
use crate::report::{Cell, Table};
use crate::run::Run;
use crate::tuning::{Choice, Scores, Standing, Trial};
use sda_diffusion::Integrator;
use serde::Serialize;
use std::collections::BTreeMap;

/// One candidate for one observation, as in tuning.csv; no score of one that diverged.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    observation: String,
    /// Position in `tuning.candidates`.
    candidate: usize,
    guidance: String,
    place: String,
    corrections: u32,
    tau: f64,
    steps: u32,
    grid: String,
    integrator: String,
    /// Of the network, for one sample.
    evaluations: usize,
    standing: Standing,
    crps: Option<f64>,
    crps_error: Option<f64>,
    /// CRPS less the best one's, paired.
    above: Option<f64>,
    above_error: Option<f64>,
    rank_p: Option<f64>,
    residual_over_noise: Option<f64>,
    diverged: usize,
}

/// The candidates of one observation, in their order.
pub(super) fn rows(
    o: &ObservationConfig,
    tuning: &Tuning,
    trials: &[Trial],
    costs: &[usize],
    choice: &Choice,
) -> Vec<Row> {
    let best = trials[choice.best].scores();
    let of = |(i, candidate): (usize, &Candidate)| {
        let scores = trials[i].scores();
        let (crps, crps_error) = scores.map(Scores::mean_crps).unzip();
        let (above, above_error) = scores.zip(best).map(|(own, best)| own.above(best)).unzip();
        let diverged = if let Trial::Diverged(samples) = trials[i] { samples } else { 0 };
        Row {
            observation: o.name.clone(),
            candidate: i,
            guidance: to_line(&candidate.guidance),
            place: to_line(&candidate.place),
            corrections: candidate.corrections,
            tau: candidate.sampler.tau,
            steps: candidate.sampler.steps,
            grid: to_line(&candidate.sampler.grid),
            integrator: to_line(&candidate.sampler.integrator),
            evaluations: costs[i],
            standing: choice.standings[i],
            crps,
            crps_error,
            above,
            above_error,
            rank_p: scores.map(|s| s.rank_p),
            residual_over_noise: scores.map(|s| s.residual_over_noise),
            diverged,
        }
    };
    tuning.candidates.iter().enumerate().map(of).collect()
}

/// The candidates of one observation beside each other.
pub(super) fn table(run: &Run, o: &ObservationConfig, tuning: &Tuning, rows: &[Row]) -> Table {
    let (lowest, highest) = tuning.rule.residual;
    let note = format!(
        "{} validation trajectories, {} samples each; normalised CRPS ± standard error, above the best of those not \
         refuted ± paired standard error; refuted: rank p below {} or residual/noise outside {lowest} … {highest}; \
         chosen: the fewest evaluations of the network within one paired standard error of the best",
        tuning.trajectories, tuning.samples, tuning.rule.least_p
    );
    let heads =
        ["", "guidance", "sampler", "CRPS", "above the best", "rank p", "residual / noise", "evaluations"];
    Table {
        title: format!("Tuning of «{}»{}, noise {}", o.name, run.of_variant(), o.noise_std),
        note,
        columns: heads.map(str::to_owned).to_vec(),
        rows: rows.iter().map(cells).collect(),
    }
}

fn cells(row: &Row) -> Vec<Cell> {
    let spread = |value: Option<f64>, error: Option<f64>| match (value, error) {
        (Some(value), Some(error)) if error > 0.0 => Cell::Spread(value, error),
        (Some(value), _) => Cell::Number(value),
        (None, _) => Cell::Missing,
    };
    let number = |value: Option<f64>| value.map_or(Cell::Missing, Cell::Number);
    let standing = match row.standing {
        Standing::Chosen => "✓".into(),
        Standing::Dearer => "dearer".into(),
        Standing::Worse => "worse".into(),
        Standing::Refuted => "refuted".into(),
        Standing::Diverged => format!("{} diverged", row.diverged),
    };
    vec![
        Cell::Text(standing),
        Cell::Text(row.guidance.clone()),
        Cell::Text(sampler(row)),
        spread(row.crps, row.crps_error),
        spread(row.above, row.above_error),
        number(row.rank_p),
        number(row.residual_over_noise),
        Cell::Count(row.evaluations as u64),
    ]
}

/// `64 Squared, C = 1, τ = 0.25`.
fn sampler(row: &Row) -> String {
    let is_another = row.integrator != to_line(&Integrator::Exponential);
    let integrator = if is_another { format!(" {}", row.integrator) } else { String::new() };
    let corrected = match row.corrections {
        0 => String::new(),
        c => format!(", C = {c}, τ = {}", row.tau),
    };
    format!("{} {}{integrator}{corrected}", row.steps, row.grid)
}

/// Writes tuning.csv and tuning.json.
pub(super) fn write(
    run: &Run,
    chosen: &BTreeMap<String, Candidate>,
    rows: &[Row],
) -> Result<(), ExperimentError> {
    let wrap = ExperimentError::stage::<csv::Error>(super::STAGE);
    let mut csv = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| csv.serialize(row)).map_err(wrap)?;
    let bytes = csv.into_inner().map_err(ExperimentError::stage(super::STAGE))?;
    run.write("tuning.csv", &bytes)?;
    let json = serde_json::json!({ "chosen": chosen, "candidates": rows });
    let text = serde_json::to_vec_pretty(&json).map_err(ExperimentError::stage(super::STAGE))?;
    run.write("tuning.json", &text)?;
    Ok(())
}
