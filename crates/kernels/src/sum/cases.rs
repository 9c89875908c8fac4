//! Every choice of axes, at lengths around 16 partial sums and a block of 1024.

use crate::catalogue::{Case, Domain, Exactness, Kernel};

pub(crate) const SUM: Kernel = Kernel::new("sum", "y[0, j] = Σᵢ x[i, j], and so on for each axis", cases);

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], &[usize]); 13] = [
        (&[5], &[0]),
        (&[16, 8], &[0]),
        (&[37, 7], &[1]),
        (&[1, 17], &[1]),
        (&[3, 1025], &[1]),
        (&[13, 31], &[0, 1]),
        (&[2, 5, 3], &[1]),
        (&[2, 5, 3], &[0, 2]),
        (&[4, 3, 5], &[0, 1]),
        (&[4, 3, 5], &[1, 2]),
        (&[2, 3, 4, 5], &[0, 2, 3]),
        // Long enough for a GPU to cut the terms into parts.
        (&[1300, 5], &[0]),
        (&[7, 333], &[0, 1]),
    ];
    let case = |(shape, axes): &(&[usize], &[usize])| {
        let length = axes.iter().map(|&a| shape[a]).product();
        Case::op(&[(*shape, Domain::Real)], Exactness::Reduction { length }, |g, x| g.sum(x[0], axes))
    };
    shapes.iter().map(case).collect()
}
