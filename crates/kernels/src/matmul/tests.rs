//! The product at every level and transposition, packed as a step of few rows and of many, alone and by blocks of rows.

use crate::{Call, Level, cpu, pack, packed_len, scratch_len};
use proptest::prelude::*;
use sda_core::Stream;
use sda_graph::{Op, RunKey};

const GUARD: usize = 32;
const WORD: u32 = 0x7fc0_beef;
const KEY: RunKey = RunKey { seed: 0, step: 0 };

pub(crate) fn numbers(n: usize, row: u32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    Stream::new(2, 0).fill_normal(0, row, n.max(1), &mut x);
    x
}

/// Memory between guard words, at an odd address, full of NaN.
pub(crate) struct Guarded(Vec<f32>);

impl Guarded {
    pub(crate) fn new(len: usize) -> Self {
        Self(vec![f32::from_bits(WORD); len + 2 * GUARD + 1])
    }

    pub(crate) fn get(&mut self) -> &mut [f32] {
        let end = self.0.len() - GUARD;
        &mut self.0[GUARD + 1..end]
    }

    pub(crate) fn check(&self) {
        let end = self.0.len() - GUARD;
        let rest = self.0[..=GUARD].iter().chain(&self.0[end..]);
        assert!(rest.into_iter().all(|x| x.to_bits() == WORD), "written outside");
    }
}

/// An op on two inputs, packed as if the first had `rows` on axis 0, by blocks of `block` rows of first input and
/// output (0: at once).
pub(crate) fn call(
    level: Level,
    op: &Op,
    shapes: [&[usize]; 2],
    shape: &[usize],
    inputs: [&[f32]; 2],
    (rows, block): (usize, usize),
    parallel: bool,
) -> Vec<f32> {
    call_onto(level, op, shapes, shape, inputs, (rows, block), parallel, None)
}

/// `onto`: what every output holds before, and is added to.
#[allow(clippy::too_many_arguments)] // a kernel's call, spread out
pub(crate) fn call_onto(
    level: Level,
    op: &Op,
    shapes: [&[usize]; 2],
    shape: &[usize],
    inputs: [&[f32]; 2],
    (rows, block): (usize, usize),
    parallel: bool,
    onto: Option<f32>,
) -> Vec<f32> {
    let with = |s: &[usize], n: usize| [&[n], &s[1..]].concat();
    let whole = with(shapes[0], rows);
    let mut packed = Guarded::new(packed_len(level, op, &[&whole, shapes[1]]));
    if !packed.get().is_empty() {
        pack(level, op, &[&whole, shapes[1]], inputs[1], packed.get(), parallel);
        packed.check();
    }
    let all = if block == 0 { shapes[0][0] } else { block };
    let (row_in, row_out) = (inputs[0].len() / shapes[0][0], shape[1..].iter().product::<usize>());
    let mut output = Vec::new();
    for first in (0..shapes[0][0]).step_by(all) {
        let n = all.min(shapes[0][0] - first);
        let a = if block == 0 { shapes[0].to_vec() } else { with(shapes[0], n) };
        let y = if block == 0 { shape.to_vec() } else { with(shape, n) };
        let shapes: [&[usize]; 2] = [&a, shapes[1]];
        let mut scratch = Guarded::new(scratch_len(level, op, &shapes));
        let mut part = Guarded::new(if block == 0 { shape.iter().product() } else { n * row_out });
        onto.into_iter().for_each(|x| part.get().fill(x));
        let input = if block == 0 { inputs[0] } else { &inputs[0][first * row_in..][..n * row_in] };
        let call = Call {
            inputs: &[input, inputs[1]],
            shapes: &shapes,
            output: part.get(),
            shape: &y,
            key: KEY,
            first_row: first,
            adds: onto.is_some(),
        };
        let packed = packed.get();
        cpu(level, op, call, (!packed.is_empty()).then_some(&*packed), scratch.get(), parallel);
        part.check();
        scratch.check();
        output.extend_from_slice(part.get());
    }
    output
}

fn shapes([m, k, n]: [usize; 3], ta: bool, tb: bool) -> ([usize; 2], [usize; 2]) {
    (if ta { [k, m] } else { [m, k] }, if tb { [n, k] } else { [k, n] })
}

/// C by the definition, in f64, and Σ |terms|.
fn exact([m, k, n]: [usize; 3], ta: bool, tb: bool, a: &[f32], b: &[f32]) -> Vec<(f64, f64)> {
    let a = |i: usize, l: usize| f64::from(if ta { a[l * m + i] } else { a[i * k + l] });
    let b = |l: usize, j: usize| f64::from(if tb { b[j * k + l] } else { b[l * n + j] });
    let one = |i: usize, j: usize| {
        (0..k).map(|l| a(i, l) * b(l, j)).fold((0.0, 0.0), |(s, t), x| (s + x, t + x.abs()))
    };
    (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| one(i, j)).collect()
}

/// A step of few rows and one of many are packed otherwise; blocks and threads change no bit.
fn check(size: [usize; 3], ta: bool, tb: bool) {
    let [m, k, n] = size;
    let (a, b) = (numbers(m * k, 0), numbers(k * n, 1));
    let (sa, sb) = shapes(size, ta, tb);
    let want = exact(size, ta, tb, &a, &b);
    let op = Op::MatMul { ta, tb };
    for level in Level::available() {
        for rows in if ta { vec![sa[0]] } else { vec![m, 1, 8192] } {
            let run =
                |block, parallel| call(level, &op, [&sa, &sb], &[m, n], [&a, &b], (rows, block), parallel);
            let got = run(0, false);
            for (i, (g, (w, size))) in got.iter().zip(&want).enumerate() {
                let tolerance = (k + 4) as f64 * f64::from(f32::EPSILON) * size;
                assert!(
                    (f64::from(*g) - w).abs() <= tolerance,
                    "{m}×{k}×{n} {ta} {tb} {level:?} {rows} at {i}: {g}, {w}"
                );
            }
            assert!(got == run(0, true), "{level:?} {m}×{k}×{n}: threads");
            if !ta && level >= Level::Avx2 {
                assert!(got == run(7, false), "{level:?} {m}×{k}×{n}: blocks");
            }
        }
    }
}

#[test]
fn products_of_awkward_sizes() {
    let sizes = [
        [1, 1, 1],
        [1, 9, 31],
        [12, 512, 32],
        [13, 7, 33],
        [25, 600, 17],
        [11, 1, 64],
        [40, 33, 1],
        [3, 5, 48],
        [33, 32, 10],
        [17, 1057, 35],
        [129, 31, 65],
        [64, 300, 64],
        [250, 40, 97],
    ];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    pool.install(|| {
        for size in sizes {
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                check(size, ta, tb);
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products_of_any_size(m in 1usize..150, k in 1usize..150, n in 1usize..100, ta: bool, tb: bool) {
        check([m, k, n], ta, tb);
    }
}

/// Root of the mean of squared errors over the root of the mean of squared sums of |terms|.
fn error(level: Level, ta: bool, spread: f32) -> f64 {
    let size = [96, 512, 64];
    let [m, k, n] = size;
    let scaled = |n: usize, row: u32| {
        let exponents = numbers(n, row + 7);
        let wide = |e: f32| (e * spread).clamp(-20.0, 20.0).round().exp2();
        numbers(n, row).iter().zip(exponents).map(|(x, e)| x * wide(e)).collect::<Vec<f32>>()
    };
    let (a, b) = (scaled(m * k, 0), scaled(k * n, 1));
    let (sa, sb) = shapes(size, ta, false);
    let op = Op::MatMul { ta, tb: false };
    let rows = if ta { k } else { 8192 };
    let got = call(level, &op, [&sa, &sb], &[m, n], [&a, &b], (rows, 0), false);
    let want = exact(size, ta, false, &a, &b);
    let square = got.iter().zip(want).map(|(g, (w, size))| ((f64::from(*g) - w) / size).powi(2));
    (square.sum::<f64>() / (m * n) as f64).sqrt()
}

/// Six of the nine products of parts are as good as f32: one product less and the first fails.
#[test]
fn tiles_are_as_exact_as_vectors() {
    if Level::detect() < Level::Amx {
        return;
    }
    for (ta, spread) in [(false, 0.0), (true, 0.0), (false, 10.0), (true, 10.0)] {
        let (tiles, vectors) = (error(Level::Amx, ta, spread), error(Level::Avx512, ta, spread));
        assert!(tiles <= 1.5 * vectors, "{ta} {spread}: {tiles:e} against {vectors:e}");
    }
}

/// Integers whose products need all six: with a part too few the sum is not exact.
#[test]
fn products_of_24_bits_by_one_are_exact() {
    let n = 64;
    let a: Vec<f32> = (0..n * n).map(|i| (16_777_215 - 4001 * i) as f32).collect();
    let one: Vec<f32> = (0..n * n).map(|i| f32::from(u8::from(i / n == i % n))).collect();
    for level in Level::available() {
        let op = Op::MatMul { ta: false, tb: false };
        let run =
            |a: &[f32], b: &[f32]| call(level, &op, [&[n, n], &[n, n]], &[n, n], [a, b], (8192, 0), false);
        assert_eq!(run(&a, &one), a, "{level:?}");
        assert_eq!(run(&one, &a), a, "{level:?}");
    }
}

/// What is not finite stays so, in its row and column and nowhere else; f32's largest numbers are finite.
#[test]
fn what_is_not_finite_stays_in_its_row_and_column() {
    let size = [40, 70, 50];
    let [m, k, n] = size;
    for value in [f32::NAN, f32::from_bits(0x7f80_0001), f32::INFINITY, f32::NEG_INFINITY] {
        for level in Level::available() {
            for ta in [false, true] {
                let (mut a, mut b) = (numbers(m * k, 0), numbers(k * n, 1));
                let (sa, sb) = shapes(size, ta, false);
                let rows = if ta { k } else { 8192 };
                let (i, l, j) = (33, 41, 17);
                let at = if ta { l * m + i } else { i * k + l };
                let op = Op::MatMul { ta, tb: false };
                let run =
                    |a: &[f32], b: &[f32]| call(level, &op, [&sa, &sb], &[m, n], [a, b], (rows, 0), false);
                let old = std::mem::replace(&mut a[at], value);
                let got = run(&a, &b);
                assert!(
                    got.iter().enumerate().all(|(p, x)| x.is_finite() == (p / n != i)),
                    "{level:?} {value}"
                );
                a[at] = old;
                b[l * n + j] = value;
                let got = run(&a, &b);
                assert!(
                    got.iter().enumerate().all(|(p, x)| x.is_finite() == (p % n != j)),
                    "{level:?} {value}"
                );
                a[at] = 0.0;
                assert!(run(&a, &b)[i * n + j].is_nan(), "{level:?}: 0 · {value}");
            }
        }
    }
}

#[test]
fn the_largest_numbers_are_finite() {
    let (m, n) = (100, 40);
    let a: Vec<f32> = (0..m * 32).map(|i| if i % 32 == 5 { f32::MAX } else { 0.0 }).collect();
    let b = vec![1.0; 32 * n];
    for level in Level::available() {
        let op = Op::MatMul { ta: false, tb: false };
        let got = call(level, &op, [&[m, 32], &[32, n]], &[m, n], [&a, &b], (8192, 0), false);
        assert!(got.iter().all(|x| *x == f32::MAX), "{level:?}: {}", got[0]);
    }
}

#[test]
fn an_empty_sum_is_zero() {
    for level in Level::available() {
        let op = Op::MatMul { ta: false, tb: false };
        let got = call(level, &op, [&[2, 0], &[0, 3]], &[2, 3], [&[], &[]], (2, 0), false);
        assert_eq!(got, [0.0; 6]);
    }
}

/// Small whole numbers, whose sums of products are exact in any order.
#[cfg(target_arch = "x86_64")]
fn whole_numbers(n: usize, row: u32) -> Vec<f32> {
    numbers(n, row).into_iter().map(|x| (3.0 * x).round()).collect()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn blocks_follow_any_walk() {
    use super::blocks::{Block, Vectors, Walk};
    for vectors in Level::available().into_iter().filter_map(Vectors::of) {
        for (rows, cols) in [(1, 1), (2, 9), (5, 16), (vectors.rows(), vectors.columns())] {
            for (a_step, terms) in [(1, 1), (1, 4), (1, 11), (3, 1), (3, 4), (3, 11)] {
                // Three runs beside two, with gaps; rows of A far enough apart.
                let (run, gap) = (terms * a_step + 2, 3 * (terms * a_step + 2) + 5);
                let (row, b_step) = (2 * gap + 1, cols + 3);
                let walk = Walk {
                    row,
                    step: (a_step, b_step),
                    terms,
                    runs: [(2, gap, 3 * terms * b_step), (3, run, terms * b_step)],
                };
                let (a, b) = (whole_numbers(rows * row, 0), whole_numbers(6 * terms * b_step, 1));
                for accumulate in [false, true] {
                    let mut c = Guarded::new(rows * cols);
                    c.get().fill(5.0);
                    let out = c.get().as_mut_ptr();
                    let block = Block {
                        a: a.as_ptr(),
                        rows,
                        b: b.as_ptr(),
                        c: out,
                        row: cols,
                        cols,
                        is_padded: false,
                        accumulate,
                    };
                    // SAFETY: A has `rows` rows of two runs of runs, B the terms of all six, C the block; the level is here.
                    unsafe { vectors.block(&walk, &block) };
                    for (at, found) in c.get().iter().enumerate() {
                        let (r, j) = (at / cols, at % cols);
                        let runs = (0..6).flat_map(|q| (0..terms).map(move |p| (q, p)));
                        let sum: f32 = runs
                            .map(|(q, p)| {
                                let x = a[r * row + q / 3 * gap + q % 3 * run + p * a_step];
                                x * b[(q * terms + p) * b_step + j]
                            })
                            .sum();
                        let want = sum + if accumulate { 5.0 } else { 0.0 };
                        assert_eq!(*found, want, "{vectors:?} {rows} × {cols} {walk:?} {accumulate} at {at}");
                    }
                    c.check();
                }
            }
        }
    }
}
