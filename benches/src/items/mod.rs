//! The work that is timed: one item for each line of the table.

mod flow;
pub(crate) mod kolmogorov;
mod long;
pub(crate) mod lorenz;
mod matmul;
mod programs;

use sda_device::{Cpu, CpuOptions};
use sda_graph::{ExecutorError, Handle};
use sda_kernels::Level;

pub(crate) use matmul::{MATMULS, Matmul};
pub(crate) use programs::Task;

/// What every item runs with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Threads of ours and of the peer.
    pub(crate) threads: usize,
    /// Instruction set of ours.
    pub(crate) level: Level,
}

impl Setting {
    fn cpu(self) -> Result<Cpu, ExecutorError> {
        let Self { threads, level } = self;
        Cpu::with_options(CpuOptions { threads, level, ..CpuOptions::default() })
    }
}

/// Work that is ready to be repeated.
pub(crate) trait Work {
    /// Once.
    fn run(&mut self) -> anyhow::Result<()>;

    /// The executor and the program that it replays in a run, where there is one. After the first run only.
    fn program(&mut self) -> Option<(&mut Cpu, Handle)> {
        None
    }
}

/// Work of the host alone.
struct Host<F>(F);

impl<F: FnMut() -> anyhow::Result<()>> Work for Host<F> {
    fn run(&mut self) -> anyhow::Result<()> {
        (self.0)()
    }
}

/// What is done with an item's work once it is prepared.
pub(crate) type Use<'a> = &'a mut dyn FnMut(&mut dyn Work) -> anyhow::Result<()>;

/// Prepares an item's work, lends it and drops it.
type Prepare = dyn Fn(Setting, Use<'_>) -> anyhow::Result<()>;

/// A named piece of work; the peer's is of the same name.
pub(crate) struct Item {
    /// Name in the table.
    pub(crate) name: String,
    /// The peer that has it too, by its name on the command line.
    pub(crate) peer: Option<&'static str>,
    prepare: Box<Prepare>,
}

impl Item {
    fn new(
        name: impl Into<String>,
        prepare: impl Fn(Setting, Use<'_>) -> anyhow::Result<()> + 'static,
    ) -> Self {
        Self { name: name.into(), peer: Some("torch"), prepare: Box::new(prepare) }
    }

    fn alone(self) -> Self {
        Self { peer: None, ..self }
    }

    fn beside(self, peer: &'static str) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// Prepares the work, lends it and drops it.
    pub(crate) fn with(&self, setting: Setting, work: Use<'_>) -> anyhow::Result<()> {
        (self.prepare)(setting, work)
    }
}

/// All items, in the table's order.
pub(crate) fn items() -> Vec<Item> {
    let published = lorenz::items().into_iter().chain(kolmogorov::items()).chain(matmul::items());
    published.chain(long::items()).chain(flow::items()).collect()
}

/// An item of the table, or one that is known by its name alone.
pub(crate) fn named(name: &str) -> Option<Item> {
    items().into_iter().chain(long::at_other_lengths()).find(|item| item.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_peers_items() {
        let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
        let read = |file: &str| std::fs::read_to_string(format!("{peers}/{file}")).unwrap();
        let torch = read("torch_lorenz.py") + &read("torch_kolmogorov.py");
        let jax_cfd = read("jax_cfd_peer.py");
        for (name, peer) in items().into_iter().filter_map(|item| Some((item.name, item.peer?))) {
            let peers = if peer == "torch" { &torch } else { &jax_cfd };
            // Names with numbers are made from a list: what stands before the first of them is a literal.
            let stem = name.split(|c: char| c.is_ascii_digit()).next().unwrap();
            let stem =
                ["paper", "small", "tiny"].iter().fold(stem, |stem, net| stem.split(net).next().unwrap());
            assert!(peers.contains(&format!("\"{stem}")), "{name}: no \"{stem}… in benches/peers");
        }
    }

    #[test]
    fn names_are_unique() {
        let all = || items().into_iter().chain(long::at_other_lengths()).map(|item| item.name);
        let unique: std::collections::BTreeSet<String> = all().collect();
        assert_eq!(unique.len(), all().count());
    }
}
