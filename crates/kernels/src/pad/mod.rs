//! y[…, before + i·step, …] = x[…, i, …], zero elsewhere. Exact. Adjoint: slice.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod reference;
