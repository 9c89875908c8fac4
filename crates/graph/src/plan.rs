//! From a program to stages of steps on slots: what an executor replays.

use crate::fuse::{Fused, Fusion, root};
use crate::graph::{Graph, NodeId};
use crate::op::Op;
use crate::program::{Leading, Program};
use crate::rows::{Class, Seen, classify_fused, classify_op};
use crate::slots::Slots;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// How a step of a row stage reads an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The pieces of its block of rows.
    Piece,
    /// Everything.
    Whole,
}

/// Where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A run's input.
    Input(usize),
    /// A state of the store.
    State(usize),
    /// A constant of the graph.
    Constant(usize),
    /// A slot that holds a whole array.
    Full(usize),
    /// A slot that holds the pieces of one block of rows.
    Local(usize),
}

/// A step's input.
#[derive(Clone, Debug, PartialEq)]
pub struct StepInput {
    /// Where it lies.
    pub place: Place,
    /// Whole shape, as the step sees it.
    pub shape: Vec<usize>,
    /// Part that a block of rows reads.
    pub access: Access,
}

/// A step's output.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutput {
    /// Where it goes.
    pub place: Place,
    /// Whole shape.
    pub shape: Vec<usize>,
}

/// What a step computes.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// One op of the graph.
    Op(Op),
    /// A fused group.
    Fused(Fused),
}

/// One kernel call.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is computed.
    pub kind: StepKind,
    /// What is read.
    pub inputs: Vec<StepInput>,
    /// What is written.
    pub outputs: Vec<StepOutput>,
    /// In a row stage: each block yields a partial result, and they are summed in the order of blocks.
    pub reduces: bool,
}

/// A run of steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Steps on whole arrays, one after another.
    Global(Vec<Step>),
    /// Steps that are independent along the rows: every block of rows goes through all of them.
    Rows {
        /// Number of rows.
        rows: usize,
        /// Rows in a block; the last block may be smaller.
        block: usize,
        /// Steps in order.
        steps: Vec<Step>,
        /// Elements per row of each local slot.
        local: Vec<usize>,
    },
}

/// Choices of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether values share slots and states are updated in place. `false` is the reference of the tests.
    pub reuse: bool,
    /// Rows in a block; `None` chooses by the bytes of a row.
    pub block: Option<usize>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { reuse: true, block: None }
    }
}

/// A planned program. Nothing in it depends on the number of threads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Stages in order.
    pub stages: Vec<Stage>,
    /// Elements of each full slot.
    pub full: Vec<usize>,
    /// Where each output lies at the end of a run, and its length.
    pub outputs: Vec<(Place, usize)>,
    /// Copies into states after the last stage.
    pub copies: Vec<(Place, usize)>,
}

/// A step before places are known.
struct Raw {
    kind: StepKind,
    inputs: Vec<(NodeId, Vec<usize>)>,
    outputs: Vec<NodeId>,
    class: Class,
}

impl Plan {
    /// Fuses, classifies, orders and places a program's steps.
    pub fn new(program: &Program, options: PlanOptions) -> Self {
        let rows = program.rows().filter(|&r| r > 1);
        let mut raw = raw_steps(program);
        classify(program, &mut raw, rows);
        let order = schedule(&raw);
        Placement::new(program, &raw, &order, rows, options).finish()
    }

    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|s| match s {
            Stage::Global(steps) | Stage::Rows { steps, .. } => steps.iter(),
        })
    }
}

fn raw_steps(program: &Program) -> Vec<Raw> {
    let graph = &program.graph;
    let live = program.live();
    let mut ends = vec![false; live.len()];
    let end_nodes = program.outputs.iter().map(|(_, n)| *n).chain(program.updates.iter().map(|(_, n)| *n));
    end_nodes.for_each(|n| ends[root(graph, n).index()] = true);
    let fusion = Fusion::new(graph, &live, &ends);
    let escapes: Vec<bool> = (0..live.len())
        .map(|i| {
            ends[i] || fusion.consumers[i].iter().any(|c| fusion.group_of[c.index()] != fusion.group_of[i])
        })
        .collect();
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
        raw.push(Raw {
            kind: StepKind::Op(node.op.clone()),
            inputs,
            outputs: vec![id],
            class: Class::Global,
        });
    }
    for group in fusion.groups.iter().filter(|g| !g.members.is_empty()) {
        let (fused, sources, outputs) = fusion.emit(group, &escapes);
        let inputs = sources.iter().map(|s| (*s, graph.shape(*s).to_vec())).collect();
        raw.push(Raw { kind: StepKind::Fused(fused), inputs, outputs, class: Class::Global });
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
            raw.push(Raw {
                kind: StepKind::Fused(Fused::copy(graph.len(source))),
                inputs: vec![(source, graph.shape(source).to_vec())],
                outputs: Vec::new(),
                class: Class::Global,
            });
        }
    }
    raw
}

/// Steps by the node they make, then each step's producers.
fn dependencies(raw: &[Raw]) -> Vec<Vec<usize>> {
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

fn key(raw: &Raw) -> usize {
    raw.outputs.iter().map(|n| n.index()).max().unwrap_or(0)
}

/// Steps in an order in which inputs come first; among the possible ones, by node.
fn topological(raw: &[Raw]) -> Vec<usize> {
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

fn classify(program: &Program, raw: &mut [Raw], rows: Option<usize>) {
    let Some(rows) = rows else { return };
    let graph = &program.graph;
    let mut is_row: HashMap<NodeId, bool> = HashMap::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        let row = match node.op {
            Op::Input(k) => graph.inputs()[k].leading == Leading::Rows,
            Op::State(k) => graph.states()[k].leading == Leading::Rows,
            _ => false,
        };
        is_row.insert(graph.id(i), row);
    }
    for i in topological(raw) {
        let step = &raw[i];
        let seen = |n: &NodeId| is_row[n];
        let class = match &step.kind {
            StepKind::Op(op) => {
                let inputs: Vec<Seen<'_>> =
                    step.inputs.iter().map(|(n, shape)| Seen { shape, is_row: seen(n) }).collect();
                classify_op(op, &inputs, graph.shape(step.outputs[0]), rows)
            }
            StepKind::Fused(fused) => {
                let flags: Vec<bool> = step.inputs.iter().map(|(n, _)| seen(n)).collect();
                classify_fused(fused, &flags, rows)
            }
        };
        if matches!(class, Class::Rowwise(_)) {
            step.outputs.iter().for_each(|o| {
                is_row.insert(*o, true);
            });
        }
        raw[i].class = class;
    }
    move_broadcasts_into_rows(program, raw, rows, &is_row);
}

/// A shared array repeated along the rows and read by rows only is made block by block.
fn move_broadcasts_into_rows(
    program: &Program,
    raw: &mut [Raw],
    rows: usize,
    is_row: &HashMap<NodeId, bool>,
) {
    let graph = &program.graph;
    let ends: Vec<NodeId> = program
        .outputs
        .iter()
        .map(|(_, n)| root(graph, *n))
        .chain(program.updates.iter().map(|(_, n)| root(graph, *n)))
        .collect();
    for i in 0..raw.len() {
        let repeated = match (&raw[i].kind, &raw[i].class) {
            (StepKind::Op(Op::Broadcast), Class::Global) => {
                // A row value may lie along another axis: it is not whole while its rows are worked on.
                let (input, shape) = &raw[i].inputs[0];
                !is_row[input] && shape[0] == 1 && graph.shape(raw[i].outputs[0])[0].is_multiple_of(rows)
            }
            _ => false,
        };
        if !repeated || ends.contains(&raw[i].outputs[0]) {
            continue;
        }
        let made = raw[i].outputs[0];
        let by_rows = raw.iter().all(|step| {
            let reads = step.inputs.iter().enumerate().filter(|(_, (n, _))| *n == made);
            reads.into_iter().all(|(k, _)| match &step.class {
                Class::Rowwise(a) | Class::Reduce(a) => a[k] == Access::Piece,
                Class::Global => false,
            })
        });
        if by_rows {
            raw[i].class = Class::Rowwise(vec![Access::Whole]);
        }
    }
}

/// Order of steps, in alternating stages: (row stage?, steps).
fn schedule(raw: &[Raw]) -> Vec<(bool, Vec<usize>)> {
    let before = dependencies(raw);
    let mut waiting: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut after = vec![Vec::new(); raw.len()];
    before.iter().enumerate().for_each(|(i, b)| b.iter().for_each(|&j| after[j].push(i)));
    let mut ready: [BinaryHeap<Reverse<(usize, usize)>>; 2] = [BinaryHeap::new(), BinaryHeap::new()];
    let lane = |i: usize| usize::from(raw[i].class != Class::Global);
    for i in (0..raw.len()).filter(|&i| waiting[i] == 0) {
        ready[lane(i)].push(Reverse((key(&raw[i]), i)));
    }
    let mut stages = Vec::new();
    let mut now = 0;
    while !ready[0].is_empty() || !ready[1].is_empty() {
        if ready[now].is_empty() {
            now = 1 - now;
        }
        let (mut steps, mut deferred) = (Vec::new(), Vec::new());
        while let Some(Reverse((_, i))) = ready[now].pop() {
            steps.push(i);
            // A sum over rows is whole only at the end of its stage.
            if matches!(raw[i].class, Class::Reduce(_)) {
                deferred.push(i);
            } else {
                release(i, &after, &mut waiting, |j| ready[lane(j)].push(Reverse((key(&raw[j]), j))));
            }
        }
        for i in deferred {
            release(i, &after, &mut waiting, |j| ready[lane(j)].push(Reverse((key(&raw[j]), j))));
        }
        stages.push((now == 1, steps));
        now = 1 - now;
    }
    stages
}

fn release(i: usize, after: &[Vec<usize>], waiting: &mut [usize], mut make_ready: impl FnMut(usize)) {
    for &j in &after[i] {
        waiting[j] -= 1;
        if waiting[j] == 0 {
            make_ready(j);
        }
    }
}

/// Gives every value its place.
struct Placement<'a> {
    program: &'a Program,
    raw: &'a [Raw],
    order: &'a [(bool, Vec<usize>)],
    rows: Option<usize>,
    options: PlanOptions,
    places: HashMap<NodeId, Place>,
    /// For each value its readers, as (stage, position in the stage).
    readers: HashMap<NodeId, Vec<(usize, usize)>>,
    /// Values that must outlive all stages.
    ends: Vec<NodeId>,
    full: Slots,
}

impl<'a> Placement<'a> {
    fn new(
        program: &'a Program,
        raw: &'a [Raw],
        order: &'a [(bool, Vec<usize>)],
        rows: Option<usize>,
        options: PlanOptions,
    ) -> Self {
        let graph = &program.graph;
        let mut places = HashMap::new();
        for (i, node) in graph.nodes().iter().enumerate() {
            let place = match node.op {
                Op::Input(k) => Place::Input(k),
                Op::State(k) => Place::State(k),
                Op::Constant(k) => Place::Constant(k),
                _ => continue,
            };
            places.insert(graph.id(i), place);
        }
        let mut readers: HashMap<NodeId, Vec<(usize, usize)>> = HashMap::new();
        for (s, (_, steps)) in order.iter().enumerate() {
            for (p, &i) in steps.iter().enumerate() {
                raw[i].inputs.iter().for_each(|(n, _)| readers.entry(*n).or_default().push((s, p)));
            }
        }
        let ends = program.outputs.iter().map(|(_, n)| root(graph, *n));
        let ends = ends.chain(program.updates.iter().map(|(_, n)| root(graph, *n))).collect();
        Self { program, raw, order, rows, options, places, readers, ends, full: Slots::default() }
    }

    fn len(&self, n: NodeId) -> usize {
        self.program.graph.len(n)
    }

    fn finish(mut self) -> Plan {
        self.place_updates();
        let mut copied_leaves: HashMap<NodeId, Place> = HashMap::new();
        let mut alive: Vec<(usize, NodeId)> = Vec::new(); // (last stage of use, value)
        let mut stages = Vec::new();
        for s in 0..self.order.len() {
            let (is_rows, steps) = self.order[s].clone();
            for &i in &steps {
                if self.raw[i].outputs.is_empty() {
                    let source = self.raw[i].inputs[0].0;
                    let slot = self.full.take(self.len(source));
                    copied_leaves.insert(source, Place::Full(slot));
                }
                for &o in &self.raw[i].outputs {
                    let placed = self.places.contains_key(&o) || is_rows && self.is_local(o, i, s);
                    if !placed {
                        let slot = self.full.take(self.len(o));
                        self.places.insert(o, Place::Full(slot));
                        alive.push((self.last_stage(o, s), o));
                    }
                }
            }
            let local = if is_rows { self.place_locals(s, &steps) } else { Vec::new() };
            let made: Vec<Step> = steps.iter().map(|&i| self.step(i, &copied_leaves)).collect();
            stages.push(match self.rows.filter(|_| is_rows) {
                Some(rows) => {
                    let block = self.block(rows, &local, &made);
                    Stage::Rows { rows, block, steps: made, local }
                }
                None => Stage::Global(made),
            });
            if self.options.reuse {
                for (_, n) in alive.extract_if(.., |(end, _)| *end <= s) {
                    if let Place::Full(slot) = self.places[&n] {
                        self.full.give_back(slot);
                    }
                }
            }
        }
        let graph = &self.program.graph;
        let outputs =
            self.program.outputs.iter().map(|(_, n)| (self.places[&root(graph, *n)], self.len(*n))).collect();
        let copies = self
            .program
            .updates
            .iter()
            .map(|(s, n)| (root(graph, *n), *s))
            .map(|(n, s)| (copied_leaves.get(&n).copied().unwrap_or(self.places[&n]), s))
            .filter(|(place, s)| *place != Place::State(*s))
            .collect();
        Plan { stages, full: self.full.into_sizes(), outputs, copies }
    }

    fn last_stage(&self, n: NodeId, made: usize) -> usize {
        if self.ends.contains(&n) {
            return usize::MAX;
        }
        self.readers.get(&n).and_then(|r| r.iter().map(|(s, _)| *s).max()).unwrap_or(made).max(made)
    }

    /// Whether a row value is read by later steps of its own stage only.
    fn is_local(&self, n: NodeId, step: usize, stage: usize) -> bool {
        matches!(self.raw[step].class, Class::Rowwise(_))
            && !self.ends.contains(&n)
            && self.readers.get(&n).is_none_or(|r| r.iter().all(|(s, _)| *s == stage))
    }

    /// Writes new values of states into the states themselves, where no reader of the old value comes later.
    fn place_updates(&mut self) {
        if !self.options.reuse {
            return;
        }
        let graph = &self.program.graph;
        for &(state, node) in &self.program.updates {
            let value = root(graph, node);
            let old = graph.nodes().iter().position(|n| n.op == Op::State(state)).map(|i| graph.id(i));
            let returned = self.program.outputs.iter().any(|(_, n)| Some(root(graph, *n)) == old);
            let maker = self.order.iter().enumerate().find_map(|(s, (_, steps))| {
                let p = steps.iter().position(|&i| self.raw[i].outputs.contains(&value))?;
                Some((s, p, steps[p]))
            });
            let Some((s, p, i)) = maker else { continue };
            if returned || self.places.contains_key(&value) {
                continue;
            }
            let safe = old.and_then(|o| self.readers.get(&o)).is_none_or(|readers| {
                let old = old.expect("it has readers");
                readers.iter().all(|&(rs, rp)| self.may_precede(old, (rs, rp), (s, p, i)))
            });
            if safe {
                self.places.insert(value, Place::State(state));
            }
        }
    }

    /// Whether a read of `old` at `reader` is over when step `maker` overwrites it, block by block.
    fn may_precede(&self, old: NodeId, reader: (usize, usize), maker: (usize, usize, usize)) -> bool {
        let ((rs, rp), (s, p, i)) = (reader, maker);
        if rs != s {
            return rs < s;
        }
        let is_rows = self.order[s].0;
        if matches!(self.raw[i].class, Class::Reduce(_)) {
            return false;
        }
        let step = &self.raw[self.order[rs].1[rp]];
        let by_piece = match &step.class {
            Class::Rowwise(a) | Class::Reduce(a) => {
                step.inputs.iter().zip(a).all(|((n, _), a)| *n != old || *a == Access::Piece)
            }
            Class::Global => !is_rows,
        };
        by_piece && (rp < p || rp == p && reads_in_place(step, old))
    }

    /// Slots for the local values of a row stage; returns elements per row of each.
    fn place_locals(&mut self, stage: usize, steps: &[usize]) -> Vec<usize> {
        let rows = self.rows.expect("a row stage has rows");
        let mut slots = Slots::default();
        let last_read = |me: &Self, n: NodeId| {
            me.readers.get(&n).and_then(|r| r.iter().filter(|(s, _)| *s == stage).map(|(_, p)| *p).max())
        };
        for (p, &i) in steps.iter().enumerate() {
            let mut dying: Vec<(NodeId, usize)> = Vec::new();
            for (n, _) in &self.raw[i].inputs {
                if let Some(Place::Local(slot)) = self.places.get(n)
                    && last_read(self, *n) == Some(p)
                    && self.options.reuse
                    && dying.iter().all(|(d, _)| d != n)
                {
                    dying.push((*n, *slot));
                }
            }
            for &o in &self.raw[i].outputs {
                if self.places.contains_key(&o) {
                    continue;
                }
                let size = self.len(o) / rows;
                let reusable = dying
                    .iter()
                    .position(|(n, _)| self.len(*n) / rows == size && reads_in_place(&self.raw[i], *n));
                let slot = match reusable {
                    Some(d) => dying.swap_remove(d).1,
                    None => slots.take(size),
                };
                self.places.insert(o, Place::Local(slot));
            }
            dying.iter().for_each(|(_, slot)| slots.give_back(*slot));
        }
        slots.into_sizes()
    }

    /// Rows in a block: a few megabytes of local slots, at least 32 rows for a matrix product, and an even number of
    /// blocks of nearly equal size.
    fn block(&self, rows: usize, local: &[usize], steps: &[Step]) -> usize {
        if let Some(block) = self.options.block {
            return block.clamp(1, rows);
        }
        let bytes = 4 * local.iter().sum::<usize>().max(1);
        let by_cache = (TARGET_BYTES / bytes).max(1);
        let products = steps.iter().filter_map(|s| match &s.kind {
            StepKind::Op(Op::MatMul { ta: false, .. }) => Some(s.inputs[0].shape[0]),
            StepKind::Op(Op::Conv(_, g)) => Some(rows * g.output().iter().product::<usize>()),
            _ => None,
        });
        let most = products.max().unwrap_or(rows);
        let by_product = (32 * rows).div_ceil(most.max(1));
        let block = by_cache.max(by_product).min(rows.div_ceil(2)).max(1);
        let blocks = rows.div_ceil(block).next_multiple_of(2);
        rows.div_ceil(blocks).max(1)
    }

    fn step(&self, i: usize, copied: &HashMap<NodeId, Place>) -> Step {
        let raw = &self.raw[i];
        let whole = vec![Access::Whole; raw.inputs.len()];
        let (access, reduces) = match &raw.class {
            Class::Rowwise(a) => (a, false),
            Class::Reduce(a) => (a, true),
            Class::Global => (&whole, false),
        };
        let inputs = raw.inputs.iter().zip(access).map(|((n, shape), &access)| StepInput {
            place: self.places[n],
            shape: shape.clone(),
            access,
        });
        let mut outputs: Vec<StepOutput> = raw
            .outputs
            .iter()
            .map(|o| StepOutput { place: self.places[o], shape: self.graph().shape(*o).to_vec() })
            .collect();
        if raw.outputs.is_empty() {
            let (source, shape) = &raw.inputs[0];
            outputs.push(StepOutput { place: copied[source], shape: shape.clone() });
        }
        Step { kind: raw.kind.clone(), inputs: inputs.collect(), outputs, reduces }
    }

    fn graph(&self) -> &Graph {
        &self.program.graph
    }
}

/// Local slots of one block. A step's own operands stay in the second-level cache well below this; more rows share
/// each read of the weights.
const TARGET_BYTES: usize = 4096 * 1024;

/// Whether a step reads an array strip by strip where it writes, so that its output may take the array's place.
fn reads_in_place(raw: &Raw, n: NodeId) -> bool {
    match &raw.kind {
        StepKind::Op(_) => false,
        StepKind::Fused(fused) => raw.inputs.iter().zip(&fused.operands).all(|((m, _), operand)| {
            *m != n
                || operand.div == 1 && operand.modulus == usize::MAX && operand.columns == (fused.cols > 1)
        }),
    }
}
