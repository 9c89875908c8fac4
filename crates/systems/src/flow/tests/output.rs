//! How a state is seen, against sums over its modes.

use super::*;

/// The 4 × 4 points of one cell of the staggered fine grid, each by the sum over all modes.
fn by_hand(state: &SpectralState<f64>, m: usize, cell: (usize, usize), component: usize) -> f64 {
    let h = std::f64::consts::TAU / (4 * m) as f64;
    let mut sum = 0.0;
    for i in 0..16 {
        let (fine_x, fine_y) = (4 * cell.0 + i / 4, 4 * cell.1 + i % 4);
        let (ahead_x, ahead_y) = if component == 0 { (1.0, 0.5) } else { (0.5, 1.0) };
        let (x, y) = ((fine_x as f64 + ahead_x) * h, (fine_y as f64 + ahead_y) * h);
        for (at, (kx, ky), weight) in state.modes.iter() {
            let k2 = f64::from(kx * kx + ky * ky);
            if k2 > 0.0 {
                let factor = if component == 0 { f64::from(ky) } else { -f64::from(kx) } / k2;
                let hat = Complex::new(0.0, factor) * state.vorticity[at];
                sum += weight * (hat * Complex::from_polar(1.0, f64::from(kx) * x + f64::from(ky) * y)).re;
            }
        }
    }
    sum / 16.0 + state.mean[component]
}

#[test]
fn a_state_is_seen_as_means_over_the_staggered_fine_grid() {
    for (grid, m) in [(64, 16), (32, 32), (48, 22)] {
        let flow = converged(grid);
        let mut state = developed(&flow, 0, 2);
        state.mean = [0.3, -0.2];
        let seen = Output::new(m).see(&state);
        let mut largest: f64 = 0.0;
        for (x, y) in [(0, 0), (3, m - 1), (m - 2, 5), (7, 7)] {
            for c in 0..2 {
                let (got, want) = (seen[[x, y, c]], by_hand(&state, m, (x, y), c));
                assert!((got - want).abs() < 1e-14, "{grid} → {m} at ({x}, {y}), {c}: {got} and {want}");
                largest = largest.max((got - want).abs());
            }
        }
        println!("seen on {m}² of {grid}²: off by {largest:.1e}");
    }
}

/// Where the output tells every mode apart, seeing undoes lifting, and lifting seeing.
#[test]
fn lifting_undoes_seeing() {
    let flow = converged(32);
    let mut state = developed(&flow, 4, 3);
    state.mean = [0.5, -0.25];
    let output = Output::new(24);
    let lifted = output.lift::<f64>(&output.see(&state).view(), flow.modes());
    assert!(largest_difference(&lifted, &state) < 1e-13);
    assert!((lifted.mean[0] - 0.5).abs() < 1e-14 && (lifted.mean[1] + 0.25).abs() < 1e-14);
    // Of a gradient nothing is left.
    let field = ndarray::Array3::from_shape_fn((24, 24, 2), |(x, _, c)| {
        if c == 0 { (x as f64 * std::f64::consts::TAU / 24.0).sin() } else { 0.0 }
    });
    let lifted = output.lift::<f64>(&field.view(), flow.modes());
    assert!(lifted.vorticity.iter().all(|w| w.norm() < 1e-15));
}
