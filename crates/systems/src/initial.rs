//! The law of a chain's first state, before any burn-in.

use sda_core::Stream;
use sda_core::random::uniform;

use crate::ensemble::{LANES, Lanes};
use crate::normal::add_normals;

/// The law that a chain's members start from.
#[derive(Clone, Debug, PartialEq)]
pub enum InitialLaw {
    /// N(μ, F Fᵀ).
    Gaussian {
        /// μ [D].
        mean: Vec<f64>,
        /// The lower triangular factor F [D, D] of the covariance, by rows.
        factor: Vec<Vec<f64>>,
    },
    /// Independent uniforms on [low, high).
    Uniform {
        /// Lower ends [D].
        low: Vec<f64>,
        /// Upper ends [D].
        high: Vec<f64>,
    },
}

impl InitialLaw {
    /// N(μ, I).
    pub fn unit_gaussian(mean: Vec<f64>) -> Self {
        let d = mean.len();
        let factor = (0..d).map(|r| (0..d).map(|c| f64::from(u8::from(r == c))).collect()).collect();
        Self::Gaussian { mean, factor }
    }

    /// Draws a block of members; member i of the block has the stream's row `first_row + i`.
    ///
    /// Shapes: `states` [D, LANES].
    pub fn draw(&self, stream: &Stream, step: u32, first_row: u32, states: &mut [Lanes]) {
        match self {
            Self::Gaussian { mean, factor } => {
                states.fill([0.0; LANES]);
                add_normals(stream, step, first_row, &vec![1.0; mean.len()], states);
                shift_and_mix(mean, factor, states);
            }
            Self::Uniform { low, high } => {
                for (c, state) in states.iter_mut().enumerate() {
                    for (i, x) in state.iter_mut().enumerate() {
                        let words = stream.words(step, first_row.wrapping_add(i as u32), c as u32 / 4);
                        *x = low[c] + (high[c] - low[c]) * uniform::<f64>(words[c % 4]);
                    }
                }
            }
        }
    }
}

/// z → μ + F z in place: row r needs z_0 … z_r only, so the rows are replaced from the last.
fn shift_and_mix(mean: &[f64], factor: &[Vec<f64>], states: &mut [Lanes]) {
    for r in (0..mean.len()).rev() {
        let (above, row) = states.split_at_mut(r);
        for (i, x) in row[0].iter_mut().enumerate() {
            let mixed: f64 = above.iter().zip(&factor[r]).map(|(z, f)| f * z[i]).sum();
            *x = mean[r] + (mixed + factor[r][r] * *x);
        }
    }
}
