//! Every way two and three axes move, and some of four.

use crate::catalogue::{Case, Domain, Exactness, Kernel};

pub(crate) const PERMUTE: Kernel =
    Kernel::new("permute", "y[i, j, k] = x[…], output axis a is input axis axes[a]", cases);

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], &[usize]); 9] = [
        (&[7, 16], &[1, 0]),
        (&[1, 5], &[1, 0]),
        (&[2, 3, 5], &[0, 2, 1]),
        (&[2, 3, 5], &[1, 0, 2]),
        (&[2, 3, 5], &[1, 2, 0]),
        (&[2, 3, 5], &[2, 0, 1]),
        (&[17, 2, 4], &[2, 1, 0]),
        (&[2, 3, 4, 5], &[0, 2, 1, 3]),
        (&[2, 3, 4, 5], &[3, 1, 0, 2]),
    ];
    let case = |(shape, axes): &(&[usize], &[usize])| {
        Case::op(&[(*shape, Domain::Real)], Exactness::Exact, |g, x| g.permute(x[0], axes))
    };
    shapes.iter().map(case).collect()
}
