//! The wgpu executor: replays a plan on any GPU by the hand-written kernels of `sda_kernels::gpu`.

mod adapter;

pub use adapter::{AdapterChoice, AdapterDescription, AdapterKind, adapters};

use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Executor, ExecutorError, Handle, Program, RunKey};
use sda_kernels::gpu::Precision;

fn error(message: impl Into<String>) -> ExecutorError {
    ExecutorError::Device(message.into())
}

/// A GPU as an executor, f32 at the boundary.
#[derive(Debug)]
pub struct Wgpu {
    description: AdapterDescription,
}

impl Wgpu {
    /// An executor on an adapter.
    ///
    /// Errors: no such adapter, or its driver refuses.
    pub fn new(choice: &AdapterChoice, precision: Precision) -> Result<Self, ExecutorError> {
        let (_adapter, description) = adapter::find(choice)?;
        let _ = precision;
        Ok(Self { description })
    }

    /// What it runs on.
    pub fn description(&self) -> &AdapterDescription {
        &self.description
    }
}

impl Executor for Wgpu {
    type Real = f32;

    fn compile(&mut self, _: &Program) -> Result<Handle, ExecutorError> {
        Err(error("not yet"))
    }

    fn run(&mut self, _: Handle, _: RunKey, _: &[&[f32]]) -> Result<(), ExecutorError> {
        Err(error("not yet"))
    }

    fn output(&mut self, _: Handle, _: usize) -> &[f32] {
        &[]
    }

    fn read(&mut self, _: &str) -> Result<ArrayD<f32>, ExecutorError> {
        Err(error("not yet"))
    }

    fn write(&mut self, _: &str, _: ArrayViewD<'_, f32>) -> Result<(), ExecutorError> {
        Err(error("not yet"))
    }
}
