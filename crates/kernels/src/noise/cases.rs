//! Row lengths that are and are not whole blocks of four.

use crate::catalogue::{Case, Exactness, Kernel};
use sda_graph::Law;

pub(crate) const NOISE: Kernel = Kernel::new("noise", "y[r, i] of (seed, stream, step, r, i)", cases);

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 6] = [&[], &[3], &[1, 7], &[5, 8], &[2, 3, 3], &[9, 131]];
    let exactness = |law| match law {
        Law::Uniform => Exactness::Exact,
        // √(−2 ln u) times a cosine near its zeros: measured by the largest draw.
        Law::Normal => Exactness::Reduction { length: 8 },
    };
    let case = |shape: &[usize], law| Case::op(&[], exactness(law), |g, _| g.noise(shape, 3, law));
    [Law::Normal, Law::Uniform].into_iter().flat_map(|law| shapes.map(|s| case(s, law))).collect()
}
