//! The convolution and the gradient of its input as products without a matrix of columns: a strip of rows is laid out
//! with its padding, split into bf16 parts for AMX or as it is for vectors, and a tap is a distance in it.

use super::axis::{Axis, Lengths, strip};
use crate::matmul::amx::{self, TILE, with_tiles};
use crate::matmul::blocks::{self, Vectors};
use crate::matmul::by_rows::aligned;
use crate::matmul::pack::{Form, PANEL, Source, pack};
use crate::matmul::tiles::{A_BYTES, row};
use crate::share::{Shared, share};
use sda_graph::Face;

/// Bytes of a strip at most, if that is a row.
const STRIP: usize = 3 << 18;
/// Blocks of C that one thread computes at a time.
const GROUP: usize = 16;

/// One phase of one face: a convolution of stride `step` on axes of its own.
#[derive(Clone, Copy)]
struct Phase {
    form: Form,
    y: Axis,
    x: Axis,
    batch: usize,
    /// Channels read and written.
    c: usize,
    n: usize,
    /// Rows and columns of whole images, read and written.
    source: [usize; 2],
    target: [usize; 2],
}

/// Blocks of 32 channels.
fn blocks(c: usize) -> usize {
    c.div_ceil(32)
}

impl Phase {
    /// Bytes of a laid out point.
    fn point(&self) -> usize {
        if self.form == Form::Tiles { blocks(self.c) * A_BYTES } else { 4 * self.c }
    }

    /// Points of a laid out row.
    fn width(&self) -> usize {
        self.x.places(self.x.count)
    }

    /// Images and rows at a time.
    fn strip(&self) -> (usize, usize) {
        let row = self.width() * self.point();
        strip(self.batch, self.y.count, row * self.y.step, row * self.y.places(self.y.count), STRIP)
    }

    /// Bytes of a strip; a tile may read beyond its last row.
    fn bytes(&self) -> usize {
        let (images, rows) = self.strip();
        (images * self.y.places(rows) * self.width() + TILE * self.x.step) * self.point()
    }

    /// Points of a block: adjacent ones of a row.
    fn points(&self) -> usize {
        match self.form {
            Form::Tiles => TILE,
            Form::Panels(vectors) => vectors.even(self.x.count),
        }
    }

    fn terms(&self) -> usize {
        let c = if self.form == Form::Tiles { 32 * blocks(self.c) } else { self.c };
        self.y.taps * self.x.taps * c
    }
}

/// The phases of a face.
fn phases(form: Form, face: Face, l: Lengths) -> impl Iterator<Item = Phase> {
    let (g, [sy, sx]) = (l.g, if face == Face::Input { l.g.stride } else { [1, 1] });
    (0..sy).flat_map(move |py| (0..sx).map(move |px| (py, px))).map(move |(py, px)| {
        let batch = l.batch;
        if face == Face::Input {
            let (y, x) = (Axis::input(&g, 0, py), Axis::input(&g, 1, px));
            Phase { form, y, x, batch, c: l.co, n: l.ci, source: g.output(), target: g.input }
        } else {
            let (y, x) = (Axis::forward(&g, 0), Axis::forward(&g, 1));
            Phase { form, y, x, batch, c: l.ci, n: l.co, source: g.input, target: g.output() }
        }
    })
}

fn is_empty(p: &Phase) -> bool {
    p.y.count * p.x.count * p.batch * p.n == 0
}

/// Share of the tiles' work that is not padding: of 16 points in a row, of 32 channels.
pub(super) fn fills_tiles(face: Face, l: Lengths) -> bool {
    let good = |p: Phase| {
        let points = p.x.count * 100 / p.x.count.next_multiple_of(TILE).max(1);
        points * p.c / p.c.next_multiple_of(32).max(1) >= 45
    };
    phases(Form::Tiles, face, l).next().is_some_and(good)
}

/// Numbers of packed weights.
pub(super) fn packed_len(form: Form, face: Face, l: Lengths) -> usize {
    phases(form, face, l).map(|p| form.len(p.terms(), p.n)).sum()
}

/// Numbers of scratch.
pub(super) fn scratch_len(form: Form, face: Face, l: Lengths) -> usize {
    let bytes = phases(form, face, l).filter(|p| !is_empty(p) && p.terms() > 0).map(|p| p.bytes()).max();
    bytes.unwrap_or(0).div_ceil(4) + 16
}

/// Packs the weights, phase by phase, taps in the order in which they lie in a strip.
pub(super) fn pack_weights(
    form: Form,
    face: Face,
    l: Lengths,
    w: &[f32],
    packed: &mut [f32],
    parallel: bool,
) {
    assert!(packed.len() >= packed_len(form, face, l), "convolution: packed weights");
    let (ci, co) = (l.ci, l.co);
    assert!(w.len() == l.g.kernel[0] * l.g.kernel[1] * ci * co, "convolution: {} weights", w.len());
    let transposed = face == Face::Input;
    let mut at = 0;
    for p in phases(form, face, l) {
        let total = p.terms();
        let mut first = 0;
        for (dy, dx) in (0..p.y.taps).flat_map(|y| (0..p.x.taps).map(move |x| (y, x))) {
            let tap = p.y.kernel_tap(dy) * l.g.kernel[1] + p.x.kernel_tap(dx);
            let source =
                Source { start: w[tap * ci * co..].as_ptr(), stride: co, transposed, k: p.c, n: p.n };
            let to = packed[at..].as_mut_ptr();
            // SAFETY: the asserts above; the level was found on this machine.
            unsafe { pack(form, source, (first, total), to, parallel) };
            first += total / (p.y.taps * p.x.taps);
        }
        at += form.len(total, p.n);
    }
}

/// Runs a face. Outputs that no tap reaches are zero.
pub(super) fn run(
    form: Form,
    face: Face,
    l: Lengths,
    input: &[f32],
    packed: &[f32],
    output: &mut [f32],
    scratch: &mut [f32],
    parallel: bool,
) {
    assert!(packed.len() >= packed_len(form, face, l), "convolution: packed weights");
    assert!(scratch.len() >= scratch_len(form, face, l), "convolution: scratch");
    if phases(form, face, l).any(|p| p.terms() == 0) {
        output.fill(0.0);
    }
    let mut at = 0;
    for p in phases(form, face, l) {
        let points = |s: [usize; 2]| p.batch * s[0] * s[1];
        assert!(input.len() >= points(p.source) * p.c, "convolution: {} numbers read", input.len());
        assert!(output.len() >= points(p.target) * p.n, "convolution: {} numbers written", output.len());
        if !is_empty(&p) && p.terms() > 0 {
            let (weights, strip) = (packed[at..].as_ptr(), aligned(scratch));
            // SAFETY: the asserts above; the level was found on this machine.
            unsafe { phase(&p, input.as_ptr(), weights, output.as_mut_ptr(), strip, parallel) };
        }
        at += form.len(p.terms(), p.n);
    }
}

/// A strip: its first image and row, and how many.
#[derive(Clone, Copy)]
struct Strip {
    image: usize,
    images: usize,
    row: usize,
    rows: usize,
}

unsafe fn phase(
    p: &Phase,
    input: *const f32,
    weights: *const f32,
    output: *mut f32,
    memory: *mut u8,
    parallel: bool,
) {
    let (images, rows) = p.strip();
    let shared = Shared((input, weights, output, memory));
    for image in (0..p.batch).step_by(images) {
        for row in (0..p.y.count).step_by(rows) {
            let s =
                Strip { image, images: images.min(p.batch - image), row, rows: rows.min(p.y.count - row) };
            let lines = p.y.places(s.rows);
            share(s.images * lines, parallel, |line| {
                let (input, _, _, memory) = shared.get();
                // SAFETY: the caller's contract; each line is another part of the strip.
                unsafe { lay_out(p, s, (line / lines, line % lines), input, memory) };
            });
            let across = p.x.count.div_ceil(p.points());
            let pieces = s.images * s.rows * across;
            let groups = pieces.div_ceil(GROUP);
            share(p.n.div_ceil(p.form.columns()) * groups, parallel, |item| {
                let (_, weights, output, memory) = shared.get();
                let (panel, first) = (item / groups, item % groups * GROUP);
                let pieces = (first, pieces.min(first + GROUP), across);
                // SAFETY: the caller's contract; each item writes its own columns of its own points.
                unsafe {
                    match p.form {
                        Form::Tiles => by_tiles(p, s, panel, pieces, weights.cast(), output, memory),
                        Form::Panels(v) => by_panels(v, p, s, panel, pieces, weights, output, memory.cast()),
                    }
                }
            });
        }
    }
}

/// One row of a strip with its padding.
#[allow(clippy::cast_ptr_alignment)] // a strip of numbers begins at a cache line
unsafe fn lay_out(p: &Phase, s: Strip, (image, line): (usize, usize), input: *const f32, to: *mut u8) {
    let (width, point) = (p.width(), p.point());
    let lines = p.y.places(s.rows);
    // SAFETY: sources are inside their image, and the scratch holds the strip.
    unsafe {
        let to = to.add((image * lines + line) * width * point);
        let Some(y) = p.y.source(s.row * p.y.step + line) else {
            to.write_bytes(0, width * point);
            return;
        };
        let from = input.add(((s.image + image) * p.source[0] + y) * p.source[1] * p.c);
        let mut x = 0;
        while x < width {
            let to = to.add(x * point);
            match p.x.source(x) {
                None => to.write_bytes(0, point),
                Some(at) if p.form == Form::Tiles => row(from.add(at * p.c), p.c, to),
                Some(at) => to.cast::<f32>().copy_from_nonoverlapping(from.add(at * p.c), p.c),
            }
            x += 1;
        }
    }
}

/// Where a piece of a row of output points begins in the strip (in points) and in the output, and its points.
fn piece(p: &Phase, s: Strip, at: usize, across: usize, length: usize) -> (usize, usize, usize) {
    let (line, x) = (at / across, at % across * length);
    let (image, row) = (line / s.rows, line % s.rows);
    let from = (image * p.y.places(s.rows) + row * p.y.step) * p.width() + x * p.x.step;
    let y = p.y.first + p.y.pace * (s.row + row);
    let to = ((s.image + image) * p.target[0] + y) * p.target[1] + p.x.first + p.x.pace * x;
    (from, to * p.n, length.min(p.x.count - x))
}

/// Two pieces of 16 points by a panel of 32 columns at a time.
unsafe fn by_tiles(
    p: &Phase,
    s: Strip,
    panel: usize,
    (first, end, across): (usize, usize, usize),
    weights: *const u8,
    output: *mut f32,
    strip: *const u8,
) {
    let point = p.point();
    let walk = amx::Walk {
        row: p.x.step * point,
        part: 64,
        step: A_BYTES,
        // Points beside each other are blocks beside each other.
        blocks: p.x.taps * blocks(p.c),
        runs: [(1, 0), (p.y.taps, p.width() * point)],
    };
    let j = panel * PANEL;
    // SAFETY: the caller's contract.
    unsafe {
        let b = weights.add(j / TILE * (p.terms() / 32) * amx::B_BYTES);
        with_tiles(|| {
            for at in (first..end).step_by(2) {
                let one = piece(p, s, at, across, TILE);
                let two = if at + 1 < end { piece(p, s, at + 1, across, TILE) } else { (one.0, one.1, 0) };
                let block = amx::Block {
                    a: [strip.add(one.0 * point), strip.add(two.0 * point)],
                    rows: [one.2, two.2],
                    b,
                    c: [output.add(one.1 + j), output.add(two.1 + j)],
                    row: p.x.pace * p.n,
                    cols: PANEL.min(p.n - j),
                    accumulate: false,
                };
                amx::block(&walk, &block);
            }
        });
    }
}

/// A block of points by a panel of columns at a time.
#[allow(clippy::too_many_arguments)] // as `by_tiles`, and the vectors
unsafe fn by_panels(
    vectors: Vectors,
    p: &Phase,
    s: Strip,
    panel: usize,
    (first, end, across): (usize, usize, usize),
    weights: *const f32,
    output: *mut f32,
    strip: *const f32,
) {
    let j = panel * vectors.columns();
    let cols = vectors.columns().min(p.n - j);
    let width = cols.next_multiple_of(TILE);
    let terms = p.x.taps * p.c;
    let walk = blocks::Walk {
        row: p.x.step * p.c,
        step: (1, width),
        terms,
        runs: [(1, 0, 0), (p.y.taps, p.width() * p.c, terms * width)],
    };
    for at in first..end {
        let (from, to, rows) = piece(p, s, at, across, p.points());
        // SAFETY: the caller's contract.
        unsafe {
            let (a, b, c) = (strip.add(from * p.c), weights.add(j * p.terms()), output.add(to + j));
            let row = p.x.pace * p.n;
            let block = blocks::Block { a, rows, b, c, row, cols, is_padded: true, accumulate: false };
            vectors.block(&walk, &block);
        }
    }
}
