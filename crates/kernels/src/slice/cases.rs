//! (shape, axis, start, length, step).

use crate::catalogue::{Case, Domain, Exactness, Kernel};

pub(crate) const SLICE: Kernel = Kernel::new("slice", "y[i] = x[start + i·step] along an axis", cases);

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], usize, usize, usize, usize); 9] = [
        (&[7], 0, 2, 3, 2),
        (&[5], 0, 4, 1, 1),
        (&[8, 3], 0, 0, 7, 1),
        (&[8, 3], 0, 1, 3, 3),
        (&[8, 17], 1, 1, 16, 1),
        (&[8, 17], 1, 0, 9, 2),
        (&[2, 5, 3], 1, 1, 2, 3),
        (&[2, 5, 3], 2, 2, 1, 1),
        (&[2, 3, 4, 5], 2, 1, 2, 2),
    ];
    let case = |&(shape, axis, start, len, step): &(&[usize], usize, usize, usize, usize)| {
        Case::op(&[(shape, Domain::Real)], Exactness::Exact, |g, x| g.slice(x[0], axis, start, len, step))
    };
    shapes.iter().map(case).collect()
}
