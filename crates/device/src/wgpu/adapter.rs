//! Which adapters there are, what they can do, and the choice among them.

use super::error;
use sda_graph::ExecutorError;
use sda_kernels::gpu::{Abilities, Precision};
use std::str::FromStr;

/// Which of the machine's adapters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdapterChoice {
    /// A discrete one, else an integrated one, else any hardware, else a program on the CPU.
    #[default]
    Best,
    /// By its place in [`adapters`].
    Index(usize),
    /// The first whose name holds this text, in any case.
    Name(String),
}

impl FromStr for AdapterChoice {
    type Err = std::convert::Infallible;

    /// A number is an index, nothing the best, all else a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(index) => Self::Index(index),
            Err(_) if text.is_empty() => Self::Best,
            Err(_) => Self::Name(text.into()),
        })
    }
}

/// What an adapter is and can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterDescription {
    /// Name by its driver.
    pub name: String,
    /// Vulkan, Metal, Dx12.
    pub backend: String,
    /// Discrete, integrated, virtual, software or other.
    pub kind: AdapterKind,
    /// Driver and its version.
    pub driver: String,
    /// Bytes of one buffer at most.
    pub buffer_bytes: u64,
    /// Bytes that one kernel sees of a buffer at most.
    pub binding_bytes: u64,
    /// Bytes of memory that a workgroup shares at most.
    pub workgroup_bytes: u32,
    /// Invocations of a workgroup at most.
    pub invocations: u32,
    /// What kernels may use.
    pub abilities: Abilities,
    /// Whether steps can be timed on the device.
    pub timestamps: bool,
}

/// The first of the fastest kind there is.
pub(crate) fn best(kinds: impl Iterator<Item = AdapterKind>) -> Option<usize> {
    // `min_by_key` takes the first of equals.
    kinds.enumerate().min_by_key(|(_, kind)| *kind).map(|(i, _)| i)
}

/// What an adapter is made of, the fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// With memory of its own.
    Discrete,
    /// With the host's memory.
    Integrated,
    /// Of a virtual machine.
    Virtual,
    /// Unknown.
    Other,
    /// A program on the CPU.
    Software,
}

impl AdapterKind {
    /// Whether the adapter is no program on the CPU.
    pub fn is_hardware(self) -> bool {
        self != Self::Software
    }
}

impl AdapterDescription {
    fn new(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let limits = adapter.limits();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
            wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
            wgpu::DeviceType::Other => AdapterKind::Other,
        };
        Self {
            name: info.name.clone(),
            backend: format!("{:?}", info.backend),
            kind,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            buffer_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            invocations: limits.max_compute_invocations_per_workgroup,
            abilities: abilities(adapter, &info, &limits),
            timestamps: adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY),
        }
    }

    /// The precision that products come to where this one is asked for: [`Precision::Mixed`] needs f16.
    pub fn precision(&self, asked: Precision) -> Precision {
        if self.abilities.half { asked } else { Precision::F32 }
    }

    /// The kernels' variants beyond the portable ones, in words.
    pub fn variants(&self, asked: Precision) -> Vec<&'static str> {
        let Abilities { subgroups, cooperative, .. } = self.abilities;
        let mixed = self.precision(asked) == Precision::Mixed;
        let tensor_cores = "cooperative matrices (after a start-up self-test)";
        [(mixed, "f16 tiles"), (mixed && cooperative.is_some(), tensor_cores), (subgroups, "subgroup sums")]
            .into_iter()
            .filter_map(|(used, variant)| used.then_some(variant))
            .collect()
    }
}

/// Kernels that read more arrays gain nothing from it.
const MOST_ARRAYS: u32 = 16;

fn abilities(adapter: &wgpu::Adapter, info: &wgpu::AdapterInfo, limits: &wgpu::Limits) -> Abilities {
    let features = adapter.features();
    let half = features.contains(wgpu::Features::SHADER_F16);
    let subgroups = features.contains(wgpu::Features::SUBGROUP);
    let one_size = info.subgroup_min_size == info.subgroup_max_size;
    let fits = adapter.cooperative_matrix_properties().iter().any(|p| {
        use wgpu::CooperativeScalarType::{F16, F32};
        [p.m_size, p.n_size, p.k_size] == [16; 3] && p.ab_type == F16 && p.cr_type == F32
    });
    // Eight subgroups of 32, or four of 64, make up a workgroup; their tiles take up to 24 KiB.
    let cooperative = half
        && subgroups
        && one_size
        && matches!(info.subgroup_min_size, 32 | 64)
        && limits.max_compute_workgroup_storage_size >= 24 << 10
        && fits
        && features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    Abilities {
        half,
        subgroups,
        cooperative: cooperative.then_some(info.subgroup_min_size),
        arrays: limits.max_storage_buffers_per_shader_stage.min(MOST_ARRAYS) as usize,
    }
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    wgpu::Instance::new(descriptor)
}

/// All adapters with compute shaders, in the order that an index counts.
pub(super) fn enumerate() -> Vec<wgpu::Adapter> {
    let all = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()));
    // What every kernel counts on; an adapter with less is none.
    let computes = |a: &wgpu::Adapter| {
        let limits = a.limits();
        a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
            && limits.max_compute_invocations_per_workgroup >= 256
            && limits.max_compute_workgroup_size_x >= 256
            && limits.max_compute_workgroup_storage_size >= 16 << 10
            && limits.max_storage_buffers_per_shader_stage >= 8
    };
    all.into_iter().filter(computes).collect()
}

/// The machine's adapters.
pub fn adapters() -> Vec<AdapterDescription> {
    enumerate().iter().map(AdapterDescription::new).collect()
}

/// Finds an adapter.
///
/// Errors: there is none, or none of this index or name; the message lists those that there are.
pub(super) fn find(choice: &AdapterChoice) -> Result<(wgpu::Adapter, AdapterDescription), ExecutorError> {
    let all: Vec<_> = enumerate().into_iter().map(|a| (AdapterDescription::new(&a), a)).collect();
    let best = || best(all.iter().map(|(d, _)| d.kind));
    let at = match choice {
        AdapterChoice::Best => best(),
        AdapterChoice::Index(i) => (*i < all.len()).then_some(*i),
        AdapterChoice::Name(name) => {
            let name = name.to_lowercase();
            all.iter().position(|(d, _)| d.name.to_lowercase().contains(&name))
        }
    };
    let names: Vec<String> = all.iter().enumerate().map(|(i, (d, _))| format!("{i}: {}", d.name)).collect();
    let mut all = all;
    match at {
        Some(i) => {
            let (description, adapter) = all.swap_remove(i);
            Ok((adapter, description))
        }
        None if names.is_empty() => Err(error(
            "there is no GPU adapter on this machine: install a Vulkan, Metal or DX12 driver (on Debian and Ubuntu, \
             mesa-vulkan-drivers, which has a software one too), or use --device cpu",
        )),
        None => {
            let wanted = match choice {
                AdapterChoice::Index(i) => format!("of index {i}"),
                AdapterChoice::Name(name) => format!("whose name holds «{name}»"),
                AdapterChoice::Best => String::new(),
            };
            Err(error(format!("there is no GPU adapter {wanted}; there are {}", names.join(", "))))
        }
    }
}
