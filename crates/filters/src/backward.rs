//! Forward filtering, backward simulation: smoothed trajectories with early states as rich as the late ones.
//!
//!   x_L ~ Σ_j w_L^j δ(x_L^j), then x_t ~ Σ_j w_t^j p(x_{t+1} | x_t^j) δ(x_t^j), t = L − 1 … 1
//!
//! Source: Godsill, Doucet & West 2004, "Monte Carlo smoothing for nonlinear time series".

use ndarray::Array3;
use rayon::prelude::*;
use sda_core::{Vectors, widest_vectors};
use sda_systems::{LANES, Lanes, System};

use crate::error::FilterError;
use crate::history::ParticleHistory;
use crate::particle::BACKWARD;
use crate::weights::{exp_below, greatest, total};

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
            let kernel = BackwardKernel::new(system, std, self, step);
            particles.par_iter_mut().enumerate().for_each_init(
                || (vec![0.0; d], Scratch::new(kernel.log_weights.len())),
                |(state, scratch), (row, particle)| {
                    self.copy_state(step + 1, *particle as usize, state);
                    let u = self.stream.sequence(BACKWARD + step as u32, row as u32).uniform();
                    *particle = kernel.draw(state, u, scratch);
                },
            );
            self.store(step, &particles, &mut out);
        }
        Ok(out)
    }

    fn store(&self, step: usize, particles: &[u32], out: &mut Array3<f64>) {
        let (l, d) = (self.steps(), self.state_dim());
        let values = out.as_slice_mut().expect("a fresh array is contiguous");
        for (path, &particle) in values.chunks_exact_mut(l * d).zip(particles) {
            self.copy_state(step, particle as usize, &mut path[step * d..(step + 1) * d]);
        }
    }
}

/// w^j p(· | x^j) over one step's particles, ready to be evaluated at many states.
struct BackwardKernel {
    /// m(x^j) / std [blocks, D, LANES].
    scaled_means: Vec<Lanes>,
    inverse_std: Vec<f64>,
    /// −∞ on spare lanes [blocks, LANES].
    log_weights: Vec<Lanes>,
}

/// The weights of one draw.
struct Scratch {
    /// Over the block's greatest [blocks, LANES].
    weights: Vec<Lanes>,
    /// The blocks' greatest log weights, then those weights over the greatest of all [blocks].
    greatest: Vec<f64>,
    /// The blocks' sums [blocks].
    sums: Vec<f64>,
}

impl Scratch {
    fn new(blocks: usize) -> Self {
        Self { weights: vec![[0.0; LANES]; blocks], greatest: vec![0.0; blocks], sums: vec![0.0; blocks] }
    }
}

impl BackwardKernel {
    fn new(system: &dyn System, std: &[f64], history: &ParticleHistory, step: usize) -> Self {
        let inverse_std: Vec<f64> = std.iter().map(|s| 1.0 / s).collect();
        let mut scaled_means = history.states(step).to_vec();
        scaled_means.par_chunks_exact_mut(system.state_dim()).for_each_init(Vec::new, |scratch, block| {
            system.advance(block, scratch);
            for (lanes, inverse) in block.iter_mut().zip(&inverse_std) {
                for x in lanes {
                    *x *= inverse;
                }
            }
        });
        let log_weights = match history.log_weights(step) {
            Some((logs, _)) => logs.to_vec(),
            None => {
                let n = history.members();
                let mut lanes = vec![[f64::NEG_INFINITY; LANES]; n.div_ceil(LANES)];
                lanes.as_flattened_mut()[..n].fill(0.0);
                lanes
            }
        };
        Self { scaled_means, inverse_std, log_weights }
    }

    /// The particle at quantile `u` of the backward weights of `next`, which is scaled here.
    ///
    /// Shapes: `next` [D].
    fn draw(&self, next: &mut [f64], u: f64, scratch: &mut Scratch) -> u32 {
        next.iter_mut().zip(&self.inverse_std).for_each(|(x, inverse)| *x *= inverse);
        densities(Vectors::widest(), next, &self.scaled_means, &self.log_weights, scratch);
        let top = scratch.greatest.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (scale, sum) in scratch.greatest.iter_mut().zip(&mut scratch.sums) {
            *scale = (*scale - top).exp();
            *sum *= *scale;
        }
        scratch.locate(u * scratch.sums.iter().sum::<f64>())
    }
}

impl Scratch {
    /// The particle in whose share of the cumulated weights `target` lies; the last with a weight if rounding misses it.
    fn locate(&self, target: f64) -> u32 {
        let (mut before, mut block) = (0.0, 0);
        for (b, &sum) in self.sums.iter().enumerate().filter(|(_, sum)| **sum > 0.0) {
            block = b;
            if before + sum > target {
                break;
            }
            before += sum;
        }
        let (mut reached, mut last) = (before, 0);
        for (i, &w) in self.weights[block].iter().enumerate().filter(|(_, w)| **w > 0.0) {
            last = i;
            reached += w * self.greatest[block];
            if reached > target {
                break;
            }
        }
        (block * LANES + last) as u32
    }
}

widest_vectors! {
    /// w^j p(next | x^j) over each block's greatest, that one's logarithm, and the block's sum.
    ///
    /// Shapes: `next` [D], over std; `means` [blocks, D, LANES], `log_weights` [blocks, LANES].
    fn densities(next: &[f64], means: &[Lanes], log_weights: &[Lanes], out: &mut Scratch) -> () = densities_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn densities_body(next: &[f64], means: &[Lanes], log_weights: &[Lanes], out: &mut Scratch) {
    let blocks = log_weights.iter().zip(means.chunks_exact(next.len()));
    let out = out.weights.iter_mut().zip(&mut out.greatest).zip(&mut out.sums);
    for ((logs, means), ((weights, top), sum)) in blocks.zip(out) {
        let mut logs = *logs;
        for (x, mean) in next.iter().zip(means) {
            for i in 0..LANES {
                logs[i] -= 0.5 * (x - mean[i]) * (x - mean[i]);
            }
        }
        // A particle that diverged leads nowhere.
        for log in &mut logs {
            *log = if log.is_nan() { f64::NEG_INFINITY } else { *log };
        }
        *top = greatest(&logs);
        *weights = exp_below(&logs, *top);
        *sum = total(weights);
    }
}
