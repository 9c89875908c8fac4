//! The fast form: on AMX tiles where the product is large enough for them, with AVX2 or AVX-512 where the level has them,
//! else by the matrix library (which allocates its own pack buffers).

use super::Product;
#[cfg(target_arch = "x86_64")]
use super::{
    blocks::Vectors,
    by_columns, by_rows, dots, in_bands,
    in_bands::Second,
    pack::{Form, Source, pack as pack_form},
    tiles,
};
use crate::{Call, Level};

/// Rows from which B is packed for tiles, and for vectors where its columns are adjacent: below, packing it for one
/// product costs more than it saves (measured at 256 × 256).
#[cfg(target_arch = "x86_64")]
const TILE_ROWS: usize = 96;
#[cfg(target_arch = "x86_64")]
const PANEL_ROWS: usize = 256;

/// How the second operand is packed ahead: a matter of the whole step.
#[cfg(target_arch = "x86_64")]
fn form(level: Level, ta: bool, tb: bool, shapes: &[&[usize]]) -> Option<Form> {
    let p = Product::new(ta, tb, shapes);
    let vectors = vectors(level, ta)?;
    if ta || shapes[0].len() != 2 || p.m * p.k * p.n == 0 {
        return None;
    }
    let tiles = level == Level::Amx && p.m >= TILE_ROWS && p.k >= 16 && p.n >= 8;
    match (tiles, p.m >= PANEL_ROWS) {
        (true, _) => Some(Form::Tiles),
        (false, true) => Some(Form::Panels(vectors)),
        (false, false) => None,
    }
}

/// The vectors that a product is computed with, if not by the library: with AVX2 that is faster on Aᵀ, whose rows it packs
/// (a block of six reads a line of the cache for six of its numbers).
#[cfg(target_arch = "x86_64")]
fn vectors(level: Level, ta: bool) -> Option<Vectors> {
    Vectors::of(level).filter(|v| !ta || *v == Vectors::Avx512)
}

/// Whether a product of two activations, Aᵀ B, is worth splitting both.
#[cfg(target_arch = "x86_64")]
fn by_tiles(level: Level, p: &Product, ta: bool, tb: bool) -> bool {
    level == Level::Amx && ta && !tb && p.batch == 1 && p.m >= 32 && p.n >= 32 && p.k >= 32
}

#[cfg(target_arch = "x86_64")]
fn terms(form: Form, k: usize) -> usize {
    if form == Form::Tiles { k.next_multiple_of(32) } else { k }
}

pub(crate) fn packed_len(level: Level, ta: bool, tb: bool, shapes: &[&[usize]]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(form) = form(level, ta, tb, shapes) {
        let p = Product::new(ta, tb, shapes);
        return form.len(p.k, p.n);
    }
    let _ = (level, ta, tb, shapes);
    0
}

pub(crate) fn pack(
    level: Level,
    ta: bool,
    tb: bool,
    shapes: &[&[usize]],
    weights: &[f32],
    packed: &mut [f32],
    parallel: bool,
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(form) = form(level, ta, tb, shapes) {
        let p = Product::new(ta, tb, shapes);
        assert!(weights.len() == p.k * p.n, "pack: {} weights for {} × {}", weights.len(), p.k, p.n);
        assert!(packed.len() >= form.len(p.k, p.n), "pack: {} numbers of memory", packed.len());
        let stride = if tb { p.k } else { p.n };
        let source = Source { start: weights.as_ptr(), stride, transposed: tb, k: p.k, n: p.n };
        // SAFETY: the asserts above; the level has been found on this machine.
        unsafe { pack_form(form, source, (0, terms(form, p.k)), packed.as_mut_ptr(), parallel) };
        return;
    }
    let _ = (level, ta, tb, shapes, weights, packed, parallel);
}

pub(crate) fn scratch_len(level: Level, ta: bool, tb: bool, shapes: &[&[usize]]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(vectors) = vectors(level, ta) {
        let p = Product::new(ta, tb, shapes);
        if by_tiles(level, &p, ta, tb) {
            return by_columns::scratch_len(p.m, p.k, p.n);
        }
        if shapes[0].len() == 2 && !ta {
            return if level == Level::Amx { by_rows::scratch_len(p.m, p.k.div_ceil(32), p.n) } else { 0 };
        }
        return if ta && tb { Form::Panels(vectors).len(p.k, p.n) } else { 0 };
    }
    let _ = (level, ta, tb, shapes);
    0
}

pub(crate) fn cpu(
    level: Level,
    ta: bool,
    tb: bool,
    call: Call<'_, f32>,
    packed: Option<&[f32]>,
    scratch: &mut [f32],
    parallel: bool,
) {
    let p = Product::new(ta, tb, call.shapes);
    let (a, b, c) = (call.inputs[0], call.inputs[1], call.output);
    assert!(a.len() >= p.batch * p.m * p.k, "product: A has {} numbers", a.len());
    assert!(b.len() >= p.batch * p.k * p.n, "product: B has {} numbers", b.len());
    assert!(c.len() >= p.batch * p.m * p.n, "product: C has {} numbers", c.len());
    if p.m * p.n == 0 {
        return;
    }
    if p.k == 0 {
        c.fill(0.0);
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(vectors) = vectors(level, ta) {
        match packed {
            Some(packed) => {
                let form = Form::of_len(vectors, packed.len(), p.k, p.n);
                assert!(packed.len() >= form.len(p.k, p.n), "product: {} packed numbers", packed.len());
                assert!(!ta && p.batch == 1, "product: nothing is packed for A transposed or a batch");
                by_packed(&p, form, a, packed, c, scratch, parallel);
            }
            None if by_tiles(level, &p, ta, tb) => {
                let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
                let t = by_columns::Columns { m: p.m, k: p.k, n: p.n, a, b, c };
                // SAFETY: the asserts above; Rust's borrow of the output keeps it apart; the level was found here.
                unsafe { by_columns::product(t, scratch, parallel) };
            }
            None => as_it_is(vectors, &p, tb, a, b, c, scratch, parallel),
        }
        return;
    }
    let _ = (level, packed, scratch);
    for q in 0..p.batch {
        let (a, b) = (&a[q * p.m * p.k..], &b[q * p.k * p.n..]);
        let (a, b, c) = ((a.as_ptr(), p.a), (b.as_ptr(), p.b), (c[q * p.m * p.n..].as_mut_ptr(), p.n));
        // SAFETY: the asserts above keep every element inside its slice, and Rust's borrow keeps C apart.
        unsafe { library([p.m, p.k, p.n], a, b, c, false, parallel) };
    }
}

/// A by adjacent columns, B packed.
#[cfg(target_arch = "x86_64")]
fn by_packed(
    p: &Product,
    form: Form,
    a: &[f32],
    packed: &[f32],
    c: &mut [f32],
    scratch: &mut [f32],
    parallel: bool,
) {
    let (c, accumulate) = (c.as_mut_ptr(), false);
    match form {
        Form::Panels(vectors) => {
            let b = Second::Panels(packed.as_ptr());
            let (m, k, n) = (p.m, p.k, p.n);
            let t =
                in_bands::Product { vectors, m, k, n, a: a.as_ptr(), sa: p.a, b, c, row: p.n, accumulate };
            // SAFETY: `cpu` has checked the lengths; the level was found on this machine.
            unsafe { in_bands::product(t, parallel) };
        }
        Form::Tiles => {
            let blocks = p.k.div_ceil(32);
            let b = packed.as_ptr().cast();
            let t = by_rows::Rows { m: p.m, blocks, n: p.n, b, c, row: p.n, accumulate };
            let fill = |i: usize, q: usize, n: usize, to: *mut u8| {
                let terms = &a[i * p.k + 32 * q..i * p.k + p.k.min(32 * (q + n))];
                // SAFETY: `by_rows` gives room for the blocks asked for; the level was found on this machine.
                unsafe { tiles::spread_row(terms.as_ptr(), terms.len(), to, 1024) };
            };
            // SAFETY: `cpu` has checked the lengths; the level was found on this machine.
            unsafe { by_rows::product(t, fill, scratch, parallel) };
        }
    }
}

/// A by any strides; B as it is, or packed into the scratch if neither its columns nor the rows of both are adjacent.
#[cfg(target_arch = "x86_64")]
fn as_it_is(
    vectors: Vectors,
    p: &Product,
    tb: bool,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    scratch: &mut [f32],
    parallel: bool,
) {
    let (m, k, n) = (p.m, p.k, p.n);
    for q in 0..p.batch {
        let (a, b) = (a[q * m * k..].as_ptr(), b[q * k * n..].as_ptr());
        let c = c[q * m * n..].as_mut_ptr();
        // SAFETY: `cpu` has checked the lengths; the level was found on this machine.
        unsafe {
            if tb && p.a == (k, 1) {
                dots::product(vectors, dots::Dots { m, k, n, a, b, c }, parallel);
                continue;
            }
            let b = if tb {
                let form = Form::Panels(vectors);
                let packed = &mut scratch[..form.len(k, n)];
                let source = Source { start: b, stride: k, transposed: true, k, n };
                pack_form(form, source, (0, k), packed.as_mut_ptr(), parallel);
                Second::Panels(packed.as_ptr())
            } else {
                Second::AsIs(b, n)
            };
            let t = in_bands::Product { vectors, m, k, n, a, sa: p.a, b, c, row: n, accumulate: false };
            in_bands::product(t, parallel);
        }
    }
}
/// The matrix library's product, for any strides and any machine.
///
/// # Safety
/// All elements lie inside their allocations, C apart from A and B.
pub(crate) unsafe fn library(
    [m, k, n]: [usize; 3],
    (a, sa): (*const f32, (usize, usize)),
    (b, sb): (*const f32, (usize, usize)),
    (c, row): (*mut f32, usize),
    accumulate: bool,
    parallel: bool,
) {
    let parallelism = if parallel { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    // SAFETY: the caller's contract.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            1,
            row as isize,
            accumulate,
            a,
            sa.1 as isize,
            sa.0 as isize,
            b,
            sb.1 as isize,
            sb.0 as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// The library's product on slices.
///
/// Panics: a matrix does not fit its slice.
pub(crate) fn sgemm(
    [m, k, n]: [usize; 3],
    (a, sa): (&[f32], (usize, usize)),
    (b, sb): (&[f32], (usize, usize)),
    (c, row): (&mut [f32], usize),
    accumulate: bool,
    parallel: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !accumulate {
            (0..m).for_each(|i| c[i * row..i * row + n].fill(0.0));
        }
        return;
    }
    assert!((m - 1) * sa.0 + (k - 1) * sa.1 < a.len(), "A {m}×{k} {sa:?} beyond {}", a.len());
    assert!((k - 1) * sb.0 + (n - 1) * sb.1 < b.len(), "B {k}×{n} {sb:?} beyond {}", b.len());
    assert!((m - 1) * row + n - 1 < c.len() && (m == 1 || row >= n), "C {m}×{n} by {row} beyond {}", c.len());
    // SAFETY: the asserts above keep every element inside its slice; C's rows do not overlap, and Rust's borrow of
    // `c` keeps it apart from A and B.
    unsafe {
        library([m, k, n], (a.as_ptr(), sa), (b.as_ptr(), sb), (c.as_mut_ptr(), row), accumulate, parallel);
    };
}
