//! Statistics of developed flows: minutes, behind a flag.

use super::*;
use rayon::prelude::*;

/// Means over the states 65 … 128 of 32 members on 128².
fn developed_means(viscosity: f64) -> (f64, f64) {
    let flow = flow(128, (viscosity, 0.1), 1.0);
    let run = FlowSimulation { flow: &flow, burn_in: 65, steps: 64, stream: Stream::new(1, 0) };
    let members = (0..32_u32).into_par_iter().map_init(
        || Solver::<f32>::new(&flow),
        |solver, member| {
            let (mut energy, mut enstrophy) = (0.0, 0.0);
            run.states(solver, member, |_, state| {
                let d = Diagnostics::of(state, flow.forcing());
                energy += d.energy / 64.0;
                enstrophy += d.enstrophy / 64.0;
            })
            .unwrap();
            (energy, enstrophy)
        },
    );
    let sums = members.reduce(|| (0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    (sums.0 / 32.0, sums.1 / 32.0)
}

#[test]
#[ignore = "a minute: cargo xtask test --slow"]
fn developed_flows_have_the_recorded_statistics() {
    for (viscosity, (energy, energy_range), (enstrophy, enstrophy_range)) in
        [(1e-3, (1.02, 0.05), (10.5, 0.7)), (1.9e-3, (0.93, 0.06), (9.35, 0.7))]
    {
        let (e, z) = developed_means(viscosity);
        println!("ν = {viscosity}: E = {e:.4}, Z = {z:.3} over 32 members");
        assert!((e - energy).abs() < energy_range, "ν = {viscosity}: E = {e}");
        assert!((z - enstrophy).abs() < enstrophy_range, "ν = {viscosity}: Z = {z}");
    }
}

/// Chandler & Kerswell 2013's set-up at Re 40: dissipation over the laminar one's 0.0928 ± 0.0017 over 4000 units of time.
#[test]
#[ignore = "a minute: cargo xtask test --slow"]
fn the_flow_at_reynolds_40_dissipates_as_recorded() {
    let (reynolds, spinup, length) = (40.0, 500, 4000);
    let start = FlowStart::Filtered { peak_wavenumber: 3.0, max_speed: 1.0 };
    let forcing = Forcing { wavenumber: 4, amplitude: 1.0 };
    let flow = Flow::new("re40", (64, 64), (1.0 / reynolds, 0.0), forcing, 1.0, start).unwrap();
    let mut solver = Solver::<f64>::new(&flow);
    let mut state = start.draw(&mut solver, &Stream::new(1, 0), 0);
    solver.integrate(&mut state, f64::from(spinup), 50 * spinup);
    let (mut dissipation, mut input, mut energy) = (0.0, 0.0, 0.0);
    let samples = 5 * length;
    for _ in 0..samples {
        solver.integrate(&mut state, 0.2, 10);
        let d = Diagnostics::of(&state, forcing);
        dissipation += 2.0 * flow.viscosity() * d.enstrophy / f64::from(samples);
        input += d.energy_input / f64::from(samples);
        energy += d.energy / f64::from(samples);
    }
    let (laminar_dissipation, laminar_energy) = (reynolds / 32.0, reynolds * reynolds / 1024.0);
    let (d, i, e) = (dissipation / laminar_dissipation, input / laminar_dissipation, energy / laminar_energy);
    println!("Re 40: D/D_lam = {d:.4}, I/D_lam = {i:.4}, E/E_lam = {e:.4}");
    assert!((d - 0.0928).abs() < 0.006 && (i - d).abs() < 5e-4, "{d}, {i}");
    assert!((e - 0.438).abs() < 0.03, "{e}");
}
