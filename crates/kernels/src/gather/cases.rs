//! (shape, axis, indices).

use crate::catalogue::{Case, Domain, Exactness, Kernel};

pub(crate) const GATHER: Kernel = Kernel::new("gather", "y[i] = x[index(i)] along an axis", cases);

pub(crate) const SHAPES: [(&[usize], usize, &[usize]); 8] = [
    (&[7], 0, &[2, 2, 6]),
    (&[1], 0, &[0, 0, 0]),
    (&[8, 3], 0, &[7, 0, 1, 2, 3]),
    (&[8, 17], 1, &[16]),
    (&[3, 5, 2], 1, &[0, 1, 2, 1, 2, 3, 2, 3, 4]),
    (&[2, 5, 3], 2, &[2, 0]),
    (&[2, 3, 4, 5], 2, &[3, 3, 0, 1]),
    (&[5, 9, 1], 1, &[8, 4, 0, 4]),
];

fn cases() -> Vec<Case> {
    let case = |&(shape, axis, indices): &(&[usize], usize, &[usize])| {
        Case::op(&[(shape, Domain::Real)], Exactness::Exact, |g, x| g.gather(x[0], axis, indices))
    };
    SHAPES.iter().map(case).collect()
}
