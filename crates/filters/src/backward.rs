//! Forward filtering, backward simulation: smoothed trajectories with early states as rich as the late ones.
//!
//!   x_L ~ Σ_j w_L^j δ(x_L^j), then x_t ~ Σ_j w_t^j p(x_{t+1} | x_t^j) δ(x_t^j), t = L − 1 … 1
//!
//! Source: Godsill, Doucet & West 2004, "Monte Carlo smoothing for nonlinear time series".

use ndarray::Array3;
use rayon::prelude::*;
use sda_systems::{Ensemble, LANES, Lanes, System};

use crate::error::FilterError;
use crate::particle::{BACKWARD, ParticleHistory};

/// Log weights further below the greatest than this add less than rounding to 2³² particles' sum.
const NEGLIGIBLE: f64 = 60.0;

impl ParticleHistory {
    /// Trajectories simulated backward through the filter's particles; costs samples × N densities per step.
    ///
    /// Shapes: result [samples, L, D].
    /// Errors: the system's transition is deterministic.
    pub fn sample_backward(&self, system: &dyn System, samples: usize) -> Result<Array3<f64>, FilterError> {
        let std = system.noise_std().ok_or(FilterError::Deterministic { system: system.name() })?;
        let (l, d) = (self.steps(), system.state_dim());
        let mut particles = self.select(samples);
        let mut out = Array3::zeros((samples, l, d));
        self.store(l - 1, &particles, &mut out);
        for step in (0..l - 1).rev() {
            let kernel =
                BackwardKernel::new(system, std, &self.states[step], self.log_weights[step].as_deref());
            let (next, stream) = (&self.states[step + 1], self.stream);
            particles.par_iter_mut().enumerate().for_each_init(
                || (vec![0.0; d], vec![[0.0; LANES]; kernel.log_weights.len()]),
                |(state, scratch), (row, particle)| {
                    next.copy_state(*particle as usize, state);
                    let u = stream.sequence(BACKWARD + step as u32, row as u32).uniform();
                    *particle = kernel.draw(state, u, scratch);
                },
            );
            self.store(step, &particles, &mut out);
        }
        Ok(out)
    }

    fn store(&self, step: usize, particles: &[u32], out: &mut Array3<f64>) {
        for (row, &particle) in particles.iter().enumerate() {
            for c in 0..out.dim().2 {
                out[[row, step, c]] = self.states[step].get(particle as usize, c);
            }
        }
    }
}

/// w^j p(· | x^j) over one step's particles, ready to be evaluated at many states.
struct BackwardKernel {
    /// m(x^j) / std.
    scaled_means: Ensemble,
    inverse_std: Vec<f64>,
    /// −∞ on spare lanes.
    log_weights: Vec<Lanes>,
}

impl BackwardKernel {
    fn new(system: &dyn System, std: &[f64], states: &Ensemble, log_weights: Option<&[f64]>) -> Self {
        let inverse_std: Vec<f64> = std.iter().map(|s| 1.0 / s).collect();
        let mut scaled_means = states.clone();
        scaled_means.par_blocks_mut().for_each_init(Vec::new, |scratch, block| {
            system.advance(block, scratch);
            for (lanes, inverse) in block.iter_mut().zip(&inverse_std) {
                for x in lanes {
                    *x *= inverse;
                }
            }
        });
        let n = states.members();
        let mut lanes = vec![[f64::NEG_INFINITY; LANES]; n.div_ceil(LANES)];
        match log_weights {
            None => lanes.as_flattened_mut()[..n].fill(0.0),
            Some(log_weights) => lanes.as_flattened_mut()[..n].copy_from_slice(log_weights),
        }
        Self { scaled_means, inverse_std, log_weights: lanes }
    }

    /// The particle at quantile `u` of the backward weights of `next`.
    ///
    /// Shapes: `next` [D], `scratch` [N/LANES, LANES].
    fn draw(&self, next: &[f64], u: f64, scratch: &mut [Lanes]) -> u32 {
        let greatest = self.log_densities(next, scratch);
        let mut total = 0.0;
        for w in scratch.as_flattened_mut() {
            *w = if *w > greatest - NEGLIGIBLE { (*w - greatest).exp() } else { 0.0 };
            total += *w;
        }
        let target = u * total;
        let (mut reached, mut last) = (0.0, 0);
        for (j, &w) in scratch.as_flattened().iter().enumerate().filter(|(_, w)| **w > 0.0) {
            last = j;
            reached += w;
            if reached > target {
                break;
            }
        }
        last as u32
    }

    /// Fills log w^j p(next | x^j) up to a constant and returns the greatest.
    fn log_densities(&self, next: &[f64], scratch: &mut [Lanes]) -> f64 {
        let mut greatest = [f64::NEG_INFINITY; LANES];
        for ((out, log_weights), means) in
            scratch.iter_mut().zip(&self.log_weights).zip(self.scaled_means.blocks())
        {
            *out = *log_weights;
            for ((x, inverse), mean) in next.iter().zip(&self.inverse_std).zip(means) {
                let x = x * inverse;
                for i in 0..LANES {
                    out[i] -= 0.5 * (x - mean[i]) * (x - mean[i]);
                }
            }
            for i in 0..LANES {
                greatest[i] = if out[i] > greatest[i] { out[i] } else { greatest[i] };
            }
        }
        greatest.into_iter().fold(f64::NEG_INFINITY, f64::max)
    }
}
