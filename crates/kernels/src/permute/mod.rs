//! Output axis i is input axis `axes[i]`. Exact.

pub(crate) mod cpu;
pub(crate) mod reference;
