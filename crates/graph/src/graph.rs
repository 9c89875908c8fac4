//! Nodes, append-only and hash-consed: the order of the vector is a topological order.

use crate::op::Op;
use crate::program::Declaration;
use ndarray::ArrayD;
use std::collections::HashMap;

/// A node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// Position in the graph.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An operation, what it reads, and its shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Earlier nodes.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Vec<usize>,
}

/// A static computation: nodes are only ever added, and equal nodes are one node.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    known: HashMap<Node, NodeId>,
    inputs: Vec<Declaration>,
    states: Vec<Declaration>,
    constants: Vec<ArrayD<f64>>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node itself.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// All nodes; a node's inputs come before it.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Id of the node at a position.
    ///
    /// Panics: there is no such node.
    pub fn id(&self, index: usize) -> NodeId {
        assert!(index < self.nodes.len(), "node {index} of a graph of {}", self.nodes.len());
        NodeId(index as u32)
    }

    /// Shape of a node.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.nodes[id.index()].shape
    }

    /// Number of elements of a node.
    pub fn len(&self, id: NodeId) -> usize {
        self.shape(id).iter().product()
    }

    /// Whether the graph has no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Inputs in the order of declaration.
    pub fn inputs(&self) -> &[Declaration] {
        &self.inputs
    }

    /// States in the order of declaration.
    pub fn states(&self) -> &[Declaration] {
        &self.states
    }

    /// Constants in the order of their ids.
    pub fn constants(&self) -> &[ArrayD<f64>] {
        &self.constants
    }

    /// The only place where nodes are made; equal nodes are merged.
    pub(crate) fn push(&mut self, op: Op, inputs: Vec<NodeId>, shape: Vec<usize>) -> NodeId {
        let node = Node { op, inputs, shape };
        if let Some(&id) = self.known.get(&node) {
            return id;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).expect("fewer than 2³² nodes"));
        self.known.insert(node.clone(), id);
        self.nodes.push(node);
        id
    }

    /// The same node once more, for a plan that computes it twice. Nothing is merged with it.
    pub(crate) fn copy(&mut self, id: NodeId) -> NodeId {
        let copy = NodeId(u32::try_from(self.nodes.len()).expect("fewer than 2³² nodes"));
        self.nodes.push(self.node(id).clone());
        copy
    }

    /// Declares a run's input.
    ///
    /// Panics: the name is taken.
    #[track_caller]
    pub fn input(&mut self, declaration: Declaration) -> NodeId {
        let taken = self.inputs.iter().any(|d| d.name == declaration.name);
        assert!(!taken, "input «{}» is declared twice", declaration.name);
        let shape = declaration.shape.clone();
        self.inputs.push(declaration);
        self.push(Op::Input(self.inputs.len() - 1), Vec::new(), shape)
    }

    /// A state of the executor's store, read as its old value. The same declaration again is the same node.
    ///
    /// Panics: the name is taken with another shape.
    #[track_caller]
    pub fn state(&mut self, declaration: Declaration) -> NodeId {
        let index = self.states.iter().position(|d| d.name == declaration.name).unwrap_or_else(|| {
            self.states.push(declaration.clone());
            self.states.len() - 1
        });
        let known = &self.states[index];
        assert_eq!(*known, declaration, "state «{}» is declared twice, differently", known.name);
        self.push(Op::State(index), Vec::new(), declaration.shape)
    }

    /// An array known now.
    pub fn constant(&mut self, value: ArrayD<f64>) -> NodeId {
        let same = |a: &ArrayD<f64>| {
            a.shape() == value.shape() && a.iter().zip(&value).all(|(x, y)| x.to_bits() == y.to_bits())
        };
        let shape = value.shape().to_vec();
        let index = self.constants.iter().position(same).unwrap_or_else(|| {
            let standard =
                if value.is_standard_layout() { value } else { value.as_standard_layout().into_owned() };
            self.constants.push(standard);
            self.constants.len() - 1
        });
        self.push(Op::Constant(index), Vec::new(), shape)
    }
}
