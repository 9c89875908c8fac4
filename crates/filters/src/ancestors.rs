//! Systematic resampling by blocks: every block of children finds its own parents.
//!
//! [`crate::systematic`] is the plain twin. Parent i has the children k with C_{i−1} ≤ (k + u)/n · C < C_i, where C_i are
//! the cumulated weights, that is the numbers from c_{i−1} to c_i with
//!
//!   c_i = ⌈C_i n/C − u⌉

use sda_core::{Vectors, widest_vectors};
use sda_systems::{LANES, Lanes};

use crate::weights::{Total, Weights};

/// 2⁵²: the integer added to it is in the lowest bits of the sum.
const TWO_52: f64 = 4_503_599_627_370_496.0;

/// One draw of n children by the weights of as many particles.
#[derive(Clone, Debug)]
pub(crate) struct Resampling {
    grid: Grid,
    /// Each block's greatest weight [blocks].
    scales: Vec<f64>,
    /// C before each block [blocks + 1].
    starts: Vec<f64>,
    /// c before each block [blocks + 1].
    counts: Vec<u32>,
}

/// The places (k + u)/n · C, k = 0 … n − 1.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// C.
    total: f64,
    /// n / C.
    per_weight: f64,
    u: f64,
    n: u32,
}

impl Grid {
    /// c_i of C_i. All children are placed where the whole weight is reached, whatever rounding says.
    #[inline(always)]
    #[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
    fn count(&self, reached: f64) -> u32 {
        let count = ((reached * self.per_weight - self.u).ceil() + TWO_52).to_bits() as u32;
        let count = if count < self.n { count } else { self.n };
        if reached < self.total { count } else { self.n }
    }
}

impl Resampling {
    /// `u` in [0, 1).
    pub(crate) fn new(n: usize, total: Total, u: f64) -> Self {
        let whole = total.starts[total.starts.len() - 1];
        let grid = Grid { total: whole, per_weight: n as f64 / whole, u, n: n as u32 };
        let counts = total.starts.iter().map(|&start| grid.count(start)).collect();
        Self { grid, scales: total.scales, starts: total.starts, counts }
    }

    /// The parents of the children `block · LANES` …, rising; spare children have the last one's parent.
    pub(crate) fn parents(&self, vectors: Vectors, weights: &Weights, block: usize, out: &mut [u32; LANES]) {
        let first = (block * LANES) as u32;
        let last = (first + LANES as u32).min(self.grid.n);
        // A mark stands where a parent's children begin; those of parents without children are overwritten.
        let mut marks = [0; LANES + 1];
        let mut b = self.counts.partition_point(|&count| count <= first) - 1;
        while b < self.scales.len() && self.counts[b] < last {
            if self.counts[b] < self.counts[b + 1] {
                let part = Part { start: self.starts[b], scale: self.scales[b], before: self.counts[b] };
                let slots = slots(vectors, &weights.reached[b], part, self.grid, first);
                for (i, &slot) in slots.iter().enumerate() {
                    marks[slot as usize] = (b * LANES + i) as u32;
                }
            }
            b += 1;
        }
        let mut parent = 0;
        for (out, &mark) in out.iter_mut().zip(&marks) {
            parent = parent.max(mark);
            *out = parent;
        }
    }
}

/// A block of parents: C before it, its scale, c before it.
#[derive(Clone, Copy)]
struct Part {
    start: f64,
    scale: f64,
    before: u32,
}

widest_vectors! {
    /// Where the children of each parent of a block begin, counted from the child `first` and cut to 0 … LANES.
    fn slots(reached: &Lanes, part: Part, grid: Grid, first: u32) -> [u32; LANES] = slots_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn slots_body(reached: &Lanes, part: Part, grid: Grid, first: u32) -> [u32; LANES] {
    let mut counts = [part.before; LANES + 1];
    for i in 0..LANES {
        counts[i + 1] = grid.count(part.start + part.scale * reached[i]);
    }
    let mut slots = [0; LANES];
    for i in 0..LANES {
        let slot = counts[i].saturating_sub(first);
        slots[i] = if slot < LANES as u32 { slot } else { LANES as u32 };
    }
    slots
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sda_core::Stream;

    use super::*;
    use crate::resampling::systematic;
    use crate::weights::{BlockMut, Misfit, weigh};

    /// Blocked weights of plain ones.
    fn weights(plain: &[f64]) -> Weights {
        let mut weights = Weights::new(plain.len());
        for (b, plain) in plain.chunks(LANES).enumerate() {
            let mut logs = [0.0; LANES];
            logs.iter_mut().zip(plain).for_each(|(log, w)| *log = w.ln());
            let mut block = BlockMut {
                logs: &mut weights.logs[b],
                reached: &mut weights.reached[b],
                sum: &mut weights.sums[b],
            };
            let misfit = Misfit { values: &[], inverse_std: 1.0, constant: 0.0 };
            weigh(Vectors::widest(), &logs, &[], misfit, plain.len(), &mut block);
        }
        weights
    }

    fn blocked(plain: &[f64], u: f64) -> Vec<u32> {
        let weights = weights(plain);
        let resampling = Resampling::new(plain.len(), weights.total().unwrap(), u);
        let draw = |vectors| {
            let mut all = vec![[0; LANES]; plain.len().div_ceil(LANES)];
            all.iter_mut().enumerate().for_each(|(b, out)| resampling.parents(vectors, &weights, b, out));
            all.as_flattened()[..plain.len()].to_vec()
        };
        let drawn = draw(Vectors::widest());
        Vectors::available().into_iter().for_each(|vectors| assert_eq!(draw(vectors), drawn));
        drawn
    }

    /// The plain twin's, up to children that lie on a border within rounding; no child of a weightless parent.
    fn check(plain: &[f64], u: f64) {
        let (got, want) = (blocked(plain, u), systematic(plain, plain.len(), u));
        let total: f64 = plain.iter().sum();
        let mut reached = vec![0.0; plain.len()];
        plain.iter().enumerate().fold(0.0, |sum, (i, w)| {
            reached[i] = sum + w;
            reached[i]
        });
        for (k, (&got, &want)) in got.iter().zip(&want).enumerate() {
            assert!(plain[got as usize] > 0.0, "child {k} has a parent of no weight");
            if got != want {
                let place = (k as f64 + u) / plain.len() as f64 * total;
                let border = reached[got.min(want) as usize];
                assert!((place - border).abs() < 1e-12 * total, "child {k}: parent {got}, not {want}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn parents_are_those_of_the_plain_twin(
            n in 1usize..400, seed in 0u64..1000, u in prop_oneof![Just(0.0), Just(1.0 - f64::EPSILON / 2.0), 0.0..1.0],
            sharpness in prop_oneof![Just(0.0), Just(1.0), Just(8.0), Just(100.0)],
        ) {
            let mut z = vec![0f64; n];
            Stream::new(seed, 0).fill_normal(0, 0, n, &mut z);
            check(&z.iter().map(|z| (sharpness * z).exp()).collect::<Vec<_>>(), u);
        }
    }

    #[test]
    fn weightless_parents_have_no_children() {
        for n in [1, 64, 65, 1000] {
            for u in [0.0, 0.3, 1.0 - f64::EPSILON / 2.0] {
                for only in [0, n / 2, n - 1] {
                    let mut plain = vec![0.0; n];
                    plain[only] = 0.7;
                    check(&plain, u);
                    plain[n / 3] = 0.1;
                    check(&plain, u);
                }
                check(&(0..n).map(|i| if i % 7 == 3 || n == 1 { 1.0 } else { 0.0 }).collect::<Vec<_>>(), u);
            }
        }
    }
}
