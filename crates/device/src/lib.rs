//! Executors that replay a plan.

mod cpu;

pub use cpu::{Cpu, CpuOptions, Profile};
