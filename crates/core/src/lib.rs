//! Counter-based random streams, the `Real` trait, small dense linear algebra.

// `widest_vectors!` calls functions compiled for instruction sets found at run time: nothing else is unsafe.
#![deny(unsafe_code)]

pub mod linalg;
pub mod random;
mod real;
mod vector;

pub use random::Stream;
pub use real::Real;
pub use vector::Vectors;
