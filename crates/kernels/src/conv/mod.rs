//! The convolution triad: forward, input gradient, filter gradient, in two dimensions (one is height 1).
//!
//!   y[b, o, c'] = Σ over taps k, channels c of x[b, source(o, k), c] w[k, c, c']
//!
//! Exactness: a reduction over kernel × channels (forward, input gradient) or over batch × output points (filter).
//! Order of the fast form: tiles of output points in order, a matrix product in each.

pub(crate) mod cases;
pub(crate) mod cpu;
pub(crate) mod reference;
