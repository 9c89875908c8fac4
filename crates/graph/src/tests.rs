//! Laws of the graph: derivatives, adjoints, shapes, structure, plans.
//!
//! Numbers come from the f64 interpreter, hence programs here are those of the library `sda_graph` that it links.

mod adjoint;
mod evaluate;
mod fusion;
mod geometry;
mod gradients;
mod plan;
mod shapes;
mod structure;
