//! A program: a graph with what it returns and which states it updates.

use crate::graph::{Graph, NodeId};

/// What axis 0 of an input or state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leading {
    /// Independent rows (samples, trajectories, windows of a batch): the plan may take them block by block.
    Rows,
    /// Nothing special: read whole by every row.
    Shared,
}

/// Name, shape and leading axis of an input or state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Unique among its kind.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Whether axis 0 is the program's rows.
    pub leading: Leading,
}

impl Declaration {
    /// Axis 0 is the program's rows.
    pub fn rows(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), leading: Leading::Rows }
    }

    /// Read whole.
    pub fn shared(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), leading: Leading::Shared }
    }
}

/// A graph, its outputs and its state updates; what an executor compiles.
#[derive(Clone, Debug)]
pub struct Program {
    /// The computation.
    pub graph: Graph,
    /// Named results handed back by a run.
    pub outputs: Vec<(String, NodeId)>,
    /// Index of a state, and the node that is its new value.
    pub updates: Vec<(usize, NodeId)>,
}

impl Program {
    /// A program without outputs or updates.
    pub fn new(graph: Graph) -> Self {
        Self { graph, outputs: Vec::new(), updates: Vec::new() }
    }

    /// Hands a node back under a name.
    ///
    /// Panics: the name is taken.
    #[must_use]
    #[track_caller]
    pub fn output(mut self, name: impl Into<String>, node: NodeId) -> Self {
        let name = name.into();
        assert!(self.outputs.iter().all(|(n, _)| *n != name), "output «{name}» is named twice");
        self.outputs.push((name, node));
        self
    }

    /// Assigns a state's new value, once.
    ///
    /// Panics: no such state, another shape, or assigned twice.
    #[must_use]
    #[track_caller]
    pub fn update(mut self, state: &str, node: NodeId) -> Self {
        let index = self.graph.states().iter().position(|d| d.name == state);
        let index = index.unwrap_or_else(|| panic!("the program declares no state «{state}»"));
        let declared = &self.graph.states()[index].shape;
        assert_eq!(
            declared,
            self.graph.shape(node),
            "state «{state}»: declared shape, shape of its new value"
        );
        assert!(self.updates.iter().all(|(i, _)| *i != index), "state «{state}» is assigned twice");
        self.updates.push((index, node));
        self
    }

    /// Number of rows: the length of axis 0 of every input and state declared with [`Leading::Rows`].
    ///
    /// Panics: two of them differ.
    #[track_caller]
    pub fn rows(&self) -> Option<usize> {
        let all = self.graph.inputs().iter().chain(self.graph.states());
        let mut rows = None;
        for d in all.filter(|d| d.leading == Leading::Rows) {
            let n = *d.shape.first().unwrap_or_else(|| panic!("«{}» has rows but no axis", d.name));
            let first = *rows.get_or_insert(n);
            assert_eq!(first, n, "«{}» and an earlier declaration have different numbers of rows", d.name);
        }
        rows
    }

    /// Nodes that an output or update needs, in order.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.graph.nodes().len()];
        let ends = self.outputs.iter().map(|(_, n)| *n).chain(self.updates.iter().map(|(_, n)| *n));
        ends.for_each(|n| live[n.index()] = true);
        for i in (0..live.len()).rev() {
            if live[i] {
                self.graph.nodes()[i].inputs.iter().for_each(|n| live[n.index()] = true);
            }
        }
        live
    }
}
