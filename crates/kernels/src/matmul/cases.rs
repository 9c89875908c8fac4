//! Every transposition at (M, K, N) around tiles of 12 × 32 and 512 terms; batched ones too.

use crate::catalogue::{Case, Domain, Exactness, Kernel};

pub(crate) const MATMUL: Kernel =
    Kernel::new("matmul", "C = op(A) op(B), op the identity or the transpose", cases);

fn cases() -> Vec<Case> {
    let sizes: [(&[usize], usize, usize, usize); 12] = [
        (&[], 1, 1, 1),
        (&[], 1, 7, 5),
        (&[], 13, 1, 3),
        (&[], 17, 8, 1),
        (&[], 37, 15, 64),
        (&[], 65, 33, 49),
        (&[], 128, 257, 16),
        (&[], 12, 512, 32),
        (&[], 25, 513, 65),
        // More than 2¹⁶ numbers: a GPU then scans an operand in many parts before it rounds it.
        (&[], 300, 257, 6),
        (&[3], 5, 4, 7),
        (&[2], 17, 16, 9),
    ];
    let transposed = [(false, false), (false, true), (true, false), (true, true)];
    let case = |batch: &[usize], m, k, n, ta: bool, tb: bool| {
        let shape = |rows: usize, cols: usize, t: bool| {
            [batch, &if t { [cols, rows] } else { [rows, cols] }].concat()
        };
        let (a, b) = (shape(m, k, ta), shape(k, n, tb));
        let inputs = [(&a[..], Domain::Real), (&b[..], Domain::Real)];
        Case::op(&inputs, Exactness::Reduction { length: k }, |g, x| g.matmul(x[0], x[1], ta, tb))
    };
    let all = sizes.iter().flat_map(|size| transposed.map(|t| (size, t)));
    all.map(|(&(batch, m, k, n), (ta, tb))| case(batch, m, k, n, ta, tb)).collect()
}
