//! What the evaluation looks at beside the scores that it always computes.

use serde::{Deserialize, Serialize};

/// What is evaluated on demand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Modes of the posterior; none are sought where there is nothing.
    #[serde(default)]
    pub modes: Option<ModesConfig>,
}

/// Trajectories drawn from the prior alone, whose states are held against those of the test data: spectrum, energy,
/// enstrophy, vorticity, divergence. Of fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorConfig {
    /// Trajectories drawn.
    pub samples: usize,
    /// States of each; those of the score's window where there is none.
    #[serde(default)]
    pub length: Option<usize>,
    /// Predictor steps, in place of `assimilation.sampler.steps`.
    #[serde(default)]
    pub steps: Option<u32>,
    /// Langevin corrections after each.
    #[serde(default)]
    pub corrections: u32,
}

/// Clusters of samples, by the sign of one physical component at every observed state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModesConfig {
    /// Component whose signs tell the modes apart.
    pub component: usize,
    /// Mass from which on a cluster of the reference is a mode.
    #[serde(default = "twentieth")]
    pub least_mass: f64,
    /// Whether the posterior is symmetric under a map that changes the component's sign, such as
    /// (a, b, c) ↦ (−a, −b, c) of Lorenz-63 where c is observed: modes are then pairs of equal mass.
    #[serde(default)]
    pub mirror: bool,
}

fn twentieth() -> f64 {
    0.05
}
