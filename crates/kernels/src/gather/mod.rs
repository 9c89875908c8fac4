//! y[…, i, …] = x[…, index(i), …]. Exact. Adjoint: scatter.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod reference;
