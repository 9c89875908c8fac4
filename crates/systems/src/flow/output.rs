//! How a state is seen: velocities on a coarser grid, as the published data have them.

use std::sync::Arc;

use ndarray::{Array3, ArrayView3};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::modes::Modes;
use super::state::SpectralState;
use super::transform::FlowReal;

/// Points of the staggered fine grid in a block of the output, each way.
const BLOCK: f64 = 4.0;

/// Velocities on m × m points, each the mean of a block of 4 × 4 staggered ones: u on faces x = (i + 1) h,
/// y = (j + ½) h, v on x = (i + ½) h, y = (j + 1) h, h = 2π/(4 m).
///
///   ûc(k) = û D(k_x) D(k_y) e^{i h (2.5 k_x + 2 k_y)}, v̂c(k) = v̂ D(k_x) D(k_y) e^{i h (2 k_x + 2.5 k_y)}
///   D(k) = sin(2 k h)/(4 sin(k h/2))
///
/// folded onto k modulo m: what sampling the fine grid and taking means gives, to rounding, with no fine grid.
///
/// Source: Rozet & Louppe 2023, whose data are 4 × 4 means of jax-cfd's 256² staggered grid.
#[derive(Clone)]
pub struct Output {
    points: usize,
    inverse: Arc<dyn Fft<f64>>,
    forward: Arc<dyn Fft<f64>>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("points", &self.points).finish_non_exhaustive()
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        self.points == other.points
    }
}

/// Factors of one wavenumber: along a velocity's own direction, and across it.
#[derive(Clone, Copy)]
struct Factors {
    along: Complex<f64>,
    across: Complex<f64>,
}

impl Output {
    /// On m × m points.
    pub fn new(points: usize) -> Self {
        let mut planner = FftPlanner::new();
        Self { points, inverse: planner.plan_fft_inverse(points), forward: planner.plan_fft_forward(points) }
    }

    /// m.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Centres of the blocks along either axis [m], from 0 to 2π.
    pub fn centres(&self) -> Vec<f64> {
        (0..self.points).map(|i| (i as f64 + 0.5) * std::f64::consts::TAU / self.points as f64).collect()
    }

    fn factors(&self, k: i32) -> Factors {
        let kh = f64::from(k) * std::f64::consts::TAU / (BLOCK * self.points as f64);
        let mean = if k == 0 { 1.0 } else { (0.5 * BLOCK * kh).sin() / (BLOCK * (0.5 * kh).sin()) };
        Factors {
            along: Complex::from_polar(mean, 0.5 * (BLOCK + 1.0) * kh),
            across: Complex::from_polar(mean, 0.5 * BLOCK * kh),
        }
    }

    /// (u, v) of a state.
    ///
    /// Shapes: result [m (x), m (y), 2].
    pub fn see<T: FlowReal>(&self, state: &SpectralState<T>) -> Array3<f64> {
        let m = self.points;
        let modes = state.modes;
        let factors: Vec<Factors> = (0..modes.columns()).map(|c| self.factors(modes.kx(c))).collect();
        let mut folded = vec![Complex::new(0.0, 0.0); m * m];
        folded[0] = Complex::new(state.mean[0].widen(), state.mean[1].widen());
        for ((row, column), (kx, ky), weight) in modes.iter() {
            let k2 = f64::from(kx * kx + ky * ky);
            if k2 == 0.0 {
                continue;
            }
            let w = state.vorticity[[row, column]];
            let turned = Complex::new(-w.im.widen(), w.re.widen()) / k2;
            let (x, y) = (factors[column], factors[row]);
            let u = turned * f64::from(ky) * x.along * y.across;
            let v = -turned * f64::from(kx) * x.across * y.along;
            *at(&mut folded, m, (kx, ky)) += Complex::new(u.re - v.im, u.im + v.re);
            if weight > 1.0 {
                *at(&mut folded, m, (-kx, -ky)) += Complex::new(u.re + v.im, v.re - u.im);
            }
        }
        self.transform(&self.inverse, &mut folded);
        Array3::from_shape_fn((m, m, 2), |(x, y, c)| {
            let z = folded[x * m + y];
            if c == 0 { z.re } else { z.im }
        })
    }

    /// The state that is seen as a field, of the modes that m × m points tell apart: |k_x|, |k_y| < m/2. What the
    /// field has of divergence is left out; its mean stays.
    ///
    /// Shapes: `field` [m, m, 2].
    /// Panics: another shape.
    #[track_caller]
    pub fn lift<T: FlowReal>(&self, field: &ArrayView3<'_, f64>, modes: Modes) -> SpectralState<T> {
        let m = self.points;
        assert_eq!(field.shape(), [m, m, 2], "a field to be lifted from {m} × {m} points");
        let mut z: Vec<Complex<f64>> =
            (0..m * m).map(|i| Complex::new(field[[i / m, i % m, 0]], field[[i / m, i % m, 1]])).collect();
        self.transform(&self.forward, &mut z);
        let scale = 0.5 / (m * m) as f64;
        let mut state = SpectralState::rest(modes);
        state.mean = [z[0].re, z[0].im].map(|x| T::nearest(2.0 * scale * x));
        let most = m as i32 / 2 - 1;
        for ((row, column), (kx, ky), _) in modes.iter() {
            if (kx, ky) == (0, 0) || kx.abs() > most || ky > most {
                continue;
            }
            let (a, b) = (*at(&mut z, m, (kx, ky)), at(&mut z, m, (-kx, -ky)).conj());
            let (x, y) = (self.factors(kx), self.factors(ky));
            let u = (a + b) * scale / (x.along * y.across);
            let v = Complex::new(0.0, -scale) * (a - b) / (x.across * y.along);
            let w = Complex::new(0.0, 1.0) * (v * f64::from(kx) - u * f64::from(ky));
            state.vorticity[[row, column]] = Complex::new(T::nearest(w.re), T::nearest(w.im));
        }
        state
    }

    /// Both axes of m × m numbers.
    fn transform(&self, plan: &Arc<dyn Fft<f64>>, z: &mut [Complex<f64>]) {
        for _ in 0..2 {
            plan.process(z);
            transpose(z, self.points);
        }
    }
}

fn at<T>(z: &mut [T], m: usize, (kx, ky): (i32, i32)) -> &mut T {
    let wrap = |k: i32| k.rem_euclid(m as i32) as usize;
    &mut z[wrap(kx) * m + wrap(ky)]
}

fn transpose<T>(z: &mut [T], m: usize) {
    for x in 0..m {
        for y in 0..x {
            z.swap(x * m + y, y * m + x);
        }
    }
}
