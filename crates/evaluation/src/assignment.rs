//! The linear assignment problem, exactly.
//!
//!   minimise Σ_i c[i, p(i)] over permutations p
//!
//! Prices v of columns are lowered by cheap rules until most rows have a column, and the rest are placed by shortest
//! augmenting paths. The prices certify the optimum: u_i + v_j ≤ c[i, j] everywhere, with equality where assigned.
//!
//! Source: Jonker & Volgenant 1987, "A shortest augmenting path algorithm for dense and sparse linear assignment
//! problems".

use ndarray::ArrayRef2;
use sda_core::Vectors;

use crate::assignment::scan::{cheapest_two, relax};

mod scan;

/// An optimal assignment and the dual prices that prove it.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The column of every row.
    pub columns: Vec<usize>,
    /// Σ_i c[i, columns[i]].
    pub cost: f64,
    /// u.
    pub row_prices: Vec<f64>,
    /// v.
    pub column_prices: Vec<f64>,
}

/// Solves the assignment problem of a square cost matrix.
///
/// Shapes: `costs` [N, N].
/// Panics: the matrix is not square, or a cost is not finite.
pub fn assign(costs: &ArrayRef2<f64>) -> Assignment {
    assert_eq!(costs.nrows(), costs.ncols(), "an assignment with costs of shape {:?}", costs.shape());
    let costs = costs.as_standard_layout();
    let costs = costs.as_slice().expect("standard layout is contiguous");
    assert!(costs.iter().all(|c| c.is_finite()), "a cost of an assignment is not finite");
    let n = costs.len().isqrt();
    if n == 0 {
        return Assignment { columns: vec![], cost: 0.0, row_prices: vec![], column_prices: vec![] };
    }
    let mut solver = Solver {
        vectors: Vectors::widest(),
        n,
        costs,
        v: vec![0.0; n],
        column_of: vec![NONE; n],
        row_of: vec![NONE; n],
    };
    solver.reduce_columns();
    let mut free: Vec<usize> = (0..n).filter(|&i| solver.column_of[i] == NONE).collect();
    for _ in 0..2 {
        free = solver.reduce_rows(free);
    }
    solver.augment(&free);
    solver.finish()
}

const NONE: usize = usize::MAX;

struct Solver<'a> {
    vectors: Vectors,
    n: usize,
    costs: &'a [f64],
    /// Prices of columns.
    v: Vec<f64>,
    column_of: Vec<usize>,
    row_of: Vec<usize>,
}

impl Solver<'_> {
    fn row(&self, i: usize) -> &[f64] {
        &self.costs[i * self.n..(i + 1) * self.n]
    }

    /// v_j ← min_i c[i, j]; a row that is cheapest somewhere takes one such column, and that column's price falls until
    /// the row's second choice is as good.
    fn reduce_columns(&mut self) {
        let mut cheapest = vec![0; self.n];
        self.v.copy_from_slice(&self.costs[..self.n]);
        for i in 1..self.n {
            let row = &self.costs[i * self.n..(i + 1) * self.n];
            for ((v, cheapest), &c) in self.v.iter_mut().zip(&mut cheapest).zip(row) {
                if c < *v {
                    (*v, *cheapest) = (c, i);
                }
            }
        }
        let mut wins = vec![0u32; self.n];
        for j in (0..self.n).rev() {
            let i = cheapest[j];
            wins[i] += 1;
            if wins[i] == 1 {
                (self.column_of[i], self.row_of[j]) = (j, i);
            }
        }
        for i in (0..self.n).filter(|&i| wins[i] == 1 && self.n > 1) {
            let best = cheapest_two(self.vectors, self.row(i), &self.v);
            let j = self.column_of[i];
            self.v[j] -= if best.first == j { best.second_cost } else { best.first_cost };
        }
    }

    /// Each free row takes its cheapest column and lowers that column's price to the row's second choice; a row that is
    /// displaced goes on at once. Returns the rows still free.
    fn reduce_rows(&mut self, mut free: Vec<usize>) -> Vec<usize> {
        // Rounding and near ties can make the auction crawl; what it leaves, the augmentation does.
        let mut budget = 4 * self.n + 16 * free.len();
        let mut left = Vec::new();
        free.reverse();
        while let Some(i) = free.pop() {
            if budget == 0 || self.n == 1 {
                left.push(i);
                continue;
            }
            budget -= 1;
            let best = cheapest_two(self.vectors, self.row(i), &self.v);
            let lowered = self.v[best.first] - (best.second_cost - best.first_cost);
            let lowers = lowered < self.v[best.first];
            let mut j = best.first;
            if lowers {
                self.v[j] = lowered;
            } else if self.row_of[j] != NONE {
                j = best.second;
            }
            let displaced = self.row_of[j];
            (self.column_of[i], self.row_of[j]) = (j, i);
            if displaced != NONE {
                self.column_of[displaced] = NONE;
                if lowers { free.push(displaced) } else { left.push(displaced) }
            }
        }
        left.sort_unstable();
        left
    }

    /// Places every free row along a shortest path of reduced costs to a free column (Dijkstra, dense).
    fn augment(&mut self, free: &[usize]) {
        let mut distance = vec![0.0; self.n];
        let mut open_price = vec![0.0; self.n];
        let mut parent = vec![0; self.n];
        let mut scanned = Vec::with_capacity(self.n);
        for &start in free {
            distance.fill(f64::INFINITY);
            // A scanned column's price is −∞ here, so that no path reaches it again.
            open_price.copy_from_slice(&self.v);
            scanned.clear();
            let mut nearest =
                relax(self.vectors, self.row(start), &open_price, 0.0, start, &mut distance, &mut parent);
            let (end, length) = loop {
                let (j, length) = nearest;
                if self.row_of[j] == NONE {
                    break (j, length);
                }
                let i = self.row_of[j];
                scanned.push((j, length));
                let shift = self.costs[i * self.n + j] - self.v[j] - length;
                (open_price[j], distance[j]) = (f64::NEG_INFINITY, f64::INFINITY);
                nearest = relax(self.vectors, self.row(i), &open_price, shift, i, &mut distance, &mut parent);
            };
            for &(j, distance) in &scanned {
                self.v[j] += distance - length;
            }
            self.flip(start, end, &parent);
        }
    }

    /// Reassigns along the path that ends in column `end`.
    fn flip(&mut self, start: usize, end: usize, parent: &[usize]) {
        let mut j = end;
        loop {
            let i = parent[j];
            self.row_of[j] = i;
            std::mem::swap(&mut self.column_of[i], &mut j);
            if i == start {
                return;
            }
        }
    }

    fn finish(self) -> Assignment {
        let assigned = |i: usize| self.costs[i * self.n + self.column_of[i]];
        let row_prices = (0..self.n).map(|i| assigned(i) - self.v[self.column_of[i]]).collect();
        let cost = (0..self.n).map(assigned).sum();
        Assignment { columns: self.column_of, cost, row_prices, column_prices: self.v }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;
    use sda_core::Stream;

    use super::*;

    /// Feasible prices and no gap: a proof of optimality, whatever the solver did.
    fn check(costs: &Array2<f64>) -> Assignment {
        let result = assign(costs);
        let n = costs.nrows();
        let scale = costs.iter().fold(1.0, |a: f64, c| a.max(c.abs()));
        let mut seen = vec![false; n];
        result
            .columns
            .iter()
            .for_each(|&j| assert!(!std::mem::replace(&mut seen[j], true), "column {j} twice"));
        for ((i, j), c) in costs.indexed_iter() {
            let slack = c - result.row_prices[i] - result.column_prices[j];
            assert!(slack >= -1e-12 * scale, "cell ({i}, {j}) has slack {slack:e}");
        }
        let dual: f64 = result.row_prices.iter().chain(&result.column_prices).sum();
        assert!(
            (dual - result.cost).abs() <= 1e-11 * scale * (n as f64 + 1.0),
            "{dual} is not {}",
            result.cost
        );
        result
    }

    fn brute_force(costs: &Array2<f64>, row: usize, used: &mut [bool]) -> f64 {
        if row == costs.nrows() {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for j in 0..costs.ncols() {
            if !std::mem::replace(&mut used[j], true) {
                best = best.min(costs[[row, j]] + brute_force(costs, row + 1, used));
                used[j] = false;
            }
        }
        best
    }

    fn square(n: usize, values: Vec<f64>) -> Array2<f64> {
        Array2::from_shape_vec((n, n), values).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn small_problems_agree_with_brute_force(
            costs in (0usize..7).prop_flat_map(|n| (Just(n), prop::collection::vec(-10.0..10.0, n * n)))
        ) {
            let costs = square(costs.0, costs.1);
            let want = brute_force(&costs, 0, &mut vec![false; costs.nrows()]);
            prop_assert!((check(&costs).cost - want).abs() < 1e-12);
        }

        #[test]
        fn ties_are_solved(
            costs in (1usize..7).prop_flat_map(|n| (Just(n), prop::collection::vec(0u8..3, n * n)))
        ) {
            let costs = square(costs.0, costs.1.into_iter().map(f64::from).collect());
            let want = brute_force(&costs, 0, &mut vec![false; costs.nrows()]);
            prop_assert_eq!(check(&costs).cost, want);
        }
    }

    #[test]
    fn larger_problems_carry_their_proof() {
        for (n, seed) in [(33, 0), (100, 1), (257, 2)] {
            let mut values = vec![0f64; n * n];
            Stream::new(seed, 0).fill_uniform(0, 0, n, &mut values);
            check(&square(n, values.clone()));
            // Many equal costs, and costs that differ by rounding only.
            check(&square(n, values.iter().map(|u| (u * 5.0).floor()).collect()));
            check(&square(n, values.iter().map(|u| 1e3 + 1e-12 * u).collect()));
            // Products: every permutation but one is worse, and the auction is at its slowest.
            check(&Array2::from_shape_fn((n, n), |(i, j)| ((i + 1) * (j + 1)) as f64));
        }
    }
}
