//! Leading, inner and last axes, alone and together.

use crate::catalogue::{Case, Domain, Exactness, Kernel};

pub(crate) const BROADCAST: Kernel =
    Kernel::new("broadcast", "y[i, j] = x[0, j], and so on for each axis", cases);

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], &[usize]); 8] = [
        (&[1], &[5]),
        (&[1, 7], &[3, 7]),
        (&[7, 1], &[7, 16]),
        (&[1, 1], &[4, 33]),
        (&[2, 1, 3], &[2, 5, 3]),
        (&[1, 5, 3], &[4, 5, 3]),
        (&[3, 1, 1], &[3, 2, 17]),
        (&[1, 3, 1, 2], &[2, 3, 5, 2]),
    ];
    let case = |(from, to): &(&[usize], &[usize])| {
        Case::op(&[(*from, Domain::Real)], Exactness::Exact, |g, x| g.broadcast(x[0], to))
    };
    shapes.iter().map(case).collect()
}
