//! Linear stability of u = A sin(n y): growth rates and the onset of instability.

use super::*;

/// The linearised equation in the sector k_x = a, k_y = b + n m, m = `first` … `last`: real and tridiagonal in m.
///
///   dω_m/dt = −(a A/2) (g_{m−1} − g_{m+1}) − (ν k_m² + μ) ω_m,  g_m = (1 − n²/k_m²) ω_m
struct Sector {
    a: f64,
    b: f64,
    n: f64,
    amplitude: f64,
    viscosity: f64,
    drag: f64,
    first: i32,
    last: i32,
}

impl Sector {
    fn k2(&self, m: i32) -> f64 {
        self.a * self.a + (self.b + self.n * f64::from(m)).powi(2)
    }

    fn size(&self) -> usize {
        (self.last - self.first + 1) as usize
    }

    /// (below, diagonal, above) of row m.
    fn row(&self, m: i32) -> [f64; 3] {
        let g = |m: i32| 1.0 - self.n * self.n / self.k2(m);
        let c = 0.5 * self.a * self.amplitude;
        [-c * g(m - 1), -(self.viscosity * self.k2(m) + self.drag), c * g(m + 1)]
    }

    /// The eigenvalue next to a guess, by inverse iteration with the guess moving along.
    fn eigenvalue(&self, guess: Complex<f64>) -> Complex<f64> {
        let n = self.size();
        let mut lambda = guess;
        let mut v: Vec<Complex<f64>> = (0..n).map(|i| Complex::new(1.0, 0.1 * i as f64)).collect();
        for _ in 0..40 {
            // Elimination of the tridiagonal (A − λ) x = v, which inverse iteration forgives its rounding.
            let rows: Vec<[f64; 3]> = (0..n).map(|i| self.row(i as i32 + self.first)).collect();
            let (mut c, mut d) = (vec![Complex::new(0.0, 0.0); n], v.clone());
            for i in 0..n {
                let (below, diagonal, above) = (if i > 0 { rows[i][0] } else { 0.0 }, rows[i][1], rows[i][2]);
                let (cp, dp) = if i > 0 { (c[i - 1], d[i - 1]) } else { Default::default() };
                let pivot = Complex::new(diagonal, 1e-13) - lambda - cp * below;
                c[i] = Complex::new(above, 0.0) / pivot;
                d[i] = (d[i] - dp * below) / pivot;
            }
            for i in (0..n - 1).rev() {
                let next = d[i + 1];
                d[i] -= c[i] * next;
            }
            let norm = d.iter().map(Complex::norm_sqr).sum::<f64>().sqrt();
            d.iter_mut().for_each(|x| *x /= norm);
            // Rayleigh's quotient by v: λ += 1/⟨v, x⟩ of the step just made.
            let along: Complex<f64> = v.iter().zip(&d).map(|(v, x)| v.conj() * x * norm).sum();
            let size: f64 = v.iter().map(Complex::norm_sqr).sum();
            lambda += size / along;
            v = d;
        }
        lambda
    }
}

/// Growth of the fastest perturbation in a sector by the solver itself, on u = A sin 4y held by its force.
///
/// Each time the perturbation is brought back to 1e-7 of the base. Two numbers of it, a time apart each, satisfy
/// x'' = s x' − p x, whose roots are e^{λ T}.
fn measured(flow: &Flow, amplitude: f64, (a, b): (i32, i32), rounds: usize) -> Complex<f64> {
    let period = 1.0;
    let n = flow.forcing().wavenumber as i32;
    let mut solver = Solver::new(flow);
    let mut base = SpectralState::rest(flow.modes());
    base.add_wave((0, n), Complex::new(-0.5 * amplitude * f64::from(n), 0.0));
    let in_sector = |kx: i32, ky: i32| {
        (kx == a && (ky - b).rem_euclid(n) == 0) || (kx == -a && (ky + b).rem_euclid(n) == 0)
    };
    let project = |state: &SpectralState<f64>| {
        let mut out = SpectralState::rest(state.modes);
        for (at, (kx, ky), _) in state.modes.iter() {
            if in_sector(kx, ky) {
                out.vorticity[at] = state.vorticity[at];
            }
        }
        out
    };
    let mut perturbation = SpectralState::rest(flow.modes());
    perturbation.add_wave((a, b), Complex::new(1.0, 0.3));
    perturbation.add_wave((a, b - n), Complex::new(0.2, -0.5));
    perturbation.add_wave((a, b + n), Complex::new(-0.4, 0.1));
    let norm = |s: &SpectralState<f64>| s.vorticity.iter().map(Complex::norm_sqr).sum::<f64>().sqrt();
    let mut history: Vec<(SpectralState<f64>, f64)> = Vec::new();
    let mut scale = 0.0;
    for _ in 0..rounds {
        let factor = 1e-7 / norm(&perturbation);
        scale -= factor.ln();
        perturbation.vorticity.mapv_inplace(|w| w * factor);
        history.push((perturbation.clone(), scale));
        let mut state = base.clone();
        state.vorticity += &perturbation.vorticity;
        solver.integrate(&mut state, period, 100);
        perturbation = project(&state);
    }
    // Least squares of x₂ = s x₁ − p x₀ over the numbers of the last three, brought to one scale.
    let [x0, x1, x2] = [3, 2, 1].map(|back| &history[history.len() - back]);
    let scaled = |(state, scale): &(SpectralState<f64>, f64)| {
        let factor = (scale - x0.1).exp();
        state.vorticity.iter().flat_map(|w| [w.re * factor, w.im * factor]).collect::<Vec<f64>>()
    };
    let [x0, x1, x2] = [x0, x1, x2].map(scaled);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (aa, ab, bb) = (dot(&x1, &x1), dot(&x1, &x0), dot(&x0, &x0));
    let det = aa * bb - ab * ab;
    if det < 1e-12 * aa * bb {
        // One real root: x₁ and x₀ are parallel.
        return Complex::new((dot(&x2, &x1) / aa).ln() / period, 0.0);
    }
    let (ya, yb) = (dot(&x2, &x1), dot(&x2, &x0));
    let (s, p) = ((ya * bb - yb * ab) / det, -(yb * aa - ya * ab) / det);
    let root = Complex::new(s * s / 4.0 - p, 0.0).sqrt();
    (Complex::new(s / 2.0, 0.0) + root).ln() / period
}

fn sector((a, b): (i32, i32), (first, last): (i32, i32)) -> Sector {
    Sector {
        a: f64::from(a),
        b: f64::from(b),
        n: 4.0,
        amplitude: 1.0,
        viscosity: 1e-3,
        drag: 0.1,
        first,
        last,
    }
}

/// Rates of u = sin 4y at ν 1e-3, μ 0.1, from matrices converged in m.
const RATES: [((i32, i32), f64, f64); 5] = [
    ((1, 0), 0.5490958935, 0.0),
    ((2, 0), 0.9345139917, 0.0),
    ((3, 0), 0.8453908522, 0.0),
    ((2, 1), 0.3627815230, 0.3641309),
    ((1, 2), 0.1252530927, 0.7225107),
];

#[test]
fn growth_rates_are_those_of_the_linear_equation() {
    // Held by a force A (16 ν + μ).
    let flow = flow(96, (1e-3, 0.1), 0.116);
    for (k, growth, turn) in RATES {
        let of = |range| sector(k, range).eigenvalue(Complex::new(growth + 1e-3, turn));
        let known = of((-24, 24));
        assert!((known.re - growth).abs() < 2e-10 && (known.im.abs() - turn).abs() < 1e-7, "{k:?}: {known}");
        // As truncated as the solver is: on 96² k_y = b + 4 m goes from −31 to 31.
        let truncated = of(((-31 - k.1).div_euclid(4) + i32::from((31 + k.1) % 4 != 0), (31 - k.1) / 4));
        let got = measured(&flow, 1.0, k, 60);
        assert!(
            (got.re - truncated.re).abs() < 2e-8 && (got.im.abs() - truncated.im.abs()).abs() < 2e-8,
            "{k:?}: {got}, not {truncated}"
        );
        println!("growth of {k:?}: {got:.10}, by the matrix {truncated:.10}");
    }
}

/// Waves of one wavenumber leave each other alone: (4, 0) only decays, at 16 ν + μ.
#[test]
fn a_wave_of_the_bases_own_wavenumber_decays_by_friction_alone() {
    let flow = flow(96, (1e-3, 0.1), 0.116);
    let mut state: SpectralState<f64> = SpectralState::rest(flow.modes());
    state.add_wave((0, 4), Complex::new(-2.0, 0.0));
    state.add_wave((4, 0), Complex::new(3e-8, 4e-8));
    let first = state.mode(4, 0);
    Solver::new(&flow).integrate(&mut state, 1.0, 100);
    let rate = (state.mode(4, 0) / first).ln();
    println!("growth of (4, 0): {rate:.10}");
    // Beside a base of one, 5e-8 has nine digits.
    assert!((rate - Complex::new(-0.116, 0.0)).norm() < 2e-8, "{rate}");
}

/// The onset is where the growth of (1, 0) is zero on u = sin(n y)/(ν n²), without drag.
#[test]
fn the_onset_of_instability_is_where_theory_has_it() {
    for (n, critical) in [(2, 4.048606126), (3, 6.710346452), (4, 9.966922670475)] {
        let viscosity = 1.0 / critical;
        let sector = Sector {
            a: 1.0,
            b: 0.0,
            n: f64::from(n),
            amplitude: critical / f64::from(n * n),
            viscosity,
            drag: 0.0,
            first: -12,
            last: 12,
        };
        let rate = sector.eigenvalue(Complex::new(0.01, 0.0));
        assert!(rate.norm() < 1e-9, "n = {n}: {rate}");
        let forcing = Forcing { wavenumber: n as usize, amplitude: 1.0 };
        let start = FlowStart::TaylorGreen { wavenumber: 1 };
        let flow = Flow::new("onset", (48, 48), (viscosity, 0.0), forcing, 0.2, start).unwrap();
        let got = measured(&flow, critical / f64::from(n * n), (1, 0), 60);
        assert!(got.norm() < 1e-7, "n = {n}: {got}");
        println!("growth at Re {critical} on n = {n}: {got:.1e}");
    }
    // With drag the first to grow is (2, 0).
    let viscosity = 0.07702214573;
    let amplitude = 1.0 / (16.0 * viscosity + 0.1);
    let sector = Sector { a: 2.0, b: 0.0, n: 4.0, amplitude, viscosity, drag: 0.1, first: -12, last: 12 };
    let rate = sector.eigenvalue(Complex::new(0.01, 0.0));
    assert!(rate.norm() < 1e-9, "{rate}");
    // Long waves: A/(ν k) → √2, Meshalkin & Sinai 1961.
    for (alpha, want) in [(0.25, 1.5522), (0.1, 1.43556), (0.03, 1.41612), (0.01, 1.414426)] {
        let onset = |ratio: f64| {
            let sector = Sector {
                a: alpha,
                b: 0.0,
                n: 1.0,
                amplitude: ratio,
                viscosity: 1.0,
                drag: 0.0,
                first: -12,
                last: 12,
            };
            sector.eigenvalue(Complex::new(1e-6, 0.0)).re
        };
        assert!(onset(want - 1e-4) < 0.0 && onset(want + 1e-4) > 0.0, "α = {alpha}");
    }
}
