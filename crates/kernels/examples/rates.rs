//! Rates of matrix products and convolutions at every level of this machine, with packed weights, on one thread and on
//! two, beside the measured rate of fused multiply-adds.
//!
//! `cargo run --release -p sda-kernels --example rates [part of a name]`

use sda_core::Stream;
use sda_graph::{ConvGeometry, Face, Op, Padding, PaddingMode, RunKey};
use sda_kernels::{Call, Level, cpu, pack, packed_len, scratch_len};
use std::time::Instant;

fn numbers(n: usize, row: u32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    Stream::new(1, 0).fill_normal(0, row, n.max(1), &mut x);
    x
}

/// Memory that begins with a cache line, as the executor's does.
struct Aligned(Vec<f32>, usize);

impl Aligned {
    fn new(data: &[f32]) -> Self {
        let mut memory = vec![0.0; data.len() + 16];
        let start = memory.as_ptr().align_offset(64);
        memory[start..start + data.len()].copy_from_slice(data);
        Self(memory, start)
    }

    fn get(&mut self) -> &mut [f32] {
        let end = self.0.len() - 16 + self.1;
        &mut self.0[self.1..end]
    }
}

/// GFLOP/s of independent fused multiply-adds on one core, with the widest vectors.
#[cfg(target_arch = "x86_64")]
fn peak() -> f64 {
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm512_add_ps,
        _mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_setzero_ps,
    };
    const TURNS: usize = 4_000_000;
    macro_rules! turns {
        ($name:ident, $features:literal, $n:literal, $set:ident, $zero:ident, $add:ident, $fmadd:ident, $end:ident) => {
            #[target_feature(enable = $features)]
            fn $name() -> f32 {
                let (a, b) = ($set(1.0), $set(1e-9));
                let mut sums = [$zero(); $n];
                for _ in 0..TURNS {
                    for s in &mut sums {
                        *s = $fmadd(a, b, *s);
                    }
                    std::hint::black_box(());
                }
                $end(sums.into_iter().fold($zero(), |all, s| $add(all, s)))
            }
        };
    }
    turns!(
        wide,
        "avx512f",
        24,
        _mm512_set1_ps,
        _mm512_setzero_ps,
        _mm512_add_ps,
        _mm512_fmadd_ps,
        _mm512_reduce_add_ps
    );
    turns!(
        narrow,
        "avx2,fma",
        12,
        _mm256_set1_ps,
        _mm256_setzero_ps,
        _mm256_add_ps,
        _mm256_fmadd_ps,
        _mm256_cvtss_f32
    );
    let level = Level::detect();
    let start = Instant::now();
    // SAFETY: the level includes these instructions.
    let flops = unsafe {
        match level {
            Level::Portable => return f64::NAN,
            Level::Avx2 => {
                std::hint::black_box(narrow());
                12 * 16
            }
            Level::Avx512 | Level::Amx => {
                std::hint::black_box(wide());
                24 * 32
            }
        }
    };
    (TURNS * flops) as f64 / start.elapsed().as_secs_f64() / 1e9
}

#[cfg(not(target_arch = "x86_64"))]
fn peak() -> f64 {
    f64::NAN
}

struct Item {
    name: String,
    op: Op,
    shapes: [Vec<usize>; 2],
    shape: Vec<usize>,
    flops: usize,
}

fn product([m, k, n]: [usize; 3], ta: bool, tb: bool) -> Item {
    let pair = |a, b, t: bool| if t { vec![b, a] } else { vec![a, b] };
    let letter = |t| if t { 'T' } else { 'N' };
    Item {
        name: format!("product {}{} {m}×{k}×{n}", letter(ta), letter(tb)),
        op: Op::MatMul { ta, tb },
        shapes: [pair(m, k, ta), pair(k, n, tb)],
        shape: vec![m, n],
        flops: 2 * m * k * n,
    }
}

fn convolution(face: Face, batch: usize, input: [usize; 2], stride: usize, ci: usize, co: usize) -> Item {
    let line = input[0] == 1;
    let mode = if line { PaddingMode::Zero } else { PaddingMode::Circular };
    let pad = |n| Padding { before: n, after: n, mode };
    let kernel = [if line { 1 } else { 3 }, 3];
    let padding = [pad(usize::from(!line)), pad(1)];
    let g = ConvGeometry { input, kernel, stride: [if line { 1 } else { stride }, stride], padding };
    let [h, w] = input;
    let [ho, wo] = g.output();
    let (x, y) = (vec![batch, h, w, ci], vec![batch, ho, wo, co]);
    let k = vec![kernel[0], kernel[1], ci, co];
    let (shapes, shape) = match face {
        Face::Forward => ([x, k], y),
        Face::Input => ([y, k], x),
        Face::Filter => ([x, y], k),
    };
    let flops = 2 * batch * ho * wo * kernel[0] * kernel[1] * ci * co;
    let name = format!("{face:?} {batch}×{h}×{w} {ci}→{co} /{stride}");
    Item { name, op: Op::Conv(face, g), shapes, shape, flops }
}

/// Least seconds of a call, and of packing.
fn seconds(item: &Item, level: Level, parallel: bool) -> (f64, f64) {
    let shapes: Vec<&[usize]> = item.shapes.iter().map(Vec::as_slice).collect();
    let len = |s: &[usize]| s.iter().product::<usize>();
    let inputs = [numbers(len(shapes[0]), 0), numbers(len(shapes[1]), 1)];
    let mut inputs = inputs.map(|x| Aligned::new(&x));
    let inputs: Vec<&[f32]> = inputs.iter_mut().map(|x| &*x.get()).collect();
    let new = |n| Aligned::new(&vec![0.0; n]);
    let mut packed = new(packed_len(level, &item.op, &shapes));
    let mut scratch = new(scratch_len(level, &item.op, &shapes));
    let mut output = new(len(&item.shape));
    let (packed, scratch, output) = (packed.get(), scratch.get(), output.get());
    let least = |work: &mut dyn FnMut()| {
        let (mut best, begin) = (f64::INFINITY, Instant::now());
        while begin.elapsed().as_secs_f64() < 0.25 || best == f64::INFINITY {
            let start = Instant::now();
            work();
            best = best.min(start.elapsed().as_secs_f64());
        }
        best
    };
    let packing = least(&mut || pack(level, &item.op, &shapes, inputs[1], packed, parallel));
    let key = RunKey { seed: 0, step: 0 };
    let calls = least(&mut || {
        let call = Call {
            inputs: &inputs,
            shapes: &shapes,
            output: &mut *output,
            shape: &item.shape,
            key,
            first_row: 0,
            adds: false,
        };
        let packed = (!packed.is_empty()).then_some(&*packed);
        cpu(level, &item.op, call, packed, scratch, parallel);
    });
    (calls, packing)
}

fn items() -> Vec<Item> {
    let mut items = Vec::new();
    for size in [[32, 256, 256], [64, 256, 256], [1024, 256, 256], [4096, 864, 96], [1024, 1024, 1024]] {
        items.extend([(false, false), (false, true), (true, false)].map(|(ta, tb)| product(size, ta, tb)));
    }
    for face in [Face::Forward, Face::Input, Face::Filter] {
        let sizes = [
            (1, [64, 64], 1, 96, 96),
            (1, [32, 32], 1, 192, 192),
            (1, [16, 16], 1, 384, 384),
            (8, [16, 16], 1, 384, 384),
            (1, [64, 64], 1, 11, 96),
            (1, [64, 64], 1, 96, 10),
            (1, [64, 64], 2, 96, 192),
            (1, [64, 64], 1, 32, 32),
            (1, [32, 32], 1, 64, 64),
            (1, [16, 16], 1, 128, 128),
            (8, [16, 16], 1, 128, 128),
            (16, [1, 32], 1, 64, 64),
            (64, [1, 32], 1, 64, 64),
        ];
        items.extend(sizes.map(|(b, input, s, ci, co)| convolution(face, b, input, s, ci, co)));
    }
    items
}

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let pools =
        [1, 2].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("a thread pool"));
    println!("fused multiply-adds on one core: {:.0} GFLOP/s", peak());
    println!("{:32} {:>9} {:>9} {:>9} {:>12}", "GFLOP/s", "level", "1 thread", "2 threads", "packing, µs");
    for item in items().iter().filter(|i| i.name.contains(&wanted)) {
        for level in Level::available().into_iter().filter(|l| *l >= Level::Avx2) {
            let rate = |(seconds, _): (f64, f64)| item.flops as f64 / seconds / 1e9;
            let one = pools[0].install(|| seconds(item, level, false));
            let two = pools[1].install(|| seconds(item, level, true));
            let (one_rate, two_rate, packing) = (rate(one), rate(two), one.1 * 1e6);
            let level = format!("{level:?}");
            println!("{:32} {level:>9} {one_rate:9.0} {two_rate:9.0} {packing:12.1}", item.name);
        }
    }
}
