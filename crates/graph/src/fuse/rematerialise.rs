//! Values of an earlier group that a later one computes again, where that reads no more arrays than reading them: an
//! activation's backward step then needs its argument alone, and the forward step writes its result alone.

use super::Fused;
use super::group::{Fusion, Link, last};
use crate::graph::NodeId;
use std::collections::BTreeSet;

/// Instructions that a group may repeat.
const MAX_AGAIN: usize = 32;

/// What computing values again takes.
#[derive(Default)]
struct Cone {
    /// Nodes computed again.
    nodes: BTreeSet<NodeId>,
    /// Full arrays read instead.
    arrays: BTreeSet<NodeId>,
    /// Everything read from memory, with the node that reads it.
    reads: Vec<NodeId>,
}

impl Fusion<'_> {
    pub(super) fn rematerialise(&mut self) {
        for b in 0..self.groups.len() {
            let Some(cols) = self.groups[b].cols.filter(|_| !self.groups[b].members.is_empty()) else {
                continue;
            };
            let mut borrowed = self.borrowed(b, cols);
            // Values whose own cone is wide are given up first.
            borrowed.sort_by_key(|&v| std::cmp::Reverse(self.cone(b, &[v]).arrays.len()));
            while !borrowed.is_empty() {
                let cone = self.cone(b, &borrowed);
                if self.pays(b, &borrowed, &cone) {
                    self.compute_again(b, cone);
                    break;
                }
                borrowed.remove(0);
            }
        }
    }

    /// Full elementwise values that group `b` reads point by point, and that are in memory for such readers only.
    fn borrowed(&self, b: usize, cols: usize) -> Vec<NodeId> {
        let mut found = BTreeSet::new();
        for &m in &self.groups[b].members {
            for &x in &self.graph.node(m).inputs {
                if let Link::Direct(v) = self.link(x)
                    && last(self.graph, v) == cols
                    && self.graph.len(v) == self.groups[b].rows * cols
                    && self.group_of[v.index()].is_some_and(|a| a != b)
                    && self.may_be_computed_again(v)
                {
                    found.insert(v);
                }
            }
        }
        found.into_iter().collect()
    }

    /// Elementwise, and not in memory anyway.
    fn may_be_computed_again(&self, v: NodeId) -> bool {
        let grouped = |n: &NodeId| self.group_of[n.index()].is_some();
        self.graph.node(v).op.is_elementwise()
            && !self.ends[v.index()]
            && self.consumers[v.index()].iter().all(grouped)
    }

    /// Whether a third group reads a value, so that it is written anyway.
    fn is_read_elsewhere(&self, s: NodeId, b: usize) -> bool {
        let own = self.group_of[s.index()];
        let reads = |group: usize| Some(group) != own && group != b && !self.groups[group].again.contains(&s);
        self.consumers[s.index()].iter().any(|c| self.group_of[c.index()].is_some_and(reads))
    }

    /// What group `b` needs to compute the values.
    fn cone(&self, b: usize, values: &[NodeId]) -> Cone {
        let mut cone = Cone::default();
        let mut stack = values.to_vec();
        while let Some(n) = stack.pop() {
            if !cone.nodes.insert(n) {
                continue;
            }
            for &x in &self.graph.node(n).inputs {
                match self.link(x) {
                    Link::Number(_) => {}
                    Link::Load(s, _) | Link::Expand(s) => cone.reads.push(s),
                    Link::Direct(s) => {
                        let full = self.graph.len(s) == self.graph.len(n) && last(self.graph, s) > 1;
                        let same_group = self.group_of[s.index()] == self.group_of[n.index()];
                        if full
                            && same_group
                            && self.may_be_computed_again(s)
                            && !self.is_read_elsewhere(s, b)
                        {
                            stack.push(s);
                        } else {
                            cone.reads.push(s);
                            cone.arrays.extend(full.then_some(s));
                        }
                    }
                }
            }
        }
        cone
    }

    fn pays(&self, b: usize, borrowed: &[NodeId], cone: &Cone) -> bool {
        let group = &self.groups[b];
        let read: BTreeSet<NodeId> = group.members.iter().flat_map(|&m| self.sources(m)).collect();
        let more = cone.arrays.iter().filter(|a| !read.contains(a)).count();
        let operands = read.union(&cone.reads.iter().copied().collect()).count();
        let results = group.members.iter().filter(|m| self.escapes(m.index())).count();
        // What the cone reads of a group that has written none of it so far is one more result of that group.
        let is_new = |s: &NodeId| self.group_of[s.index()].is_some() && !self.escapes(s.index());
        let tight = self.arrays < Fused::MAX_OPERANDS;
        // The last condition: what is read by another addressing must be in memory before the group begins.
        more <= borrowed.len()
            && cone.nodes.len() <= MAX_AGAIN
            && operands + 8 <= Fused::MAX_OPERANDS
            && operands + results <= self.arrays
            && !(tight && cone.reads.iter().any(is_new))
            && self.sources_hold(&cone.reads.iter().copied().filter(is_new).collect::<Vec<_>>())
            && cone.reads.iter().all(|s| self.group_of[s.index()] != Some(b))
    }

    /// Whether groups can write as many more of their members as are among these.
    fn sources_hold(&self, new: &[NodeId]) -> bool {
        let of = |s: &NodeId| self.group_of[s.index()];
        new.iter().all(|s| {
            let written =
                |g: usize| self.groups[g].members.iter().filter(|m| self.escapes(m.index())).count();
            let more = new.iter().filter(|other| of(other) == of(s)).count();
            of(s).is_none_or(|g| written(g) + more <= Fused::MAX_RESULTS)
        })
    }

    fn compute_again(&mut self, b: usize, cone: Cone) {
        let reader = self.groups[b].members[0];
        cone.reads.into_iter().for_each(|s| self.consumers[s.index()].push(reader));
        self.groups[b].again.extend(cone.nodes);
    }
}
