//! Predator and prey, in logarithms of their populations.

use crate::ensemble::Lanes;
use crate::error::SystemError;
use crate::initial::InitialLaw;
use crate::normalisation::Normalisation;
use crate::runge_kutta::rk4_small;
use crate::system::System;

/// Lotka–Volterra for log-populations x (prey) and y (predators).
///
///   ẋ = α − β eʸ, ẏ = δ eˣ − γ; then N(0, diffusion² Δ I) added
///
/// Good values: all four rates 1, Δ 0.05 in 4 RK4 substeps, diffusion 0.
#[derive(Clone, Debug, PartialEq)]
pub struct LotkaVolterra {
    dt: f64,
    substeps: u32,
    rates: [f64; 4],
    noise_std: Option<[f64; 2]>,
}

impl LotkaVolterra {
    /// `rates` are α, β, δ, γ.
    ///
    /// Errors: `dt` not positive, no substeps, `diffusion` negative, a rate not positive.
    pub fn new(dt: f64, substeps: u32, rates: [f64; 4], diffusion: f64) -> Result<Self, SystemError> {
        let check = crate::config::Check("LotkaVolterra");
        check.integration(dt, substeps)?;
        for (field, rate) in ["alpha", "beta", "delta", "gamma"].into_iter().zip(rates) {
            check.positive(field, rate)?;
        }
        let noise_std = check.noise_std(diffusion, dt)?.map(|std| [std; 2]);
        Ok(Self { dt, substeps, rates, noise_std })
    }
}

impl System for LotkaVolterra {
    fn name(&self) -> &'static str {
        "LotkaVolterra"
    }

    fn state_dim(&self) -> usize {
        2
    }

    fn dt(&self) -> f64 {
        self.dt
    }

    fn component_names(&self) -> Vec<String> {
        ["log prey", "log predators"].map(String::from).to_vec()
    }

    /// About the fixed point (ln γ/δ, ln α/β); the orbits from U(0,1)² reach about 1 to either side.
    fn normalisation(&self) -> Normalisation {
        let [alpha, beta, delta, gamma] = self.rates;
        Normalisation { offset: vec![(gamma / delta).ln(), (alpha / beta).ln()], scale: vec![1.0; 2] }
    }

    /// U(0, 1)².
    fn initial_law(&self) -> InitialLaw {
        InitialLaw::Uniform { low: vec![0.0; 2], high: vec![1.0; 2] }
    }

    fn advance(&self, states: &mut [Lanes], _: &mut Vec<Lanes>) {
        let [alpha, beta, delta, gamma] = self.rates;
        for _ in 0..self.substeps {
            rk4_small(states, self.dt / f64::from(self.substeps), |[x, y]: [f64; 2]| {
                [alpha - beta * y.exp(), delta * x.exp() - gamma]
            });
        }
    }

    fn noise_std(&self) -> Option<&[f64]> {
        self.noise_std.as_ref().map(<[f64; 2]>::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use sda_core::Stream;

    use super::*;
    use crate::reference::{Case, assert_close};
    use crate::{Simulation, transition_means};

    fn system() -> LotkaVolterra {
        LotkaVolterra::new(0.05, 4, [1.0; 4], 0.0).unwrap()
    }

    #[test]
    fn reference_case() {
        let case = Case::read("dynamics_lotka_volterra");
        assert_close(&transition_means(&system(), &case.matrix("in.x")), &case.matrix("out.mean"), 1e-6);
    }

    /// δ eˣ − γ x + β eʸ − α y is constant along orbits.
    #[test]
    fn the_first_integral_is_kept() {
        let run = Simulation { system: &system(), burn_in: 0, steps: 200, stream: Stream::new(0, 0) };
        for orbit in run.trajectories(0..70).unwrap().outer_iter() {
            let integral =
                |i: usize| orbit[[i, 0]].exp() - orbit[[i, 0]] + orbit[[i, 1]].exp() - orbit[[i, 1]];
            assert!((0.0..1.0).contains(&orbit[[0, 0]]) && (0.0..1.0).contains(&orbit[[0, 1]]));
            assert!((0..200).all(|i| (integral(i) - integral(0)).abs() < 1e-7));
        }
    }
}
