//! A run timed launch by launch, on the device's own clock.

use super::{Wgpu, error};
use sda_graph::{ExecutorError, Handle, RunKey};
use wgpu::BufferUsages;

/// Launches in one set of timestamps: each takes two.
const SET: usize = 1024;

/// One launch of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct LaunchTime {
    /// Its op and form.
    pub name: String,
    /// Time on the device.
    pub seconds: f64,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes that must cross memory.
    pub bytes: u64,
}

/// The launches of a run, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WgpuProfile {
    /// One entry a launch.
    pub launches: Vec<LaunchTime>,
}

impl Wgpu {
    /// One run, timed launch by launch: each is a pass of its own between two timestamps. States are written as in any
    /// run.
    ///
    /// Errors: as a run's; the adapter has no timestamps.
    pub fn profile(
        &mut self,
        program: Handle,
        key: RunKey,
        inputs: &[&[f32]],
    ) -> Result<WgpuProfile, ExecutorError> {
        if !self.context.description.timestamps {
            return Err(error(format!("{} has no timestamps", self.context.description.name)));
        }
        let compiled = &mut self.programs[program.0];
        compiled.program.check_inputs(inputs)?;
        compiled.bind(&self.context.queue, key, inputs);
        let mut profile = WgpuProfile::default();
        let context = &self.context;
        // In the submissions of a run, which a driver does not end.
        let submissions = compiled.submissions.iter().map(|launches| &compiled.launches[launches.clone()]);
        for launches in submissions.flat_map(|launches| launches.chunks(SET)) {
            let count = 2 * launches.len() as u32;
            let set = context.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let bytes = 8 * u64::from(count);
            let resolved = context.buffer("timestamps", bytes, BufferUsages::QUERY_RESOLVE);
            let mut encoder =
                context.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            for (i, launch) in launches.iter().enumerate() {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &set,
                        beginning_of_pass_write_index: Some(2 * i as u32),
                        end_of_pass_write_index: Some(2 * i as u32 + 1),
                    }),
                });
                pass.set_pipeline(&launch.pipeline);
                pass.set_bind_group(0, &launch.group, &[]);
                pass.dispatch_workgroups(launch.groups[0], launch.groups[1], 1);
            }
            encoder.resolve_query_set(&set, 0..count, &resolved, 0);
            context.submit(encoder)?;
            let mut words = vec![0f32; 2 * count as usize];
            context.read(&resolved, 0, &mut words)?;
            let ticks: &[u64] = &bytemuck::pod_collect_to_vec::<f32, u64>(&words);
            let period = f64::from(context.queue.get_timestamp_period()) * 1e-9;
            for (launch, t) in launches.iter().zip(ticks.chunks_exact(2)) {
                profile.launches.push(LaunchTime {
                    name: launch.name.clone(),
                    seconds: t[1].saturating_sub(t[0]) as f64 * period,
                    flops: launch.flops,
                    bytes: launch.bytes,
                });
            }
        }
        let mut encoder = context.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (from, to) in compiled.copies.iter().filter(|(_, to)| to.len > 0) {
            encoder.copy_buffer_to_buffer(
                &from.buffer,
                from.offset,
                &to.buffer,
                to.offset,
                4 * to.len as u64,
            );
        }
        context.submit(encoder)?;
        Ok(profile)
    }
}
