//! What everything is measured with.

use super::arguments::Sizes;
use sda_device::{AdapterChoice, Wgpu, WgpuOptions};
use sda_graph::ExecutorError;
use sda_kernels::gpu::Precision;

/// An adapter, and how long to look at it.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) adapter: AdapterChoice,
    pub(super) sizes: Sizes,
    pub(super) rounds: usize,
    /// Whether the adapter times launches itself.
    pub(super) timestamps: bool,
    /// Bytes that one kernel sees of an array.
    pub(super) largest_array: u64,
}

impl Setting {
    /// A device of the adapter, fresh: no pipelines, no states.
    pub(super) fn open(&self, precision: Precision) -> Result<Wgpu, ExecutorError> {
        Wgpu::with_options(&WgpuOptions {
            adapter: self.adapter.clone(),
            precision,
            ..WgpuOptions::default()
        })
    }
}

/// Name of a precision on the command line and in reports.
pub(super) fn name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Mixed => "mixed",
    }
}
