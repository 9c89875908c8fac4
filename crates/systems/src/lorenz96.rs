//! Lorenz's ring of coupled variables, the benchmark of data assimilation.

use sda_core::{Vectors, widest_vectors};

use crate::ensemble::{LANES, Lanes};
use crate::error::SystemError;
use crate::initial::InitialLaw;
use crate::normalisation::Normalisation;
use crate::runge_kutta::rk4;
use crate::system::System;

/// Lorenz-96 on a ring of n variables.
///
///   ẋ_i = (x_{i+1} − x_{i−2}) x_{i−1} − x_i + F; then N(0, diffusion² Δ I) added
///
/// Good values: n 32, F 16, Δ 0.01 in 2 RK4 substeps; assimilation's benchmark n 40, F 8, Δ 0.05 in one.
/// Source: Lorenz 1996, "Predictability: a problem partly solved".
#[derive(Clone, Debug, PartialEq)]
pub struct Lorenz96 {
    dt: f64,
    substeps: u32,
    state_dim: usize,
    forcing: f64,
    noise_std: Option<Vec<f64>>,
}

impl Lorenz96 {
    /// Errors: fewer than 4 variables, `dt` not positive, no substeps, `diffusion` negative, `forcing` not finite.
    pub fn new(
        dt: f64,
        substeps: u32,
        state_dim: usize,
        forcing: f64,
        diffusion: f64,
    ) -> Result<Self, SystemError> {
        let check = crate::config::Check("Lorenz96");
        check.integration(dt, substeps)?;
        check.that(
            "n",
            "4 … 65536, since x_{i−2} and x_{i+1} are distinct variables",
            state_dim,
            |n| (4..=65_536).contains(&n),
        )?;
        check.finite("forcing", forcing)?;
        let noise_std = check.noise_std(diffusion, dt)?.map(|std| vec![std; state_dim]);
        Ok(Self { dt, substeps, state_dim, forcing, noise_std })
    }
}

widest_vectors! {
    fn integrate(
        states: &mut [Lanes], h: f64, substeps: u32, forcing: f64, scratch: &mut Vec<Lanes>,
    ) -> () = integrate_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn integrate_body(states: &mut [Lanes], h: f64, substeps: u32, forcing: f64, scratch: &mut Vec<Lanes>) {
    for _ in 0..substeps {
        rk4(states, h, scratch, |x, dx| tendency(forcing, x, dx));
    }
}

/// ẋ for a block of members, the ring unrolled at its ends.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn tendency(forcing: f64, x: &[Lanes], dx: &mut [Lanes]) {
    let n = x.len();
    for (c, dx) in dx.iter_mut().enumerate() {
        let (ahead, behind, two_behind) = (&x[(c + 1) % n], &x[(c + n - 1) % n], &x[(c + n - 2) % n]);
        for i in 0..LANES {
            dx[i] = (ahead[i] - two_behind[i]) * behind[i] - x[c][i] + forcing;
        }
    }
}

impl System for Lorenz96 {
    fn name(&self) -> &'static str {
        "Lorenz96"
    }

    fn state_dim(&self) -> usize {
        self.state_dim
    }

    fn dt(&self) -> f64 {
        self.dt
    }

    fn component_names(&self) -> Vec<String> {
        (1..=self.state_dim).map(|c| format!("x{c}")).collect()
    }

    /// Mean m = 1.18 F^⅓ (fitted, F from 4 to 16) and variance m (F − m), which is the balance of energy
    /// ½ d⟨x²⟩/dt = F ⟨x⟩ − ⟨x²⟩ = 0. Below F = 4, where nothing was fitted: the fixed point F and scale 1, which are
    /// mean and deviation of no attractor.
    fn normalisation(&self) -> Normalisation {
        let mean = 1.18 * self.forcing.cbrt();
        let (offset, scale) = if self.forcing >= 4.0 {
            (mean, (mean * (self.forcing - mean)).sqrt())
        } else {
            (self.forcing, 1.0)
        };
        Normalisation { offset: vec![offset; self.state_dim], scale: vec![scale; self.state_dim] }
    }

    /// N(0, I).
    fn initial_law(&self) -> InitialLaw {
        InitialLaw::unit_gaussian(vec![0.0; self.state_dim])
    }

    fn advance(&self, states: &mut [Lanes], scratch: &mut Vec<Lanes>) {
        let h = self.dt / f64::from(self.substeps);
        integrate(Vectors::widest(), states, h, self.substeps, self.forcing, scratch);
    }

    fn noise_std(&self) -> Option<&[f64]> {
        self.noise_std.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, s};
    use sda_core::Stream;

    use super::*;
    use crate::reference::{Case, assert_close};
    use crate::{Simulation, transition_means};

    /// The reference was computed in the mirrored order: flip the ring before and after.
    #[test]
    fn reference_case() {
        let case = Case::read("dynamics_lorenz96");
        let flip = |a: Array2<f64>| a.slice(s![.., ..;-1]).to_owned();
        let system = Lorenz96::new(0.01, 2, 32, 16.0, 0.0).unwrap();
        let means = transition_means(&system, &flip(case.matrix("in.x")));
        assert_close(&flip(means), &case.matrix("out.mean"), 1e-6);
    }

    #[test]
    fn the_constant_state_is_a_fixed_point() {
        let system = Lorenz96::new(0.05, 1, 7, 8.0, 0.0).unwrap();
        for x in system.transition_mean(&[8.0; 7]) {
            assert!((x - 8.0).abs() < 1e-12);
        }
    }

    #[test]
    fn normalised_states_have_mean_zero_and_variance_one() {
        for (dt, substeps, n, forcing) in [(0.01, 2, 32, 16.0), (0.05, 1, 40, 8.0)] {
            let system = Lorenz96::new(dt, substeps, n, forcing, 0.0).unwrap();
            let burn_in = (10.0 / dt) as u32;
            let run = Simulation { system: &system, burn_in, steps: 1, stream: Stream::new(0, 0) };
            let mut states = run.trajectories(0..256).unwrap();
            system.normalisation().normalise(&mut states);
            let (mean, std) = (states.mean().unwrap(), states.std(0.0));
            assert!(mean.abs() < 0.05 && (std - 1.0).abs() < 0.05, "F = {forcing}: mean {mean}, std {std}");
        }
    }
}
