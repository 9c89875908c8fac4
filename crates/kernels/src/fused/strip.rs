//! The strip interpreter. One body, compiled for each instruction set.

use super::{FusedCall, strip_rows};
use crate::elementwise::functions::{erf, exp, sigmoid, tanh};
use sda_graph::{Binary, Fused, Instruction, Operation, Register, Unary};
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// # Safety
/// As [`super::run`]; the machine has AVX-512 F, VL, DQ, BW and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
pub(super) unsafe fn run_avx512(call: FusedCall<'_>) {
    // SAFETY: the caller's contract.
    unsafe { run::<true>(call) }
}

/// # Safety
/// As [`super::run`]; the machine has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2(call: FusedCall<'_>) {
    // SAFETY: the caller's contract.
    unsafe { run::<true>(call) }
}

/// # Safety
/// As [`super::run`].
pub(super) unsafe fn run_portable(call: FusedCall<'_>) {
    // SAFETY: the caller's contract.
    unsafe { run::<false>(call) }
}

/// An argument of an instruction on one strip.
#[derive(Clone, Copy)]
enum Argument<'a> {
    Strip(&'a [f32]),
    Number(f32),
}

/// Where the registers of the current strip are.
struct Strip<'a> {
    fused: &'a Fused,
    inputs: &'a [(*const f32, usize)],
    scratch: *mut f32,
    strip_rows: usize,
    /// First row and number of rows.
    row: usize,
    rows: usize,
}

impl Strip<'_> {
    fn width(&self, register: Register) -> usize {
        if self.fused.is_full(register) { self.rows * self.fused.cols } else { self.rows }
    }

    /// Start of a scratch register.
    #[inline(always)]
    fn start(&self, register: Register) -> *mut f32 {
        let wide = self.strip_rows * self.fused.cols;
        let offset = match register {
            Register::Full(i) => i * wide,
            Register::Row(i) => self.fused.full_registers * wide + i * self.strip_rows,
            Register::Operand(_) | Register::Constant(_) => unreachable!("not a scratch register"),
        };
        // SAFETY: `run` has checked the length of the scratch.
        unsafe { self.scratch.add(offset) }
    }

    #[inline(always)]
    fn read(&self, register: Register) -> Argument<'_> {
        let len = self.width(register);
        match register {
            Register::Constant(c) => Argument::Number(c as f32),
            Register::Operand(i) => {
                let stride = if self.fused.operands[i].columns { self.fused.cols } else { 1 };
                // SAFETY: `run` has checked the operand's length for all rows of the call.
                Argument::Strip(unsafe { from_raw_parts(self.inputs[i].0.add(self.row * stride), len) })
            }
            // SAFETY: inside the scratch, and no instruction writes a register that it reads.
            _ => Argument::Strip(unsafe { from_raw_parts(self.start(register), len) }),
        }
    }

    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // disjoint registers of one scratch
    fn write(&self, register: Register) -> &mut [f32] {
        // SAFETY: inside the scratch; the planner never gives an instruction one register to read and to write.
        unsafe { from_raw_parts_mut(self.start(register), self.width(register)) }
    }

    /// Copies an operand by its addressing.
    #[inline(always)]
    fn load(&self, i: usize, target: &mut [f32], full: bool) {
        let operand = self.fused.operands[i];
        let (pointer, len) = self.inputs[i];
        // SAFETY: valid for `len` by the caller's contract.
        let x = unsafe { from_raw_parts(pointer, len) };
        let cols = if full { self.fused.cols } else { 1 };
        for (r, row) in target.chunks_exact_mut(cols).enumerate() {
            let source = ((self.row + r) / operand.div) % operand.modulus;
            if operand.columns {
                row.copy_from_slice(&x[source * cols..][..cols]);
            } else {
                row.fill(x[source]);
            }
        }
    }

    #[inline(always)]
    fn execute<const FMA: bool>(&self, instruction: &Instruction) {
        let target = self.write(instruction.target);
        let argument = |i: usize| self.read(instruction.arguments[i]);
        match instruction.operation {
            Operation::Load(i) => self.load(i, target, self.fused.is_full(instruction.target)),
            Operation::Unary(op) => unary::<FMA>(op, argument(0), target),
            Operation::Binary(op) => binary(op, argument(0), argument(1), target),
            Operation::Select => select(argument(0), argument(1), argument(2), target),
            Operation::Expand => {
                for (r, row) in target.chunks_exact_mut(self.fused.cols).enumerate() {
                    row.fill(argument(0).at(r));
                }
            }
            Operation::SumColumns => match argument(0) {
                Argument::Number(c) => target.fill(c * self.fused.cols as f32),
                Argument::Strip(x) => {
                    for (y, row) in target.iter_mut().zip(x.chunks_exact(self.fused.cols)) {
                        *y = sum(row);
                    }
                }
            },
        }
    }
}

impl Argument<'_> {
    #[inline(always)]
    fn at(&self, i: usize) -> f32 {
        match self {
            Self::Strip(x) => x[i],
            Self::Number(c) => *c,
        }
    }
}

#[inline(always)]
unsafe fn run<const FMA: bool>(call: FusedCall<'_>) {
    let fused = call.fused;
    let mut strip = Strip {
        fused,
        inputs: call.inputs,
        scratch: call.scratch.as_mut_ptr(),
        strip_rows: strip_rows(fused),
        row: call.first_row,
        rows: strip_rows(fused).min(call.rows),
    };
    fused.prologue.iter().for_each(|i| strip.execute::<FMA>(i));
    let end = call.first_row + call.rows;
    while strip.row < end {
        strip.rows = strip.strip_rows.min(end - strip.row);
        fused.body.iter().for_each(|i| strip.execute::<FMA>(i));
        for (result, (pointer, _)) in fused.results.iter().zip(call.outputs) {
            let per_row = strip.width(*result).max(1) / strip.rows;
            let len = strip.rows * per_row;
            // SAFETY: `super::run` has checked the output's length; nothing else reads or writes these rows now. The
            // strip's reads of operands are over, so the output may be an operand's memory.
            unsafe {
                let to = pointer.add(strip.row * per_row);
                match strip.read(*result) {
                    Argument::Strip(x) => std::ptr::copy(x.as_ptr(), to, len),
                    Argument::Number(c) => from_raw_parts_mut(to, len).fill(c),
                }
            }
        }
        strip.row += strip.rows;
    }
}

/// 16 partial sums, added at the end.
#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0f32; LANES];
    let mut chunks = x.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (l, x) in lanes.iter_mut().zip(chunk) {
            *l += x;
        }
    }
    let mut rest = 0.0;
    for x in chunks.remainder() {
        rest += x;
    }
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn map(x: Argument<'_>, y: &mut [f32], f: impl Fn(f32) -> f32) {
    match x {
        Argument::Strip(x) => y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x)),
        Argument::Number(c) => y.fill(f(c)),
    }
}

#[inline(always)]
fn unary<const FMA: bool>(op: Unary, x: Argument<'_>, y: &mut [f32]) {
    match op {
        Unary::Neg => map(x, y, |x| -x),
        Unary::Abs => map(x, y, f32::abs),
        Unary::Sign => map(x, y, |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x * 0.0 }),
        Unary::Exp => map(x, y, exp::<FMA>),
        Unary::Ln => map(x, y, f32::ln),
        Unary::Sqrt => map(x, y, f32::sqrt),
        Unary::Recip => map(x, y, |x| 1.0 / x),
        Unary::Sin => map(x, y, f32::sin),
        Unary::Cos => map(x, y, f32::cos),
        Unary::Tanh => map(x, y, tanh::<FMA>),
        Unary::Sigmoid => map(x, y, sigmoid::<FMA>),
        Unary::Erf => map(x, y, erf::<FMA>),
        Unary::Finite => map(x, y, |x| if x.is_finite() { 1.0 } else { 0.0 }),
    }
}

#[inline(always)]
fn zip(a: Argument<'_>, b: Argument<'_>, y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    match (a, b) {
        (Argument::Strip(a), Argument::Strip(b)) => {
            y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = f(*a, *b));
        }
        (Argument::Strip(a), Argument::Number(b)) => y.iter_mut().zip(a).for_each(|(y, a)| *y = f(*a, b)),
        (Argument::Number(a), Argument::Strip(b)) => y.iter_mut().zip(b).for_each(|(y, b)| *y = f(a, *b)),
        (Argument::Number(a), Argument::Number(b)) => y.fill(f(a, b)),
    }
}

#[inline(always)]
fn binary(op: Binary, a: Argument<'_>, b: Argument<'_>, y: &mut [f32]) {
    match op {
        Binary::Add => zip(a, b, y, |a, b| a + b),
        Binary::Sub => zip(a, b, y, |a, b| a - b),
        Binary::Mul => zip(a, b, y, |a, b| a * b),
        Binary::Div => zip(a, b, y, |a, b| a / b),
        Binary::Max => zip(a, b, y, |a, b| if a < b || b.is_nan() { b } else { a }),
        Binary::Min => zip(a, b, y, |a, b| if b < a || b.is_nan() { b } else { a }),
        Binary::Less => zip(a, b, y, |a, b| if a < b { 1.0 } else { 0.0 }),
    }
}

#[inline(always)]
fn select(c: Argument<'_>, a: Argument<'_>, b: Argument<'_>, y: &mut [f32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = if c.at(i) == 0.0 { b.at(i) } else { a.at(i) };
    }
}
