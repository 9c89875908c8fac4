//! Random numbers of (seed, stream, step, row, index in the row); see `sda_core::random`.
//!
//! Exactness: uniforms exact; normals to a few units of the last place of ln, sin and cos, the same bits on every
//! instruction set.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod reference;
