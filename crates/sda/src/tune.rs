//! `sda tune`: guidance and sampler of each observation, chosen by simulation.

use crate::{ExperimentArguments, prepare, say};

/// Tunes an experiment's observations and prints a table of each.
pub(crate) fn tune(arguments: ExperimentArguments) -> anyhow::Result<bool> {
    // A tuning is an experiment with tuned settings, as far as these.
    let outcome = prepare(arguments, &["assimilation.settings=Tuned"])?.tune()?;
    say(&outcome.report.terminal())?;
    for part in &outcome.parts {
        say(&format!("Tuning: {}", part.join("tuning.json").display()))?;
    }
    Ok(true)
}
