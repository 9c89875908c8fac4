//! A flow at one moment.

use ndarray::Array2;
use rustfft::num_complex::Complex;

use super::modes::Modes;
use super::transform::FlowReal;

/// Coefficients of the vorticity, and the mean velocity beside them.
///
///   ω(x) = Σ_k ω̂(k) e^{i k·x}, ω̂(−k) = ω̂(k)*, ω̂(0) = 0
///
/// Shapes: `vorticity` [k + 1, 2 k + 1] as [`Modes`] has it.
/// Units: those of the equation, 2π a box.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralState<T> {
    /// Which modes.
    pub modes: Modes,
    /// ω̂.
    pub vorticity: Array2<Complex<T>>,
    /// (Ū, V̄).
    pub mean: [T; 2],
}

impl<T: FlowReal> SpectralState<T> {
    /// At rest.
    pub fn rest(modes: Modes) -> Self {
        let vorticity =
            Array2::from_elem((modes.rows(), modes.columns()), Complex::new(T::zero(), T::zero()));
        Self { modes, vorticity, mean: [T::zero(); 2] }
    }

    /// ω̂ where it is stored, in f64: k_y ≥ 0. 0 where it is not kept.
    pub fn mode(&self, kx: i32, ky: i32) -> Complex<f64> {
        let conjugate = ky < 0;
        let (kx, ky) = if conjugate { (-kx, -ky) } else { (kx, ky) };
        match self.modes.column(kx) {
            Some(column) if (ky as usize) < self.modes.rows() => {
                let w = self.vorticity[[ky as usize, column]];
                let w = Complex::new(w.re.widen(), w.im.widen());
                if conjugate { w.conj() } else { w }
            }
            _ => Complex::default(),
        }
    }

    /// Adds a e^{i k·x} + its conjugate to the vorticity, for k ≠ 0.
    ///
    /// Panics: the mode is not kept, or is k = 0.
    #[track_caller]
    pub fn add_wave(&mut self, (kx, ky): (i32, i32), amplitude: Complex<f64>) {
        assert!((kx, ky) != (0, 0), "the mean vorticity of a periodic flow is 0");
        for (kx, ky, a) in [(kx, ky, amplitude), (-kx, -ky, amplitude.conj())] {
            if ky >= 0 {
                let column = self.modes.column(kx).filter(|_| (ky as usize) < self.modes.rows());
                let column = column.unwrap_or_else(|| panic!("mode ({kx}, {ky}) is not kept"));
                let w = &mut self.vorticity[[ky as usize, column]];
                *w = Complex::new(w.re + T::nearest(a.re), w.im + T::nearest(a.im));
            }
        }
    }

    /// On another grid: modes that only one of them keeps are 0 or left out.
    pub fn on(&self, modes: Modes) -> Self {
        let mut out = Self::rest(modes);
        for ((row, column), (kx, _), _) in modes.iter() {
            if let Some(from) = self.modes.column(kx).filter(|_| row < self.modes.rows()) {
                out.vorticity[[row, column]] = self.vorticity[[row, from]];
            }
        }
        out.mean = self.mean;
        out
    }

    /// In another precision.
    pub fn cast<S: FlowReal>(&self) -> SpectralState<S> {
        let to = |x: T| S::nearest(x.widen());
        SpectralState {
            modes: self.modes,
            vorticity: self.vorticity.map(|w| Complex::new(to(w.re), to(w.im))),
            mean: self.mean.map(to),
        }
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.mean.iter().all(|&m| m.widen().is_finite())
            && self.vorticity.iter().all(|w| w.re.widen().is_finite() && w.im.widen().is_finite())
    }
}
