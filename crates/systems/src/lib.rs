//! Dynamical systems: Lorenz-63, Lorenz-96, Lotka–Volterra, damped spring, rotating AR(1), two-dimensional flow.
//!
//! A [`System`] is a Markov chain with additive Gaussian noise, of which [`Simulation`] draws trajectories; a
//! [`flow::Flow`] is a velocity field, of which [`flow::FlowSimulation`] does, both in parallel over members.
//! [`SystemConfig`] names either in a recipe, and [`Dynamics`] is what it builds.

// `widest_vectors!` calls functions compiled for instruction sets found at run time: nothing else is unsafe.
#![deny(unsafe_code)]

mod ar1_rotation;
mod config;
mod damped_spring;
mod density;
mod dynamics;
mod ensemble;
mod error;
pub mod flow;
mod initial;
mod linear_gaussian;
mod lorenz63;
mod lorenz96;
mod lotka_volterra;
mod normal;
mod normalisation;
mod runge_kutta;
mod simulation;
mod system;
mod trajectory_law;

pub use ar1_rotation::Ar1Rotation;
pub use config::SystemConfig;
pub use damped_spring::DampedSpring;
pub use density::{log_trajectory, log_transitions, transition_means};
pub use dynamics::{Attempt, Dynamics, FlowPrecision};
pub use ensemble::{Ensemble, LANES, Lanes};
pub use error::SystemError;
pub use initial::InitialLaw;
pub use linear_gaussian::LinearGaussian;
pub use lorenz63::Lorenz63;
pub use lorenz96::Lorenz96;
pub use lotka_volterra::LotkaVolterra;
pub use normal::add_normals;
pub use normalisation::Normalisation;
pub use simulation::Simulation;
pub use system::System;

#[cfg(test)]
mod reference;
