//! The executor against the interpreter and against itself.

mod allocation;
mod packs;
mod random_programs;
mod rows;
mod store;
mod threads;
pub(crate) mod training;
