//! Host arrays, counter-based random streams, small dense linear algebra.

pub mod linalg;
pub mod random;
mod real;

pub use random::Stream;
pub use real::Real;
