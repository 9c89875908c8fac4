//! What advection conserves, and what the force, drag and viscosity make of it.

use super::*;

/// Every mode that is kept with the same amplitude and its own phase.
fn flat(flow: &Flow) -> SpectralState<f64> {
    let mut state = SpectralState::rest(flow.modes());
    let most = flow.modes().largest() as i32;
    for kx in -most..=most {
        for ky in 0..=most {
            if ky > 0 || kx > 0 {
                let phase = 12.9898 * f64::from(kx) + 78.233 * f64::from(ky);
                state.add_wave((kx, ky), Complex::from_polar(1.0, phase.sin() * 43758.5453));
            }
        }
    }
    state
}

/// Re Σ ψ̂* N̂ and Re Σ ω̂* N̂ over what they would be without cancellation.
fn transfers(flow: &Flow) -> [f64; 2] {
    let state = flat(flow);
    let tendency = Solver::new(flow).tendency(&state);
    let (mut sums, mut sizes) = ([0.0; 2], [0.0; 2]);
    for (at, (kx, ky), weight) in state.modes.iter() {
        let k2 = f64::from(kx * kx + ky * ky);
        let product = (state.vorticity[at].conj() * tendency.vorticity[at]).re * weight;
        for (i, factor) in [if k2 > 0.0 { k2.recip() } else { 0.0 }, 1.0].into_iter().enumerate() {
            sums[i] += factor * product;
            sizes[i] += factor * weight * (state.vorticity[at].norm() * tendency.vorticity[at].norm());
        }
    }
    [(sums[0] / sizes[0]).abs(), (sums[1] / sizes[1]).abs()]
}

/// That the 2/3 rule works: with it the products conserve energy and enstrophy to rounding, without it they do not.
#[test]
fn advection_conserves_energy_and_enstrophy_by_the_rule_of_two_thirds() {
    let unforced = flow(64, (0.0, 0.0), 0.0);
    let with = transfers(&unforced);
    assert!(with.iter().all(|&t| t < 1e-14), "{with:?}");
    let without = transfers(&unforced.aliased());
    assert!(without.iter().all(|&t| t > 1e-4), "{without:?}");
    println!("transfer of energy and enstrophy {with:?}, without the mask {without:?}");
}

/// dE/dt = ⟨u f⟩ − 2 μ E − 2 ν Z, and dZ/dt = ⟨ω ∇×f⟩ − 2 μ Z − 2 ν P, over one state of a developed flow.
#[test]
fn energy_and_enstrophy_balance_their_sources() {
    let flow = converged(128);
    let mut state = developed(&flow, 3, 40);
    let steps = 200;
    let h = flow.dt() / f64::from(steps);
    let mut solver = Solver::new(&flow);
    let rates = |state: &SpectralState<f64>| {
        let d = Diagnostics::of(state, flow.forcing());
        let decay = |of: f64, gradient: f64| -2.0 * flow.drag() * of - 2.0 * flow.viscosity() * gradient;
        let energy = d.energy_input + decay(d.energy, d.enstrophy);
        ([d.energy, d.enstrophy], [energy, d.enstrophy_input + decay(d.enstrophy, d.palinstrophy)])
    };
    let (first, mut before) = rates(&state);
    let mut gained = [0.0; 2];
    for _ in 0..steps {
        solver.integrate(&mut state, h, 1);
        let now = rates(&state).1;
        // Simpson's rule would need the middle; the trapezoid is off by h² here.
        for i in 0..2 {
            gained[i] += 0.5 * h * (before[i] + now[i]);
        }
        before = now;
    }
    let last = rates(&state).0;
    for i in 0..2 {
        let error = (last[i] - first[i] - gained[i]).abs() / last[i];
        assert!(error < 1e-6, "{i}: {error:e}");
        println!("budget of {} closes within {error:.1e}", ["energy", "enstrophy"][i]);
    }
}

/// Without force, drag and viscosity only the time step loses anything: at order 5, since its error is of order 5 a step
/// and at order 4 turns the phase alone.
#[test]
fn the_inviscid_flow_loses_enstrophy_at_order_five() {
    let flow = flow(64, (0.0, 0.0), 0.0);
    let start = FlowStart::Filtered { peak_wavenumber: 3.0, max_speed: 1.0 };
    let first = start.draw(&mut Solver::new(&flow), &Stream::new(5, 0), 0);
    let of = |state: &SpectralState<f64>| Diagnostics::of(state, flow.forcing());
    let before = of(&first);
    let lost = [50, 100, 200].map(|m| {
        let d = of(&after(&flow, &first, 2.0, m));
        assert!((d.energy / before.energy - 1.0).abs() < 1e-7);
        1.0 - d.enstrophy / before.enstrophy
    });
    for pair in lost.windows(2) {
        assert!((24.0..40.0).contains(&(pair[0] / pair[1])), "{lost:?}");
    }
    assert!(lost[2].abs() < 1e-7 && lost[2] > 0.0, "{lost:?}");
    println!("inviscid: share of enstrophy lost in 50, 100, 200 steps {lost:?}");
}
