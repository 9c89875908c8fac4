//! One state of Kolmogorov flow, 0.2 of model time, from a developed one; one thread.

use super::{Host, Item, Setting, Use};
use sda_core::Stream;
use sda_systems::flow::{Flow, FlowReal, FlowStart, Forcing, Modes, Solver, SpectralState};

pub(super) fn items() -> Vec<Item> {
    vec![
        item("flow_96_f32", 96, transition::<f32>),
        item("flow_128_f32", 128, transition::<f32>),
        item("flow_128_f64", 128, transition::<f64>),
        item("flow_256_f32", 256, transition::<f32>),
        item("flow_256_f64", 256, transition::<f64>),
    ]
}

fn item(name: &str, grid: usize, with: fn(usize, Use<'_>) -> anyhow::Result<()>) -> Item {
    Item::new(name, move |_: Setting, work| with(grid, work)).beside("jax-cfd")
}

fn flow(grid: usize) -> anyhow::Result<Flow> {
    let forcing = Forcing { wavenumber: 4, amplitude: 1.0 };
    Ok(Flow::new("Kolmogorov", (grid, 64), (1e-3, 0.1), forcing, 0.2, FlowStart::default())?)
}

/// 40 states after a first one, whatever the grid.
fn developed(modes: Modes) -> anyhow::Result<SpectralState<f64>> {
    let flow = flow(96)?;
    let mut solver = Solver::new(&flow);
    let mut state = flow.start().draw(&mut solver, &Stream::new(1, 0), 0);
    for _ in 0..40 {
        solver.advance(&mut state)?;
    }
    Ok(state.on(modes))
}

/// As a simulation does it: the steps from the speed, all of them, the check.
fn transition<T: FlowReal>(grid: usize, work: Use<'_>) -> anyhow::Result<()> {
    let flow = flow(grid)?;
    let first = developed(flow.modes())?.cast::<T>();
    let mut solver = Solver::new(&flow);
    let mut state = first.clone();
    work(&mut Host(move || {
        state.clone_from(&first);
        solver.advance(&mut state)?;
        Ok(())
    }))
}
