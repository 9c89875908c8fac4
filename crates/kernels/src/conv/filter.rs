//! The gradient of the filter, dw[tap] = Σ over points p of x[p + tap]ᵀ dy[p], strip by strip of points in order.
//!
//! With AVX-512 a strip of x is laid out with its padding and dy is read as it is. With AMX see [`tiles`].

mod tiles;

use super::axis::{Axis, Lengths, strip};
use crate::matmul::blocks::{self, Vectors};
use crate::matmul::by_rows::aligned;
use crate::share::{Shared, share};
use tiles::Tiles;

/// What it is computed with where not on tiles; others take columns.
pub(super) const VECTORS: Vectors = Vectors::Avx512;
/// Bytes of a strip's laid out x at most with AVX-512.
const STRIP: usize = 1 << 18;

/// A strip: its first image and row of y, and how many.
#[derive(Clone, Copy)]
struct Strip {
    image: usize,
    images: usize,
    row: usize,
    rows: usize,
}

fn strips(batch: usize, rows: usize, (images, height): (usize, usize)) -> impl Iterator<Item = Strip> {
    (0..batch).step_by(images).flat_map(move |image| {
        (0..rows).step_by(height).map(move |row| {
            let (images, rows) = (images.min(batch - image), height.min(rows - row));
            Strip { image, images, row, rows }
        })
    })
}

/// Numbers of scratch.
pub(super) fn scratch_len(tiles: bool, l: Lengths) -> usize {
    if tiles { Tiles::new(l).bytes().div_ceil(4) + 16 } else { Laid::new(l).len() }
}

/// dw from x and dy.
pub(super) fn run(
    tiles: bool,
    l: Lengths,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
    parallel: bool,
) {
    let points = |s: [usize; 2]| l.batch * s[0] * s[1];
    assert!(x.len() >= points(l.g.input) * l.ci, "convolution: x has {} numbers", x.len());
    assert!(dy.len() >= points(l.g.output()) * l.co, "convolution: dy has {} numbers", dy.len());
    assert!(dw.len() >= l.g.kernel[0] * l.g.kernel[1] * l.ci * l.co, "convolution: dw has {}", dw.len());
    assert!(scratch.len() >= scratch_len(tiles, l), "convolution: scratch");
    if points(l.g.output()) == 0 {
        if !l.adds {
            dw.fill(0.0);
        }
        return;
    }
    // SAFETY: the asserts above; the level was found on this machine.
    unsafe {
        let (x, dy, dw) = (x.as_ptr(), dy.as_ptr(), dw.as_mut_ptr());
        if tiles {
            tiles::run(&Tiles::new(l), x, dy, dw, aligned(scratch), parallel);
        } else {
            by_vectors(&Laid::new(l), x, dy, dw, scratch.as_mut_ptr(), parallel);
        }
    }
}

/// x laid out in f32.
#[derive(Clone, Copy)]
struct Laid {
    l: Lengths,
    y: Axis,
    x: Axis,
}

impl Laid {
    fn new(l: Lengths) -> Self {
        Self { l, y: Axis::forward(&l.g, 0), x: Axis::forward(&l.g, 1) }
    }

    /// Numbers of a laid out row.
    fn row(&self) -> usize {
        self.x.places(self.x.count) * self.l.ci
    }

    fn strip(&self) -> (usize, usize) {
        let row = 4 * self.row();
        let image = row * self.y.places(self.y.count);
        strip(self.l.batch, self.y.count, row * self.y.step, image, STRIP)
    }

    fn len(&self) -> usize {
        let (images, rows) = self.strip();
        images * self.y.places(rows) * self.row()
    }
}

unsafe fn by_vectors(
    t: &Laid,
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
    memory: *mut f32,
    parallel: bool,
) {
    let (taps, ci, co) = (t.y.taps * t.x.taps, t.l.ci, t.l.co);
    let shared = Shared((x, dy, dw, memory));
    let height = VECTORS.even(ci);
    let across = ci.div_ceil(height);
    for s in strips(t.l.batch, t.y.count, t.strip()) {
        let lines = t.y.places(s.rows);
        share(s.images * lines, parallel, |line| {
            let (x, _, _, memory) = shared.get();
            // SAFETY: the caller's contract; each line is another part of the strip.
            unsafe { lay_out(t, s, (line / lines, line % lines), x, memory) };
        });
        let walk = blocks::Walk {
            row: 1,
            step: (t.x.step * ci, co),
            terms: t.x.count,
            runs: [
                (s.images, lines * t.row(), t.y.count * t.x.count * co),
                (s.rows, t.y.step * t.row(), t.x.count * co),
            ],
        };
        share(taps * across, parallel, |item| {
            let (_, dy, dw, memory) = shared.get();
            let (tap, i) = (item / across, item % across * height);
            let rows = height.min(ci - i);
            for j in (0..co).step_by(VECTORS.columns()) {
                // SAFETY: the caller's contract; each item writes its own rows of dw.
                unsafe {
                    let a = memory.add(tap / t.x.taps * t.row() + tap % t.x.taps * ci + i);
                    let b = dy.add((s.image * t.y.count + s.row) * t.x.count * co + j);
                    let c = dw.add((tap * ci + i) * co + j);
                    let (cols, accumulate) = (VECTORS.columns().min(co - j), t.l.adds || s.image + s.row > 0);
                    let is_padded = false;
                    let block = blocks::Block { a, rows, b, c, row: co, cols, is_padded, accumulate };
                    VECTORS.block(&walk, &block);
                }
            }
        });
    }
}

unsafe fn lay_out(t: &Laid, s: Strip, (image, line): (usize, usize), x: *const f32, memory: *mut f32) {
    let ([h, w], ci) = (t.l.g.input, t.l.ci);
    // SAFETY: sources are inside their image, and the scratch holds the strip.
    unsafe {
        let to = memory.add((image * t.y.places(s.rows) + line) * t.row());
        let Some(y) = t.y.source(s.row * t.y.step + line) else {
            to.write_bytes(0, t.row());
            return;
        };
        let from = x.add(((s.image + image) * h + y) * w * ci);
        for place in 0..t.x.places(t.x.count) {
            let to = to.add(place * ci);
            match t.x.source(place) {
                Some(at) => to.copy_from_nonoverlapping(from.add(at * ci), ci),
                None => to.write_bytes(0, ci),
            }
        }
    }
}
