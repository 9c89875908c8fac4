//! C = A B on AMX tiles, A's rows split on the way: a strip of them at a time, small enough for the second-level cache,
//! against packed B panel by panel.

use super::amx::{self, B_BYTES, TILE, Walk, with_tiles};
use super::pack::PANEL;
use super::tiles::A_BYTES;
use crate::share::{Shared, share};

/// Blocks of 32 terms of one pass: longer sums are added up in C.
const PASS: usize = 32;
/// Bytes of a strip at most, if it is more than 32 rows: beside a B that stays in the second-level cache, and beside
/// one that does not and should be read seldom.
const STRIPS: [usize; 2] = [1 << 18, 1 << 20];
/// Rows of a strip that one thread splits or multiplies at a time.
const BAND: usize = 64;

/// One product.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) m: usize,
    /// Blocks of 32 terms.
    pub(crate) blocks: usize,
    pub(crate) n: usize,
    /// Packed B.
    pub(crate) b: *const u8,
    pub(crate) c: *mut f32,
    /// From a row of C to the next, in numbers.
    pub(crate) row: usize,
    pub(crate) accumulate: bool,
}

/// Bytes of 16 rows of a strip: tiles of A in the order in which they are read.
fn pitch(blocks: usize) -> usize {
    blocks.clamp(1, PASS) * TILE * A_BYTES
}

fn strip_rows(m: usize, blocks: usize, n: usize) -> usize {
    let large = blocks * n.div_ceil(TILE) * B_BYTES > 1 << 20;
    (STRIPS[usize::from(large)] / (2 * pitch(blocks)) * PANEL).max(PANEL).min(m.next_multiple_of(TILE))
}

/// Numbers of scratch.
pub(crate) fn scratch_len(m: usize, blocks: usize, n: usize) -> usize {
    strip_rows(m, blocks, n) / TILE * pitch(blocks) / 4 + 16
}

/// The first address of a cache line in the scratch.
pub(crate) fn aligned(scratch: &mut [f32]) -> *mut u8 {
    let start = scratch.as_mut_ptr();
    start.wrapping_byte_add(start.align_offset(64) * 4).cast()
}

/// C = A B, or C += A B. `fill(i, q, n, to)` writes blocks q … q + n of row i of A as
/// [`super::tiles::spread_row`] does, 1024 bytes from a part to the next.
///
/// # Safety
/// B and C are inside their allocations, the scratch holds [`scratch_len`] numbers; AMX is granted.
pub(crate) unsafe fn product(
    t: Rows,
    fill: impl Fn(usize, usize, usize, *mut u8) + Sync + Send,
    scratch: &mut [f32],
    parallel: bool,
) {
    assert!(scratch.len() >= scratch_len(t.m, t.blocks, t.n), "product: scratch");
    let planes = Shared(aligned(scratch));
    let shared = Shared(t);
    let (pitch, rows) = (pitch(t.blocks), strip_rows(t.m, t.blocks, t.n));
    for q in (0..t.blocks).step_by(PASS) {
        let blocks = PASS.min(t.blocks - q);
        for first in (0..t.m).step_by(rows) {
            let strip = rows.min(t.m - first);
            let bands = strip.div_ceil(BAND);
            share(bands, parallel, |band| {
                for i in band * BAND..strip.min((band + 1) * BAND) {
                    // SAFETY: rows of the strip are apart from each other.
                    fill(first + i, q, blocks, unsafe { planes.get().add(i / TILE * pitch + i % TILE * 64) });
                }
            });
            share(t.n.div_ceil(PANEL) * bands, parallel, |item| {
                let (panel, band) = (item / bands, item % bands);
                let t = Rows { accumulate: t.accumulate || q > 0, ..shared.get() };
                let (start, end) = (band * BAND, strip.min((band + 1) * BAND));
                // SAFETY: the caller's contract; each item writes its own part of C.
                unsafe {
                    let c = t.c.add(first * t.row);
                    band_of_panel(&Rows { c, ..t }, planes.get(), pitch, (q, blocks), panel, start, end);
                }
            });
        }
    }
}

/// Rows `start` … `end` of a strip by one panel of B.
unsafe fn band_of_panel(
    t: &Rows,
    planes: *const u8,
    pitch: usize,
    (q, blocks): (usize, usize),
    panel: usize,
    start: usize,
    end: usize,
) {
    let walk = Walk { row: 64, part: 1024, step: TILE * A_BYTES, blocks, runs: [(1, 0); 2] };
    let j = panel * PANEL;
    let cols = PANEL.min(t.n - j);
    // SAFETY: the caller's contract.
    unsafe {
        let b = t.b.add((j / TILE * t.blocks + q * cols.div_ceil(TILE)) * B_BYTES);
        with_tiles(|| {
            let mut i = start;
            while i < end {
                let rows = [TILE.min(end - i), TILE.min((end - i).saturating_sub(TILE))];
                let a = planes.add(i / TILE * pitch);
                let c = t.c.add(i * t.row + j);
                let second = if rows[1] > 0 { TILE } else { 0 };
                let block = amx::Block {
                    a: [a, a.add(second / TILE * pitch)],
                    rows,
                    b,
                    c: [c, c.add(second * t.row)],
                    row: t.row,
                    cols,
                    accumulate: t.accumulate,
                };
                amx::block(&walk, &block);
                i += PANEL;
            }
        });
    }
}
