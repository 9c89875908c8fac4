//! A GPU that remembers what it is asked to compile and run, so that the same run can be repeated without its caller.

use ndarray::{ArrayD, ArrayViewD};
use sda_device::Wgpu;
use sda_graph::{Executor, ExecutorError, Handle, Program, RunKey};
use std::time::Instant;

/// The executor and its memory.
pub(crate) struct Watched {
    pub(crate) gpu: Wgpu,
    compiled: Vec<(Program, Making)>,
    last: Option<(Handle, Vec<Vec<f32>>)>,
}

/// What a program took before it could be repeated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Making {
    /// Planning, pipelines, buffers, bind groups.
    pub(crate) compile_seconds: f64,
    /// New pipelines.
    pub(crate) pipelines: usize,
    /// The first run, waited for: some drivers translate a kernel when it first runs.
    pub(crate) first_run_seconds: f64,
}

/// A run that can be repeated.
pub(crate) struct Run {
    pub(crate) program: Program,
    pub(crate) handle: Handle,
    pub(crate) inputs: Vec<Vec<f32>>,
    pub(crate) making: Making,
}

impl Run {
    /// The inputs, as a run takes them.
    pub(crate) fn inputs(&self) -> Vec<&[f32]> {
        self.inputs.iter().map(Vec::as_slice).collect()
    }
}

impl Watched {
    pub(crate) fn new(gpu: Wgpu) -> Self {
        Self { gpu, compiled: Vec::new(), last: None }
    }

    /// The GPU, and the run that was asked for last.
    pub(crate) fn into_run(self) -> Option<(Wgpu, Run)> {
        let (handle, inputs) = self.last?;
        let (program, making) = self.compiled.get(handle.0)?.clone();
        Some((self.gpu, Run { program, handle, inputs, making }))
    }
}

impl Executor for Watched {
    type Real = f32;

    fn compile(&mut self, program: &Program) -> Result<Handle, ExecutorError> {
        let (before, start) = (self.gpu.pipelines(), Instant::now());
        let handle = self.gpu.compile(program)?;
        let compile_seconds = start.elapsed().as_secs_f64();
        let pipelines = self.gpu.pipelines() - before;
        self.compiled.push((program.clone(), Making { compile_seconds, pipelines, first_run_seconds: 0.0 }));
        Ok(handle)
    }

    fn run(&mut self, program: Handle, key: RunKey, inputs: &[&[f32]]) -> Result<(), ExecutorError> {
        let making = &mut self.compiled[program.0].1;
        self.last = Some((program, inputs.iter().map(|x| x.to_vec()).collect()));
        if making.first_run_seconds > 0.0 {
            return self.gpu.run(program, key, inputs);
        }
        self.gpu.finish()?;
        let start = Instant::now();
        self.gpu.run(program, key, inputs)?;
        self.gpu.finish()?;
        making.first_run_seconds = start.elapsed().as_secs_f64();
        Ok(())
    }

    fn output(&mut self, program: Handle, index: usize) -> Result<&[f32], ExecutorError> {
        self.gpu.output(program, index)
    }

    fn read(&mut self, state: &str) -> Result<ArrayD<f32>, ExecutorError> {
        self.gpu.read(state)
    }

    fn write(&mut self, state: &str, value: ArrayViewD<'_, f32>) -> Result<(), ExecutorError> {
        self.gpu.write(state, value)
    }
}
