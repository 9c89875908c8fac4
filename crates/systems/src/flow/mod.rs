//! Incompressible flow on the periodic square [0, 2π]², by a pseudo-spectral solver of its vorticity.
//!
//!   ∂ω/∂t + u·∇ω = ν ∇²ω − μ ω + ∇×f,  f = A sin(n y) x̂,  ω = ∂v/∂x − ∂u/∂y
//!
//! The first axis is x, the last y; u is the velocity along x and channel 0. The mean velocity, which ω does not know,
//! is carried beside it and decays by the drag alone. Kolmogorov flow is the forced one; without forcing the same
//! solver has decaying turbulence and the Taylor–Green vortex.
//!
//! Source: Rozet & Louppe 2023, section 4.2; Kochkov et al. 2021, "Machine learning–accelerated computational fluid
//! dynamics", for the set-up; Basdevant 1983, "Technical improvements for direct numerical simulation of homogeneous
//! three-dimensional turbulence", for the products.

mod diagnostics;
mod initial;
mod modes;
mod output;
mod parameters;
mod simulation;
mod solver;
mod state;
mod transform;

pub use diagnostics::Diagnostics;
pub use initial::FlowStart;
pub use modes::Modes;
pub use output::Output;
pub use parameters::{Flow, Forcing, Preset};
pub use simulation::FlowSimulation;
pub use solver::{BlowUp, Solver};
pub use state::SpectralState;
pub use transform::FlowReal;

#[cfg(test)]
mod tests;
