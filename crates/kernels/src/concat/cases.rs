//! Two to five parts, on each axis.

use crate::catalogue::{Case, Domain, Exactness, Kernel};

pub(crate) const CONCAT: Kernel = Kernel::new("concat", "the inputs one after another along an axis", cases);

fn cases() -> Vec<Case> {
    let shapes: [(&[&[usize]], usize); 6] = [
        (&[&[1], &[4]], 0),
        (&[&[3, 5], &[1, 5], &[2, 5]], 0),
        (&[&[3, 5], &[3, 16]], 1),
        (&[&[7, 1], &[7, 1], &[7, 2], &[7, 1], &[7, 3]], 1),
        (&[&[2, 3, 5], &[2, 1, 5]], 1),
        (&[&[2, 3, 1], &[2, 3, 17]], 2),
    ];
    let case = |(parts, axis): &(&[&[usize]], usize)| {
        let inputs: Vec<(&[usize], Domain)> = parts.iter().map(|s| (*s, Domain::Real)).collect();
        Case::op(&inputs, Exactness::Exact, |g, x| g.concat(x, *axis))
    };
    shapes.iter().map(case).collect()
}
