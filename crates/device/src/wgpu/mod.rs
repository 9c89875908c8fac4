//! The wgpu executor: replays a plan on any GPU by the hand-written kernels of `sda_kernels::gpu`.
//!
//! Slots are buffers; pipelines, bind groups and launches are made when a program is compiled. A run writes its inputs by
//! one copy and submits its launches once, or a few times where a driver might take a submission for hung. Nothing is
//! read back until somebody asks for an output or a state.

mod adapter;
mod compiled;
mod context;
mod layout;
mod memory;
mod profile;
mod self_test;
#[cfg(test)]
mod tests;

pub(crate) use adapter::best;
pub use adapter::{AdapterChoice, AdapterDescription, AdapterKind, adapters};
pub use profile::{LaunchTime, WgpuProfile};

use compiled::{Compiled, Edit};
use context::Context;
use layout::Bounds;
use memory::{Region, array};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use sda_graph::{Executor, ExecutorError, Handle, Plan, Program, RunKey};
use sda_kernels::gpu::{Abilities, Precision, Target};
use std::sync::Arc;

fn error(message: impl Into<String>) -> ExecutorError {
    ExecutorError::Device(message.into())
}

/// How a [`Wgpu`] works.
#[derive(Clone, Debug, Default)]
pub struct WgpuOptions {
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// How products are rounded.
    pub precision: Precision,
    /// What kernels may use; `None` is all that the adapter has.
    pub abilities: Option<Abilities>,
    /// Rows in a block at most; `None` is as many as the adapter's limits allow.
    pub block: Option<usize>,
    /// Workgroups in a row of a launch at most; `None` is the adapter's limit.
    pub widest: Option<u32>,
    /// Bytes of an array that a kernel sees at most; `None` is the adapter's limit.
    pub binding: Option<u64>,
    /// Bytes of a block's slots at most, and of what stages keep for later ones, where smaller blocks and computing again
    /// can help; `None` is 2 GiB on a discrete GPU and 1 GiB elsewhere.
    pub slots: Option<u64>,
    /// Bytes of a program's own buffers at most; `None` is what the device gives.
    pub memory: Option<u64>,
    /// Whether every value has memory of its own: the reference of the tests.
    pub apart: bool,
    /// Whether every array lies between guard words and is full of NaN before it is written.
    pub guards: bool,
}

/// A state of the store.
struct State {
    name: String,
    shape: Vec<usize>,
    region: Region,
}

/// A GPU as an executor, f32 at the boundary.
pub struct Wgpu {
    context: Arc<Context>,
    target: Target,
    bounds: Bounds,
    guards: bool,
    edit: Option<Edit>,
    states: Vec<State>,
    programs: Vec<Compiled>,
}

impl std::fmt::Debug for Wgpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wgpu")
            .field("adapter", &self.context.description.name)
            .field("target", &self.target)
            .field("programs", &self.programs.len())
            .finish_non_exhaustive()
    }
}

impl Wgpu {
    /// An executor on an adapter.
    ///
    /// Errors: no such adapter, or its driver refuses.
    pub fn new(choice: &AdapterChoice, precision: Precision) -> Result<Self, ExecutorError> {
        Self::with_options(&WgpuOptions { adapter: choice.clone(), precision, ..WgpuOptions::default() })
    }

    /// An executor with every choice explicit.
    ///
    /// Errors: as [`Wgpu::new`].
    pub fn with_options(options: &WgpuOptions) -> Result<Self, ExecutorError> {
        let context = Context::open(&options.adapter)?;
        let abilities = options.abilities.unwrap_or(context.description.abilities);
        let mut bounds = Bounds::new(&context.description, &context.limits);
        bounds.arrays = abilities.arrays;
        bounds.block = options.block.unwrap_or(usize::MAX).max(1);
        bounds.widest = options.widest.unwrap_or(bounds.widest).clamp(1, bounds.widest);
        bounds.binding = options.binding.unwrap_or(bounds.binding).min(bounds.binding);
        bounds.slots = options.slots.unwrap_or(bounds.slots);
        bounds.memory = options.memory.unwrap_or(u64::MAX);
        bounds.reuse = !options.apart;
        let target = Target { abilities, precision: options.precision };
        let context = Arc::new(context);
        let guards = options.guards;
        let (states, programs) = (Vec::new(), Vec::new());
        let mut made = Self { context, target, bounds, guards, edit: None, states, programs };
        if options.precision == Precision::Mixed {
            made.test_products();
            if abilities.cooperative.is_some() && made.context.check().is_err() {
                // The driver went down with its matrices; another device may do without.
                let abilities = Some(Abilities { cooperative: None, ..abilities });
                return Self::with_options(&WgpuOptions { abilities, ..options.clone() });
            }
        }
        Ok(made)
    }

    /// Another executor on the same device, with no state or program; kernels that are built are shared.
    pub fn fresh(&self) -> Self {
        let context = Arc::clone(&self.context);
        let (target, bounds, guards) = (self.target, self.bounds, self.guards);
        Self { context, target, bounds, guards, edit: None, states: Vec::new(), programs: Vec::new() }
    }

    /// What it runs on.
    pub fn description(&self) -> &AdapterDescription {
        &self.context.description
    }

    /// What its kernels are made for.
    pub fn target(&self) -> Target {
        self.target
    }

    /// The plan of a compiled program.
    pub fn plan(&self, program: Handle) -> &Plan {
        &self.programs[program.0].plan
    }

    /// Launches and submissions of a run of a program.
    pub fn launches(&self, program: Handle) -> (usize, usize) {
        let compiled = &self.programs[program.0];
        (compiled.launches.len(), compiled.submissions.len())
    }

    /// Pipelines made so far.
    pub fn pipelines(&self) -> usize {
        self.context.pipelines()
    }

    /// Bytes held on the device: states, and slots, scratch and inputs of all programs.
    pub fn bytes(&self) -> u64 {
        let states: u64 = self.states.iter().map(|s| 4 * s.region.len as u64).sum();
        states + self.programs.iter().map(Compiled::bytes).sum::<u64>()
    }

    /// Waits until all runs are done.
    ///
    /// Errors: something has gone wrong with the device.
    pub fn finish(&mut self) -> Result<(), ExecutorError> {
        self.context.wait(None)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|s| s.name == name)
    }

    /// Position of a state, made with zeros where it does not exist.
    fn state(&mut self, name: &str, shape: &[usize]) -> Result<usize, ExecutorError> {
        if let Some(i) = self.find(name) {
            let have = &self.states[i].shape;
            return if have == shape {
                Ok(i)
            } else {
                Err(ExecutorError::StateShape { name: name.into(), want: shape.to_vec(), have: have.clone() })
            };
        }
        let len: usize = shape.iter().product();
        let need = 4 * len as u64;
        if need > self.bounds.buffer {
            return Err(error(format!(
                "state «{name}» needs {} MiB, and the adapter's buffers hold {}; lower the number of samples, their \
                 length or the network's width",
                need >> 20,
                self.bounds.buffer >> 20
            )));
        }
        let context = &self.context;
        let what = format!("allocate {} MiB for state «{name}»", need.div_ceil(1 << 20));
        let region = context.guarded(&what, || {
            let region = array(context, name, len, self.guards);
            context.queue.write_buffer(&region.buffer, region.offset, bytemuck::cast_slice(&vec![0f32; len]));
            Ok(region)
        })?;
        self.states.push(State { name: name.into(), shape: shape.to_vec(), region });
        Ok(self.states.len() - 1)
    }
}

impl Executor for Wgpu {
    type Real = f32;

    fn compile(&mut self, program: &Program) -> Result<Handle, ExecutorError> {
        let declared = program.graph.states();
        let positions: Result<Vec<usize>, _> =
            declared.iter().map(|d| self.state(&d.name, &d.shape)).collect();
        let positions = positions?;
        let states: Vec<&State> = positions.iter().map(|&i| &self.states[i]).collect();
        let (context, target, edit) = (&self.context, &self.target, self.edit.as_ref());
        let compiled = Compiled::new(context, target, &self.bounds, program, &states, self.guards, edit)?;
        self.programs.push(compiled);
        Ok(Handle(self.programs.len() - 1))
    }

    fn run(&mut self, program: Handle, key: RunKey, inputs: &[&[f32]]) -> Result<(), ExecutorError> {
        let compiled = &mut self.programs[program.0];
        compiled.program.check_inputs(inputs)?;
        compiled.bind(&self.context.queue, key, inputs);
        let last = compiled.submissions.len() - 1;
        for (i, launches) in compiled.submissions.iter().enumerate() {
            let mut encoder =
                self.context.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            if !launches.is_empty() {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                let mut set = None;
                for launch in &compiled.launches[launches.clone()] {
                    if set != Some(&launch.pipeline) {
                        pass.set_pipeline(&launch.pipeline);
                        set = Some(&launch.pipeline);
                    }
                    pass.set_bind_group(0, &launch.group, &[]);
                    pass.dispatch_workgroups(launch.groups[0], launch.groups[1], 1);
                }
            }
            if i == last {
                for (from, to) in &compiled.copies {
                    let bytes = 4 * to.len as u64;
                    if bytes > 0 {
                        encoder.copy_buffer_to_buffer(
                            &from.buffer,
                            from.offset,
                            &to.buffer,
                            to.offset,
                            bytes,
                        );
                    }
                }
            }
            self.context.submit(encoder)?;
        }
        Ok(())
    }

    fn output(&mut self, program: Handle, index: usize) -> Result<&[f32], ExecutorError> {
        let compiled = &mut self.programs[program.0];
        let Region { buffer, offset, .. } = &compiled.outputs[index];
        self.context.read(buffer, *offset, &mut compiled.fetched[index])?;
        Ok(&compiled.fetched[index])
    }

    fn read(&mut self, state: &str) -> Result<ArrayD<f32>, ExecutorError> {
        let Some(i) = self.find(state) else {
            let known = self.states.iter().map(|s| s.name.clone()).collect();
            return Err(ExecutorError::NoState { name: state.into(), known });
        };
        let State { shape, region, .. } = &self.states[i];
        let mut values = vec![0.0; region.len];
        self.context.read(&region.buffer, region.offset, &mut values)?;
        ArrayD::from_shape_vec(IxDyn(shape), values).map_err(|e| error(e.to_string()))
    }

    fn write(&mut self, state: &str, value: ArrayViewD<'_, f32>) -> Result<(), ExecutorError> {
        let i = self.state(state, value.shape())?;
        let region = &self.states[i].region;
        let values: Vec<f32> = value.iter().copied().collect();
        self.context.queue.write_buffer(&region.buffer, region.offset, bytemuck::cast_slice(&values));
        self.context.check()
    }
}
