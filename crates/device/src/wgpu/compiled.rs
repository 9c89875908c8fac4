//! A program with its buffers, bind groups and pipelines: all that a run needs.

use super::context::Context;
use super::layout::{Bounds, LONGEST, Launch, Layout};
use super::memory::{Memory, Region, key_of};
use super::{State, error};
use sda_graph::{ExecutorError, Plan, Program, RunKey};
use sda_kernels::gpu::Target;
use std::ops::Range;

/// A change of the kernels' texts, by which the tests see that a broken kernel is found.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    /// What is replaced.
    pub(super) from: String,
    pub(super) to: String,
    /// Which of its occurrences.
    pub(super) occurrence: usize,
}

impl Edit {
    fn apply(&self, text: &mut String) {
        if let Some((at, _)) = text.match_indices(&self.from).nth(self.occurrence) {
            text.replace_range(at..at + self.from.len(), &self.to);
        }
    }
}

/// One launch, ready.
pub(super) struct Ready {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) group: wgpu::BindGroup,
    pub(super) groups: [u32; 2],
    pub(super) name: String,
    pub(super) flops: u64,
    pub(super) bytes: u64,
}

pub(super) struct Compiled {
    pub(super) program: Program,
    pub(super) plan: Plan,
    pub(super) launches: Vec<Ready>,
    /// Launches of each submission.
    pub(super) submissions: Vec<Range<usize>>,
    /// Where each output lies after a run.
    pub(super) outputs: Vec<Region>,
    pub(super) fetched: Vec<Vec<f32>>,
    /// Copies after the last launch, (from, to): outputs that a later run of another program may overwrite, then states.
    pub(super) copies: Vec<(Region, Region)>,
    /// Key and inputs of a run as bytes, and the buffer that they go to by one write.
    pub(super) staging: Vec<u8>,
    pub(super) inputs: wgpu::Buffer,
    pub(super) input_offsets: Vec<usize>,
    /// Everything that belongs to this program alone.
    pub(super) buffers: Vec<Region>,
}

impl Compiled {
    /// Plans a program and makes what it needs; where the device is out of memory, with ever smaller blocks.
    ///
    /// Errors: it does not fit even so; the device fails.
    pub(super) fn new(
        context: &Context,
        target: &Target,
        bounds: &Bounds,
        program: &Program,
        states: &[&State],
        guarded: bool,
        edit: Option<&Edit>,
    ) -> Result<Self, ExecutorError> {
        let input_bytes: usize =
            program.graph.inputs().iter().map(|d| 4 * d.shape.iter().product::<usize>()).sum();
        if input_bytes as u64 > bounds.buffer {
            return Err(error(format!(
                "a run's inputs need {} MiB, and the adapter's buffers hold {}; lower the batch",
                input_bytes >> 20,
                bounds.buffer >> 20
            )));
        }
        let (mut bounds, mut before) = (*bounds, u64::MAX);
        loop {
            let mut layout = Layout::new(program, target, &bounds)?;
            let bytes = layout_bytes(&layout) + input_bytes as u64;
            let what = format!("allocate {} MiB", bytes.div_ceil(1 << 20));
            if bytes >= before {
                return Err(context.out_of_memory(&what));
            }
            (before, bounds.slots) = (bytes, layout.slots() / 2);
            if bytes > bounds.memory {
                continue;
            }
            if let Some(edit) = edit {
                layout.launches.iter_mut().for_each(|launch| edit.apply(&mut launch.dispatch.text));
            }
            context.prepare(layout.launches.iter().map(key_of).collect())?;
            let make = || {
                let memory = Memory::new(context, program, &layout, states, guarded);
                Ok(memory.compiled(program, layout, &bounds))
            };
            if let Some(made) = context.attempt(&what, make)? {
                return Ok(made);
            }
            // What was made of it is given back now.
            context.wait(None)?;
        }
    }

    /// Writes a run's key and inputs.
    pub(super) fn bind(&mut self, queue: &wgpu::Queue, key: RunKey, inputs: &[&[f32]]) {
        let words = [key.seed as u32, (key.seed >> 32) as u32, key.step];
        self.staging[..12].copy_from_slice(bytemuck::cast_slice(&words));
        for (&start, values) in self.input_offsets.iter().zip(inputs) {
            let bytes: &[u8] = bytemuck::cast_slice(values);
            self.staging[start..start + bytes.len()].copy_from_slice(bytes);
        }
        queue.write_buffer(&self.inputs, 0, &self.staging);
    }

    /// Bytes of the buffers of this program alone.
    pub(super) fn bytes(&self) -> u64 {
        self.buffers.iter().map(|r| 4 * r.len as u64).sum::<u64>() + self.staging.len() as u64
    }
}

fn layout_bytes(layout: &Layout) -> u64 {
    let numbers = layout.plan.full.iter().chain(&layout.local).chain(&layout.scratch);
    4 * numbers.map(|&n| n as u64).sum::<u64>()
}

/// Runs of launches none of which is estimated to take longer than a driver lets it.
pub(super) fn submissions(launches: &[Launch], bounds: &Bounds) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut sum) = (0, 0.0);
    for (i, launch) in launches.iter().enumerate() {
        let seconds = bounds.seconds(&launch.dispatch);
        if i > start && sum + seconds > LONGEST {
            runs.push(start..i);
            (start, sum) = (i, 0.0);
        }
        sum += seconds;
    }
    runs.push(start..launches.len());
    runs
}
