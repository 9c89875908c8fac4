//! C = Aᵀ B on AMX tiles, both packed on the way: as many terms at a time as the second-level cache takes.

use super::amx::{self, B_BYTES, DEPTH, TILE, Walk, with_tiles};
use super::by_rows::aligned;
use super::pack::{Form, PANEL, Source, pack};
use super::tiles::{A_BYTES, columns};
use crate::share::{Shared, share};

/// Bytes of both packed operands at most, if that leaves 256 terms.
const PACKED: usize = 1 << 20;

/// One product of A [k, m] and B [k, n], both with adjacent columns.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) a: *const f32,
    pub(crate) b: *const f32,
    /// C [m, n].
    pub(crate) c: *mut f32,
}

/// Terms of one pass.
fn pass(m: usize, k: usize, n: usize) -> usize {
    let fits = PACKED / (6 * (m.next_multiple_of(TILE) + n.next_multiple_of(TILE)));
    fits.max(256).min(k.max(1)).next_multiple_of(DEPTH)
}

/// Bytes of 16 rows of transposed A: tiles in the order in which they are read.
fn pitch(terms: usize) -> usize {
    terms / DEPTH * TILE * A_BYTES
}

/// Numbers of scratch.
pub(crate) fn scratch_len(m: usize, k: usize, n: usize) -> usize {
    let terms = pass(m, k, n);
    m.div_ceil(TILE) * pitch(terms) / 4 + Form::Tiles.len(terms, n) + 16
}

/// C = Aᵀ B.
///
/// # Safety
/// All elements are inside their allocations, C apart from A and B; AMX is granted.
pub(crate) unsafe fn product(t: Columns, scratch: &mut [f32], parallel: bool) {
    assert!(scratch.len() >= scratch_len(t.m, t.k, t.n), "product: scratch");
    let terms = pass(t.m, t.k, t.n);
    let pitch = pitch(terms);
    let bands = t.m.div_ceil(TILE);
    let planes = aligned(scratch);
    let tiles = planes.wrapping_add(bands * pitch);
    let shared = Shared((t, planes, tiles));
    for first in (0..t.k).step_by(terms) {
        let depth = terms.min(t.k - first);
        // SAFETY: the caller's contract; bands of A and blocks of C are apart.
        unsafe {
            share(bands, parallel, |band| {
                let (t, planes, _) = shared.get();
                split_band(&t, (first, depth), band, planes.add(band * pitch));
            });
            let start = t.b.add(first * t.n);
            let source = Source { start, stride: t.n, transposed: false, k: depth, n: t.n };
            pack(Form::Tiles, source, (0, depth.next_multiple_of(DEPTH)), tiles.cast(), parallel);
            share(t.m.div_ceil(PANEL), parallel, |band| {
                let (t, planes, tiles) = shared.get();
                with_tiles(|| band_of_blocks(&t, (first, depth), band, planes, pitch, tiles));
            });
        }
    }
}

/// 16 columns of A as rows of parts.
unsafe fn split_band(t: &Columns, (first, depth): (usize, usize), band: usize, to: *mut u8) {
    let channels = TILE.min(t.m - band * TILE);
    for p in (0..depth).step_by(DEPTH) {
        let mut points = [std::ptr::null(); DEPTH];
        // SAFETY: the caller's contract.
        unsafe {
            for (i, point) in points.iter_mut().enumerate().take(depth - p) {
                *point = t.a.add((first + p + i) * t.m + band * TILE);
            }
            columns(&points, channels, (to.add(p / DEPTH * TILE * A_BYTES), 64, 1024));
        }
    }
}

/// 32 rows of C.
unsafe fn band_of_blocks(
    t: &Columns,
    (first, depth): (usize, usize),
    band: usize,
    planes: *const u8,
    pitch: usize,
    tiles: *const u8,
) {
    let blocks = depth.div_ceil(DEPTH);
    let walk = Walk { row: 64, part: 1024, step: TILE * A_BYTES, blocks, runs: [(1, 0); 2] };
    let i = band * PANEL;
    let rows = [TILE.min(t.m - i), TILE.min((t.m - i).saturating_sub(TILE))];
    let second = if rows[1] > 0 { TILE } else { 0 };
    for j in (0..t.n).step_by(PANEL) {
        // SAFETY: the caller's contract.
        unsafe {
            let a = planes.add(i / TILE * pitch);
            let c = t.c.add(i * t.n + j);
            let block = amx::Block {
                a: [a, a.add(second / TILE * pitch)],
                rows,
                b: tiles.add(j / TILE * blocks * B_BYTES),
                c: [c, c.add(second * t.n)],
                row: t.n,
                cols: PANEL.min(t.n - j),
                accumulate: first > 0,
            };
            amx::block(&walk, &block);
        }
    }
}
