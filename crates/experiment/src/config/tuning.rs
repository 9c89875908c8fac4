//! What a tuning compares, and by what rule it chooses.

mod check;

use super::SamplerConfig;
use crate::tuning::Rule;
use sda_diffusion::{DiffusionError, Guidance, Integrator, LangevinStep, Place, Sampler, Schedule, TimeGrid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where guidance and sampler are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settings {
    /// The assimilation's own.
    #[default]
    Given,
    /// What a tuning chooses for each observation. The assimilation's own serve rollouts and the prior alone.
    Tuned,
}

/// Settings chosen by simulation: validation trajectories are observed and sampled with every candidate.
///
/// Good values: 32 trajectories and 32 samples tell a CRPS from one that is a few per cent larger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Validation trajectories, a random window of each.
    #[serde(default = "thirty_two")]
    pub trajectories: usize,
    /// Posterior samples of each.
    #[serde(default = "thirty_two")]
    pub samples: usize,
    /// What refutes a candidate.
    #[serde(default)]
    pub rule: Rule,
    /// What is compared.
    #[serde(default = "candidates")]
    pub candidates: Vec<Candidate>,
    /// Settings by the observation's name that were chosen before: these are used, and nothing is tuned for them.
    #[serde(default)]
    pub chosen: BTreeMap<String, Candidate>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            trajectories: thirty_two(),
            samples: thirty_two(),
            rule: Rule::default(),
            candidates: candidates(),
            chosen: BTreeMap::new(),
        }
    }
}

/// One way of sampling a posterior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// From prior to posterior.
    pub guidance: Guidance,
    /// Where the guidance is formed.
    #[serde(default)]
    pub place: Place,
    /// Langevin steps after each predictor step.
    #[serde(default)]
    pub corrections: u32,
    /// Steps, τ, time grid, integrator.
    pub sampler: SamplerConfig,
}

impl Candidate {
    /// The sampler, for an observation with this noise in the state's unit.
    pub fn sampler(&self, schedule: Schedule, noise_std: f64) -> Sampler {
        self.sampler.with(schedule, self.corrections, noise_std)
    }

    /// What one sample costs: evaluations of the network, its vector–Jacobian products counted as such. `is_composed` where
    /// the guidance is formed on trajectories put together from windows.
    ///
    /// Errors: a time grid that can't be.
    pub fn evaluations(
        &self,
        schedule: Schedule,
        noise_std: f64,
        is_composed: bool,
    ) -> Result<usize, DiffusionError> {
        let estimates = self.sampler(schedule, noise_std).evaluations()? as usize;
        Ok(estimates * (1 + self.guidance.products(is_composed)))
    }
}

/// The candidates where none are given: at most 2 000 evaluations of the network for each sample and observation.
///
/// All on squared time grids, corrected no further than the observation's noise.
fn candidates() -> Vec<Candidate> {
    let candidate = |guidance: &Guidance, steps, corrections, tau| Candidate {
        guidance: guidance.clone(),
        place: Place::Auto,
        corrections,
        sampler: SamplerConfig {
            steps,
            tau,
            grid: TimeGrid::Squared,
            corrector_floor: 0.0,
            gated: true,
            integrator: Integrator::Exponential,
            noise_floor: 0.0,
            langevin: LangevinStep::Trajectory,
            largest_delta: None,
        },
    };
    let plain = |guidance: &Guidance, steps| candidate(guidance, steps, 0, DEFAULT_TAU);
    let mut all = Vec::new();
    let [one, two, three] = [1, 2, 3].map(Guidance::mmps);
    all.extend([32, 64, 128].map(|steps| plain(&one, steps)));
    all.extend([plain(&two, 32), plain(&three, 32)]);
    all.extend([0.1, 0.25, 0.5].map(|tau| candidate(&one, 32, 1, tau)));
    all.push(candidate(&one, 64, 1, DEFAULT_TAU));
    let sda = [1e-3, 1e-2, 1e-1].map(|gamma| Guidance::Sda { gamma, detach: false });
    all.extend(sda.each_ref().map(|guidance| plain(guidance, 64)));
    all.extend(sda.each_ref().map(|guidance| candidate(guidance, 32, 1, DEFAULT_TAU)));
    all
}

/// τ, the paper's.
const DEFAULT_TAU: f64 = 0.25;

fn thirty_two() -> usize {
    32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 32 · 32 samples of 65 states in minutes on two cores.
    #[test]
    fn the_candidates_cost_what_is_said_and_no_two_are_one() {
        let all = candidates();
        let cost = |c: &Candidate| c.evaluations(Schedule::default(), 0.05, false).unwrap();
        let total: usize = all.iter().map(cost).sum();
        assert!((1500..=2000).contains(&total), "{total}");
        for (i, candidate) in all.iter().enumerate() {
            assert!(!all[..i].contains(candidate), "{candidate:?}");
            assert!(candidate.sampler(Schedule::default(), 0.05).check().is_ok());
        }
    }
}
