//! Executors that replay a plan.

mod cpu;
#[cfg(test)]
mod runs;
#[cfg(feature = "gpu")]
mod wgpu;

pub use cpu::{Cpu, CpuOptions, Profile};
#[cfg(feature = "gpu")]
pub use wgpu::{
    AdapterChoice, AdapterDescription, AdapterKind, LaunchTime, Wgpu, WgpuOptions, WgpuProfile, adapters,
};
