//! A group's instructions as expressions: each value is computed from earlier ones, and has one name.

use sda_graph::{Binary, Fused, Instruction, Operand, Operation, Register, Unary};
use std::collections::HashMap;
use std::fmt::Write;

/// One value.
pub(super) struct Value {
    /// What it is, by the names of earlier values; a sum over columns has none.
    pub(super) expression: String,
    /// Earlier values that it needs.
    pub(super) needs: Vec<usize>,
    /// One number a point rather than one a row.
    pub(super) full: bool,
    /// Sums over columns that must be known before it.
    pub(super) phase: usize,
    /// The value that it is the sum of.
    pub(super) summed: Option<usize>,
}

/// What is written to a result.
pub(super) struct Written {
    pub(super) expression: String,
    /// The value, where it is no number.
    pub(super) value: Option<usize>,
}

/// The instructions of a group.
pub(super) struct Code {
    pub(super) values: Vec<Value>,
    pub(super) results: Vec<Written>,
    constants: Vec<f32>,
}

impl Code {
    /// `arrays`: the name of each operand's array.
    pub(super) fn new(fused: &Fused, arrays: &[String]) -> Self {
        let code = Self { values: Vec::new(), results: Vec::new(), constants: Vec::new() };
        let mut maker = Maker { fused, arrays, code, registers: HashMap::new(), operands: HashMap::new() };
        fused.prologue.iter().chain(&fused.body).for_each(|instruction| maker.instruction(instruction));
        for result in &fused.results {
            let (expression, value) = maker.argument(*result);
            maker.code.results.push(Written { expression, value });
        }
        maker.code
    }

    pub(super) fn sums(&self) -> bool {
        self.values.iter().any(|v| v.summed.is_some())
    }

    /// Numbers are no constants of the language, so that no compiler refuses an overflow in them.
    pub(super) fn constants(&self, lines: &mut String) {
        for (i, c) in self.constants.iter().enumerate() {
            let text = match c {
                c if c.is_nan() => "bitcast<f32>(bitcast<u32>(beyond(0.0)) | 0x400000u)".to_owned(),
                c if c.is_infinite() => if *c > 0.0 { "beyond(0.0)" } else { "-beyond(0.0)" }.to_owned(),
                c => format!("{c:?}f"),
            };
            let _ = writeln!(lines, "    let c{i} = {text};");
        }
    }

    /// Full values that some values need, themselves included, in order.
    pub(super) fn cone(&self, values: &[usize]) -> Vec<usize> {
        let mut needed = vec![false; self.values.len()];
        values.iter().for_each(|&v| needed[v] = true);
        for i in (0..needed.len()).rev().filter(|&i| self.values[i].full) {
            if needed[i] {
                self.values[i].needs.iter().for_each(|&n| needed[n] = true);
            }
        }
        (0..needed.len()).filter(|&i| needed[i] && self.values[i].full).collect()
    }
}

struct Maker<'a> {
    fused: &'a Fused,
    arrays: &'a [String],
    code: Code,
    registers: HashMap<(u8, usize), usize>,
    /// Values of operands that are read where they lie.
    operands: HashMap<usize, usize>,
}

/// What tells two scratch registers apart.
fn key(register: Register) -> Option<(u8, usize)> {
    match register {
        Register::Full(i) => Some((0, i)),
        Register::Row(i) => Some((1, i)),
        Register::Result(i) => Some((2, i)),
        Register::Operand(_) | Register::Constant(_) => None,
    }
}

impl Maker<'_> {
    fn push(&mut self, expression: String, needs: Vec<usize>, full: bool) -> usize {
        let phase = needs.iter().map(|&n| self.code.values[n].phase).max().unwrap_or(0);
        self.code.values.push(Value { expression, needs, full, phase, summed: None });
        self.code.values.len() - 1
    }

    /// Where an operand's number for this row and column lies.
    fn address(&self, operand: Operand, full: bool) -> String {
        let row = match operand {
            Operand { modulus: 1, .. } => "0u".to_owned(),
            Operand { div: 1, modulus: usize::MAX, .. } => "row".to_owned(),
            Operand { div, modulus: usize::MAX, .. } => format!("row / {div}u"),
            Operand { div: 1, modulus, .. } => format!("row % {modulus}u"),
            Operand { div, modulus, .. } => format!("row / {div}u % {modulus}u"),
        };
        if operand.columns && full && self.fused.cols > 1 { format!("({row}) * COLS + col") } else { row }
    }

    fn argument(&mut self, register: Register) -> (String, Option<usize>) {
        let value = match register {
            Register::Constant(c) => {
                self.code.constants.push(c as f32);
                return (format!("c{}", self.code.constants.len() - 1), None);
            }
            Register::Operand(i) => match self.operands.get(&i) {
                Some(&v) => v,
                None => {
                    let full = self.fused.operands[i].columns;
                    let read = format!("{}[{}]", self.arrays[i], self.address(self.fused.operands[i], full));
                    let v = self.push(read, Vec::new(), full);
                    self.operands.insert(i, v);
                    v
                }
            },
            _ => key(register)
                .and_then(|k| self.registers.get(&k).copied())
                .expect("a register is written before it is read"),
        };
        (format!("v{value}"), Some(value))
    }

    fn instruction(&mut self, instruction: &Instruction) {
        let full = self.fused.is_full(instruction.target);
        let (texts, needs): (Vec<String>, Vec<Option<usize>>) =
            instruction.arguments.iter().map(|&r| self.argument(r)).unzip();
        let needs: Vec<usize> = needs.into_iter().flatten().collect();
        let value = match instruction.operation {
            Operation::Load(i) => {
                let read = format!("{}[{}]", self.arrays[i], self.address(self.fused.operands[i], full));
                self.push(read, needs, full)
            }
            Operation::Unary(op) => self.push(unary(op, &texts[0]), needs, full),
            Operation::Binary(op) => self.push(binary(op, &texts[0], &texts[1]), needs, full),
            Operation::Select => {
                self.push(format!("select({}, {}, {} == 0.0)", texts[1], texts[2], texts[0]), needs, full)
            }
            Operation::Expand => self.push(texts[0].clone(), needs, full),
            Operation::SumColumns => self.sum(&texts[0], needs),
        };
        self.registers.insert(key(instruction.target).expect("a target is a register"), value);
    }

    /// A sum over the columns; of one column, or of what is the same for all, it is no sum.
    fn sum(&mut self, text: &str, needs: Vec<usize>) -> usize {
        let varies = needs.first().copied().filter(|&n| self.code.values[n].full && self.fused.cols > 1);
        let Some(summed) = varies else {
            let expression = format!("{text} * {}.0", self.fused.cols);
            return self.push(expression, needs, false);
        };
        let value = self.push(String::new(), needs, false);
        self.code.values[value].phase += 1;
        self.code.values[value].summed = Some(summed);
        value
    }
}

fn unary(op: Unary, x: &str) -> String {
    match op {
        Unary::Neg => format!("-{x}"),
        Unary::Abs => format!("abs({x})"),
        Unary::Sign => format!("sign_of({x})"),
        Unary::Exp => format!("exponential({x})"),
        Unary::Ln => format!("logarithm({x})"),
        Unary::Sqrt => format!("sqrt({x})"),
        Unary::Recip => format!("1.0 / {x}"),
        Unary::Sin => format!("sine({x})"),
        Unary::Cos => format!("cosine({x})"),
        Unary::Tanh => format!("hyperbolic_tangent({x})"),
        Unary::Sigmoid => format!("sigmoid({x})"),
        Unary::Erf => format!("error_function({x})"),
        Unary::Finite => format!("finite({x})"),
    }
}

fn binary(op: Binary, a: &str, b: &str) -> String {
    match op {
        Binary::Add => format!("{a} + {b}"),
        Binary::Sub => format!("{a} - {b}"),
        Binary::Mul => format!("{a} * {b}"),
        Binary::Div => format!("{a} / {b}"),
        Binary::Max => format!("larger({a}, {b})"),
        Binary::Min => format!("smaller({a}, {b})"),
        Binary::Less => format!("less({a}, {b})"),
    }
}
