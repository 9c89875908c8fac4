//! y[…, i, …] = x[…, start + i·step, …]. Exact. Adjoint: pad.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod reference;
