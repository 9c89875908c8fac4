//! The law of the first state, and what a flow refuses.

use super::*;

/// Over 200 draws the published generator's and this law's energies are 0.674 ± 0.118, enstrophies 13.87 ± 2.44.
#[test]
fn first_states_have_the_published_law() {
    let flow = converged(96);
    let mut solver = Solver::<f64>::new(&flow);
    let draws = 200;
    let (mut energy, mut enstrophy, mut spectrum) = (0.0, 0.0, [0.0; 11]);
    for member in 0..draws {
        let state = flow.start().draw(&mut solver, &Stream::new(3, 0), member);
        let fastest = solver.velocity(&state).iter().map(|z| z.norm()).fold(0.0, f64::max);
        assert!((fastest - 3.0).abs() < 1e-12);
        let d = Diagnostics::of(&state, flow.forcing());
        energy += d.energy / f64::from(draws);
        enstrophy += d.enstrophy / f64::from(draws);
        spectrum.iter_mut().zip(&d.spectrum).for_each(|(s, e)| *s += e / f64::from(draws));
    }
    // 4.5 standard errors of the difference of two such means.
    assert!((energy - 0.674).abs() < 0.053, "{energy}");
    assert!((enstrophy - 13.87).abs() < 1.1, "{enstrophy}");
    println!("first states: E {energy:.3}, Z {enstrophy:.2} over {draws} draws");
    let want = [3.37e-3, 6.58e-2, 0.156, 0.230, 0.102, 6.56e-2, 2.70e-2, 1.36e-2, 7.18e-3, 2.11e-3];
    for (k, (got, want)) in spectrum[1..].iter().zip(want).enumerate() {
        // A shell of radius k has about 2 π k modes, of which half are independent.
        let spread = 4.5 * (2.0 / (std::f64::consts::PI * (k + 1) as f64 * f64::from(draws))).sqrt();
        assert!((got / want - 1.0).abs() < spread.max(0.05), "E({}) = {got}, not {want}", k + 1);
    }
}

#[test]
fn a_member_starts_alike_on_every_grid() {
    let coarse = developed(&converged(96), 5, 0);
    let fine = developed(&converged(128), 5, 0).on(coarse.modes);
    // The largest speed is over another grid's points.
    assert!(distance(&coarse, &fine) < 5e-3);
    let ratio = coarse.mode(2, 3) / fine.mode(2, 3);
    assert!((ratio - coarse.mode(-1, 2) / fine.mode(-1, 2)).norm() < 1e-12);
}

/// Where the filter leaves something beyond the modes that are drawn, or numbers too small for a state, it is another law.
#[test]
fn a_peak_outside_what_is_drawn_is_refused() {
    let of = |peak_wavenumber: f64| {
        let start = FlowStart::Filtered { peak_wavenumber, max_speed: 3.0 };
        Flow::new("decay", (128, 128), (1e-3, 0.1), Forcing { wavenumber: 4, amplitude: 0.0 }, 0.2, start)
    };
    for peak in [0.5, 4.0, 8.0] {
        let flow = of(peak).unwrap();
        let state = flow.start().draw::<f32>(&mut Solver::new(&flow), &Stream::new(3, 0), 0);
        assert!(state.is_finite(), "{peak}");
    }
    for peak in [0.0, 0.01, 8.5, f64::NAN] {
        assert!(of(peak).unwrap_err().to_string().contains("`start.peak_wavenumber`"), "{peak}");
    }
}

#[test]
fn bad_parameters_name_their_field() {
    let good = (64, 64, 1e-3, 0.1, 4, 0.2);
    let build = |(grid, output, nu, mu, wavenumber, dt): (usize, usize, f64, f64, usize, f64)| {
        let forcing = Forcing { wavenumber, amplitude: 1.0 };
        Flow::new("Kolmogorov", (grid, output), (nu, mu), forcing, dt, FlowStart::default())
    };
    build(good).unwrap();
    for (field, values) in [
        ("grid", (63, 32, 1e-3, 0.1, 4, 0.2)),
        ("grid", (6, 4, 1e-3, 0.1, 1, 0.2)),
        ("output", (64, 66, 1e-3, 0.1, 4, 0.2)),
        ("output", (64, 33, 1e-3, 0.1, 4, 0.2)),
        ("viscosity", (64, 64, -1e-3, 0.1, 4, 0.2)),
        ("viscosity", (64, 64, f64::NAN, 0.1, 4, 0.2)),
        ("drag", (64, 64, 1e-3, f64::INFINITY, 4, 0.2)),
        ("forcing.wavenumber", (64, 64, 1e-3, 0.1, 22, 0.2)),
        ("forcing.wavenumber", (64, 64, 1e-3, 0.1, 0, 0.2)),
        ("dt", (64, 64, 1e-3, 0.1, 4, 0.0)),
    ] {
        let error = build(values).unwrap_err().to_string();
        assert!(error.contains(&format!("`{field}`")), "{field}: {error}");
    }
}
