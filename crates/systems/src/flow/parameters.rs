//! What a flow is made of, checked.

use serde::{Deserialize, Serialize};

use super::initial::FlowStart;
use super::modes::Modes;
use super::output::Output;
use crate::config::Check;
use crate::error::SystemError;

/// The force A sin(n y) along x.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forcing {
    /// n.
    pub wavenumber: usize,
    /// A; 0 is none.
    pub amplitude: f64,
}

/// Kolmogorov flow by the data that it makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    /// ν 1e-3, Re 1000, whose statistics no longer depend on the grid.
    #[default]
    Converged,
    /// ν 1.9e-3, chosen for statistics like the published data's, whose finite volumes dissipate beside the viscosity 1e-3
    /// that they are given.
    Published,
}

impl Preset {
    /// ν.
    pub fn viscosity(self) -> f64 {
        match self {
            Self::Converged => 1e-3,
            Self::Published => 1.9e-3,
        }
    }
}

/// A flow on [0, 2π]², its grid, and how it is seen.
///
/// Good values: Kolmogorov flow at ν 1e-3, μ 0.1, n 4, A 1, `dt` 0.2 on 128², seen on 64². Of one such state 128² points
/// are off by 0.22 %, 96² by 0.65 %, against 256² (the test `coarser_grids_are_off_by_less_the_finer_they_are`).
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    name: &'static str,
    modes: Modes,
    viscosity: f64,
    drag: f64,
    forcing: Forcing,
    dt: f64,
    start: FlowStart,
    output: Output,
}

impl Flow {
    /// A flow of viscosity ν and drag μ on a grid of n × n points; `dt` between states, each seen on `output` points.
    ///
    /// Errors: a grid that is too small or odd, a viscosity or drag that is negative, a force that the grid does not
    /// keep, a time that is not positive, output on more points than the grid has.
    pub fn new(
        name: &'static str,
        (grid, output): (usize, usize),
        (viscosity, drag): (f64, f64),
        forcing: Forcing,
        dt: f64,
        start: FlowStart,
    ) -> Result<Self, SystemError> {
        let check = Check(name);
        check.that("grid", "even, 8 … 4096", grid, |n| (8..=4096).contains(&n) && n % 2 == 0)?;
        check.that("output", "even, 4 … `grid`", output, |n| (4..=grid).contains(&n) && n % 2 == 0)?;
        check.that("viscosity", "finite and not negative", viscosity, |x| x >= 0.0 && x.is_finite())?;
        check.that("drag", "finite and not negative", drag, |x| x >= 0.0 && x.is_finite())?;
        check.finite("forcing.amplitude", forcing.amplitude)?;
        let modes = Modes::new(grid);
        check.that(
            "forcing.wavenumber",
            "at least 1 and below a third of `grid`, which is what it keeps",
            forcing.wavenumber,
            |n| (1..=modes.largest()).contains(&n),
        )?;
        check.positive("dt", dt)?;
        start.check(&check, modes)?;
        Ok(Self { name, modes, viscosity, drag, forcing, dt, start, output: Output::new(output) })
    }

    /// Without the 2/3 rule.
    #[cfg(test)]
    pub(super) fn aliased(mut self) -> Self {
        self.modes = Modes::without_rule(self.modes.grid());
        self
    }

    /// Its name in recipes and reports.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its modes.
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// ν.
    pub fn viscosity(&self) -> f64 {
        self.viscosity
    }

    /// μ.
    pub fn drag(&self) -> f64 {
        self.drag
    }

    /// The force.
    pub fn forcing(&self) -> Forcing {
        self.forcing
    }

    /// Model time between states.
    pub fn dt(&self) -> f64 {
        self.dt
    }

    /// The law of the first state.
    pub fn start(&self) -> FlowStart {
        self.start
    }

    /// How a state is seen.
    pub fn output(&self) -> &Output {
        &self.output
    }
}
