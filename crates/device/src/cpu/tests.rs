//! The executor against the interpreter and against itself.

mod allocation;
mod packs;
mod random_programs;
mod rows;
mod runs;
mod store;
mod threads;
mod training;
