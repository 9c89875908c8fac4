//! One folder per op: reference, fast CPU form, cases.
//!
//! [`reference`] computes any op by plain loops at f32 or f64; [`cpu`] is its fast form; [`fused`] is the fast form
//! of the planner's elementwise groups; [`catalogue`] lists every kernel with its cases and its exactness class.
//! [`Interpreter`] is the reference as an executor.

pub mod broadcast;
mod call;
pub mod catalogue;
pub mod concat;
pub mod conv;
pub mod elementwise;
pub mod fused;
mod interpreter;
mod level;
pub mod matmul;
pub mod noise;
pub mod pad;
pub mod permute;
pub mod slice;
mod strided;
pub mod sum;
#[cfg(test)]
mod tests;

pub use call::{Call, cpu, reference, scratch_len};
pub use interpreter::Interpreter;
pub use level::Level;
