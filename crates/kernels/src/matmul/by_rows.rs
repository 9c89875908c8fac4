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
/// Rows that are multiplied by one panel before the next.
const BAND: usize = 64;
/// Parts of the rows that threads may take, each with a strip of its own: nobody waits for anybody between strips.
const LANES: usize = 4;

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
    let lanes = LANES.min(m.div_ceil(BAND)).max(1);
    lanes * strip_rows(m.div_ceil(lanes), blocks, n) / TILE * pitch(blocks) / 4 + 16
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
    let lanes = if parallel { LANES.min(t.m.div_ceil(BAND)).max(1) } else { 1 };
    let lane_rows = t.m.div_ceil(lanes);
    let (pitch, rows) = (pitch(t.blocks), strip_rows(lane_rows, t.blocks, t.n));
    share(lanes, parallel, |lane| {
        let t = shared.get();
        let planes = planes.get().wrapping_add(lane * rows / TILE * pitch);
        let (start, end) = (lane * lane_rows, t.m.min((lane + 1) * lane_rows));
        for q in (0..t.blocks).step_by(PASS) {
            let blocks = PASS.min(t.blocks - q);
            for first in (start..end).step_by(rows) {
                let strip = rows.min(end - first);
                for i in 0..strip {
                    fill(first + i, q, blocks, planes.wrapping_add(i / TILE * pitch + i % TILE * 64));
                }
                // SAFETY: the caller's contract; lanes have rows of C and strips of their own.
                unsafe {
                    let t = Rows { accumulate: t.accumulate || q > 0, c: t.c.add(first * t.row), ..t };
                    for panel in 0..t.n.div_ceil(PANEL) {
                        for band in (0..strip).step_by(BAND) {
                            let end = strip.min(band + BAND);
                            band_of_panel(&t, planes, pitch, (q, blocks), panel, band, end);
                        }
                    }
                }
            }
        }
    });
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
