//! How many numbers there are at once.

use super::{LARGEST_COUNT, Problems};
use crate::config::{Experiment, Settings};

impl Experiment {
    /// Numbers of all samples at once, of trajectories [L, state…].
    pub(super) fn check_sizes(&self, p: &mut Problems, state: &[usize]) {
        let mut most = |field: &str, n: usize, length: usize| {
            let all = numbers(&[&[n, length], state].concat());
            let reason = format!(
                "{n} trajectories of {length} states are {all} numbers at once, and {LARGEST_COUNT} are the most"
            );
            p.that(all <= LARGEST_COUNT, field, reason);
        };
        let a = &self.assimilation;
        let longest = self.lengths().into_iter().map(|(_, length, _)| length).max().unwrap_or(0);
        let particles = a.twisted.map_or(1, |twisted| twisted.particles);
        most("assimilation.samples", a.samples.saturating_mul(particles), longest);
        if let Some(tuning) = self.tuning.as_ref().filter(|_| a.settings == Settings::Tuned) {
            most("tuning.samples", tuning.trajectories.saturating_mul(tuning.samples), longest);
        }
        if let Some(prior) = &self.prior {
            most("prior.samples", prior.samples, prior.length.unwrap_or(self.score.window()));
        }
        if let Some(reference) = &self.reference {
            most("reference.particles", reference.particles, longest);
            most("reference.bootstrap", reference.bootstrap.unwrap_or(0), longest);
        }
    }
}

/// Of an array, as many as can be counted.
pub(super) fn numbers(shape: &[usize]) -> usize {
    shape.iter().fold(1, |all, &n| all.saturating_mul(n))
}
