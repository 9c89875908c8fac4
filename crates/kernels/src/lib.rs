//! One folder per op: reference, fast CPU form, cases.
//!
//! [`reference`] computes any op by plain loops at f32 or f64; [`cpu`] is its fast form; [`fused`] is the fast form
//! of the planner's elementwise groups; [`catalogue`] lists every kernel with its cases and its exactness class.
//! [`Interpreter`] is the reference as an executor.

// A call's output is written through it, so a kernel takes the call and not a reference to it.
#![allow(clippy::needless_pass_by_value)]
// Vector instructions are enabled on the outermost function of a kernel; what is not inlined there is compiled without.
#![allow(clippy::inline_always)]

pub mod broadcast;
mod call;
pub mod catalogue;
pub mod concat;
pub mod conv;
pub mod elementwise;
pub mod fused;
pub mod gather;
pub mod gpu;
mod interpreter;
mod level;
pub mod matmul;
pub mod noise;
pub mod pad;
pub mod permute;
pub mod scatter;
#[cfg(target_arch = "x86_64")]
mod share;
pub mod slice;
mod strided;
pub mod sum;
#[cfg(test)]
mod tests;

pub use call::{Call, can_add, cpu, pack, packed_len, reference, scratch_len};
pub use interpreter::Interpreter;
pub use level::Level;
