//! Flows with a closed form: the Taylor–Green vortex, and the laminar profile of the forced flow.

use super::*;

/// ω(T) = ω₀ e^{−(2 ν k² + μ) T}: advection vanishes, so that the integrating factor is all.
#[test]
fn the_taylor_green_vortex_decays_as_it_should() {
    for (nu, mu, k, want) in [(1e-2, 0.0, 1, 0.8187307530779818), (1e-3, 0.1, 4, 0.26713530196585034)] {
        let forcing = Forcing { wavenumber: 4, amplitude: 0.0 };
        let start = FlowStart::TaylorGreen { wavenumber: k };
        let flow = Flow::new("decay", (64, 64), (nu, mu), forcing, 5.0, start).unwrap();
        let first = start.draw::<f64>(&mut Solver::new(&flow), &Stream::new(0, 0), 0);
        let of = |state: &SpectralState<f64>| Diagnostics::of(state, forcing);
        let before = of(&first);
        assert!((before.energy - 0.25).abs() < 1e-15);
        assert!((before.enstrophy - 0.5 * (k * k) as f64).abs() < 1e-14);
        let ratio = of(&after(&flow, &first, 5.0, 100)).energy / before.energy;
        assert!((ratio - want).abs() < 1e-13, "{ratio}");
        println!("Taylor–Green, k = {k}, ν = {nu}: energy off by {:.1e}", ratio - want);
    }
}

/// u = A sin 4y with A = 1/(16 ν + μ), and from rest u = A (1 − e^{−(16 ν + μ) t}) sin 4y.
#[test]
fn the_laminar_profile_is_reached_at_order_four_and_kept() {
    let flow = converged(64);
    let amplitude = 1.0 / 0.116;
    let laminar = |a: f64| {
        let mut state = SpectralState::rest(flow.modes());
        // ω = −∂u/∂y = −4 a cos 4y.
        state.add_wave((0, 4), Complex::new(-2.0 * a, 0.0));
        state
    };
    let base = Diagnostics::of(&laminar(amplitude), flow.forcing());
    assert!((base.energy - 18.5790725326987).abs() < 1e-11);
    assert!((base.enstrophy - 297.265160523186).abs() < 1e-10);
    assert!((base.energy_input - 4.310344827586).abs() < 1e-11);
    let reached = laminar(amplitude * (1.0 - (-0.116_f64 * 5.0).exp()));
    let rest = SpectralState::rest(flow.modes());
    let errors = [25, 50, 100].map(|m| distance(&after(&flow, &rest, 5.0, m), &reached));
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!((3.9..4.2).contains(&order), "order {order}, errors {errors:?}");
    }
    assert!(errors[2] < 1e-12, "{errors:?}");
    let drift = distance(&after(&flow, &laminar(amplitude), 5.0, 200), &laminar(amplitude));
    assert!(drift < 1e-13, "{drift}");
    println!("laminar profile: off in 25, 50, 100 steps from rest {errors:?}, kept within {drift:.1e}");
}
