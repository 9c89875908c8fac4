//! Lorenz's convection model of three variables.

use sda_core::{Vectors, widest_vectors};

use crate::ensemble::Lanes;
use crate::error::SystemError;
use crate::initial::InitialLaw;
use crate::normalisation::Normalisation;
use crate::runge_kutta::rk4_small;
use crate::system::System;

/// Lorenz-63, with or without noise.
///
///   ẋ = σ (y − x), ẏ = x (ρ − z) − y, ż = x y − β z; then N(0, diffusion² Δ I) added
///
/// Good values: σ 10, ρ 28, β 8/3, Δ 0.025 in one RK4 step, diffusion 1 (0 is the deterministic system).
/// Source: Lorenz 1963; the noisy chain is Rozet & Louppe 2023, arXiv 2306.10574, section 4.1.
#[derive(Clone, Debug, PartialEq)]
pub struct Lorenz63 {
    dt: f64,
    substeps: u32,
    sigma: f64,
    rho: f64,
    beta: f64,
    noise_std: Option<[f64; 3]>,
}

impl Lorenz63 {
    /// Errors: `dt` not positive, no substeps, `diffusion` negative, a parameter not finite.
    pub fn new(
        dt: f64,
        substeps: u32,
        (sigma, rho, beta): (f64, f64, f64),
        diffusion: f64,
    ) -> Result<Self, SystemError> {
        let check = crate::config::Check("Lorenz63");
        check.integration(dt, substeps)?;
        check.finite("sigma", sigma)?;
        check.finite("rho", rho)?;
        check.finite("beta", beta)?;
        let noise_std = check.noise_std(diffusion, dt)?.map(|std| [std; 3]);
        Ok(Self { dt, substeps, sigma, rho, beta, noise_std })
    }
}

widest_vectors! {
    fn integrate(states: &mut [Lanes], h: f64, substeps: u32, parameters: [f64; 3]) -> () = integrate_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn integrate_body(states: &mut [Lanes], h: f64, substeps: u32, [sigma, rho, beta]: [f64; 3]) {
    for _ in 0..substeps {
        rk4_small(states, h, |[x, y, z]: [f64; 3]| [sigma * (y - x), x * (rho - z) - y, x * y - beta * z]);
    }
}

impl System for Lorenz63 {
    fn name(&self) -> &'static str {
        "Lorenz63"
    }

    fn state_dim(&self) -> usize {
        3
    }

    fn dt(&self) -> f64 {
        self.dt
    }

    fn component_names(&self) -> Vec<String> {
        ["x", "y", "z"].map(String::from).to_vec()
    }

    fn normalisation(&self) -> Normalisation {
        Normalisation { offset: vec![0.0, 0.0, 25.0], scale: vec![8.0, 9.0, 8.6] }
    }

    /// N((0, 0, 25), [[64, 50, 0], [50, 81, 0], [0, 0, 75]]).
    fn initial_law(&self) -> InitialLaw {
        InitialLaw::Gaussian {
            mean: vec![0.0, 0.0, 25.0],
            factor: vec![
                vec![8.0, 0.0, 0.0],
                vec![6.25, (81.0 - 6.25 * 6.25f64).sqrt(), 0.0],
                vec![0.0, 0.0, 75f64.sqrt()],
            ],
        }
    }

    fn advance(&self, states: &mut [Lanes], _: &mut Vec<Lanes>) {
        let h = self.dt / f64::from(self.substeps);
        integrate(Vectors::widest(), states, h, self.substeps, [self.sigma, self.rho, self.beta]);
    }

    fn noise_std(&self) -> Option<&[f64]> {
        self.noise_std.as_ref().map(<[f64; 3]>::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;
    use sda_core::Stream;

    use super::*;
    use crate::reference::{Case, assert_close};
    use crate::{Simulation, log_transitions, transition_means};

    fn noisy() -> Lorenz63 {
        Lorenz63::new(0.025, 1, (10.0, 28.0, 8.0 / 3.0), 1.0).unwrap()
    }

    #[test]
    fn reference_case() {
        let case = Case::read("dynamics_lorenz63");
        let (x, next) = (case.matrix("in.x"), case.matrix("in.next"));
        assert_close(&transition_means(&noisy(), &x), &case.matrix("out.mean"), 1e-6);
        let log = log_transitions(&noisy(), &x, &next).unwrap();
        assert_close(&log, &case.vector("out.log_prob"), 1e-5);
        let mut normal = x;
        noisy().normalisation().normalise(&mut normal);
        assert_close(&normal, &case.matrix("out.preprocess"), 1e-6);
    }

    #[test]
    fn initial_law_has_its_mean_and_covariance() {
        let n = 1 << 15;
        let start = Simulation { system: &noisy(), burn_in: 0, steps: 1, stream: Stream::new(1, 2) };
        let states = start.trajectories(0..n).unwrap().remove_axis(Axis(1));
        let mean = states.mean_axis(Axis(0)).unwrap();
        let centred = &states - &mean;
        let covariance = centred.t().dot(&centred) / f64::from(n);
        let want = [[64.0, 50.0, 0.0], [50.0, 81.0, 0.0], [0.0, 0.0, 75.0]];
        for r in 0..3 {
            assert!((mean[r] - [0.0, 0.0, 25.0][r]).abs() < 5.0 * f64::sqrt(want[r][r] / f64::from(n)));
            for c in 0..3 {
                let sd = f64::sqrt((want[r][r] * want[c][c] + f64::powi(want[r][c], 2)) / f64::from(n));
                assert!((covariance[[r, c]] - want[r][c]).abs() < 5.0 * sd, "{covariance}");
            }
        }
    }
}
