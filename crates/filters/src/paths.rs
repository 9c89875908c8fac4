//! Samples of the smoothed trajectory from the filter's own genealogy.

use ndarray::Array3;

use crate::particle::{ParticleHistory, SELECTION};
use crate::resampling::systematic;

impl ParticleHistory {
    /// L.
    pub fn steps(&self) -> usize {
        self.states.len()
    }

    /// Weights of the last step's particles, of sum one.
    pub fn final_weights(&self) -> Vec<f64> {
        let last = self.steps() - 1;
        let n = self.states[last].members();
        match &self.log_weights[last] {
            None => vec![1.0 / n as f64; n],
            Some(log) => log.iter().map(|w| w.exp()).collect(),
        }
    }

    /// Final particles drawn by their weights, systematically and in random order.
    pub(crate) fn select(&self, samples: usize) -> Vec<u32> {
        let mut random = self.stream.sequence(SELECTION, 0);
        let u = random.uniform();
        let mut indices = systematic(&self.final_weights(), samples, u);
        random.shuffle(&mut indices);
        indices
    }

    /// Whole paths of the final particles, drawn by weight and traced back through their ancestors.
    ///
    /// Each is a draw of the posterior as N grows. Paths share their early states, since resampling leaves few
    /// ancestors there: [`ParticleHistory::sample_backward`] does not suffer from it.
    ///
    /// Shapes: result [samples, L, D].
    pub fn sample_paths(&self, samples: usize) -> Array3<f64> {
        let (l, d) = (self.steps(), self.states[0].state_dim());
        let mut out = Array3::zeros((samples, l, d));
        for (mut path, particle) in out.outer_iter_mut().zip(self.select(samples)) {
            let mut particle = particle as usize;
            for step in (0..l).rev() {
                for c in 0..d {
                    path[[step, c]] = self.states[step].get(particle, c);
                }
                if let Some(ancestors) = &self.ancestors[step] {
                    particle = ancestors[particle] as usize;
                }
            }
        }
        out
    }
}
