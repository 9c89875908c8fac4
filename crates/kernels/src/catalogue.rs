//! The one list of kernels: each with its cases at awkward shapes, how exact its fast form is, and what it costs.
//!
//! Tests, benchmarks and the documentation's tables derive from [`kernels`]. A kernel's cases stand in `cases.rs`
//! beside its forms, so that a form added to a folder (a `.wgsl`) is tested and timed with nothing changed here.

mod case;
mod data;
mod exactness;
mod random_program;

pub use case::Case;
pub use data::Domain;
pub use exactness::Exactness;
pub use random_program::random_program;

use crate::{
    broadcast, concat, conv, elementwise, fused, gather, matmul, noise, pad, permute, scatter, slice, sum,
};

/// A kernel of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// Name, unique.
    pub name: &'static str,
    /// What it computes.
    pub formula: &'static str,
    cases: fn() -> Vec<Case>,
}

impl Kernel {
    pub(crate) const fn new(name: &'static str, formula: &'static str, cases: fn() -> Vec<Case>) -> Self {
        Self { name, formula, cases }
    }

    /// Its cases: a prime, a power of two, one past a tile, length 1.
    pub fn cases(&self) -> Vec<Case> {
        (self.cases)()
    }
}

/// Every kernel: one for each op that computes, then the fused forms.
pub fn kernels() -> Vec<Kernel> {
    let ops = [
        elementwise::cases::UNARY,
        elementwise::cases::BINARY,
        elementwise::cases::SELECT,
        broadcast::cases::BROADCAST,
        sum::cases::SUM,
        permute::cases::PERMUTE,
        slice::cases::SLICE,
        pad::cases::PAD,
        gather::cases::GATHER,
        scatter::cases::SCATTER,
        concat::cases::CONCAT,
        matmul::cases::MATMUL,
        conv::cases::FORWARD,
        conv::cases::INPUT,
        conv::cases::FILTER,
        noise::cases::NOISE,
    ];
    ops.into_iter().chain(fused::cases::ALL).collect()
}
