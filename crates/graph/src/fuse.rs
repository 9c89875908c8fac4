//! Fusion after differentiation: elementwise chains, with sums over the last axis and the broadcasts around them,
//! become one step that passes over memory once. Bias + activation, layer norm and its gradient, the losses and
//! AdamW are all of this form; the composed graph is their reference.
//!
//! A group works on `rows × cols` points. Each of its values is *full* (one number a point) or *per row*.

mod emit;
mod group;
mod rematerialise;

pub(crate) use group::{Fusion, root};

use crate::op::{Binary, Unary};

/// Where an instruction reads or writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Register {
    /// A strip of full values.
    Full(usize),
    /// A strip of values per row.
    Row(usize),
    /// An operand's memory itself, where its layout is that of a strip.
    Operand(usize),
    /// An output, by its index among the results: its memory itself, or a strip that is copied there where
    /// instructions still read what the memory holds.
    Result(usize),
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
    /// Where to write: [`Register::Full`], [`Register::Row`] or [`Register::Result`].
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
    /// Whether each result is wide.
    pub full_results: Vec<bool>,
    /// Position in the body of the instruction that writes each [`Register::Result`].
    pub written_at: Vec<usize>,
    /// Position in the body of the last instruction that reads each operand.
    pub last_read: Vec<Option<usize>>,
    /// Number of full registers.
    pub full_registers: usize,
    /// Number of per-row registers.
    pub row_registers: usize,
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
            Register::Result(i) => self.full_results[i],
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
            full_results: vec![false],
            written_at: vec![0],
            last_read: vec![None],
            full_registers: 0,
            row_registers: 0,
        }
    }
}
