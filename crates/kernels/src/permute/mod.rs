//! Output axis i is input axis `axes[i]`. Exact.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod reference;
