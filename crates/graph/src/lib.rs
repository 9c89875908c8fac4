//! The static graph: ops, shape rules, VJP table, passes, memory plan, the Executor trait.
//!
//! A [`Graph`] is built once, differentiated by [`Graph::vjp`] into more of itself, wrapped into a [`Program`]
//! (what it reads, returns and updates), planned by [`Plan::new`] and replayed by an [`Executor`].

#![forbid(unsafe_code)]

mod build;
mod dump;
mod executor;
mod fuse;
mod graph;
mod op;
mod plan;
mod program;
mod rows;
mod slots;
#[cfg(test)]
mod tests;
mod vjp;

pub use executor::{Executor, ExecutorError, Handle, RunKey};
pub use fuse::{Fused, Instruction, Operand, Operation, Register};
pub use graph::{Graph, Node, NodeId};
pub use op::{Binary, ConvGeometry, Face, Law, Op, Padding, PaddingMode, Unary};
pub use plan::{Access, Place, Plan, PlanOptions, Stage, Step, StepInput, StepKind, StepOutput};
pub use program::{Declaration, Leading, Program};
