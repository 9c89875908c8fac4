//! Runge–Kutta with an integrating factor, in steps that the state's speed decides.

use rustfft::num_complex::Complex;
use sda_core::{Vectors, widest_vectors};
use thiserror::Error;

use super::modes::Modes;
use super::parameters::{Flow, Forcing};
use super::state::SpectralState;
use super::transform::{FlowReal, Transform};

/// h k max(|u| + |v|) of a step; RK4 is stable to 2√2 on the imaginary axis.
const COURANT: f64 = 2.5;
/// What the speed may grow by before the next state.
const MARGIN: f64 = 1.05;
/// Steps between two states beyond which a flow counts as lost: at 128² a speed of 4600 with Δ 0.2.
const MOST_SUBSTEPS: f64 = 16_384.0;

/// Attempts at one state, each in more steps.
const ATTEMPTS: usize = 6;

/// The flow did not stay finite or became far too fast for its steps, however many were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it takes more than {substeps} steps between two states")]
pub struct BlowUp {
    /// Steps that would have been taken next.
    pub substeps: u32,
}

/// A flow's solver with its plans and buffers: one thread's.
///
/// Linear terms go through e^{L h} exactly, L = −ν k² − μ; the rest by the classical Runge–Kutta scheme of order 4:
///
///   k₁ = N(y), k₂ = N(E (y + h/2 k₁)), k₃ = N(E y + h/2 k₂), k₄ = N(E² y + h E k₃), E = e^{L h/2}
///   y ← E² (y + h/6 k₁) + h/3 E (k₂ + k₃) + h/6 k₄
///   N̂ = (k_x² − k_y²) (uv)^ + k_x k_y (v² − u²)^ + (∇×f)^
///
/// Source: Canuto et al. 2006, "Spectral Methods", appendix D; Basdevant 1983 for N̂.
pub struct Solver<T: FlowReal> {
    flow: Flow,
    vectors: Vectors,
    transform: Transform<T>,
    /// 1/k², 0 at 0 [k + 1, 2 k + 1].
    inverse_k2: Vec<T>,
    /// k_x [2 k + 1].
    kx: Vec<T>,
    /// e^{−ν k_x² h/2} [2 k + 1].
    decay_x: Vec<T>,
    /// e^{−(ν k_y² + μ) h/2} [k + 1].
    decay_y: Vec<T>,
    /// Where the tendency is taken next.
    argument: Vec<Complex<T>>,
    /// What the step has come to so far.
    sum: Vec<Complex<T>>,
}

impl<T: FlowReal> Solver<T> {
    /// Of a flow.
    pub fn new(flow: &Flow) -> Self {
        let modes = flow.modes();
        let size = modes.rows() * modes.columns();
        let zero = Complex::new(T::zero(), T::zero());
        let inverse = |(kx, ky): (i32, i32)| {
            let k2 = f64::from(kx * kx + ky * ky);
            T::nearest(if k2 > 0.0 { k2.recip() } else { 0.0 })
        };
        Self {
            flow: flow.clone(),
            vectors: Vectors::widest(),
            transform: Transform::new(modes),
            inverse_k2: modes.iter().map(|(_, k, _)| inverse(k)).collect(),
            kx: (0..modes.columns()).map(|c| T::nearest(f64::from(modes.kx(c)))).collect(),
            decay_x: vec![T::zero(); modes.columns()],
            decay_y: vec![T::zero(); modes.rows()],
            argument: vec![zero; size],
            sum: vec![zero; size],
        }
    }

    /// The flow.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Goes on to the next state, `dt` later.
    ///
    ///   M = max(n/8, ⌈Δ k 1.05 max(|u| + |v|)/2.5⌉)
    ///
    /// steps, a function of the state alone. Where that ends in ∞ or NaN, or at a speed that asks for more than 3/2 M, again
    /// from the same state, with 2 M or as many as that speed asks for. Returns the steps that were used.
    ///
    /// Errors: six attempts did not end well, or the speed asks for more than 16 384 steps; `state` is what it was.
    pub fn advance(&mut self, state: &mut SpectralState<T>) -> Result<u32, BlowUp> {
        let before = state.clone();
        let mut substeps = self.substeps(state)?;
        for _ in 0..ATTEMPTS {
            self.integrate(state, self.flow.dt(), substeps);
            let next = if state.is_finite() { self.substeps(state).ok() } else { None };
            match next {
                Some(next) if 2 * next <= 3 * substeps => return Ok(substeps),
                _ => substeps = (2 * substeps).max(next.unwrap_or(0)),
            }
            state.clone_from(&before);
        }
        Err(BlowUp { substeps })
    }

    /// M, the steps to the next state.
    ///
    /// Errors: more than 16 384, or a speed that is not finite.
    pub fn substeps(&mut self, state: &SpectralState<T>) -> Result<u32, BlowUp> {
        let modes = self.flow.modes();
        let needed = self.flow.dt() * modes.largest() as f64 * MARGIN * self.speed(state) / COURANT;
        let substeps = needed.ceil().max((modes.grid() / 8) as f64);
        if needed <= MOST_SUBSTEPS {
            Ok(substeps as u32)
        } else {
            Err(BlowUp { substeps: MOST_SUBSTEPS as u32 })
        }
    }

    /// max(|u| + |v|) over the grid; NaN where a velocity is.
    pub fn speed(&mut self, state: &SpectralState<T>) -> f64 {
        let points = self.velocity(state).iter();
        let speeds = points.map(|z| z.re.abs() + z.im.abs());
        // A comparison would pass over NaN.
        speeds
            .fold(T::zero(), |most, s| if s > most || s.partial_cmp(&s).is_none() { s } else { most })
            .widen()
    }

    /// u + i v on the grid.
    ///
    /// Shapes: result [n (x), n (y)], until the solver is next used.
    pub fn velocity(&mut self, state: &SpectralState<T>) -> &[Complex<T>] {
        self.argument.copy_from_slice(coefficients(state));
        self.set_points(state.mean);
        &self.transform.points
    }

    /// N̂ of a state, the force included.
    ///
    /// Shapes: as [`SpectralState::vorticity`].
    pub fn tendency(&mut self, state: &SpectralState<T>) -> SpectralState<T> {
        self.velocity(state);
        self.set_products();
        let mut out = SpectralState::rest(state.modes);
        for (row, mut values) in out.vorticity.outer_iter_mut().enumerate() {
            let products = Products::new(state.modes, &self.kx, &self.transform.rows, row);
            products.each(|column, n| values[column] = n);
        }
        out
    }

    /// Goes on by a time in so many steps.
    ///
    /// Panics: the state has another grid than the flow; no steps.
    #[track_caller]
    pub fn integrate(&mut self, state: &mut SpectralState<T>, duration: f64, substeps: u32) {
        assert_eq!(state.modes, self.flow.modes(), "a state of another grid than the flow's");
        assert!(substeps > 0, "no steps over a time of {duration}");
        let h = duration / f64::from(substeps);
        self.set_step(h);
        for _ in 0..substeps {
            self.step(state, h);
        }
    }

    /// Half a step's decay.
    fn set_step(&mut self, h: f64) {
        let (nu, mu) = (self.flow.viscosity(), self.flow.drag());
        let of = |k: f64, drag: f64| T::nearest((-(nu * k * k + drag) * h / 2.0).exp());
        self.decay_x.iter_mut().zip(&self.kx).for_each(|(e, kx)| *e = of(kx.widen(), 0.0));
        self.decay_y.iter_mut().enumerate().for_each(|(ky, e)| *e = of(ky as f64, mu));
    }

    fn step(&mut self, state: &mut SpectralState<T>, h: f64) {
        let half = T::nearest((-self.flow.drag() * h / 2.0).exp());
        let later = state.mean.map(|m| m * half);
        let end = state.mean.map(|m| m * half * half);
        self.argument.copy_from_slice(coefficients(state));
        for (stage, mean) in [state.mean, later, later, end].into_iter().enumerate() {
            self.set_points(mean);
            self.set_products();
            let values = state.vorticity.as_slice_mut().expect("a state is contiguous");
            let update = Update {
                modes: self.flow.modes(),
                stage,
                h: T::nearest(h),
                kx: &self.kx,
                decay: (&self.decay_x, &self.decay_y),
            };
            apply(self.vectors, &update, &self.transform.rows, (values, &mut self.sum, &mut self.argument));
        }
        state.mean = end;
    }

    /// The points' squares to rows, of which [`Products`] makes N̂.
    fn set_products(&mut self) {
        self.transform.rows_of_squares();
        // What makes N̂ at (0, n) that of ∇×f = −A n cos(n y), −A n/2, more.
        let Forcing { wavenumber, amplitude } = self.flow.forcing();
        let grid = self.flow.modes().grid();
        let force = 2.0 * amplitude * (grid * grid) as f64 / wavenumber as f64;
        let forced = &mut self.transform.rows[2 * wavenumber * grid].im;
        *forced = *forced + T::nearest(force);
    }

    /// u + i v of `argument` to the transform's points.
    fn set_points(&mut self, mean: [T; 2]) {
        let modes = self.flow.modes();
        velocities(
            self.vectors,
            modes,
            &self.argument,
            (&self.kx, &self.inverse_k2),
            &mut self.transform.rows,
        );
        let n = modes.grid();
        self.transform.rows[0].re = mean[0];
        self.transform.rows[n].re = mean[1];
        self.transform.points_of_rows();
    }
}

fn coefficients<T>(state: &SpectralState<T>) -> &[Complex<T>] {
    state.vorticity.as_slice().expect("a state is contiguous")
}

widest_vectors! {
    /// û = i k_y ω̂/k² and v̂ = −i k_x ω̂/k² of each k_y, laid out for the transform.
    fn velocities[T: FlowReal](
        modes: Modes, vorticity: &[Complex<T>], tables: (&[T], &[T]), rows: &mut [Complex<T>],
    ) -> () = velocities_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn velocities_body<T: FlowReal>(
    modes: Modes,
    vorticity: &[Complex<T>],
    (kx, inverse_k2): (&[T], &[T]),
    rows: &mut [Complex<T>],
) {
    let (n, columns, positive) = (modes.grid(), modes.columns(), modes.largest() + 1);
    for (ky, pair) in rows.chunks_exact_mut(2 * n).enumerate() {
        let of = ky * columns..(ky + 1) * columns;
        let (w, inverse) = (&vorticity[of.clone()], &inverse_k2[of]);
        let ky = T::nearest(ky as f64);
        let (us, vs) = pair.split_at_mut(n);
        for (columns, at) in [(0..positive, 0), (positive..columns, n - modes.largest())] {
            let length = columns.len();
            let (us, vs) = (&mut us[at..at + length], &mut vs[at..at + length]);
            let (w, kx, inverse) = (&w[columns.clone()], &kx[columns.clone()], &inverse[columns]);
            for i in 0..length {
                let (a, b) = (ky * inverse[i], kx[i] * inverse[i]);
                us[i] = Complex::new(-(a * w[i].im), a * w[i].re);
                vs[i] = Complex::new(b * w[i].im, -(b * w[i].re));
            }
        }
        for gap in [us, vs] {
            gap[positive..n - modes.largest()].fill(Complex::new(T::zero(), T::zero()));
        }
    }
}

/// N̂ of one k_y.
struct Products<'a, T> {
    modes: Modes,
    kx: &'a [T],
    /// Of z² − (z²)*, and of z² + (z²)* [n].
    pair: (&'a [Complex<T>], &'a [Complex<T>]),
    ky: T,
    scale: T,
}

impl<'a, T: FlowReal> Products<'a, T> {
    #[inline(always)]
    #[allow(clippy::inline_always)] // as above
    fn new(modes: Modes, kx: &'a [T], rows: &'a [Complex<T>], row: usize) -> Self {
        let n = modes.grid();
        let pair = rows[2 * row * n..2 * (row + 1) * n].split_at(n);
        Self { modes, kx, pair, ky: T::nearest(row as f64), scale: T::nearest(0.25 / (n * n) as f64) }
    }

    /// With P = 4i (uv)^ and Q = 2 (u² − v²)^: N̂ = −i (k_x² − k_y²)/4 P − k_x k_y/2 Q.
    #[inline(always)]
    #[allow(clippy::inline_always)] // as above
    fn each(&self, mut take: impl FnMut(usize, Complex<T>)) {
        let (n, columns, positive) = (self.modes.grid(), self.modes.columns(), self.modes.largest() + 1);
        for (first, last, at) in [(0, positive, 0), (positive, columns, n - self.modes.largest())] {
            let length = last - first;
            let (p, q) = (&self.pair.0[at..at + length], &self.pair.1[at..at + length]);
            let kx = &self.kx[first..last];
            for i in 0..length {
                let a = (kx[i] - self.ky) * (kx[i] + self.ky) * self.scale;
                let b = (kx[i] + kx[i]) * self.ky * self.scale;
                take(first + i, Complex::new(a * p[i].im - b * q[i].re, -(a * p[i].re) - b * q[i].im));
            }
        }
    }
}

/// One stage of a step.
struct Update<'a, T> {
    modes: Modes,
    stage: usize,
    h: T,
    kx: &'a [T],
    decay: (&'a [T], &'a [T]),
}

type Buffers<'a, T> = (&'a mut [Complex<T>], &'a mut [Complex<T>], &'a mut [Complex<T>]);

widest_vectors! {
    /// Takes a tendency into the step: `buffers` are the state, the sum and the next argument [k + 1, 2 k + 1].
    fn apply[T: FlowReal](update: &Update<'_, T>, rows: &[Complex<T>], buffers: Buffers<'_, T>) -> () = apply_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn apply_body<T: FlowReal>(
    update: &Update<'_, T>,
    rows: &[Complex<T>],
    (state, sum, argument): Buffers<'_, T>,
) {
    let columns = update.modes.columns();
    let [half, third, sixth] = [2.0, 3.0, 6.0].map(|d| update.h / T::nearest(d));
    for row in 0..update.modes.rows() {
        let of = row * columns..(row + 1) * columns;
        let (y, s, a) = (&mut state[of.clone()], &mut sum[of.clone()], &mut argument[of]);
        let products = Products::new(update.modes, update.kx, rows, row);
        let (decay_x, decay_y) = (&update.decay.0[..columns], update.decay.1[row]);
        let decay = |i: usize| decay_x[i] * decay_y;
        match update.stage {
            0 => products.each(|i, n| {
                let e = decay(i);
                s[i] = (y[i] + n.scale(sixth)).scale(e * e);
                a[i] = (y[i] + n.scale(half)).scale(e);
            }),
            1 => products.each(|i, n| {
                let e = decay(i);
                s[i] = s[i] + n.scale(third * e);
                a[i] = y[i].scale(e) + n.scale(half);
            }),
            2 => products.each(|i, n| {
                let e = decay(i);
                s[i] = s[i] + n.scale(third * e);
                a[i] = y[i].scale(e * e) + n.scale(update.h * e);
            }),
            _ => products.each(|i, n| {
                y[i] = s[i] + n.scale(sixth);
                a[i] = y[i];
            }),
        }
    }
}
