//! What the equation does not notice.

use super::*;

fn mapped(state: &SpectralState<f64>, map: impl Fn((i32, i32)) -> Complex<f64>) -> SpectralState<f64> {
    let mut out = state.clone();
    for (at, k, _) in state.modes.iter() {
        out.vorticity[at] = map(k);
    }
    out
}

/// ω(x − d).
fn shifted(state: &SpectralState<f64>, (dx, dy): (f64, f64)) -> SpectralState<f64> {
    mapped(state, |(kx, ky)| {
        state.mode(kx, ky) * Complex::from_polar(1.0, -(f64::from(kx) * dx + f64::from(ky) * dy))
    })
}

#[test]
fn the_flow_has_the_symmetries_of_its_force() {
    let flow = converged(128);
    let first = developed(&flow, 0, 50);
    let next = |state: &SpectralState<f64>| {
        let mut state = state.clone();
        Solver::new(&flow).advance(&mut state).unwrap();
        state
    };
    let h = std::f64::consts::TAU / 128.0;
    let reflected = |s: &SpectralState<f64>| {
        // −ω(−x, y + π/4)
        mapped(s, |(kx, ky)| {
            -s.mode(-kx, ky) * Complex::from_polar(1.0, f64::from(ky) * std::f64::consts::FRAC_PI_4)
        })
    };
    let turned = |s: &SpectralState<f64>| mapped(s, |(kx, ky)| s.mode(-kx, -ky));
    let check = |name: &str, map: &dyn Fn(&SpectralState<f64>) -> SpectralState<f64>| {
        let error = largest_difference(&next(&map(&first)), &map(&next(&first)));
        (error, format!("{name}: {error:e}"))
    };
    for (name, map) in [
        ("along x", &(|s: &SpectralState<f64>| shifted(s, (37.0 * h, 0.0))) as &dyn Fn(&_) -> _),
        ("along y, a period of the force", &|s| shifted(s, (0.0, 32.0 * h))),
        ("reflection", &reflected),
        ("rotation", &turned),
    ] {
        let (error, text) = check(name, map);
        assert!(error < 1e-12, "{text}");
        println!("{text}");
    }
    let (error, text) = check("along y, half a period", &|s| shifted(s, (0.0, 16.0 * h)));
    assert!(error > 0.01, "{text}");
}

/// A mean flow along x carries everything by U (1 − e^{−μ T})/μ: the scheme's order, since it is not exact.
#[test]
fn a_mean_flow_carries_the_rest() {
    let flow = converged(128);
    let first = developed(&flow, 1, 30);
    let (u, duration) = (1.0, 0.2);
    let carried = u * (1.0 - (-flow.drag() * duration).exp()) / flow.drag();
    let still = shifted(&after(&flow, &first, duration, 640), (carried, 0.0));
    let mut moving = first.clone();
    moving.mean = [u, 0.0];
    let errors = [20, 40, 80].map(|m| {
        let end = after(&flow, &moving, duration, m);
        assert!((end.mean[0] - u * (-0.02_f64).exp()).abs() < 1e-14 && end.mean[1] == 0.0);
        distance(&end, &still)
    });
    for pair in errors.windows(2) {
        assert!((pair[0] / pair[1]).log2() > 3.4, "{errors:?}");
    }
    assert!(errors[1] < 5e-5, "{errors:?}");
    println!("carried by a mean flow: off in 20, 40, 80 steps {errors:?}");
    let mut drifting = first;
    drifting.mean = [0.0, u];
    // Along y it meets another phase of the force.
    let end = after(&flow, &drifting, duration, 80);
    let along_y =
        shifted(&after(&flow, &SpectralState { mean: [0.0; 2], ..drifting }, duration, 80), (0.0, carried));
    assert!(distance(&end, &along_y) > 1e-3);
}

/// ∇·u of the velocity on the grid, by its transform.
#[test]
fn the_velocity_has_no_divergence() {
    let flow = converged(64);
    let state = developed(&flow, 0, 20);
    let mut solver = Solver::new(&flow);
    let n = flow.modes().grid();
    let z = solver.velocity(&state).to_vec();
    let (mut divergence, mut curl) = (0.0, 0.0);
    for kx in -20..=20_i32 {
        // One line of modes is enough to see a wrong sign; all of them would take n⁴.
        let ky = (7 * kx).rem_euclid(41) - 20;
        let mut hat = [Complex::new(0.0, 0.0); 2];
        for (i, z) in z.iter().enumerate() {
            let angle =
                std::f64::consts::TAU * f64::from(kx * (i / n) as i32 + ky * (i % n) as i32) / n as f64;
            let wave = Complex::from_polar(1.0 / (n * n) as f64, -angle);
            hat[0] += wave * z.re;
            hat[1] += wave * z.im;
        }
        divergence += (hat[0] * f64::from(kx) + hat[1] * f64::from(ky)).norm_sqr();
        let w = Complex::new(0.0, 1.0) * (hat[1] * f64::from(kx) - hat[0] * f64::from(ky));
        curl += w.norm_sqr();
        assert!((w - state.mode(kx, ky)).norm() < 1e-12);
    }
    assert!(divergence.sqrt() < 1e-13 * curl.sqrt(), "{divergence:e} of {curl:e}");
    println!("divergence over vorticity {:.1e}", (divergence / curl).sqrt());
}
