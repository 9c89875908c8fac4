//! Fusion after differentiation: elementwise chains, with sums over the last axis and the broadcasts around them,
//! become one step that passes over memory once. Bias + activation, layer norm and its gradient, the losses and
//! AdamW are all of this form; the composed graph is their reference.
//!
//! A group works on `rows × cols` points. Each of its values is *full* (one number a point) or *per row*.

use crate::graph::{Graph, NodeId};
use crate::op::{Binary, Op, Unary};
use std::collections::{HashMap, HashSet};

/// Where an instruction reads or writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Register {
    /// A strip of full values.
    Full(usize),
    /// A strip of values per row.
    Row(usize),
    /// An operand's memory itself, where its layout is that of a strip.
    Operand(usize),
    /// A number.
    Constant(f64),
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Copy an operand into a register by its addressing.
    Load(usize),
    /// Elementwise.
    Unary(Unary),
    /// Elementwise.
    Binary(Binary),
    /// (c, a, b) → a where c ≠ 0, else b.
    Select,
    /// Values per row, repeated over the columns.
    Expand,
    /// Full values summed over the columns.
    SumColumns,
}

/// One instruction; it is applied to a strip of rows at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction {
    /// What to do.
    pub operation: Operation,
    /// What to read.
    pub arguments: Vec<Register>,
    /// Where to write: [`Register::Full`] or [`Register::Row`].
    pub target: Register,
}

/// How a group reads an array: point (row, col) reads operand row (row / div) mod `modulus`, column `col` or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// Consecutive rows that read the same operand row.
    pub div: usize,
    /// Number of operand rows that are cycled through.
    pub modulus: usize,
    /// Whether the operand has a value for each column.
    pub columns: bool,
}

impl Operand {
    /// Whether all rows read operand row 0.
    pub fn is_shared(&self) -> bool {
        self.modulus == 1
    }
}

/// A fused elementwise step.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// Rows of the whole step.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Addressing of each input.
    pub operands: Vec<Operand>,
    /// Instructions whose result is the same for every strip.
    pub prologue: Vec<Instruction>,
    /// Instructions of a strip, in order.
    pub body: Vec<Instruction>,
    /// The register that holds each output.
    pub results: Vec<Register>,
    /// Number of full registers.
    pub full_registers: usize,
    /// Number of per-row registers.
    pub row_registers: usize,
}

/// A group of nodes, not yet code.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Members in order.
    pub(crate) members: Vec<NodeId>,
    rows: usize,
    /// `None` while every member is a value per row.
    cols: Option<usize>,
}

/// How a member reads one of its inputs.
enum Link {
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
    graph: &'g Graph,
    pub(crate) group_of: Vec<Option<usize>>,
    pub(crate) groups: Vec<Group>,
    /// For each node, those that read its memory.
    pub(crate) consumers: Vec<Vec<NodeId>>,
    /// For each node, the one whose memory it shows.
    pub(crate) roots: Vec<NodeId>,
    ends: &'g [bool],
}

/// The node whose memory an alias shows.
pub(crate) fn root(graph: &Graph, mut id: NodeId) -> NodeId {
    while graph.node(id).op.is_alias() {
        id = graph.node(id).inputs[0];
    }
    id
}

fn last(graph: &Graph, id: NodeId) -> usize {
    graph.shape(id).last().copied().unwrap_or(1)
}

fn sums_last_axis(graph: &Graph, id: NodeId) -> bool {
    match &graph.node(id).op {
        Op::Sum { axes } => axes.len() == 1 && axes[0] + 1 == graph.shape(id).len(),
        _ => false,
    }
}

impl<'g> Fusion<'g> {
    /// `ends`: nodes that an output or update needs as memory.
    pub(crate) fn new(graph: &'g Graph, live: &[bool], ends: &'g [bool]) -> Self {
        let n = graph.nodes().len();
        let roots: Vec<NodeId> = (0..n).map(|i| root(graph, graph.id(i))).collect();
        let mut fusion = Self {
            graph,
            group_of: vec![None; n],
            groups: Vec::new(),
            consumers: vec![Vec::new(); n],
            roots,
            ends,
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

    fn link(&self, x: NodeId) -> Link {
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
        self.groups.push(Group { members: vec![id], rows, cols });
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
        let mut results = 0;
        for &m in self.groups[a].members.iter().chain(&self.groups[b].members) {
            for &x in &self.graph.node(m).inputs {
                match self.link(x) {
                    Link::Load(s, _) if inside(s) => return false,
                    Link::Direct(s) | Link::Expand(s) if inside(s) => {}
                    Link::Direct(s) | Link::Expand(s) => {
                        operands.insert((s, None));
                    }
                    Link::Load(s, operand) => {
                        operands.insert((s, Some(operand)));
                    }
                    Link::Number(_) => {}
                }
            }
            let escapes = self.ends[m.index()] || self.consumers[m.index()].iter().any(|&c| !inside(c));
            results += usize::from(escapes);
        }
        operands.len() <= Fused::MAX_OPERANDS && results <= Fused::MAX_RESULTS
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

    /// Code of a group, with the nodes it reads and writes. `escapes`: members read from outside.
    pub(crate) fn emit(&self, group: &Group, escapes: &[bool]) -> (Fused, Vec<NodeId>, Vec<NodeId>) {
        let mut emitter = Emitter {
            fusion: self,
            rows: group.rows,
            cols: group.cols.unwrap_or(1),
            flat: self.is_flat(group),
            operands: Vec::new(),
            sources: Vec::new(),
            registers: HashMap::new(),
            loads: HashMap::new(),
            expanded: HashMap::new(),
            prologue: Vec::new(),
            body: Vec::new(),
            count: 0,
        };
        if emitter.flat {
            emitter.rows *= emitter.cols;
            emitter.cols = 1;
        }
        group.members.iter().for_each(|&m| emitter.member(m));
        let outputs: Vec<NodeId> = group.members.iter().copied().filter(|m| escapes[m.index()]).collect();
        let results = outputs.iter().map(|m| emitter.registers[m]).collect();
        (emitter.finish(results), emitter.sources, outputs)
    }

    /// A group with neither rows nor columns in its meaning is one long row of points.
    fn is_flat(&self, group: &Group) -> bool {
        group.members.iter().all(|&m| {
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

/// Turns members into instructions on virtual registers, then shares registers by liveness.
struct Emitter<'f, 'g> {
    fusion: &'f Fusion<'g>,
    rows: usize,
    cols: usize,
    flat: bool,
    operands: Vec<Operand>,
    sources: Vec<NodeId>,
    registers: HashMap<NodeId, Register>,
    loads: HashMap<(usize, bool), Register>,
    expanded: HashMap<NodeId, Register>,
    prologue: Vec<Instruction>,
    body: Vec<Instruction>,
    count: usize,
}

impl Emitter<'_, '_> {
    fn fresh(&mut self, full: bool) -> Register {
        self.count += 1;
        if full { Register::Full(self.count - 1) } else { Register::Row(self.count - 1) }
    }

    fn operand(&mut self, source: NodeId, operand: Operand) -> usize {
        let known = self.sources.iter().zip(&self.operands).position(|(s, o)| *s == source && *o == operand);
        known.unwrap_or_else(|| {
            self.sources.push(source);
            self.operands.push(operand);
            self.sources.len() - 1
        })
    }

    fn member(&mut self, id: NodeId) {
        let node = self.fusion.graph.node(id).clone();
        let sum = matches!(node.op, Op::Sum { .. });
        let full = !sum && (self.flat || last(self.fusion.graph, id) == self.cols);
        let arguments = node.inputs.iter().map(|&x| self.argument(x, full || sum)).collect();
        let operation = match node.op {
            Op::Unary(u) => Operation::Unary(u),
            Op::Binary(b) => Operation::Binary(b),
            Op::Select => Operation::Select,
            Op::Sum { .. } => Operation::SumColumns,
            op => unreachable!("{} is not fusible", op.name()),
        };
        let target = self.fresh(full);
        self.body.push(Instruction { operation, arguments, target });
        self.registers.insert(id, target);
    }

    fn argument(&mut self, x: NodeId, full: bool) -> Register {
        match self.fusion.link(x) {
            Link::Number(c) => Register::Constant(c),
            Link::Direct(s) => match self.registers.get(&s) {
                Some(&r) => r,
                None => {
                    let operand = Operand { div: 1, modulus: usize::MAX, columns: full && self.cols > 1 };
                    Register::Operand(self.operand(s, operand))
                }
            },
            Link::Expand(s) => {
                if let Some(&r) = self.expanded.get(&s) {
                    return r;
                }
                let from = match self.registers.get(&s) {
                    Some(&r) => r,
                    None => {
                        let operand = Operand { div: 1, modulus: usize::MAX, columns: false };
                        Register::Operand(self.operand(s, operand))
                    }
                };
                let target = self.fresh(true);
                self.body.push(Instruction { operation: Operation::Expand, arguments: vec![from], target });
                self.expanded.insert(s, target);
                target
            }
            Link::Load(s, operand) => {
                let i = self.operand(s, operand);
                if let Some(&r) = self.loads.get(&(i, full)) {
                    return r;
                }
                let target = self.fresh(full);
                let load = Instruction { operation: Operation::Load(i), arguments: Vec::new(), target };
                if operand.is_shared() {
                    self.prologue.push(load);
                } else {
                    self.body.push(load);
                }
                self.loads.insert((i, full), target);
                target
            }
        }
    }

    /// Linear scan: a register is free again after its last reader; those of the prologue and the results stay.
    fn finish(&mut self, mut results: Vec<Register>) -> Fused {
        let virtual_index = |r: Register| match r {
            Register::Full(i) | Register::Row(i) => Some(i),
            _ => None,
        };
        let mut last_use = vec![0; self.count];
        for (at, instruction) in self.body.iter().enumerate() {
            for i in instruction.arguments.iter().filter_map(|&r| virtual_index(r)) {
                last_use[i] = at;
            }
            // A result that nothing reads inside lives from here to the end; one never read is still written.
            if let Some(i) = virtual_index(instruction.target) {
                last_use[i] = last_use[i].max(at);
            }
        }
        let kept = results.iter().copied().chain(self.prologue.iter().map(|p| p.target));
        kept.filter_map(virtual_index).for_each(|i| last_use[i] = usize::MAX);
        let mut map: Vec<Option<Register>> = vec![None; self.count];
        let (mut free_full, mut free_row) = (Vec::new(), Vec::new());
        let (mut fulls, mut rows) = (0, 0);
        let mut allocate = |r: Register, free_full: &mut Vec<usize>, free_row: &mut Vec<usize>| match r {
            Register::Full(_) => Register::Full(free_full.pop().unwrap_or_else(|| {
                fulls += 1;
                fulls - 1
            })),
            _ => Register::Row(free_row.pop().unwrap_or_else(|| {
                rows += 1;
                rows - 1
            })),
        };
        let mut instructions = std::mem::take(&mut self.prologue);
        let split = instructions.len();
        instructions.append(&mut self.body);
        for (at, instruction) in instructions.iter_mut().enumerate() {
            let virtual_target = instruction.target;
            let used: Vec<usize> = instruction.arguments.iter().filter_map(|&r| virtual_index(r)).collect();
            for argument in &mut instruction.arguments {
                if let Some(i) = virtual_index(*argument) {
                    *argument = map[i].unwrap_or(*argument);
                }
            }
            let i = virtual_index(virtual_target).unwrap_or(usize::MAX);
            let physical = allocate(virtual_target, &mut free_full, &mut free_row);
            map[i] = Some(physical);
            instruction.target = physical;
            let mut freed: Vec<usize> = used;
            freed.push(i);
            freed.sort_unstable();
            freed.dedup();
            for u in freed {
                if at >= split && last_use[u] == at - split {
                    match map[u] {
                        Some(Register::Full(p)) => free_full.push(p),
                        Some(Register::Row(p)) => free_row.push(p),
                        _ => {}
                    }
                }
            }
        }
        for r in &mut results {
            if let Some(i) = virtual_index(*r) {
                *r = map[i].unwrap_or(*r);
            }
        }
        let body = instructions.split_off(split);
        Fused {
            rows: self.rows,
            cols: self.cols,
            operands: std::mem::take(&mut self.operands),
            prologue: instructions,
            body,
            results,
            full_registers: fulls,
            row_registers: rows,
        }
    }
}

impl Fused {
    /// Arrays that one step reads at most.
    pub const MAX_OPERANDS: usize = 64;
    /// Arrays that one step writes at most.
    pub const MAX_RESULTS: usize = 16;

    /// Whether a strip register is wide: one number a point rather than one a row.
    pub fn is_full(&self, register: Register) -> bool {
        match register {
            Register::Full(_) => true,
            Register::Operand(i) => self.operands[i].columns,
            Register::Row(_) | Register::Constant(_) => false,
        }
    }

    /// A step that copies one array.
    pub(crate) fn copy(len: usize) -> Self {
        Self {
            rows: len,
            cols: 1,
            operands: vec![Operand { div: 1, modulus: usize::MAX, columns: false }],
            prologue: Vec::new(),
            body: Vec::new(),
            results: vec![Register::Operand(0)],
            full_registers: 0,
            row_registers: 0,
        }
    }
}
