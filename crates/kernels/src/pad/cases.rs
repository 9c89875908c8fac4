//! (shape, axis, before, padded length, step).

use crate::catalogue::{Case, Domain, Exactness, Kernel};

pub(crate) const PAD: Kernel =
    Kernel::new("pad", "y[before + i·step] = x[i] along an axis, 0 elsewhere", cases);

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], usize, usize, usize, usize); 8] = [
        (&[3], 0, 2, 7, 2),
        (&[1], 0, 4, 5, 1),
        (&[7, 3], 0, 0, 8, 1),
        (&[3, 3], 0, 1, 8, 3),
        (&[8, 16], 1, 1, 17, 1),
        (&[8, 9], 1, 0, 17, 2),
        (&[2, 2, 3], 1, 1, 5, 3),
        (&[2, 3, 2, 5], 2, 1, 4, 2),
    ];
    let case = |&(shape, axis, before, len, step): &(&[usize], usize, usize, usize, usize)| {
        Case::op(&[(shape, Domain::Real)], Exactness::Exact, |g, x| g.pad(x[0], axis, before, len, step))
    };
    shapes.iter().map(case).collect()
}
