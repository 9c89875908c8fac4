//! What a step becomes on a GPU: WGSL texts, what they bind, and how many workgroups run.
//!
//! Each op's `.wgsl` is written by hand and stands beside its reference; the shapes come before it as `const` lines. A
//! fused group's text is its list of instructions. Nothing here knows a device: a text is made for [`Abilities`], and
//! the device crate runs it.

mod dispatch;
pub(crate) mod product;
mod step;
mod strided;
mod text;

pub use dispatch::{Array, Dispatch};
pub use step::{GpuCall, Target, launches};
pub(crate) use strided::Strided;
pub(crate) use text::Text;

/// How products of matrices and convolutions are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32 throughout.
    #[default]
    F32,
    /// Where the device has f16: operands rounded to f16 after a scaling by a power of two, sums in f32. All else f32.
    Mixed,
}

/// What kernels may use beyond portable WGSL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abilities {
    /// Arrays of f16.
    pub half: bool,
    /// Sums over a subgroup.
    pub subgroups: bool,
    /// Cooperative matrices of 16 × 16, f16 in and f32 out: the number of invocations in a subgroup.
    pub cooperative: Option<u32>,
    /// Arrays that one kernel may bind.
    pub arrays: usize,
}

impl Abilities {
    /// What every adapter has.
    pub const PORTABLE: Self = Self { half: false, subgroups: false, cooperative: None, arrays: 8 };
}

/// Invocations of every kernel's workgroup.
pub(crate) const INVOCATIONS: usize = 256;

/// Finds a workgroup's place in a launch.
pub(crate) const GRID: &str = include_str!("gpu/grid.wgsl");

/// Numbers of some arrays.
pub(crate) fn numbers(shapes: &[&[usize]]) -> u64 {
    shapes.iter().map(|s| s.iter().product::<usize>() as u64).sum()
}
