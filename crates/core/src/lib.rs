//! Host arrays, counter-based random streams, small dense linear algebra.

// ndarray's `s!`, used in tests, carries an `allow(unsafe_code)` that `forbid` refuses.
#![cfg_attr(not(test), forbid(unsafe_code))]

pub mod linalg;
pub mod random;
mod real;

pub use random::Stream;
pub use real::Real;
