//! A device, its queue, its pipelines, and what has gone wrong with it.

use super::adapter::{self, AdapterChoice, AdapterDescription};
use super::error;
use rayon::prelude::*;
use sda_graph::ExecutorError;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wgpu::{BufferUsages, Features};

/// Submissions that may wait for the device.
const IN_FLIGHT: usize = 8;

/// A kernel's text, and for each of its arrays whether it is written.
pub(super) type PipelineKey = (String, Vec<bool>);

/// The first thing that went wrong; everything after it fails with it.
type Failure = Arc<Mutex<Option<String>>>;

pub(super) struct Context {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) description: AdapterDescription,
    pub(super) limits: wgpu::Limits,
    failure: Failure,
    in_flight: Mutex<VecDeque<wgpu::SubmissionIndex>>,
    made: Mutex<Made>,
    cache: Option<wgpu::PipelineCache>,
}

/// What is made once for all programs.
#[derive(Default)]
struct Made {
    layouts: HashMap<Vec<bool>, (wgpu::BindGroupLayout, wgpu::PipelineLayout)>,
    pipelines: HashMap<PipelineKey, wgpu::ComputePipeline>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(failure: &Failure, message: String) {
    locked(failure).get_or_insert(message);
}

impl Context {
    /// Opens an adapter's device with all that it has.
    pub(super) fn open(choice: &AdapterChoice) -> Result<Self, ExecutorError> {
        let (adapter, description) = adapter::find(choice)?;
        let wanted = Features::SHADER_F16
            | Features::SUBGROUP
            | Features::TIMESTAMP_QUERY
            | Features::PIPELINE_CACHE
            | Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        let features = adapter.features() & wanted;
        let limits = adapter.limits();
        let experimental = if features.contains(Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
            // SAFETY: the one experimental feature is used by kernels that a self-test has compared with plain ones.
            unsafe { wgpu::ExperimentalFeatures::enabled() }
        } else {
            wgpu::ExperimentalFeatures::disabled()
        };
        let opened = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("sda"),
            required_features: features,
            required_limits: limits.clone(),
            experimental_features: experimental,
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        }));
        let (device, queue) = opened
            .map_err(|e| error(format!("open {}: {e}; try another with --device", description.name)))?;
        let failure = Failure::default();
        let (lost, uncaptured, name) = (Arc::clone(&failure), Arc::clone(&failure), description.name.clone());
        device.set_device_lost_callback(move |reason, message| {
            note(&lost, format!("{name} was lost ({reason:?}: {message})"));
        });
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| note(&uncaptured, e.to_string())));
        let cache = features.contains(Features::PIPELINE_CACHE).then(|| {
            // SAFETY: there is no data that could be another driver's.
            unsafe {
                device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                    label: None,
                    data: None,
                    fallback: true,
                })
            }
        });
        Ok(Self {
            device,
            queue,
            description,
            limits,
            failure,
            in_flight: Mutex::default(),
            made: Mutex::default(),
            cache,
        })
    }

    /// Errors: something went wrong since the device was opened.
    pub(super) fn check(&self) -> Result<(), ExecutorError> {
        match &*locked(&self.failure) {
            Some(message) => Err(error(message)),
            None => Ok(()),
        }
    }

    /// Runs what makes things on the device.
    ///
    /// Errors: it is out of memory, or refuses them.
    pub(super) fn guarded<T>(
        &self,
        what: &str,
        make: impl FnOnce() -> Result<T, ExecutorError>,
    ) -> Result<T, ExecutorError> {
        self.attempt(what, make)?.ok_or_else(|| self.out_of_memory(what))
    }

    /// As [`Context::guarded`]; `None` where the device is out of memory.
    pub(super) fn attempt<T>(
        &self,
        what: &str,
        make: impl FnOnce() -> Result<T, ExecutorError>,
    ) -> Result<Option<T>, ExecutorError> {
        let filters =
            [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation];
        let scopes = filters.map(|filter| self.device.push_error_scope(filter));
        let made = make();
        let mut found = None;
        for scope in scopes.into_iter().rev() {
            found = pollster::block_on(scope.pop()).or(found);
        }
        self.check()?;
        match found {
            Some(wgpu::Error::OutOfMemory { .. }) => Ok(None),
            Some(e) => Err(error(format!("{what}: {e}"))),
            None => made.map(Some),
        }
    }

    pub(super) fn out_of_memory(&self, what: &str) -> ExecutorError {
        error(format!(
            "{what}: {} is out of memory; lower the number of samples, their length, the batch or the network's width",
            self.description.name
        ))
    }

    pub(super) fn buffer(&self, label: &str, bytes: u64, usage: BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.max(4).next_multiple_of(4),
            usage: usage | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    }

    /// Submits commands, and waits where too many are under way.
    pub(super) fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<(), ExecutorError> {
        let oldest = {
            let mut in_flight = locked(&self.in_flight);
            in_flight.push_back(self.queue.submit([encoder.finish()]));
            if in_flight.len() > IN_FLIGHT { in_flight.pop_front() } else { None }
        };
        match oldest {
            Some(oldest) => self.wait(Some(oldest)),
            None => self.check(),
        }
    }

    /// Waits for one submission, or all.
    pub(super) fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<(), ExecutorError> {
        if submission.is_none() {
            locked(&self.in_flight).clear();
        }
        let poll = || self.device.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None });
        // wgpu panics where a driver says here that the device is lost; the callback has told us by then.
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll));
        self.check()?;
        match waited {
            Ok(waited) => {
                waited.map(|_| ()).map_err(|e| error(format!("wait for {}: {e}", self.description.name)))
            }
            Err(_) => Err(error(format!("{} was lost", self.description.name))),
        }
    }

    /// The numbers of part of a buffer, once everything submitted is done.
    pub(super) fn read(
        &self,
        buffer: &wgpu::Buffer,
        offset: u64,
        into: &mut [f32],
    ) -> Result<(), ExecutorError> {
        if into.is_empty() {
            return self.check();
        }
        let bytes = 4 * into.len() as u64;
        let staging = self.guarded("read from the device", || {
            Ok(self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("read back"),
                size: bytes,
                usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }))
        })?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
        self.submit(encoder)?;
        staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
        self.wait(None)?;
        let view = staging
            .slice(..)
            .get_mapped_range()
            .map_err(|e| error(format!("read from {}: {e}", self.description.name)))?;
        into.copy_from_slice(bytemuck::cast_slice(&view));
        Ok(())
    }

    /// Makes the pipelines that are not there yet, side by side.
    pub(super) fn prepare(&self, wanted: HashSet<PipelineKey>) -> Result<(), ExecutorError> {
        let new: Vec<(PipelineKey, wgpu::PipelineLayout)> = {
            let made = &mut *locked(&self.made);
            let new = wanted.into_iter().filter(|key| !made.pipelines.contains_key(key));
            let with_layout = |key: PipelineKey| {
                let layout = made.layouts.entry(key.1.clone()).or_insert_with(|| self.layout(&key.1));
                (key, layout.1.clone())
            };
            new.map(with_layout).collect()
        };
        // Nothing is locked meanwhile: a thread of this pool that waits may take up another program's compilation.
        let build = |(key, layout): &(PipelineKey, wgpu::PipelineLayout)| {
            self.guarded("build a kernel", || Ok(self.pipeline(&key.0, layout)))
        };
        let pipelines: Vec<Result<wgpu::ComputePipeline, ExecutorError>> =
            new.par_iter().map(build).collect();
        for ((key, _), pipeline) in new.into_iter().zip(pipelines) {
            locked(&self.made).pipelines.insert(key, pipeline?);
        }
        Ok(())
    }

    /// A pipeline that has been prepared, and the layout of its arrays.
    pub(super) fn pipeline_of(&self, key: &PipelineKey) -> (wgpu::ComputePipeline, wgpu::BindGroupLayout) {
        let made = locked(&self.made);
        (made.pipelines[key].clone(), made.layouts[&key.1].0.clone())
    }

    /// Number of pipelines made.
    pub(super) fn pipelines(&self) -> usize {
        locked(&self.made).pipelines.len()
    }

    /// `Dims`, then the arrays.
    fn layout(&self, written: &[bool]) -> (wgpu::BindGroupLayout, wgpu::PipelineLayout) {
        let entry = |binding: usize, ty| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let arrays = written
            .iter()
            .enumerate()
            .map(|(i, &written)| entry(i + 1, wgpu::BufferBindingType::Storage { read_only: !written }));
        let entries: Vec<_> =
            [entry(0, wgpu::BufferBindingType::Uniform)].into_iter().chain(arrays).collect();
        let group = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let pipeline = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        (group, pipeline)
    }

    fn pipeline(&self, text: &str, layout: &wgpu::PipelineLayout) -> wgpu::ComputePipeline {
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(text.into()) };
        // SAFETY: the kernels compare every index with the lengths of their arrays, their loops end, and the parity
        // tests look at guard words around every array.
        let module = unsafe {
            self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
        };
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: self.cache.as_ref(),
        })
    }
}
