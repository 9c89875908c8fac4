//! The gather's cases, turned round.

use crate::catalogue::{Case, Domain, Exactness, Kernel};
use crate::gather::cases::SHAPES;

pub(crate) const SCATTER: Kernel =
    Kernel::new("scatter", "y[j] = Σ x[i] over index(i) = j along an axis", cases);

fn cases() -> Vec<Case> {
    let case = |&(shape, axis, indices): &(&[usize], usize, &[usize])| {
        let mut from = shape.to_vec();
        from[axis] = indices.len();
        let meet = indices.iter().map(|i| indices.iter().filter(|j| *j == i).count()).max().unwrap_or(1);
        let exactness = if meet > 1 { Exactness::Reduction { length: meet } } else { Exactness::Exact };
        Case::op(&[(&from, Domain::Real)], exactness, |g, x| g.scatter(x[0], axis, indices, shape[axis]))
    };
    SHAPES.iter().map(case).collect()
}
