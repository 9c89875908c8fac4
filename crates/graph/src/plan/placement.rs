//! Slots and states for every value, and the sizes of blocks.

use super::raw::Raw;
use super::schedule::Run;
use super::{Access, Place, Plan, PlanOptions, Stage, Step, StepInput, StepKind, StepOutput};
use crate::fuse::root;
use crate::graph::{Graph, NodeId};
use crate::op::Op;
use crate::program::Program;
use crate::rows::Class;
use crate::slots::Slots;
use std::collections::HashMap;

/// Gives every value its place.
pub(super) struct Placement<'a> {
    program: &'a Program,
    raw: &'a [Raw],
    order: &'a [Run],
    options: PlanOptions,
    places: HashMap<NodeId, Place>,
    /// For each value its readers, as (stage, position in the stage).
    readers: HashMap<NodeId, Vec<(usize, usize)>>,
    /// Values that must outlive all stages.
    ends: Vec<NodeId>,
    full: Slots,
}

impl<'a> Placement<'a> {
    pub(super) fn new(program: &'a Program, raw: &'a [Raw], order: &'a [Run], options: PlanOptions) -> Self {
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
        for (s, run) in order.iter().enumerate() {
            for (p, &i) in run.steps.iter().enumerate() {
                raw[i].inputs.iter().for_each(|(n, _)| readers.entry(*n).or_default().push((s, p)));
            }
        }
        let ends = program.outputs.iter().map(|(_, n)| root(graph, *n));
        let ends = ends.chain(program.updates.iter().map(|(_, n)| root(graph, *n))).collect();
        Self { program, raw, order, options, places, readers, ends, full: Slots::default() }
    }

    fn len(&self, n: NodeId) -> usize {
        self.program.graph.len(n)
    }

    pub(super) fn finish(mut self) -> Plan {
        self.place_updates();
        let mut copied_leaves: HashMap<NodeId, Place> = HashMap::new();
        let mut alive: Vec<(usize, NodeId)> = Vec::new(); // (last stage of use, value)
        let mut stages = Vec::new();
        for s in 0..self.order.len() {
            let Run { rows, steps } = &self.order[s];
            for &i in steps {
                if self.raw[i].outputs.is_empty() {
                    let source = self.raw[i].inputs[0].0;
                    let slot = self.full.take(self.len(source));
                    copied_leaves.insert(source, Place::Full(slot));
                }
                for &o in &self.raw[i].outputs {
                    let placed = self.places.contains_key(&o) || *rows > 0 && self.is_local(o, i, s);
                    if !placed {
                        let slot = self.full.take(self.len(o));
                        self.places.insert(o, Place::Full(slot));
                        alive.push((self.last_stage(o, s), o));
                    }
                }
            }
            let local = if *rows > 0 { self.place_locals(s) } else { Vec::new() };
            let made: Vec<Step> = steps.iter().map(|&i| self.step(i, &copied_leaves)).collect();
            stages.push(if *rows > 0 {
                let block = self.block(*rows, &local, &made);
                let groups = groups(rows.div_ceil(block), &made);
                Stage::Rows { rows: *rows, block, groups, steps: made, local }
            } else {
                Stage::Global(made)
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
            let maker = self.order.iter().enumerate().find_map(|(s, run)| {
                let p = run.steps.iter().position(|&i| self.raw[i].outputs.contains(&value))?;
                Some((s, p, run.steps[p]))
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
        let is_rows = self.order[s].rows > 0;
        if matches!(self.raw[i].class, Class::Reduce(_)) {
            return false;
        }
        let step = &self.raw[self.order[rs].steps[rp]];
        let by_piece = match &step.class {
            Class::Rowwise(a) | Class::Reduce(a) => {
                step.inputs.iter().zip(a).all(|((n, _), a)| *n != old || *a == Access::Piece)
            }
            Class::Global => !is_rows,
        };
        by_piece && (rp < p || rp == p && reads_in_place(step, old))
    }

    /// Slots for the local values of a row stage; returns elements per row of each.
    fn place_locals(&mut self, stage: usize) -> Vec<usize> {
        let Run { rows, steps } = &self.order[stage];
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
            StepKind::Op(Op::Conv(_, g)) => Some(s.inputs[0].shape[0] * g.output().iter().product::<usize>()),
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

/// Consecutive groups of blocks, each with a partial result of every sum over rows: as many as a bound on their
/// memory allows, at most 16, and one for each block where there are no sums.
fn groups(blocks: usize, steps: &[Step]) -> usize {
    let sums = steps.iter().filter(|s| s.reduces);
    let bytes: usize = sums.map(|s| 4 * s.outputs[0].shape.iter().product::<usize>()).sum();
    PARTIAL_BYTES.checked_div(bytes).map_or(blocks, |groups| groups.clamp(2, 16).min(blocks))
}

/// Partial results of one stage's sums over rows.
const PARTIAL_BYTES: usize = 256 << 20;

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
