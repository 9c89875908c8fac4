//! Elementwise functions of one, two and three arrays.
//!
//! Exactness: −x, |x|, sign, +, −, ×, ÷, max, min, <, select and √ are exact; exp, sigmoid, tanh and erf are within
//! 4 units of the last place (of 1 for results below it); ln, sin and cos are the platform's.

pub(crate) mod cases;
pub(crate) mod functions;
pub(crate) mod reference;
