//! Simulated observations beside what was observed.

use crate::config::Candidate;
use ndarray::{ArrayD, Axis, stack};
use sda_core::Stream;
use sda_diffusion::{NoisePredictor, Posterior};
use sda_observe::{Observation, ObserveError, Operator};

/// R trajectories and an observation of each, all by the same operator with the same noise.
#[derive(Clone, Debug)]
pub struct Cases {
    /// x, normalised [R, L, …].
    pub truth: ArrayD<f64>,
    /// y [R, …].
    pub y: ArrayD<f64>,
    /// A.
    pub operator: Operator,
    /// σ_y.
    pub noise_std: f64,
}

impl Cases {
    /// y = A(x) + σ_y z, z ~ N(0, I), row r of the stream for trajectory r.
    ///
    /// Shapes: `truth` [R, L, …], R ≥ 1.
    /// Units: normalised states; `noise_std` in the operator's unit.
    /// Errors: the operator does not apply.
    pub fn observe(
        truth: ArrayD<f64>,
        operator: Operator,
        noise_std: f64,
        noise: Stream,
    ) -> Result<Self, ObserveError> {
        let mut y = operator.apply(truth.view())?.as_standard_layout().into_owned();
        let mut z = vec![0.0; y.len()];
        noise.fill_normal(0, 0, (y.len() / y.len_of(Axis(0)).max(1)).max(1), &mut z);
        y.iter_mut().zip(&z).for_each(|(y, z)| *y += noise_std * z);
        Ok(Self { truth, y, operator, noise_std })
    }

    /// R.
    pub fn count(&self) -> usize {
        self.truth.len_of(Axis(0))
    }

    /// Shape [R · N, L, …] of N samples of each, those of one case after another.
    pub fn shape(&self, samples: usize) -> Vec<usize> {
        let mut shape = self.truth.shape().to_vec();
        shape[0] *= samples;
        shape
    }

    /// The posterior that a candidate samples, N rows for each case: all cases in one run.
    ///
    /// Errors: an observation that is not finite.
    pub fn posterior<P: NoisePredictor>(
        &self,
        prior: P,
        candidate: &Candidate,
        samples: usize,
    ) -> Result<Posterior<P>, ObserveError> {
        let first = self.y.index_axis(Axis(0), 0).to_owned();
        let observation = Observation::new(self.operator.clone(), first, self.noise_std)?;
        let rows: Vec<_> = self.y.outer_iter().flat_map(|y| std::iter::repeat_n(y, samples)).collect();
        let each = stack(Axis(0), &rows).expect("cases of one shape");
        let place = candidate.place;
        let posterior = Posterior::new(prior, observation, candidate.guidance.clone());
        Ok(Posterior { each: Some(each), place, ..posterior })
    }
}
