//! The gradient of the filter, dw[tap] = Σ over points p of x[p + tap]ᵀ dy[p], strip by strip of points in order.
//!
//! With AVX-512 a strip of x is laid out with its padding and dy is read as it is. With AMX x is transposed into bf16
//! parts, [channel][part][place], so that a tap is a distance of places; dy is packed by pairs of places, with zeros
//! between its rows where x has padding.

use super::axis::{Axis, Lengths, strip};
use crate::matmul::amx::{self, B_BYTES, DEPTH, TILE, with_tiles};
use crate::matmul::avx512::{self, even};
use crate::matmul::by_rows::aligned;
use crate::matmul::pack::PANEL;
use crate::matmul::tiles::{columns, pairs};
use crate::share::{Shared, share};

/// Bytes of a strip's laid out x at most with AVX-512, and of both operands with AMX.
const STRIP: usize = 1 << 18;
const PACKED: usize = 3 << 19;

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
    if tiles { Transposed::new(l).bytes().div_ceil(4) + 16 } else { Laid::new(l).len() }
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
            by_tiles(&Transposed::new(l), x, dy, dw, aligned(scratch), parallel);
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
    let height = even(ci);
    let across = ci.div_ceil(height);
    for s in strips(t.l.batch, t.y.count, t.strip()) {
        let lines = t.y.places(s.rows);
        share(s.images * lines, parallel, |line| {
            let (x, _, _, memory) = shared.get();
            // SAFETY: the caller's contract; each line is another part of the strip.
            unsafe { lay_out(t, s, (line / lines, line % lines), x, memory) };
        });
        let walk = avx512::Walk {
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
            for j in (0..co).step_by(PANEL) {
                // SAFETY: the caller's contract; each item writes its own rows of dw.
                unsafe {
                    let a = memory.add(tap / t.x.taps * t.row() + tap % t.x.taps * ci + i);
                    let b = dy.add((s.image * t.y.count + s.row) * t.x.count * co + j);
                    let c = dw.add((tap * ci + i) * co + j);
                    let (cols, accumulate) = (PANEL.min(co - j), t.l.adds || s.image + s.row > 0);
                    avx512::block(&walk, &avx512::Block { a, rows, b, c, row: co, cols, accumulate });
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

/// x transposed and dy packed, in bf16 parts.
#[derive(Clone, Copy)]
struct Transposed {
    l: Lengths,
    /// Most taps of a phase.
    taps: [usize; 2],
    /// Rows and columns of y.
    output: [usize; 2],
}

impl Transposed {
    fn new(l: Lengths) -> Self {
        let taps = [0, 1].map(|i| l.g.kernel[i].div_ceil(l.g.stride[i]));
        Self { l, taps, output: l.g.output() }
    }

    /// Places from a row of y to the next.
    fn width(&self) -> usize {
        self.output[1] + self.taps[1] - 1
    }

    /// Blocks of 32 places of y of `rows` rows of one image.
    fn blocks(&self, rows: usize) -> usize {
        ((rows - 1) * self.width() + self.output[1]).div_ceil(DEPTH)
    }

    /// Places of x of `rows` rows of one image: what all taps see of the blocks.
    fn places(&self, rows: usize) -> usize {
        let seen = self.blocks(rows) * DEPTH + (self.taps[0] - 1) * self.width() + self.taps[1] - 1;
        seen.next_multiple_of(DEPTH)
    }

    fn strip(&self) -> (usize, usize) {
        let place = 6 * (self.l.ci.next_multiple_of(TILE) + self.l.co.next_multiple_of(TILE));
        let image = self.places(self.output[0]) * place;
        strip(self.l.batch, self.output[0], self.width() * place, image, PACKED)
    }

    /// Bytes of a part of a channel, an odd number of cache lines.
    fn pitch(&self) -> usize {
        let (images, rows) = self.strip();
        ((images * self.places(rows) / DEPTH) | 1) * 64
    }

    fn planes(&self) -> usize {
        self.l.ci.next_multiple_of(TILE) * 3 * self.pitch()
    }

    fn bytes(&self) -> usize {
        let (images, rows) = self.strip();
        self.planes() + images * self.blocks(rows) * self.l.co.div_ceil(TILE) * B_BYTES
    }
}

unsafe fn by_tiles(
    t: &Transposed,
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
    memory: *mut u8,
    parallel: bool,
) {
    let [sy, sx] = t.l.g.stride;
    let packed = memory.wrapping_add(t.planes());
    let shared = Shared((x, dy, dw, memory, packed));
    for s in strips(t.l.batch, t.output[0], t.strip()) {
        let (blocks, places) = (t.blocks(s.rows), t.places(s.rows));
        let tiles = t.l.co.div_ceil(TILE);
        share(tiles * s.images, parallel, |item| {
            let (_, dy, _, _, packed) = shared.get();
            // SAFETY: the caller's contract; items are apart.
            unsafe { pack_dy(t, s, item / s.images, item % s.images, dy, packed) };
        });
        for (py, px) in (0..sy).flat_map(|y| (0..sx).map(move |x| (y, x))) {
            let (ay, ax) = (Axis::filter(&t.l.g, 0, py), Axis::filter(&t.l.g, 1, px));
            let taps = ay.taps * ax.taps;
            if taps == 0 {
                continue;
            }
            let bands = t.l.ci.div_ceil(TILE);
            share(bands * s.images, parallel, |item| {
                let (x, _, _, memory, _) = shared.get();
                // SAFETY: the caller's contract; items are apart.
                unsafe { transpose_x(t, s, [ay, ax], item / s.images, item % s.images, x, memory) };
            });
            let walk = amx::Walk {
                row: 3 * t.pitch(),
                part: t.pitch(),
                step: 2 * DEPTH,
                blocks,
                runs: [(1, 0), (s.images, 2 * places)],
            };
            share((taps * bands).div_ceil(2), parallel, |pair| {
                let (_, _, dw, memory, packed) = shared.get();
                let side = |half: usize| {
                    let item = (2 * pair + half).min(taps * bands - 1);
                    let (d, band) = ((item / bands / ax.taps, item / bands % ax.taps), item % bands);
                    let tap = ay.kernel_tap(d.0) * t.l.g.kernel[1] + ax.kernel_tap(d.1);
                    let a = band * TILE * 3 * t.pitch() + 2 * (d.0 * t.width() + d.1);
                    let rows =
                        if 2 * pair + half < taps * bands { TILE.min(t.l.ci - band * TILE) } else { 0 };
                    (a, (tap * t.l.ci + band * TILE) * t.l.co, rows)
                };
                let (one, two) = (side(0), side(1));
                // SAFETY: the caller's contract; each pair writes its own rows of dw.
                unsafe {
                    with_tiles(|| {
                        for j in (0..t.l.co).step_by(PANEL) {
                            let block = amx::Block {
                                a: [memory.add(one.0), memory.add(two.0)],
                                rows: [one.2, two.2],
                                b: packed.add(j / TILE * s.images * blocks * B_BYTES),
                                c: [dw.add(one.1 + j), dw.add(two.1 + j)],
                                row: t.l.co,
                                cols: PANEL.min(t.l.co - j),
                                accumulate: t.l.adds || s.image + s.row > 0,
                            };
                            amx::block(&walk, &block);
                        }
                    });
                }
            });
        }
    }
}

/// 16 channels of one image of dy.
unsafe fn pack_dy(t: &Transposed, s: Strip, tile: usize, image: usize, dy: *const f32, packed: *mut u8) {
    let ([h, w], co, blocks) = (t.output, t.l.co, t.blocks(s.rows));
    let channels = TILE.min(co - tile * TILE);
    // Tiles of a panel take turns; the last panel may have one.
    let (panel, side) = (tile / 2, tile % 2);
    let turns = co.div_ceil(TILE).saturating_sub(2 * panel).min(2);
    let total = s.images * blocks;
    for q in 0..blocks {
        let mut rows = [std::ptr::null(); DEPTH];
        for (i, row) in rows.iter_mut().enumerate() {
            let (y, x) = ((q * DEPTH + i) / t.width(), (q * DEPTH + i) % t.width());
            if y < s.rows && x < w {
                let at = ((s.image + image) * h + s.row + y) * w + x;
                *row = dy.wrapping_add(at * co + tile * TILE);
            }
        }
        let at = panel * 2 * total + (image * blocks + q) * turns + side;
        // SAFETY: rows are inside dy, the tile inside the scratch.
        unsafe { pairs(&rows, channels, packed.add(at * B_BYTES)) };
    }
}

/// 16 channels of one image of a phase of x.
unsafe fn transpose_x(
    t: &Transposed,
    s: Strip,
    [ay, ax]: [Axis; 2],
    band: usize,
    image: usize,
    x: *const f32,
    memory: *mut u8,
) {
    let ([h, w], ci) = (t.l.g.input, t.l.ci);
    let places = t.places(s.rows);
    let (height, width) = (ay.places(s.rows), ax.places(t.output[1]));
    let to = memory.wrapping_add(band * TILE * 3 * t.pitch() + 2 * image * places);
    for p in (0..places).step_by(DEPTH) {
        let mut points = [std::ptr::null(); DEPTH];
        for (i, point) in points.iter_mut().enumerate() {
            let (py, px) = ((p + i) / t.width(), (p + i) % t.width());
            let inside = py < height && px < width;
            let (sy, sx) = (ay.source(s.row + py), ax.source(px));
            if let (true, Some(sy), Some(sx)) = (inside, sy, sx) {
                let at = ((s.image + image) * h + sy) * w + sx;
                *point = x.wrapping_add(at * ci + band * TILE);
            }
        }
        // SAFETY: points are inside x, the places inside the scratch.
        unsafe { columns(&points, TILE.min(ci - band * TILE), (to.add(2 * p), 3 * t.pitch(), t.pitch())) };
    }
}
