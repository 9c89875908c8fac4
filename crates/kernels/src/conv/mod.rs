//! The convolution triad: forward, input gradient, filter gradient, in two dimensions (one is height 1).
//!
//!   y[b, o, c'] = Σ over taps k, channels c of x[b, source(o, k), c] w[k, c, c']
//!
//! Exactness: a reduction over kernel × channels (forward, input gradient) or over batch × output points (filter).
//! Order of the fast forms: taps in order and their channels, for a filter strips of points in order; none depends on
//! threads, nor, with vectors, on how images are cut into calls.
//!
//! Non-finite numbers: as [`crate::matmul`]. In a filter's gradient by tiles a point that is not finite reaches every tap of
//! its channel, also those that zero padding keeps from it.

#[cfg(target_arch = "x86_64")]
mod axis;
pub(crate) mod cases;
mod columns;
pub(crate) mod cpu;
#[cfg(target_arch = "x86_64")]
mod direct;
#[cfg(target_arch = "x86_64")]
mod filter;
pub(crate) mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;
