//! y[…, j, …] = Σ over i with index(i) = j of x[…, i, …]. Exactness: a sum over the entries that meet, in their order.
//! Adjoint: gather.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod reference;
