//! Modes of the posterior: how much of our samples lies in each, beside the reference's.

use super::observe::Observed;
use super::reference::{Reference, per_state};
use crate::config::ModesConfig;
use crate::error::ExperimentError;
use crate::report::{Cell, Table};
use crate::run::{Part, Run};
use ndarray::Array3;
use sda_evaluation::{MirrorShares, ModeMasses, SignPatterns};

const STAGE: &str = "evaluate";
/// Trajectories whose modes are listed in the report.
const LISTED: usize = 4;

/// Scores of the modes, where the experiment asks for them: a set of samples beside the reference's.
///
/// - `modes`: clusters of the reference that are modes;
/// - `mode_ratio_least`, `mode_ratio_most`: the set's mass over the reference's, over these;
/// - `mirror_share`: share of the set whose first sign is positive, by symmetry a half;
/// - `mirror_share_least`, `mirror_share_most`: the same within each mirrored pair.
pub(crate) fn of_case(
    run: &Run,
    o: &Observed,
    samples: &Array3<f64>,
    reference: &Array3<f64>,
) -> Result<Vec<(&'static str, f64)>, ExperimentError> {
    let Some(modes) = &run.loaded.experiment.evaluation.modes else { return Ok(Vec::new()) };
    let clusters = |samples| patterns(run, o, modes, samples);
    Ok(scores(&clusters(samples)?, &clusters(reference)?, modes))
}

fn patterns(
    run: &Run,
    o: &Observed,
    modes: &ModesConfig,
    samples: &Array3<f64>,
) -> Result<SignPatterns, ExperimentError> {
    let (observations, _) = per_state(run, o)?;
    SignPatterns::of(samples, modes.component, observations.steps()).map_err(ExperimentError::stage(STAGE))
}

fn scores(set: &SignPatterns, reference: &SignPatterns, modes: &ModesConfig) -> Vec<(&'static str, f64)> {
    let masses = ModeMasses::of(set, reference, modes.least_mass);
    let mut values = vec![("modes", masses.modes as f64)];
    if let Some((least, most)) = masses.ratio {
        values.extend([("mode_ratio_least", least), ("mode_ratio_most", most)]);
    }
    if modes.mirror {
        let shares = MirrorShares::of(set, reference, modes.least_mass);
        values.push(("mirror_share", shares.all));
        if let Some((least, most)) = shares.pair {
            values.extend([("mirror_share_least", least), ("mirror_share_most", most)]);
        }
    }
    values
}

/// Masses of the modes of one observation, a row each, where the experiment asks for them.
pub(crate) fn table(
    part: &Part<'_>,
    name: &str,
    observed: &[Observed],
    references: &[Option<Reference>],
) -> Result<Option<Table>, ExperimentError> {
    let Part { run, samples, .. } = part;
    let e = &run.loaded.experiment;
    let Some(modes) = &e.evaluation.modes else { return Ok(None) };
    let corrections = part.corrections(name);
    let mut rows = Vec::new();
    let cases = observed.iter().zip(references).enumerate();
    for (at, (o, reference)) in cases.filter(|(_, (o, _))| o.config.name == name && o.trajectory < LISTED) {
        let Some(reference) = reference else { continue };
        let mut sets = vec![Some(patterns(run, o, modes, &reference.runs[0])?)];
        for &c in corrections {
            let of_this = samples.iter().find(|p| p.observed == at && p.corrections == c && p.count() > 1);
            sets.push(of_this.map(|p| patterns(run, o, modes, &p.values)).transpose()?);
        }
        rows.extend(of_trajectory(o.trajectory, &sets, modes.least_mass));
    }
    let component = &run.system.component_names()[modes.component];
    let heads = corrections.iter().map(|c| format!("SDA, C = {c}"));
    Ok(Some(Table {
        title: format!("Modes of «{name}»{}", run.of_variant()),
        note: format!(
            "Masses of the clusters by the sign of {component} at the observed states, from {} of the filter's samples on{}.",
            modes.least_mass,
            if e.assimilation.trajectories > LISTED { "; the first trajectories" } else { "" }
        ),
        columns: ["trajectory", "signs", "particle filter"]
            .map(str::to_owned)
            .into_iter()
            .chain(heads)
            .collect(),
        rows,
    }))
}

/// Rows of one trajectory; the first set is the reference's, which says what a mode is.
fn of_trajectory(trajectory: usize, sets: &[Option<SignPatterns>], least_mass: f64) -> Vec<Vec<Cell>> {
    let Some(Some(reference)) = sets.first() else { return Vec::new() };
    let row = |pattern: &[bool]| {
        let signs = runs(pattern);
        let mass = |set: &Option<SignPatterns>| {
            set.as_ref().map_or(Cell::Missing, |set| Cell::Number(set.mass(pattern)))
        };
        [Cell::Count(trajectory as u64), Cell::Text(signs)].into_iter().chain(sets.iter().map(mass)).collect()
    };
    reference.modes(least_mass).into_iter().map(row).collect()
}

/// Signs by how often each follows itself: `+7 −2`.
fn runs(pattern: &[bool]) -> String {
    let run = |same: &[bool]| format!("{}{}", if same[0] { '+' } else { '−' }, same.len());
    pattern.chunk_by(|a, b| a == b).map(run).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One state and component; as many samples above as below.
    fn clusters(above: usize, below: usize) -> SignPatterns {
        let samples =
            Array3::from_shape_fn((above + below, 1, 1), |(n, _, _)| if n < above { 1.5 } else { -0.5 });
        SignPatterns::of(&samples, 0, &[0]).unwrap()
    }

    fn value(values: &[(&'static str, f64)], name: &str) -> Option<f64> {
        values.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    #[test]
    fn scores_have_their_names() {
        let modes = ModesConfig { component: 0, least_mass: 0.05, mirror: true };
        let got = scores(&clusters(60, 40), &clusters(30, 70), &modes);
        let want = [
            ("modes", 2.0),
            ("mode_ratio_least", 0.4 / 0.7),
            ("mode_ratio_most", 2.0),
            ("mirror_share", 0.6),
            ("mirror_share_least", 0.6),
            ("mirror_share_most", 0.6),
        ];
        assert_eq!(got.len(), want.len());
        for (name, want) in want {
            let got = value(&got, name).unwrap();
            assert!((got - want).abs() < 1e-15, "{name}: {got} for {want}");
        }
        let without = scores(&clusters(60, 40), &clusters(30, 70), &ModesConfig { mirror: false, ..modes });
        assert_eq!(value(&without, "mirror_share"), None);
        assert_eq!(value(&without, "modes"), Some(2.0));
    }

    #[test]
    fn the_table_lists_the_references_modes() {
        let sets = [Some(clusters(30, 70)), None, Some(clusters(60, 40))];
        let rows = of_trajectory(3, &sets, 0.05);
        let text = |row: usize| rows[row].iter().map(Cell::text).collect::<Vec<_>>();
        assert_eq!(text(0), ["3", "−1", "0.7000", "—", "0.4000"]);
        assert_eq!(text(1), ["3", "+1", "0.3000", "—", "0.6000"]);
        assert_eq!(of_trajectory(3, &sets, 0.5).len(), 1);
        assert_eq!(runs(&[true, true, false, true]), "+2 −1 +1");
    }
}
