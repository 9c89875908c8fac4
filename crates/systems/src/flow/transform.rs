//! From coefficients to velocities on the grid, and from their products back.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftNum, FftPlanner};
use sda_core::{Vectors, widest_vectors};

use super::modes::Modes;

/// f32 or f64, with their Fourier transforms.
pub trait FlowReal: FftNum + PartialOrd {
    /// Nearest value.
    fn nearest(x: f64) -> Self;
    /// Exact value.
    fn widen(self) -> f64;
}

impl FlowReal for f32 {
    fn nearest(x: f64) -> Self {
        x as Self
    }
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl FlowReal for f64 {
    fn nearest(x: f64) -> Self {
        x
    }
    fn widen(self) -> f64 {
        self
    }
}

/// Points of a side of the squares that a transposition goes by: 8 kB of complex f64 in either array.
const TILE: usize = 16;

/// Both transforms of one grid, with their buffers: one thread's.
///
/// Two real fields go as one complex: z = u + i v, and z² = (u² − v²) + 2 i u v has both products that the vorticity
/// needs. So one inverse and one forward complex transform are an evaluation, where four real ones were.
pub(super) struct Transform<T: FlowReal> {
    modes: Modes,
    vectors: Vectors,
    inverse: Arc<dyn Fft<T>>,
    forward: Arc<dyn Fft<T>>,
    scratch: Vec<Complex<T>>,
    /// Transformed along x only: for each k_y ≥ 0 two rows over x [k + 1, 2, n].
    pub(super) rows: Vec<Complex<T>>,
    /// On the grid: u + i v, then its square [n (x), n (y)].
    pub(super) points: Vec<Complex<T>>,
}

impl<T: FlowReal> Transform<T> {
    pub(super) fn new(modes: Modes) -> Self {
        let n = modes.grid();
        let mut planner = FftPlanner::new();
        let (inverse, forward) = (planner.plan_fft_inverse(n), planner.plan_fft_forward(n));
        let scratch = inverse.get_inplace_scratch_len().max(forward.get_inplace_scratch_len());
        let zero = Complex::new(T::zero(), T::zero());
        Self {
            modes,
            vectors: Vectors::widest(),
            inverse,
            forward,
            scratch: vec![zero; scratch],
            rows: vec![zero; 2 * modes.rows() * n],
            points: vec![zero; n * n],
        }
    }

    /// `rows`, which hold û and v̂ of each k_y over k_x in the transform's order, to u + i v in `points`.
    pub(super) fn points_of_rows(&mut self) {
        self.inverse.process_with_scratch(&mut self.rows, &mut self.scratch);
        spread(self.vectors, self.modes, &self.rows, &mut self.points);
        self.inverse.process_with_scratch(&mut self.points, &mut self.scratch);
    }

    /// z² of `points`, transformed, to `rows`: of each k_y the coefficients over k_x of z² − (z²)* and z² + (z²)*, each
    /// times n².
    pub(super) fn rows_of_squares(&mut self) {
        square(self.vectors, &mut self.points);
        self.forward.process_with_scratch(&mut self.points, &mut self.scratch);
        gather(self.vectors, self.modes, &self.points, &mut self.rows);
        self.forward.process_with_scratch(&mut self.rows, &mut self.scratch);
    }
}

widest_vectors! {
    /// Of each x, U + i V at k_y and U* + i V* at −k_y, zeros between.
    fn spread[T: FlowReal](modes: Modes, rows: &[Complex<T>], points: &mut [Complex<T>]) -> () = spread_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn spread_body<T: FlowReal>(modes: Modes, rows: &[Complex<T>], points: &mut [Complex<T>]) {
    let (n, k) = (modes.grid(), modes.largest());
    for x0 in (0..n).step_by(TILE) {
        let xs = x0..n.min(x0 + TILE);
        for x in xs.clone() {
            points[x * n + k + 1..x * n + n - k].fill(Complex::new(T::zero(), T::zero()));
        }
        for ky in 0..=k {
            let (us, vs) = rows[2 * ky * n..2 * (ky + 1) * n].split_at(n);
            for x in xs.clone() {
                let (u, v) = (us[x], vs[x]);
                points[x * n + ky] = Complex::new(u.re - v.im, u.im + v.re);
                if ky > 0 {
                    points[x * n + n - ky] = Complex::new(u.re + v.im, v.re - u.im);
                }
            }
        }
    }
}

widest_vectors! {
    /// Of each k_y, W(k_y) − W(−k_y)* and W(k_y) + W(−k_y)* over x.
    fn gather[T: FlowReal](modes: Modes, points: &[Complex<T>], rows: &mut [Complex<T>]) -> () = gather_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn gather_body<T: FlowReal>(modes: Modes, points: &[Complex<T>], rows: &mut [Complex<T>]) {
    let (n, k) = (modes.grid(), modes.largest());
    for x0 in (0..n).step_by(TILE) {
        let xs = x0..n.min(x0 + TILE);
        for ky in 0..=k {
            let (minus, plus) = rows[2 * ky * n..2 * (ky + 1) * n].split_at_mut(n);
            for x in xs.clone() {
                let (a, b) = (points[x * n + ky], points[x * n + (n - ky) % n]);
                minus[x] = Complex::new(a.re - b.re, a.im + b.im);
                plus[x] = Complex::new(a.re + b.re, a.im - b.im);
            }
        }
    }
}

widest_vectors! {
    fn square[T: FlowReal](points: &mut [Complex<T>]) -> () = square_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn square_body<T: FlowReal>(points: &mut [Complex<T>]) {
    for z in points {
        let (u, v) = (z.re, z.im);
        *z = Complex::new((u - v) * (u + v), (u + u) * v);
    }
}
