//! A group's code.

use super::group::{Fusion, Link, last};
use super::{Fused, Instruction, Operand, Operation, Register};
use crate::graph::NodeId;
use crate::op::Op;
use std::collections::HashMap;

/// Turns members into instructions on virtual registers, then shares registers by liveness.
pub(super) struct Emitter<'f, 'g> {
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

impl<'f, 'g> Emitter<'f, 'g> {
    /// `flat`: the points are one long row.
    pub(super) fn new(fusion: &'f Fusion<'g>, rows: usize, cols: usize, flat: bool) -> Self {
        let (rows, cols) = if flat { (rows * cols, 1) } else { (rows, cols) };
        Self {
            fusion,
            rows,
            cols,
            flat,
            operands: Vec::new(),
            sources: Vec::new(),
            registers: HashMap::new(),
            loads: HashMap::new(),
            expanded: HashMap::new(),
            prologue: Vec::new(),
            body: Vec::new(),
            count: 0,
        }
    }

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

    pub(super) fn member(&mut self, id: NodeId) {
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

    /// The code and the nodes that it reads.
    ///
    /// Linear scan: a register is free again after its last reader; those of the prologue stay. A result's register is
    /// the output.
    pub(super) fn finish(mut self, outputs: &[NodeId]) -> (Fused, Vec<NodeId>) {
        let mut results: Vec<Register> = outputs.iter().map(|m| self.registers[m]).collect();
        let last_use = self.last_uses();
        let mut result_of: Vec<Option<usize>> = vec![None; self.count];
        for (k, r) in results.iter().enumerate() {
            let i = virtual_index(*r)
                .filter(|&i| self.prologue.iter().all(|p| virtual_index(p.target) != Some(i)));
            if let Some(free) = i.map(|i| &mut result_of[i]).filter(|r| r.is_none()) {
                *free = Some(k);
            }
        }
        let mut pool = Pool::default();
        let mut map: Vec<Option<Register>> = vec![None; self.count];
        let mut written_at = vec![0; results.len()];
        for instruction in &mut self.prologue {
            let register = pool.take(instruction.target);
            map[virtual_index(instruction.target).unwrap_or(usize::MAX)] = Some(register);
            instruction.target = register;
        }
        let kept: Vec<bool> = map.iter().map(Option::is_some).collect();
        for (at, instruction) in self.body.iter_mut().enumerate() {
            let mut touched: Vec<usize> =
                instruction.arguments.iter().filter_map(|&r| virtual_index(r)).collect();
            for argument in &mut instruction.arguments {
                if let Some(i) = virtual_index(*argument) {
                    *argument = map[i].unwrap_or(*argument);
                }
            }
            let i = virtual_index(instruction.target).unwrap_or(usize::MAX);
            let register = match result_of[i] {
                Some(k) => {
                    written_at[k] = at;
                    Register::Result(k)
                }
                None => pool.take(instruction.target),
            };
            map[i] = Some(register);
            instruction.target = register;
            touched.push(i);
            touched.sort_unstable();
            touched.dedup();
            for u in touched.into_iter().filter(|&u| last_use[u] == at && !kept[u]) {
                map[u].into_iter().for_each(|r| pool.give_back(r));
            }
        }
        let full_results = results.iter().map(|r| matches!(r, Register::Full(_))).collect();
        for r in &mut results {
            if let Some(i) = virtual_index(*r) {
                *r = map[i].unwrap_or(*r);
            }
        }
        let last_read =
            (0..self.operands.len()).map(|i| self.body.iter().rposition(|x| x.reads(i))).collect();
        let fused = Fused {
            rows: self.rows,
            cols: self.cols,
            operands: self.operands,
            prologue: self.prologue,
            body: self.body,
            results,
            full_results,
            written_at,
            last_read,
            full_registers: pool.fulls,
            row_registers: pool.rows,
        };
        (fused, self.sources)
    }

    /// Position of each virtual register's last reader; of its writer where nothing reads it.
    fn last_uses(&self) -> Vec<usize> {
        let mut last_use = vec![0; self.count];
        for (at, instruction) in self.body.iter().enumerate() {
            for i in
                instruction.arguments.iter().chain([&instruction.target]).filter_map(|&r| virtual_index(r))
            {
                last_use[i] = at;
            }
        }
        last_use
    }
}

fn virtual_index(r: Register) -> Option<usize> {
    match r {
        Register::Full(i) | Register::Row(i) => Some(i),
        _ => None,
    }
}

impl Instruction {
    fn reads(&self, operand: usize) -> bool {
        self.operation == Operation::Load(operand) || self.arguments.contains(&Register::Operand(operand))
    }
}

/// Scratch registers in use and free again.
#[derive(Default)]
struct Pool {
    free: Vec<Register>,
    fulls: usize,
    rows: usize,
}

impl Pool {
    /// A register of the same width.
    fn take(&mut self, like: Register) -> Register {
        let full = matches!(like, Register::Full(_));
        if let Some(at) = self.free.iter().rposition(|r| matches!(r, Register::Full(_)) == full) {
            return self.free.remove(at);
        }
        let count = if full { &mut self.fulls } else { &mut self.rows };
        *count += 1;
        if full { Register::Full(*count - 1) } else { Register::Row(*count - 1) }
    }

    fn give_back(&mut self, register: Register) {
        if virtual_index(register).is_some() {
            self.free.push(register);
        }
    }
}
