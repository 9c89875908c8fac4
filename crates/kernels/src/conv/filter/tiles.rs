//! On AMX tiles: dwᵀ[tap] = Σ over points p of dy[p]ᵀ x[p + tap], one operand transposed once and the other read at
//! every tap.
//!
//! dy is transposed into tiles of 16 channels × 32 places. x is packed by pairs of places, [channels / 16][copy][image]
//! [line][pair][part][16][2], so that places two apart are adjacent lines of memory and a tile may begin at any pair.
//! Where rows of y are whole blocks of 32 places, rows of x have their padding and are there twice, from place 0 and
//! from place 1. Else a copy for each column of the kernel holds the places that y has, a row beside the next, with
//! one more if they are odd; dy is zero there and beyond the last block.

use super::{Strip, strips};
use crate::conv::axis::{Axis, Lengths, strip};
use crate::matmul::amx::{self, B_BYTES, DEPTH, TILE, with_tiles};
use crate::matmul::pack::PANEL;
use crate::matmul::tiles::{PAIR_BYTES, columns, store_pair, two_points};
use crate::share::{Shared, share};
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Bytes of both packed operands of a strip, least and most: half the second cache, more where each strip adds to
/// a large dw.
const PACKED: [usize; 2] = [1 << 20, 3 << 20];
/// Bytes of them for each byte of dw, between these.
const PER_FILTER: usize = 5;
/// Bytes of dy and x that are asked for ahead of their use: their rows are short runs to the prefetchers.
const AHEAD: usize = 1 << 13;
/// Places of x that are packed at a time.
const CHUNK: usize = 32;

/// How a filter's gradient is laid out.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    l: Lengths,
    /// Most taps of a phase.
    taps: [usize; 2],
    /// Rows and columns of y.
    output: [usize; 2],
    /// Whether a row of y is whole blocks.
    whole: bool,
    /// Copies of x.
    copies: usize,
}

impl Tiles {
    pub(super) fn new(l: Lengths) -> Self {
        let taps = [0, 1].map(|i| l.g.kernel[i].div_ceil(l.g.stride[i]));
        let output = l.g.output();
        let whole = output[1].is_multiple_of(DEPTH);
        let copies = if whole { taps[1].min(2) } else { taps[1] };
        Self { l, taps, output, whole, copies }
    }

    /// Places from a row of dy to the next.
    fn width(&self) -> usize {
        self.output[1].next_multiple_of(2)
    }

    /// Pairs from a line of a copy of x to the next.
    fn pairs(&self) -> usize {
        if self.whole { (self.output[1] + self.taps[1] - 1).div_ceil(2) } else { self.width() / 2 }
    }

    /// Copy of x, and pairs of it ahead of the row's first, that the taps of a column see.
    fn column(&self, tap: usize) -> (usize, usize) {
        if self.whole { (tap % self.copies, tap / 2) } else { (tap, 0) }
    }

    /// Blocks of 32 places of y of `rows` rows of one image.
    fn blocks(&self, rows: usize) -> usize {
        (rows * self.width()).div_ceil(DEPTH)
    }

    /// Bytes of `rows` rows of one image in a copy of x: what all taps see of the blocks.
    fn image(&self, rows: usize) -> usize {
        let lines = (rows + self.taps[0] - 1) * self.pairs();
        let seen = if self.whole { 0 } else { self.blocks(rows) * TILE + (self.taps[0] - 1) * self.pairs() };
        lines.max(seen) * PAIR_BYTES
    }

    fn strip(&self) -> (usize, usize) {
        let x = self.l.ci.div_ceil(TILE) * self.copies * PAIR_BYTES;
        let dy = self.l.co.div_ceil(TILE) * B_BYTES;
        let row = self.pairs() * x + self.width() * dy / DEPTH;
        let image = self.image(self.output[0]) / PAIR_BYTES * x + self.blocks(self.output[0]) * dy;
        let filter = 4 * self.l.g.kernel[0] * self.l.g.kernel[1] * self.l.ci * self.l.co;
        let budget = (PER_FILTER * filter).clamp(PACKED[0], PACKED[1]);
        strip(self.l.batch, self.output[0], row, image, budget)
    }

    /// Bytes of x and of both.
    fn packed(&self) -> (usize, usize) {
        let (images, rows) = self.strip();
        let x = images * self.l.ci.div_ceil(TILE) * self.copies * self.image(rows);
        (x, x + images * self.l.co.div_ceil(TILE) * self.blocks(rows) * B_BYTES)
    }

    pub(super) fn bytes(&self) -> usize {
        self.packed().1
    }
}

/// dw from x and dy.
///
/// # Safety
/// The level is AMX; x, dy and dw have the lengths' sizes; `memory` holds [`Tiles::bytes`].
pub(super) unsafe fn run(
    t: &Tiles,
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
    memory: *mut u8,
    parallel: bool,
) {
    let [sy, sx] = t.l.g.stride;
    let packed = memory.wrapping_add(t.packed().0);
    let shared = Shared((x, dy, memory, packed));
    for s in strips(t.l.batch, t.output[0], t.strip()) {
        let blocks = t.blocks(s.rows);
        share(blocks * s.images, parallel, |item| {
            let (_, dy, _, packed) = shared.get();
            // SAFETY: the caller's contract; items are apart.
            unsafe { transpose_dy(t, s, (item / blocks, item % blocks), dy, packed) };
        });
        for (py, px) in (0..sy).flat_map(|y| (0..sx).map(move |x| (y, x))) {
            let axes = [Axis::filter(&t.l.g, 0, py), Axis::filter(&t.l.g, 1, px)];
            if axes[0].taps * axes[1].taps == 0 {
                continue;
            }
            let lines = axes[0].places(s.rows);
            share(lines * s.images, parallel, |item| {
                let (x, _, memory, _) = shared.get();
                // SAFETY: the caller's contract; items are apart.
                unsafe { pack_x(t, s, axes, (item / lines, item % lines), x, memory) };
            });
            // SAFETY: the caller's contract; both operands are packed.
            unsafe { products(t, s, axes, memory, packed, dw, parallel) };
        }
    }
}

/// What a strip adds to the taps of a phase, 16 channels of x and a tap by the next.
unsafe fn products(
    t: &Tiles,
    s: Strip,
    [ay, ax]: [Axis; 2],
    x: *const u8,
    dy: *const u8,
    dw: *mut f32,
    parallel: bool,
) {
    let (image, blocks, line) = (t.image(s.rows), t.blocks(s.rows), t.pairs() * PAIR_BYTES);
    let (runs, length) = if t.whole {
        ([(s.images, image), (s.rows, line)], t.output[1] / DEPTH)
    } else {
        ([(1, 0), (s.images, image)], blocks)
    };
    let walk = amx::Walk { row: PAIR_BYTES, part: 64, step: TILE * PAIR_BYTES, blocks: length, runs };
    let items = t.l.ci.div_ceil(TILE) * ax.taps * ay.taps;
    let shared = Shared((x, dy, dw));
    share(items.div_ceil(2), parallel, |pair| {
        let (x, dy, dw) = shared.get();
        // Taps of one column take turns: what one sees of x the next sees soon.
        let side = |half: usize| {
            let item = (2 * pair + half).min(items - 1);
            let (d, column) = (item % ay.taps, item / ay.taps);
            let (band, e) = (column / ax.taps, column % ax.taps);
            let (copy, ahead) = t.column(e);
            let from = (band * t.copies + copy) * s.images * image + d * line + ahead * PAIR_BYTES;
            let tap = ay.kernel_tap(d) * t.l.g.kernel[1] + ax.kernel_tap(e);
            let rows = if 2 * pair + half < items { TILE.min(t.l.ci - band * TILE) } else { 0 };
            (from, (tap * t.l.ci + band * TILE) * t.l.co, rows)
        };
        let (one, two) = (side(0), side(1));
        // SAFETY: the caller's contract; each pair writes its own rows of dw.
        unsafe {
            with_tiles(|| {
                for j in (0..t.l.co).step_by(PANEL) {
                    let block = amx::Block {
                        a: [x.add(one.0), x.add(two.0)],
                        rows: [one.2, two.2],
                        b: dy.add(j / TILE * s.images * blocks * B_BYTES),
                        c: [dw.add(one.1 + j), dw.add(two.1 + j)],
                        row: t.l.co,
                        cols: PANEL.min(t.l.co - j),
                        accumulate: t.l.adds || s.image + s.row > 0,
                    };
                    amx::block_by_pairs(&walk, &block);
                }
            });
        }
    });
}

/// 32 places of one image of dy.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn transpose_dy(t: &Tiles, s: Strip, (image, q): (usize, usize), dy: *const f32, packed: *mut u8) {
    let ([h, w], co, blocks) = (t.output, t.l.co, t.blocks(s.rows));
    let tiles = co.div_ceil(TILE);
    let total = s.images * blocks;
    let from = dy.wrapping_add(((s.image + image) * h + s.row) * w * co);
    let (mut y, mut x) = (q * DEPTH / t.width(), q * DEPTH % t.width());
    ask(from.wrapping_add((y * w + x) * co), DEPTH * co);
    let mut points = [std::ptr::null(); DEPTH];
    for point in &mut points {
        if y < s.rows && x < w {
            *point = from.wrapping_add((y * w + x) * co);
        }
        x += 1;
        if x == t.width() {
            (y, x) = (y + 1, 0);
        }
    }
    for tile in 0..tiles {
        // Tiles of a panel take turns; the last panel may have one.
        let (panel, side) = (tile / 2, tile % 2);
        let turns = (tiles - 2 * panel).min(2);
        let at = panel * 2 * total + (image * blocks + q) * turns + side;
        // SAFETY: points are inside dy, the tile inside the scratch.
        unsafe {
            columns(&points, TILE.min(co - tile * TILE), (packed.add(at * B_BYTES), 64, 1024));
        }
        for point in &mut points {
            if !point.is_null() {
                *point = point.wrapping_add(TILE);
            }
        }
    }
}

/// Asks for `n` numbers that are [`AHEAD`] of an address.
#[inline(always)]
fn ask(at: *const f32, n: usize) {
    let at = at.cast::<i8>().wrapping_add(AHEAD);
    for line in (0..4 * n).step_by(64) {
        // SAFETY: a prefetch may point anywhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(line)) };
    }
}

/// One line of one image of a phase of x.
unsafe fn pack_x(
    t: &Tiles,
    s: Strip,
    [ay, ax]: [Axis; 2],
    (image, line): (usize, usize),
    x: *const f32,
    memory: *mut u8,
) {
    let ([h, w], ci, pairs) = (t.l.g.input, t.l.ci, t.pairs());
    let (lines, bytes) = (ay.places(s.rows), t.image(s.rows));
    let row = ay.source(s.row + line).map(|y| x.wrapping_add(((s.image + image) * h + y) * w * ci));
    let (end, seen) = (2 * pairs + t.copies - 1, ax.places(t.output[1]));
    for first in (0..end).step_by(CHUNK) {
        if let Some(row) = row {
            ask(row.wrapping_add(first * ci), CHUNK * ci);
        }
        let mut points = [std::ptr::null(); CHUNK + 2];
        for (i, point) in points.iter_mut().enumerate().take(end + 1 - first) {
            if let (true, Some(row), Some(at)) = (first + i < seen, row, ax.source(first + i)) {
                *point = row.wrapping_add(at * ci);
            }
        }
        for band in 0..ci.div_ceil(TILE) {
            let channels = (band * TILE, TILE.min(ci - band * TILE));
            let to = memory.wrapping_add((band * t.copies * s.images + image) * bytes);
            let to = to.wrapping_add(line * pairs * PAIR_BYTES);
            let copies = Copies { to, number: t.copies, apart: s.images * bytes, pairs };
            // SAFETY: points are inside x, the pairs inside the scratch.
            unsafe { pack_points(&points, channels, first / 2, end.div_ceil(2), copies) };
        }
    }
    if line + 1 == lines {
        let tail = lines * pairs * PAIR_BYTES;
        for copy in 0..ci.div_ceil(TILE) * t.copies {
            // SAFETY: what is beyond the last line of the image, inside the scratch.
            unsafe { memory.add((copy * s.images + image) * bytes + tail).write_bytes(0, bytes - tail) };
        }
    }
}

/// A line of each copy of x.
#[derive(Clone, Copy)]
struct Copies {
    to: *mut u8,
    number: usize,
    /// Bytes from one to the next.
    apart: usize,
    pairs: usize,
}

/// 16 channels of some points, the first of which are pair `first` of copy 0, in every copy.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn pack_points(
    points: &[*const f32; CHUNK + 2],
    (from, channels): (usize, usize),
    first: usize,
    end: usize,
    copies: Copies,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut here = two_points([points[0], points[1]], from, channels);
        let mut i = 0;
        while i < CHUNK / 2 && first + i < end {
            let next = two_points([points[2 * i + 2], points[2 * i + 3]], from, channels);
            let mut copy = 0;
            while copy < copies.number {
                let pair = (first + i).wrapping_sub(copy / 2);
                if pair < copies.pairs {
                    let to = copies.to.add(copy * copies.apart + pair * PAIR_BYTES);
                    if copy % 2 == 0 {
                        store_pair(here[0], here[1], to);
                    } else {
                        store_pair(here[1], next[0], to);
                    }
                }
                copy += 1;
            }
            here = next;
            i += 1;
        }
    }
}
