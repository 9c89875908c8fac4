//! y = Σ x over the axes where the output has length 1 and the input has not.
//!
//! Exactness: a reduction over the summed points. Order: the fast form adds whole rows where the last axis is kept,
//! and keeps 16 partial sums along it where it is summed.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod reference;
