//! Which nodes make one step.

use super::emit::Emitter;
use super::{Fused, Operand};
use crate::graph::{Graph, NodeId};
use crate::op::Op;
use std::collections::HashSet;

/// A group of nodes, not yet code.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Members in order.
    pub(crate) members: Vec<NodeId>,
    pub(super) rows: usize,
    /// `None` while every member is a value per row.
    pub(super) cols: Option<usize>,
    /// Members of other groups that this one computes again for itself.
    pub(super) again: Vec<NodeId>,
}

/// How a member reads one of its inputs.
pub(super) enum Link {
    /// The same points, or the rows of a sum.
    Direct(NodeId),
    /// A value per row, for every column.
    Expand(NodeId),
    /// Another addressing.
    Load(NodeId, Operand),
    Number(f64),
}

/// Groups of fusible nodes; every other live node is alone.
pub(crate) struct Fusion<'g> {
    pub(super) graph: &'g Graph,
    pub(crate) group_of: Vec<Option<usize>>,
    pub(crate) groups: Vec<Group>,
    /// For each node, those that read its memory.
    pub(crate) consumers: Vec<Vec<NodeId>>,
    /// For each node, the one whose memory it shows.
    pub(crate) roots: Vec<NodeId>,
    pub(super) ends: &'g [bool],
    /// Arrays that a step reads and writes at most.
    pub(super) arrays: usize,
}

/// The node whose memory an alias shows.
pub(crate) fn root(graph: &Graph, mut id: NodeId) -> NodeId {
    while graph.node(id).op.is_alias() {
        id = graph.node(id).inputs[0];
    }
    id
}

/// Length of the last axis.
pub(super) fn last(graph: &Graph, id: NodeId) -> usize {
    graph.shape(id).last().copied().unwrap_or(1)
}

/// Not where the axis is empty: a step with no columns writes nothing.
fn sums_last_axis(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match &node.op {
        Op::Sum { axes } => {
            axes.len() == 1 && axes[0] + 1 == graph.shape(id).len() && last(graph, node.inputs[0]) > 0
        }
        _ => false,
    }
}

impl<'g> Fusion<'g> {
    /// `ends`: nodes that an output or update needs as memory.
    pub(crate) fn new(graph: &'g Graph, live: &[bool], ends: &'g [bool], arrays: usize) -> Self {
        let n = graph.nodes().len();
        let roots: Vec<NodeId> = (0..n).map(|i| root(graph, graph.id(i))).collect();
        let mut fusion = Self {
            graph,
            group_of: vec![None; n],
            groups: Vec::new(),
            consumers: vec![Vec::new(); n],
            roots,
            ends,
            arrays,
        };
        // From the last node back, so that a broadcast's readers are known when it is reached: one that every
        // reader takes as addressing is never made.
        for i in (0..n).rev().filter(|&i| live[i]) {
            let id = graph.id(i);
            let made = !fusion.is_absorbed(id) || !fusion.consumers[i].is_empty() || ends[i];
            if !graph.node(id).op.is_alias() && made {
                for source in fusion.sources(id) {
                    fusion.consumers[source.index()].push(id);
                }
            }
        }
        for i in (0..n).filter(|&i| live[i]) {
            let id = graph.id(i);
            if graph.node(id).op.is_elementwise() || sums_last_axis(graph, id) {
                fusion.place(id);
            }
        }
        fusion.rematerialise();
        fusion
    }

    /// A broadcast that elementwise readers take as addressing.
    pub(crate) fn is_absorbed(&self, id: NodeId) -> bool {
        self.graph.node(id).op == Op::Broadcast && self.addressing(id).is_some()
    }

    /// The nodes whose memory a node reads, past aliases and, for fusible readers, past broadcasts.
    pub(crate) fn sources(&self, id: NodeId) -> Vec<NodeId> {
        let fusible = self.graph.node(id).op.is_elementwise() || sums_last_axis(self.graph, id);
        let mut out = Vec::new();
        for &x in &self.graph.node(id).inputs {
            match (fusible, self.link(x)) {
                (true, Link::Direct(s) | Link::Expand(s) | Link::Load(s, _)) => out.push(s),
                (true, Link::Number(_)) => {}
                (false, _) => out.push(self.roots[x.index()]),
            }
        }
        out
    }

    pub(super) fn link(&self, x: NodeId) -> Link {
        let s = self.roots[x.index()];
        if let Op::Constant(c) = self.graph.node(s).op
            && self.graph.constants()[c].len() == 1
            && self.graph.len(x) == 1
        {
            return Link::Number(self.graph.constants()[c].iter().copied().next().unwrap_or(0.0));
        }
        // The broadcast must show its own last axis to the reader.
        if self.graph.node(s).op == Op::Broadcast
            && last(self.graph, s) == last(self.graph, x)
            && let Some(operand) = self.addressing(s)
        {
            let source = self.roots[self.graph.node(s).inputs[0].index()];
            if let Op::Constant(c) = self.graph.node(source).op
                && self.graph.constants()[c].len() == 1
            {
                return Link::Number(self.graph.constants()[c].iter().copied().next().unwrap_or(0.0));
            }
            if operand.div == 1 && operand.modulus == usize::MAX && !operand.columns {
                return Link::Expand(source);
            }
            return Link::Load(source, operand);
        }
        Link::Direct(s)
    }

    /// Addressing of a broadcast's input by the broadcast's points, if it is of the form of [`Operand`].
    fn addressing(&self, id: NodeId) -> Option<Operand> {
        let to = self.graph.shape(id);
        let from = self.graph.shape(self.graph.node(id).inputs[0]);
        let lead = to.len() - 1;
        let expanded: Vec<usize> = (0..lead).filter(|&a| from[a] != to[a]).collect();
        let kept: Vec<usize> = (0..lead).filter(|&a| from[a] == to[a] && to[a] != 1).collect();
        let columns = from[lead] == to[lead] && to[lead] != 1;
        let product = |axes: &[usize]| axes.iter().map(|&a| to[a]).product::<usize>();
        match (expanded.first(), kept.first()) {
            (None, _) => Some(Operand { div: 1, modulus: usize::MAX, columns }),
            (_, None) => Some(Operand { div: 1, modulus: 1, columns }),
            (Some(_), Some(_)) => {
                let inner = expanded.iter().all(|e| kept.iter().all(|k| e > k));
                let outer = expanded.iter().all(|e| kept.iter().all(|k| e < k));
                if inner {
                    Some(Operand { div: product(&expanded), modulus: usize::MAX, columns })
                } else if outer {
                    Some(Operand { div: 1, modulus: product(&kept), columns })
                } else {
                    None
                }
            }
        }
    }

    /// Puts a fusible node into a group: its own, then merged with those of its inputs where that is sound.
    fn place(&mut self, id: NodeId) {
        let sum = sums_last_axis(self.graph, id);
        let (rows, cols) = if sum {
            let x = self.graph.node(id).inputs[0];
            (self.graph.len(id), Some(last(self.graph, x)))
        } else {
            let c = last(self.graph, id);
            (self.graph.len(id) / c.max(1), if c == 1 { None } else { Some(c) })
        };
        self.groups.push(Group { members: vec![id], rows, cols, again: Vec::new() });
        self.group_of[id.index()] = Some(self.groups.len() - 1);
        for x in self.graph.node(id).inputs.clone() {
            let source = match self.link(x) {
                Link::Direct(s) => {
                    let same = last(self.graph, s) == last(self.graph, x);
                    if !same {
                        continue;
                    }
                    s
                }
                Link::Expand(s) if last(self.graph, s) == 1 => s,
                _ => continue,
            };
            if let (Some(a), Some(b)) = (self.group_of[source.index()], self.group_of[id.index()])
                && a != b
                && self.compatible(a, b)
                && self.fits(a, b)
                && !self.path_outside(a, b)
                && !self.path_outside(b, a)
            {
                self.merge(a, b);
            }
        }
    }

    fn compatible(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.groups[a], &self.groups[b]);
        a.rows == b.rows && (a.cols.is_none() || b.cols.is_none() || a.cols == b.cols)
    }

    /// Whether two groups make one that reads nothing of its own by another addressing (which would have to be in
    /// memory first), and that is not too large for an argument list.
    fn fits(&self, a: usize, b: usize) -> bool {
        let inside = |n: NodeId| self.group_of[n.index()].is_some_and(|g| g == a || g == b);
        let mut operands: HashSet<(NodeId, Option<Operand>)> = HashSet::new();
        let mut read: HashSet<NodeId> = HashSet::new();
        let mut results = 0;
        for &m in self.groups[a].members.iter().chain(&self.groups[b].members) {
            for &x in &self.graph.node(m).inputs {
                match self.link(x) {
                    Link::Load(s, _) if inside(s) => return false,
                    Link::Direct(s) | Link::Expand(s) if inside(s) => {}
                    Link::Direct(s) | Link::Expand(s) => {
                        operands.insert((s, None));
                        read.insert(s);
                    }
                    Link::Load(s, operand) => {
                        operands.insert((s, Some(operand)));
                        read.insert(s);
                    }
                    Link::Number(_) => {}
                }
            }
            let escapes = self.ends[m.index()] || self.consumers[m.index()].iter().any(|&c| !inside(c));
            results += usize::from(escapes);
        }
        operands.len() <= Fused::MAX_OPERANDS
            && results <= Fused::MAX_RESULTS
            && read.len() + results <= self.arrays
    }

    fn merge(&mut self, a: usize, b: usize) {
        let absorbed = std::mem::take(&mut self.groups[b].members);
        absorbed.iter().for_each(|m| self.group_of[m.index()] = Some(a));
        let cols = self.groups[b].cols;
        let into = &mut self.groups[a];
        into.members.extend(absorbed);
        into.members.sort_unstable();
        into.cols = into.cols.or(cols);
    }

    /// Whether something outside both groups depends on `from` and is needed by `to`.
    fn path_outside(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.consumers.len()];
        let mut stack = Vec::new();
        for m in &self.groups[from].members {
            stack.extend(self.consumers[m.index()].iter().map(|c| (*c, true)));
        }
        while let Some((node, first)) = stack.pop() {
            let group = self.group_of[node.index()];
            if group == Some(from) || group == Some(to) && first {
                continue;
            }
            if group == Some(to) {
                return true;
            }
            if std::mem::replace(&mut seen[node.index()], true) {
                continue;
            }
            let members = group.map_or_else(|| vec![node], |g| self.groups[g].members.clone());
            for m in members {
                seen[m.index()] = true;
                stack.extend(self.consumers[m.index()].iter().map(|c| (*c, false)));
            }
        }
        false
    }

    /// Whether a value is read outside its group, by a group that does not compute it again.
    pub(crate) fn escapes(&self, i: usize) -> bool {
        let own = self.group_of[i];
        let id = self.graph.id(i);
        self.ends[i]
            || self.consumers[i].iter().any(|c| {
                let reader = self.group_of[c.index()];
                reader != own && reader.is_none_or(|r| !self.groups[r].again.contains(&id))
            })
    }

    /// Code of a group, with the nodes it reads and writes. `escapes`: members read from outside.
    pub(crate) fn emit(&self, group: &Group, escapes: &[bool]) -> (Fused, Vec<NodeId>, Vec<NodeId>) {
        let mut emitter = Emitter::new(self, group.rows, group.cols.unwrap_or(1), self.is_flat(group));
        let mut members: Vec<NodeId> = group.members.iter().chain(&group.again).copied().collect();
        members.sort_unstable();
        members.into_iter().for_each(|m| emitter.member(m));
        let outputs: Vec<NodeId> = group.members.iter().copied().filter(|m| escapes[m.index()]).collect();
        let (fused, sources) = emitter.finish(&outputs);
        (fused, sources, outputs)
    }

    /// A group with neither rows nor columns in its meaning is one long row of points.
    fn is_flat(&self, group: &Group) -> bool {
        group.members.iter().chain(&group.again).all(|&m| {
            self.graph.node(m).op.is_elementwise()
                && self.graph.len(m) == group.rows * group.cols.unwrap_or(1)
                && self.graph.node(m).inputs.iter().all(|&x| match self.link(x) {
                    Link::Direct(_) | Link::Number(_) => true,
                    Link::Load(_, operand) => operand.is_shared() && !operand.columns,
                    Link::Expand(_) => false,
                })
        })
    }
}
