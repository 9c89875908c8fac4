//! Integrals of a flow, from its coefficients.

use super::parameters::Forcing;
use super::state::SpectralState;
use super::transform::FlowReal;

/// Means over the box.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostics {
    /// E = ½⟨u² + v²⟩, of the mean flow too.
    pub energy: f64,
    /// Z = ½⟨ω²⟩.
    pub enstrophy: f64,
    /// P = ½⟨|∇ω|²⟩.
    pub palinstrophy: f64,
    /// ⟨u f⟩, the power of the force.
    pub energy_input: f64,
    /// ⟨ω ∇×f⟩.
    pub enstrophy_input: f64,
    /// E(k) of the shells round(|k|) = 0, 1, …, which sum to E.
    pub spectrum: Vec<f64>,
}

impl Diagnostics {
    /// Of a state under a force.
    pub fn of<T: FlowReal>(state: &SpectralState<T>, forcing: Forcing) -> Self {
        let shells = (state.modes.largest() as f64 * 2f64.sqrt()).round() as usize + 1;
        let mut spectrum = vec![0.0; shells];
        let (mut enstrophy, mut palinstrophy) = (0.0, 0.0);
        for ((row, column), (kx, ky), weight) in state.modes.iter() {
            let k2 = f64::from(kx * kx + ky * ky);
            let w = state.vorticity[[row, column]];
            let z = 0.5 * weight * (w.re.widen().powi(2) + w.im.widen().powi(2));
            if k2 > 0.0 {
                spectrum[k2.sqrt().round() as usize] += z / k2;
                enstrophy += z;
                palinstrophy += k2 * z;
            }
        }
        spectrum[0] = 0.5 * state.mean.iter().map(|m| m.widen().powi(2)).sum::<f64>();
        let n = forcing.wavenumber as i32;
        let forced = state.mode(0, n).re;
        Self {
            energy: spectrum.iter().sum(),
            enstrophy,
            palinstrophy,
            energy_input: -forcing.amplitude * forced / f64::from(n),
            enstrophy_input: -forcing.amplitude * f64::from(n) * forced,
            spectrum,
        }
    }
}
