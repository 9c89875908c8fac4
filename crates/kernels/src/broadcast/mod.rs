//! Axes of length 1 are repeated: y[i₀, i₁, …] = x[min(i₀, n₀ − 1), …]. Exact.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod reference;
