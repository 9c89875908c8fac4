//! Steps before they have an order and places: what is computed from what.

use super::StepKind;
use crate::fuse::{Fused, Fusion, root};
use crate::graph::NodeId;
use crate::op::Op;
use crate::program::Program;
use crate::rows::Class;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// A step before places are known.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) kind: StepKind,
    pub(super) inputs: Vec<(NodeId, Vec<usize>)>,
    pub(super) outputs: Vec<NodeId>,
    pub(super) class: Class,
    /// Number of rows that the step is independent along; 0: none.
    pub(super) rows: usize,
}

impl Raw {
    fn new(kind: StepKind, inputs: Vec<(NodeId, Vec<usize>)>, outputs: Vec<NodeId>) -> Self {
        Self { kind, inputs, outputs, class: Class::Global, rows: 0 }
    }
}

/// All steps of a program, unordered.
///
/// `arrays`: how many a fused step reads and writes at most.
pub(super) fn raw_steps(program: &Program, arrays: usize) -> Vec<Raw> {
    let graph = &program.graph;
    let live = program.live();
    let mut ends = vec![false; live.len()];
    let end_nodes = program.outputs.iter().map(|(_, n)| *n).chain(program.updates.iter().map(|(_, n)| *n));
    end_nodes.for_each(|n| ends[root(graph, n).index()] = true);
    let fusion = Fusion::new(graph, &live, &ends, arrays);
    let escapes: Vec<bool> = (0..live.len()).map(|i| fusion.escapes(i)).collect();
    let mut raw = Vec::new();
    for (i, &is_live) in live.iter().enumerate() {
        let id = graph.id(i);
        let node = graph.node(id);
        let leaf = matches!(node.op, Op::Input(_) | Op::State(_) | Op::Constant(_));
        let made = !fusion.is_absorbed(id) || !fusion.consumers[i].is_empty() || ends[i];
        if !is_live || node.op.is_alias() || leaf || !made || fusion.group_of[i].is_some() {
            continue;
        }
        let inputs =
            node.inputs.iter().map(|x| (fusion.roots[x.index()], graph.shape(*x).to_vec())).collect();
        raw.push(Raw::new(StepKind::Op(node.op.clone()), inputs, vec![id]));
    }
    for group in fusion.groups.iter().filter(|g| !g.members.is_empty()) {
        let (fused, sources, outputs) = fusion.emit(group, &escapes);
        let inputs = sources.iter().map(|s| (*s, graph.shape(*s).to_vec())).collect();
        raw.push(Raw::new(StepKind::Fused(fused), inputs, outputs));
    }
    raw.extend(copies_of_leaves(program, &fusion));
    raw
}

/// An update by another state's old value, or a reshape of it, would be overwritten by that state's own update: the
/// old value is copied first.
fn copies_of_leaves(program: &Program, fusion: &Fusion<'_>) -> Vec<Raw> {
    let graph = &program.graph;
    let mut raw = Vec::new();
    for &(_, node) in &program.updates {
        let source = fusion.roots[node.index()];
        let updated =
            matches!(graph.node(source).op, Op::State(s) if program.updates.iter().any(|(u, _)| *u == s));
        if updated && raw.iter().all(|r: &Raw| r.inputs[0].0 != source) {
            let inputs = vec![(source, graph.shape(source).to_vec())];
            raw.push(Raw::new(StepKind::Fused(Fused::copy(graph.len(source))), inputs, Vec::new()));
        }
    }
    raw
}

/// Steps by the node they make, then each step's producers.
pub(super) fn dependencies(raw: &[Raw]) -> Vec<Vec<usize>> {
    let mut maker = HashMap::new();
    for (i, step) in raw.iter().enumerate() {
        step.outputs.iter().for_each(|o| {
            maker.insert(*o, i);
        });
    }
    raw.iter()
        .map(|step| {
            let mut from: Vec<usize> =
                step.inputs.iter().filter_map(|(n, _)| maker.get(n).copied()).collect();
            from.sort_unstable();
            from.dedup();
            from
        })
        .collect()
}

/// Steps are taken in the order of their latest node.
pub(super) fn key(raw: &Raw) -> usize {
    raw.outputs.iter().map(|n| n.index()).max().unwrap_or(0)
}

/// Steps in an order in which inputs come first; among the possible ones, by node.
pub(super) fn topological(raw: &[Raw]) -> Vec<usize> {
    let before = dependencies(raw);
    let mut waiting: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut after = vec![Vec::new(); raw.len()];
    before.iter().enumerate().for_each(|(i, b)| b.iter().for_each(|&j| after[j].push(i)));
    let mut ready: BinaryHeap<Reverse<(usize, usize)>> =
        (0..raw.len()).filter(|&i| waiting[i] == 0).map(|i| Reverse((key(&raw[i]), i))).collect();
    let mut order = Vec::with_capacity(raw.len());
    while let Some(Reverse((_, i))) = ready.pop() {
        order.push(i);
        for &j in &after[i] {
            waiting[j] -= 1;
            if waiting[j] == 0 {
                ready.push(Reverse((key(&raw[j]), j)));
            }
        }
    }
    assert_eq!(order.len(), raw.len(), "fusion made a cycle");
    order
}
