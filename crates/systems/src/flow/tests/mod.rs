//! The solver against closed forms, conservation laws, symmetries, stability theory and its own golden run.

mod budgets;
mod closed_forms;
mod linear;
mod output;
mod runs;
mod start;
mod statistics;
mod symmetries;

use rustfft::num_complex::Complex;
use sda_core::Stream;

use super::*;

/// ν and μ on n × n points, forced by A sin(4 y).
fn flow(grid: usize, (viscosity, drag): (f64, f64), amplitude: f64) -> Flow {
    let forcing = Forcing { wavenumber: 4, amplitude };
    let start = FlowStart::Filtered { peak_wavenumber: 4.0, max_speed: 3.0 };
    Flow::new("flow", (grid, grid.min(64)), (viscosity, drag), forcing, 0.2, start).unwrap()
}

/// Kolmogorov flow of the preset `converged`.
fn converged(grid: usize) -> Flow {
    flow(grid, (1e-3, 0.1), 1.0)
}

/// A member so many states after its first.
fn developed(flow: &Flow, member: u32, states: usize) -> SpectralState<f64> {
    let mut solver = Solver::new(flow);
    let mut state = flow.start().draw(&mut solver, &Stream::new(1, 0), member);
    for _ in 0..states {
        solver.advance(&mut state).unwrap();
    }
    state
}

fn after(flow: &Flow, state: &SpectralState<f64>, duration: f64, substeps: u32) -> SpectralState<f64> {
    let mut state = state.clone();
    Solver::new(flow).integrate(&mut state, duration, substeps);
    state
}

/// ‖a − b‖/‖b‖ over the plane.
fn distance(a: &SpectralState<f64>, b: &SpectralState<f64>) -> f64 {
    let norm = |f: &dyn Fn((usize, usize)) -> Complex<f64>| {
        b.modes.iter().map(|(at, _, weight)| weight * f(at).norm_sqr()).sum::<f64>().sqrt()
    };
    norm(&|at| a.vorticity[at] - b.vorticity[at]) / norm(&|at| b.vorticity[at])
}

/// The largest difference over the largest coefficient.
fn largest_difference(a: &SpectralState<f64>, b: &SpectralState<f64>) -> f64 {
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    most(&mut a.vorticity.iter().zip(&b.vorticity).map(|(a, b)| (a - b).norm()))
        / most(&mut b.vorticity.iter().map(|b| b.norm()))
}
