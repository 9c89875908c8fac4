//! The law of a flow's first state.

use rustfft::num_complex::Complex;
use sda_core::Stream;
use serde::{Deserialize, Serialize};

use super::modes::Modes;
use super::solver::Solver;
use super::state::SpectralState;
use super::transform::FlowReal;
use crate::config::Check;
use crate::error::SystemError;

/// Modes drawn, |k_x|, |k_y| ≤ 31: beyond them the filter leaves 1e-9 of the energy for k_p = 4 and 2e-5 for 8. The same
/// numbers on every grid, so that a member starts alike on all.
const DRAWN: i32 = 31;
/// k_p that the modes drawn serve.
const PEAKS: std::ops::RangeInclusive<f64> = 0.5..=8.0;

/// What a flow starts from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FlowStart {
    /// White noise through a log-normal filter, without divergence, scaled to a largest speed.
    ///
    ///   |û| ∝ k⁻² exp(−2 (ln k − ln k_p − ¼)²), so that E(k) ∝ k⁻³ exp(−4 (ln k − ln k_p − ¼)²)
    ///
    /// Good values: k_p 4 and speed 3.
    /// Source: jax-cfd, `filtered_velocity_field` (Kochkov et al. 2021).
    Filtered {
        /// k_p, 0.5 … 8 and below a sixth of the grid.
        #[serde(default = "four")]
        peak_wavenumber: f64,
        /// Of √(u² + v²) over the grid.
        #[serde(default = "three")]
        max_speed: f64,
    },
    /// u = sin kx cos ky, v = −cos kx sin ky, which only decays where there is no force.
    TaylorGreen {
        /// k.
        wavenumber: usize,
    },
}

impl Default for FlowStart {
    fn default() -> Self {
        Self::Filtered { peak_wavenumber: four(), max_speed: three() }
    }
}

fn four() -> f64 {
    4.0
}

fn three() -> f64 {
    3.0
}

impl FlowStart {
    pub(super) fn check(self, check: &Check, modes: Modes) -> Result<(), SystemError> {
        match self {
            Self::Filtered { peak_wavenumber, max_speed } => {
                let most = modes.largest() as f64 / 2.0;
                check.that(
                    "start.peak_wavenumber",
                    "0.5 … 8 and below a sixth of `grid`",
                    peak_wavenumber,
                    |k| PEAKS.contains(&k) && k <= most,
                )?;
                check.positive("start.max_speed", max_speed)
            }
            Self::TaylorGreen { wavenumber } => {
                check.that("start.wavenumber", "at least 1 and below a third of `grid`", wavenumber, |k| {
                    (1..=modes.largest()).contains(&k)
                })
            }
        }
    }

    /// The first state of a member, a function of the stream and its row.
    pub fn draw<T: FlowReal>(self, solver: &mut Solver<T>, stream: &Stream, row: u32) -> SpectralState<T> {
        let mut state = SpectralState::rest(solver.flow().modes());
        match self {
            Self::Filtered { peak_wavenumber, max_speed } => {
                add_filtered_noise(&mut state, peak_wavenumber, stream, row);
                let fastest = solver.velocity(&state).iter().map(|z| z.norm_sqr().widen());
                let scale = T::nearest(max_speed / fastest.fold(0.0, f64::max).sqrt());
                state.vorticity.mapv_inplace(|w| w.scale(scale));
            }
            Self::TaylorGreen { wavenumber } => {
                let k = wavenumber as i32;
                let half = Complex::new(0.5 * f64::from(k), 0.0);
                state.add_wave((k, k), -half);
                state.add_wave((k, -k), half);
            }
        }
        state
    }
}

/// ω̂ = k a(k) g, g complex normal: the curl of two independent fields of amplitude a has that law.
fn add_filtered_noise<T: FlowReal>(state: &mut SpectralState<T>, peak: f64, stream: &Stream, row: u32) {
    let modes = state.modes;
    let width = 2 * DRAWN as usize + 1;
    let mut normals = vec![0.0_f64; 2 * width * (DRAWN as usize + 1)];
    stream.fill_normal(0, row, normals.len(), &mut normals);
    for ky in 0..=DRAWN.min(modes.largest() as i32) {
        for kx in -DRAWN..=DRAWN {
            // Of a pair k, −k the first is drawn.
            if (ky == 0 && kx <= 0) || modes.column(kx).is_none() {
                continue;
            }
            let k = f64::from(kx * kx + ky * ky).sqrt();
            let amplitude = (-2.0 * (k.ln() - peak.ln() - 0.25).powi(2)).exp() / k;
            let at = 2 * (ky as usize * width + (kx + DRAWN) as usize);
            state.add_wave((kx, ky), Complex::new(normals[at], normals[at + 1]).scale(amplitude));
        }
    }
}
