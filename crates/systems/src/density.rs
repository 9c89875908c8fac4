//! Transition means and densities of many states at once.

use ndarray::{Array1, Array2, ArrayRef2, ArrayRef3, Axis, Zip};
use rayon::prelude::*;

use crate::ensemble::{LANES, Lanes};
use crate::system::System;

/// Σ_c log N(residual_c | 0, std_c²), constants included.
pub(crate) fn log_gaussian(residuals: impl Iterator<Item = f64>, std: &[f64]) -> f64 {
    let half_log_tau = 0.5 * std::f64::consts::TAU.ln();
    residuals.zip(std).map(|(r, &std)| -0.5 * (r / std).powi(2) - std.ln() - half_log_tau).sum()
}

/// m(x) of every row.
///
/// Shapes: `states` [N, D], result [N, D].
/// Panics: the rows are not D long.
pub fn transition_means(system: &dyn System, states: &ArrayRef2<f64>) -> Array2<f64> {
    let d = system.state_dim();
    assert_eq!(
        states.ncols(),
        d,
        "states of shape {:?} for the {d} components of {}",
        states.shape(),
        system.name()
    );
    let mut means = Array2::zeros(states.raw_dim());
    let (states, rows) =
        (states.as_standard_layout(), means.as_slice_mut().expect("a fresh array is contiguous"));
    let states = states.as_slice().expect("standard layout is contiguous");
    rows.par_chunks_mut(LANES * d).zip(states.par_chunks(LANES * d)).for_each_init(
        || (vec![[0.0; LANES]; d], Vec::new()),
        |(block, scratch), (means, states)| {
            load_rows(states, block);
            system.advance(block, scratch);
            for (row, means) in means.chunks_exact_mut(d).enumerate() {
                means.iter_mut().zip(&*block).for_each(|(mean, lanes)| *mean = lanes[row]);
            }
        },
    );
    means
}

/// Up to LANES rows into a block; spare lanes repeat the first row, so that they stay where the system is defined.
fn load_rows(rows: &[f64], block: &mut [Lanes]) {
    let d = block.len();
    for (c, lanes) in block.iter_mut().enumerate() {
        for (i, x) in lanes.iter_mut().enumerate() {
            *x = rows.get(i * d + c).copied().unwrap_or(rows[c]);
        }
    }
}

/// log p(to_n | from_n) of every row; `None` where the transition is deterministic.
///
/// Shapes: `from` [N, D], `to` [N, D], result [N].
/// Panics: the shapes differ or the rows are not D long.
pub fn log_transitions(
    system: &dyn System,
    from: &ArrayRef2<f64>,
    to: &ArrayRef2<f64>,
) -> Option<Array1<f64>> {
    assert_eq!(from.shape(), to.shape(), "transitions from {:?} to {:?}", from.shape(), to.shape());
    let std = system.noise_std()?;
    let means = transition_means(system, from);
    Some(
        Zip::from(means.rows())
            .and(to.rows())
            .map_collect(|mean, to| log_gaussian(to.iter().zip(mean).map(|(x, m)| x - m), std)),
    )
}

/// log p(x_{2:L} | x_1) of every trajectory, in physical units; `None` where the transition is deterministic.
///
/// Shapes: `trajectories` [N, L, D], result [N].
pub fn log_trajectory(system: &dyn System, trajectories: &ArrayRef3<f64>) -> Option<Array1<f64>> {
    let (n, l, d) = trajectories.dim();
    system.noise_std()?;
    if l < 2 {
        return Some(Array1::zeros(n));
    }
    let rows = |from: usize, to: usize| {
        let part = trajectories.slice_axis(Axis(1), (from..to).into()).to_owned();
        part.into_shape_with_order((n * (l - 1), d)).expect("a fresh array is contiguous")
    };
    let log = log_transitions(system, &rows(0, l - 1), &rows(1, l))?;
    let log = log.into_shape_with_order((n, l - 1)).expect("one density per transition");
    Some(log.sum_axis(Axis(1)))
}
