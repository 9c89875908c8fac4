//! Blocks of 32 × 32 of C = A B on AMX tiles of bf16, to the accuracy of f32.
//!
//! With a = a₁ + a₂ + a₃ and b = b₁ + b₂ + b₃ ([`super::split`]) the terms are
//!
//!   a b ≈ a₃b₁ + a₂b₁ + a₂b₂ + a₁b₂ + a₁b₃ + a₁b₁
//!
//! and what is dropped is below 2⁻²⁵ |a b|. 32 terms of one of these six are one instruction for 16 × 16 elements; six
//! by 2 × 2 of them are 24 for fourteen loads of tiles. ∞ times a number is ∞ or NaN, since parts differ in sign.
//!
//! A tile of A is 16 rows of 32 adjacent bf16 numbers, at any distance. B is packed ([`super::tiles`]).

use super::pack::PANEL;
use super::transpose::transpose;
use std::arch::asm;
use std::arch::x86_64::{
    _mm512_add_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};
use std::mem::MaybeUninit;

/// Rows and columns of a tile of C.
pub(crate) const TILE: usize = 16;
/// Terms of one instruction.
pub(crate) const DEPTH: usize = 32;
/// Bytes of 32 terms × 16 columns of packed B: three tiles.
pub(crate) const B_BYTES: usize = 3 * 1024;

/// Blocks of terms after which a tile is stored for nothing: where none has been for 0.7 µs, the next stores take
/// 0.25 µs longer, as long as two blocks of terms (measured on Granite Rapids; every fourth block is often enough).
const AWAKE: usize = 4;

/// Where A's tiles are, as terms go by. Distances are in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// From a row of a tile to the next.
    pub(crate) row: usize,
    /// From a part to the next.
    pub(crate) part: usize,
    /// From 32 terms to the next, and how often in a run.
    pub(crate) step: usize,
    pub(crate) blocks: usize,
    /// Runs of such blocks, outer and inner: (number, distance).
    pub(crate) runs: [(usize, usize); 2],
}

/// At most 32 × 32 of C.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// First part of the first 32 terms of both halves of the rows.
    pub(crate) a: [*const u8; 2],
    /// Rows of both halves; the second may be none.
    pub(crate) rows: [usize; 2],
    /// Packed B of these columns.
    pub(crate) b: *const u8,
    pub(crate) c: [*mut f32; 2],
    /// From a row of C to the next, in numbers.
    pub(crate) row: usize,
    pub(crate) cols: usize,
    pub(crate) accumulate: bool,
}

#[repr(C, align(64))]
struct Aligned<T>(T);

/// Runs `work` with eight tiles of 16 × 64 bytes.
///
/// # Safety
/// The machine has granted AMX. `work` makes no use of `with_tiles`.
#[inline(always)]
pub(crate) unsafe fn with_tiles(work: impl FnOnce()) {
    const CONFIGURATION: Aligned<[u8; 64]> = {
        let mut c = [0; 64];
        c[0] = 1;
        let mut i = 0;
        while i < 8 {
            c[16 + 2 * i] = 64;
            c[48 + i] = 16;
            i += 1;
        }
        Aligned(c)
    };
    let configuration = CONFIGURATION;
    // SAFETY: reads 64 bytes; the caller's contract.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) };
    work();
    // SAFETY: as above.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Six products of 32 terms, into tmm0 (upper left), tmm1 (lower left), tmm2 (upper right), tmm3 (lower right).
macro_rules! six {
    ($product:ident, $a0:expr, $a1:expr, $row:expr, $part:expr, $b0:expr, $b1:expr) => {
        asm!(
            // a₃ b₁
            "tileloadd tmm4, [{a03} + {row}]",
            "tileloadd tmm6, [{b0} + {line}]",
            $product!("tmm0", "tmm4", "tmm6"),
            "tileloadd tmm5, [{a13} + {row}]",
            $product!("tmm1", "tmm5", "tmm6"),
            "tileloadd tmm7, [{b1} + {line}]",
            $product!("tmm2", "tmm4", "tmm7"),
            "tileloadd tmm4, [{a02} + {row}]",
            $product!("tmm3", "tmm5", "tmm7"),
            "tileloadd tmm5, [{a12} + {row}]",
            // a₂ b₁
            $product!("tmm0", "tmm4", "tmm6"),
            $product!("tmm1", "tmm5", "tmm6"),
            "tileloadd tmm6, [{b0} + {line} + 1024]",
            $product!("tmm2", "tmm4", "tmm7"),
            $product!("tmm3", "tmm5", "tmm7"),
            "tileloadd tmm7, [{b1} + {line} + 1024]",
            // a₂ b₂
            $product!("tmm0", "tmm4", "tmm6"),
            $product!("tmm1", "tmm5", "tmm6"),
            $product!("tmm2", "tmm4", "tmm7"),
            "tileloadd tmm4, [{a01} + {row}]",
            $product!("tmm3", "tmm5", "tmm7"),
            "tileloadd tmm5, [{a11} + {row}]",
            // a₁ b₂
            $product!("tmm0", "tmm4", "tmm6"),
            $product!("tmm1", "tmm5", "tmm6"),
            "tileloadd tmm6, [{b0} + {line} + 2048]",
            $product!("tmm2", "tmm4", "tmm7"),
            $product!("tmm3", "tmm5", "tmm7"),
            "tileloadd tmm7, [{b1} + {line} + 2048]",
            // a₁ b₃
            $product!("tmm0", "tmm4", "tmm6"),
            $product!("tmm1", "tmm5", "tmm6"),
            "tileloadd tmm6, [{b0} + {line}]",
            $product!("tmm2", "tmm4", "tmm7"),
            $product!("tmm3", "tmm5", "tmm7"),
            "tileloadd tmm7, [{b1} + {line}]",
            // a₁ b₁
            $product!("tmm0", "tmm4", "tmm6"),
            $product!("tmm1", "tmm5", "tmm6"),
            $product!("tmm2", "tmm4", "tmm7"),
            $product!("tmm3", "tmm5", "tmm7"),
            a01 = in(reg) $a0,
            a02 = in(reg) $a0.add($part),
            a03 = in(reg) $a0.add(2 * $part),
            a11 = in(reg) $a1,
            a12 = in(reg) $a1.add($part),
            a13 = in(reg) $a1.add(2 * $part),
            row = in(reg) $row,
            b0 = in(reg) $b0,
            b1 = in(reg) $b1,
            line = in(reg) 64usize,
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            out("tmm4") _,
            out("tmm5") _,
            out("tmm6") _,
            out("tmm7") _,
            options(nostack, readonly)
        );
    };
}

/// C += A B, and its transpose.
macro_rules! product {
    ($c:literal, $a:literal, $b:literal) => {
        concat!("tdpbf16ps ", $c, ", ", $a, ", ", $b)
    };
}
macro_rules! transposed {
    ($c:literal, $a:literal, $b:literal) => {
        concat!("tdpbf16ps ", $c, ", ", $b, ", ", $a)
    };
}

/// Computes a block of C inside [`with_tiles`].
///
/// # Safety
/// The walk stays inside A from both addresses, 16 rows each; B holds 32 terms × 16 columns for each of its blocks, for
/// 17 columns and more twice as much; rows and columns of C are inside their allocation, apart from A and B.
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn block(w: &Walk, t: &Block) {
    // SAFETY: the caller's contract.
    unsafe { run::<false>(w, t) }
}

/// As [`block`], from tiles that are packed the other way round: A by pairs of terms, 16 lines of 16 rows each, and B,
/// in the order of packed B, by columns of 32 terms.
///
/// # Safety
/// As [`block`].
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn block_by_pairs(w: &Walk, t: &Block) {
    // SAFETY: the caller's contract.
    unsafe { run::<true>(w, t) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn run<const BY_PAIRS: bool>(w: &Walk, t: &Block) {
    let wide = t.cols > TILE;
    let (second, b_step) = if wide { (B_BYTES, 2 * B_BYTES) } else { (0, B_BYTES) };
    let half = if t.rows[1] > 0 { t.a[1] } else { t.a[0] };
    // SAFETY: the caller's contract. Tiles live from one instruction to the next: the compiler uses none of its own.
    unsafe {
        start::<BY_PAIRS>(t);
        let mut waste = Aligned(MaybeUninit::<[f32; TILE * TILE]>::uninit());
        let mut turn = 0;
        let mut b = t.b;
        let ((outer, far), (inner, near)) = (w.runs[0], w.runs[1]);
        let mut i = 0;
        while i < outer {
            let mut j = 0;
            while j < inner {
                let mut a0 = t.a[0].add(i * far + j * near);
                let mut a1 = half.add(i * far + j * near);
                let mut q = 0;
                while q < w.blocks {
                    if BY_PAIRS {
                        six!(transposed, a0, a1, w.row, w.part, b, b.add(second));
                    } else {
                        six!(product, a0, a1, w.row, w.part, b, b.add(second));
                    }
                    a0 = a0.add(w.step);
                    a1 = a1.add(w.step);
                    b = b.add(b_step);
                    q += 1;
                    turn += 1;
                    if turn % AWAKE == 0 {
                        let to = waste.0.as_mut_ptr();
                        asm!("tilestored [{} + {}], tmm4", in(reg) to, in(reg) 64usize, options(nostack));
                    }
                }
                j += 1;
            }
            i += 1;
        }
        finish::<BY_PAIRS>(t);
    }
}

/// Rows and columns of a quarter of the block.
#[inline(always)]
fn quarter(t: &Block, half: usize, side: usize) -> (usize, usize) {
    (t.rows[half], t.cols.saturating_sub(side * TILE).min(TILE))
}

/// One tile of C, in place if it is whole and new and not to be transposed, else through `$buffer`.
macro_rules! quarter {
    ($instruction:literal, $t:ident, $half:literal, $side:literal, $buffer:ident) => {
        let (rows, cols) = quarter($t, $half, $side);
        let c = $t.c[$half].wrapping_add($side * TILE);
        if rows == TILE && cols == TILE && !$t.accumulate && !BY_PAIRS {
            asm!($instruction, in(reg) c, in(reg) 4 * $t.row, options(nostack));
        } else if rows > 0 && cols > 0 {
            asm!($instruction, in(reg) $buffer.0.as_mut_ptr(), in(reg) 64usize, options(nostack));
            if BY_PAIRS {
                transpose_tile(&mut $buffer.0);
            }
            copy($buffer.0.as_ptr().cast(), (c, $t.row), rows, cols, $t.accumulate);
        }
    };
}

/// Clears the tiles, and asks for the lines of C that will be added to, or written as vectors.
#[inline(always)]
unsafe fn start<const BY_PAIRS: bool>(t: &Block) {
    // SAFETY: no memory is touched: a prefetch may point anywhere.
    unsafe {
        asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
        if t.accumulate || BY_PAIRS {
            let mut r = 0;
            while r < PANEL {
                let c = t.c[r / TILE].wrapping_add(r % TILE * t.row);
                asm!("prefetchw [{0}]", "prefetchw [{0} + 64]", in(reg) c, options(nostack, readonly));
                r += 1;
            }
        }
    }
}

/// Stores the tiles to C, or adds them to it.
#[inline(always)]
unsafe fn finish<const BY_PAIRS: bool>(t: &Block) {
    // SAFETY: the caller's contract; the buffers hold a tile each.
    unsafe {
        let mut one = Aligned(MaybeUninit::<[f32; TILE * TILE]>::uninit());
        let mut two = Aligned(MaybeUninit::<[f32; TILE * TILE]>::uninit());
        let mut three = Aligned(MaybeUninit::<[f32; TILE * TILE]>::uninit());
        let mut four = Aligned(MaybeUninit::<[f32; TILE * TILE]>::uninit());
        quarter!("tilestored [{} + {}], tmm0", t, 0, 0, one);
        quarter!("tilestored [{} + {}], tmm1", t, 1, 0, two);
        quarter!("tilestored [{} + {}], tmm2", t, 0, 1, three);
        quarter!("tilestored [{} + {}], tmm3", t, 1, 1, four);
    }
}

/// Transposes a tile in its place.
#[allow(clippy::needless_range_loop)] // registers; an iterator's code might not be inlined here
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn transpose_tile(tile: &mut MaybeUninit<[f32; TILE * TILE]>) {
    let tile: *mut f32 = tile.as_mut_ptr().cast();
    let mut x = [_mm512_setzero_ps(); TILE];
    // SAFETY: 16 rows of 16 numbers, which an instruction has stored.
    unsafe {
        for r in 0..TILE {
            x[r] = _mm512_loadu_ps(tile.add(r * TILE));
        }
        let x = transpose(x);
        for r in 0..TILE {
            _mm512_storeu_ps(tile.add(r * TILE), x[r]);
        }
    }
}

/// Copies part of a tile, or adds it.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn copy(from: *const f32, (to, row): (*mut f32, usize), rows: usize, cols: usize, add: bool) {
    let mask = mask(cols);
    let mut r = 0;
    while r < rows {
        // SAFETY: the caller's contract; lanes beyond the columns are not touched.
        unsafe {
            let to = to.add(r * row);
            let mut x = _mm512_maskz_loadu_ps(mask, from.add(r * TILE));
            if add {
                x = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to), x);
            }
            _mm512_mask_storeu_ps(to, mask, x);
        }
        r += 1;
    }
}

/// The first `n` of 16 lanes.
#[inline(always)]
pub(crate) fn mask(n: usize) -> u16 {
    if n >= 16 { !0 } else { (1 << n) - 1 }
}
