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
    outputs: &'a [(*mut f32, usize)],
    /// Bit k: result k is written to its output as it is computed.
    direct: u32,
    scratch: *mut f32,
    height: usize,
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
        let wide = self.height * self.fused.cols;
        let offset = match register {
            Register::Full(i) => i * wide,
            Register::Row(i) => self.fused.full_registers * wide + i * self.height,
            Register::Result(k) if self.direct >> k & 1 == 1 => {
                let per_row = if self.fused.full_results[k] { self.fused.cols } else { 1 };
                // SAFETY: `super::run` has checked the output's length.
                return unsafe { self.outputs[k].0.add(self.row * per_row) };
            }
            Register::Result(k) => {
                (self.fused.full_registers + k) * wide + self.fused.row_registers * self.height
            }
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
            // SAFETY: inside the scratch or an output, and no instruction writes a register that it reads.
            _ => Argument::Strip(unsafe { from_raw_parts(self.start(register), len) }),
        }
    }

    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // disjoint registers of one scratch
    fn write(&self, register: Register) -> &mut [f32] {
        // SAFETY: inside the scratch or an output; the planner never gives an instruction one register to read and to
        // write, and an output that is an operand's memory is written after the operand's last reader.
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
        let arguments = &instruction.arguments;
        match instruction.operation {
            Operation::Load(i) => self.load(i, target, self.fused.is_full(instruction.target)),
            Operation::Unary(op) => unary::<FMA>(op, self.read(arguments[0]), target),
            Operation::Binary(op) => binary(op, self.read(arguments[0]), self.read(arguments[1]), target),
            Operation::Select => {
                select(self.read(arguments[0]), self.read(arguments[1]), self.read(arguments[2]), target);
            }
            Operation::Expand => expand(self.read(arguments[0]), self.fused.cols, target),
            Operation::SumColumns => sum_columns(self.read(arguments[0]), self.fused.cols, target),
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

/// Results whose memory no later instruction of a strip reads as an operand.
fn direct(call: &FusedCall<'_>) -> u32 {
    let mut bits = 0;
    for (k, (output, n)) in call.outputs.iter().enumerate() {
        let (start, end) = (output.cast_const(), output.wrapping_add(*n).cast_const());
        let written = call.fused.written_at[k];
        let read_later = call.inputs.iter().zip(&call.fused.last_read).any(|((input, m), read)| {
            let apart = input.wrapping_add(*m) <= start || *input >= end;
            !apart && read.is_some_and(|read| read >= written)
        });
        bits |= u32::from(!read_later) << k;
    }
    bits
}

#[inline(always)]
unsafe fn run<const FMA: bool>(call: FusedCall<'_>) {
    let fused = call.fused;
    let mut strip = Strip {
        fused,
        inputs: call.inputs,
        outputs: call.outputs,
        direct: direct(&call),
        scratch: call.scratch.as_mut_ptr(),
        height: strip_rows(fused),
        row: call.first_row,
        rows: strip_rows(fused).min(call.rows),
    };
    // Loops, not iterators, for the reason given at the macros below.
    for instruction in &fused.prologue {
        strip.execute::<FMA>(instruction);
    }
    let end = call.first_row + call.rows;
    while strip.row < end {
        strip.rows = strip.height.min(end - strip.row);
        for instruction in &fused.body {
            strip.execute::<FMA>(instruction);
        }
        for (k, (result, (pointer, _))) in fused.results.iter().zip(call.outputs).enumerate() {
            if *result == Register::Result(k) && strip.direct >> k & 1 == 1 {
                continue;
            }
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

// The loops below are written out by macros: an iterator's or a closure's code would be compiled on its own, without
// the vector instructions of the function that it ends up in.

/// Each value of `$y` from one argument.
macro_rules! map {
    ($x:expr, $y:expr, |$v:ident| $body:expr) => {{
        let y: &mut [f32] = $y;
        let n = y.len();
        let mut i = 0;
        match $x {
            Argument::Strip(x) => {
                let x = &x[..n];
                while i < n {
                    let $v = x[i];
                    y[i] = $body;
                    i += 1;
                }
            }
            Argument::Number($v) => {
                let value = $body;
                while i < n {
                    y[i] = value;
                    i += 1;
                }
            }
        }
    }};
}

/// Each value of `$y` from two arguments.
macro_rules! zip {
    ($a:expr, $b:expr, $y:expr, |$u:ident, $v:ident| $body:expr) => {{
        let y: &mut [f32] = $y;
        let n = y.len();
        let mut i = 0;
        match ($a, $b) {
            (Argument::Strip(a), Argument::Strip(b)) => {
                let (a, b) = (&a[..n], &b[..n]);
                while i < n {
                    let ($u, $v) = (a[i], b[i]);
                    y[i] = $body;
                    i += 1;
                }
            }
            (Argument::Strip(a), Argument::Number($v)) => {
                let a = &a[..n];
                while i < n {
                    let $u = a[i];
                    y[i] = $body;
                    i += 1;
                }
            }
            (Argument::Number($u), Argument::Strip(b)) => {
                let b = &b[..n];
                while i < n {
                    let $v = b[i];
                    y[i] = $body;
                    i += 1;
                }
            }
            (Argument::Number($u), Argument::Number($v)) => {
                let value = $body;
                while i < n {
                    y[i] = value;
                    i += 1;
                }
            }
        }
    }};
}

#[inline(always)]
fn unary<const FMA: bool>(op: Unary, x: Argument<'_>, y: &mut [f32]) {
    match op {
        Unary::Neg => map!(x, y, |x| -x),
        Unary::Abs => map!(x, y, |x| x.abs()),
        Unary::Sign => map!(x, y, |x| {
            let rest = if x < 0.0 { -1.0 } else { x * 0.0 };
            if x > 0.0 { 1.0 } else { rest }
        }),
        Unary::Exp => map!(x, y, |x| exp::<FMA>(x)),
        Unary::Ln => map!(x, y, |x| x.ln()),
        Unary::Sqrt => map!(x, y, |x| x.sqrt()),
        Unary::Recip => map!(x, y, |x| 1.0 / x),
        Unary::Sin => map!(x, y, |x| x.sin()),
        Unary::Cos => map!(x, y, |x| x.cos()),
        Unary::Tanh => map!(x, y, |x| tanh::<FMA>(x)),
        Unary::Sigmoid => map!(x, y, |x| sigmoid::<FMA>(x)),
        Unary::Erf => map!(x, y, |x| erf::<FMA>(x)),
        Unary::Finite => map!(x, y, |x| if x.is_finite() { 1.0 } else { 0.0 }),
    }
}

#[inline(always)]
fn binary(op: Binary, a: Argument<'_>, b: Argument<'_>, y: &mut [f32]) {
    match op {
        Binary::Add => zip!(a, b, y, |a, b| a + b),
        Binary::Sub => zip!(a, b, y, |a, b| a - b),
        Binary::Mul => zip!(a, b, y, |a, b| a * b),
        Binary::Div => zip!(a, b, y, |a, b| a / b),
        Binary::Max => zip!(a, b, y, |a, b| if a < b || b.is_nan() { b } else { a }),
        Binary::Min => zip!(a, b, y, |a, b| if b < a || b.is_nan() { b } else { a }),
        Binary::Less => zip!(a, b, y, |a, b| if a < b { 1.0 } else { 0.0 }),
    }
}

#[inline(always)]
fn select(c: Argument<'_>, a: Argument<'_>, b: Argument<'_>, y: &mut [f32]) {
    let n = y.len();
    let mut i = 0;
    if let (Argument::Strip(c), Argument::Strip(a), Argument::Strip(b)) = (c, a, b) {
        let (c, a, b) = (&c[..n], &a[..n], &b[..n]);
        while i < n {
            // Both are read first, so that this is a blend and not a choice of addresses.
            let (yes, no) = (a[i], b[i]);
            y[i] = if c[i] == 0.0 { no } else { yes };
            i += 1;
        }
        return;
    }
    while i < n {
        y[i] = if c.at(i) == 0.0 { b.at(i) } else { a.at(i) };
        i += 1;
    }
}

#[inline(always)]
fn expand(x: Argument<'_>, cols: usize, y: &mut [f32]) {
    let rows = y.len() / cols;
    let mut r = 0;
    while r < rows {
        y[r * cols..(r + 1) * cols].fill(x.at(r));
        r += 1;
    }
}

#[inline(always)]
fn sum_columns(x: Argument<'_>, cols: usize, y: &mut [f32]) {
    match x {
        Argument::Number(c) => y.fill(c * cols as f32),
        Argument::Strip(x) => {
            let rows = y.len();
            let mut r = 0;
            while r < rows {
                y[r] = sum(&x[r * cols..(r + 1) * cols]);
                r += 1;
            }
        }
    }
}

/// 16 partial sums, added at the end.
#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0f32; LANES];
    let whole = x.len() / LANES * LANES;
    let mut at = 0;
    while at < whole {
        let chunk = &x[at..at + LANES];
        let mut l = 0;
        while l < LANES {
            lanes[l] += chunk[l];
            l += 1;
        }
        at += LANES;
    }
    let mut total = 0.0;
    let mut l = 0;
    while l < LANES {
        total += lanes[l];
        l += 1;
    }
    while at < x.len() {
        total += x[at];
        at += 1;
    }
    total
}
