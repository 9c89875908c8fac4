use super::Product;
#[cfg(target_arch = "x86_64")]
use super::avx512;
use crate::{Call, Level};

pub(crate) fn cpu(ta: bool, tb: bool, call: Call<'_, f32>, parallel: bool) {
    let p = Product::new(ta, tb, call.shapes);
    for q in 0..p.batch {
        sgemm(
            [p.m, p.k, p.n],
            (&call.inputs[0][q * p.m * p.k..][..p.m * p.k], p.a),
            (&call.inputs[1][q * p.k * p.n..][..p.k * p.n], p.b),
            (&mut call.output[q * p.m * p.n..][..p.m * p.n], p.n),
            false,
            parallel,
        );
    }
}

/// C = A B, or C += A B; strides are (row, column), C's columns are adjacent.
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
    #[cfg(target_arch = "x86_64")]
    if (sb.1 == 1 || n == 1) && Level::detect() == Level::Avx512 {
        let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        let whole = avx512::Tiles { m, k, n, a, sa, b, sb: sb.0, c, sc: row, accumulate };
        // SAFETY: the asserts above keep every element inside its slice; Rust's borrow of `c` keeps it apart from A and
        // B; the machine has been asked.
        unsafe { avx512::run_parallel(whole, parallel) };
        return;
    }
    // SAFETY: the asserts above keep every element inside its slice; C's rows do not overlap, and Rust's borrow of
    // `c` keeps it apart from A and B.
    unsafe {
        library([m, k, n], (a.as_ptr(), sa), (b.as_ptr(), sb), (c.as_mut_ptr(), row), accumulate, parallel);
    };
}

/// The matrix library's product, for any strides and any machine.
///
/// # Safety
/// All elements lie inside their allocations, C apart from A and B.
pub(super) unsafe fn library(
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
