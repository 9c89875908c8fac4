//! Dataset recipes: `datasets/NAME.ron`.

use super::load::{names, parse};
use crate::error::{ExperimentError, Problem};
use sda_systems::SystemConfig;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How a dataset is simulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it is, in one line.
    pub description: String,
    /// The system and its parameters.
    pub system: SystemConfig,
    /// Everything random is a function of it.
    pub seed: u64,
    /// Transitions from the initial law before the first state kept.
    pub burn_in: u32,
    /// States kept of each trajectory.
    pub steps: usize,
    /// Trajectories of (training, validation, test).
    pub split: (usize, usize, usize),
}

impl Recipe {
    /// Number of trajectories.
    pub fn trajectories(&self) -> usize {
        self.split.0.saturating_add(self.split.1).saturating_add(self.split.2)
    }
}

/// Reads `folder/NAME.ron`.
///
/// Errors: the file, a field, a value out of range.
pub fn load_recipe(folder: &Path, name: &str) -> Result<Recipe, ExperimentError> {
    let path = folder.join(format!("{name}.ron"));
    if !path.exists() {
        let there = names(folder)?;
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        return Err(ExperimentError::Stage {
            stage: "read the recipe",
            reason: format!("{}: `dataset` is «{name}», and the recipes there are: {there}", path.display()),
        });
    }
    let text =
        std::fs::read_to_string(&path).map_err(|e| ExperimentError::io("read the recipe", &path, e))?;
    let recipe: Recipe = parse(&text, &path)?;
    match recipe.system.dynamics() {
        Ok(_) => Ok(recipe),
        Err(e) => {
            let problems = vec![Problem { field: "system".into(), reason: e.to_string() }];
            Err(ExperimentError::Values { path, problems })
        }
    }
}
