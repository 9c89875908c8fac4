//! Samples of the smoothed trajectory from the filter's own genealogy.

use ndarray::Array3;
use rayon::prelude::*;

use crate::history::ParticleHistory;
use crate::particle::SELECTION;
use crate::resampling::systematic;

/// Paths that are traced side by side, so that their reads of memory overlap.
const SIDE_BY_SIDE: usize = 64;

impl ParticleHistory {
    /// Weights of the last step's particles, of sum one.
    pub fn final_weights(&self) -> Vec<f64> {
        let n = self.members();
        match self.log_weights(self.steps() - 1) {
            None => vec![1.0 / n as f64; n],
            Some((logs, sum)) => logs.as_flattened()[..n].iter().map(|w| (w - sum).exp()).collect(),
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
        let (l, d) = (self.steps(), self.state_dim());
        let mut out = Array3::zeros((samples, l, d));
        let values = out.as_slice_mut().expect("a fresh array is contiguous");
        let mut paths: Vec<_> =
            self.select(samples).into_iter().zip(values.chunks_exact_mut(l * d)).collect();
        // Neighbours have neighbours for ancestors, since resampling keeps the order.
        paths.sort_unstable_by_key(|(particle, _)| *particle);
        paths.par_chunks_mut(SIDE_BY_SIDE).for_each(|paths| self.trace(paths));
        out
    }

    /// Fills paths of particles of the last step, all of them step by step.
    ///
    /// Shapes: each path [L, D].
    fn trace(&self, paths: &mut [(u32, &mut [f64])]) {
        let d = self.state_dim();
        for step in (0..self.steps()).rev() {
            let ancestors = self.ancestors(step);
            for (particle, path) in &mut *paths {
                self.copy_state(step, *particle as usize, &mut path[step * d..(step + 1) * d]);
                if let Some(ancestors) = ancestors {
                    *particle = ancestors[*particle as usize];
                }
            }
        }
    }
}
