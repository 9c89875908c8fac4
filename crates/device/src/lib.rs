//! Executors that replay a plan.

mod any;
mod choice;
mod cpu;
#[cfg(test)]
mod runs;
#[cfg(feature = "gpu")]
mod wgpu;

pub use any::{Device, Opened, describe_cpu};
pub use choice::DeviceChoice;
#[cfg(feature = "gpu")]
pub use choice::automatic;
pub use cpu::{Cpu, CpuOptions, Profile};
#[cfg(feature = "gpu")]
pub use wgpu::{
    AdapterChoice, AdapterDescription, AdapterKind, LaunchTime, Wgpu, WgpuOptions, WgpuProfile, adapters,
};
