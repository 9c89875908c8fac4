//! Laws over the whole catalogue: fast forms against references, guard words, NaN, levels, threads, interpreters.

mod catalogue;
mod fast_forms;
mod interpreter;
mod nan;
mod replay;
mod wgsl;
