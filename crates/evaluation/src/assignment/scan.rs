//! The two passes over a row of costs that all the time goes into, in lanes that vectorise.

use sda_core::widest_vectors;

/// Entries looked at together. The result does not depend on it, except for which of equal entries is taken.
const LANES: usize = 16;

/// The two cheapest columns of a row by reduced cost c_j − v_j.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheapestTwo {
    pub(super) first: usize,
    pub(super) first_cost: f64,
    pub(super) second: usize,
    pub(super) second_cost: f64,
}

impl CheapestTwo {
    fn offer(&mut self, j: usize, cost: f64) {
        if cost < self.first_cost {
            (self.second, self.second_cost) = (self.first, self.first_cost);
            (self.first, self.first_cost) = (j, cost);
        } else if cost < self.second_cost {
            (self.second, self.second_cost) = (j, cost);
        }
    }
}

widest_vectors! {
    /// The two cheapest columns of a row of at least two.
    pub(super) fn cheapest_two(costs: &[f64], v: &[f64]) -> CheapestTwo = cheapest_two_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn cheapest_two_body(costs: &[f64], v: &[f64]) -> CheapestTwo {
    let mut cost = [[f64::INFINITY; LANES]; 2];
    let mut index = [[0u64; LANES]; 2];
    let whole = costs.len() / LANES * LANES;
    for (block, (c, v)) in costs.chunks_exact(LANES).zip(v.chunks_exact(LANES)).enumerate() {
        for k in 0..LANES {
            let (reduced, j) = (c[k] - v[k], (block * LANES + k) as u64);
            let (first, second) = (reduced < cost[0][k], reduced < cost[1][k]);
            let (runner_up, runner_up_at) = if second { (reduced, j) } else { (cost[1][k], index[1][k]) };
            (cost[1][k], index[1][k]) =
                if first { (cost[0][k], index[0][k]) } else { (runner_up, runner_up_at) };
            (cost[0][k], index[0][k]) = if first { (reduced, j) } else { (cost[0][k], index[0][k]) };
        }
    }
    let mut best = CheapestTwo { first: 0, first_cost: f64::INFINITY, second: 0, second_cost: f64::INFINITY };
    for (cost, index) in cost.iter().flatten().zip(index.iter().flatten()) {
        best.offer(*index as usize, *cost);
    }
    for j in whole..costs.len() {
        best.offer(j, costs[j] - v[j]);
    }
    best
}

widest_vectors! {
    /// One step of Dijkstra: paths through row `i`, then the nearest open column and its distance.
    ///
    ///   distance_j ← min(distance_j, c_j − price_j − shift)
    pub(super) fn relax(
        costs: &[f64],
        price: &[f64],
        shift: f64,
        i: usize,
        distance: &mut [f64],
        parent: &mut [usize],
    ) -> (usize, f64) = relax_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn relax_body(
    costs: &[f64],
    price: &[f64],
    shift: f64,
    i: usize,
    distance: &mut [f64],
    parent: &mut [usize],
) -> (usize, f64) {
    let mut nearest = [f64::INFINITY; LANES];
    let mut index = [0u64; LANES];
    let n = costs.len();
    let (price, distance, parent) = (&price[..n], &mut distance[..n], &mut parent[..n]);
    let whole = n / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let (c, p) = (&costs[start..start + LANES], &price[start..start + LANES]);
        let (d, parent) = (&mut distance[start..start + LANES], &mut parent[start..start + LANES]);
        for k in 0..LANES {
            let through = c[k] - p[k] - shift;
            let shorter = through < d[k];
            d[k] = if shorter { through } else { d[k] };
            parent[k] = if shorter { i } else { parent[k] };
            let nearer = d[k] < nearest[k];
            nearest[k] = if nearer { d[k] } else { nearest[k] };
            index[k] = if nearer { (start + k) as u64 } else { index[k] };
        }
    }
    let mut best = (0, f64::INFINITY);
    for (&j, &d) in index.iter().zip(&nearest) {
        if d < best.1 {
            best = (j as usize, d);
        }
    }
    for j in whole..n {
        let through = costs[j] - price[j] - shift;
        if through < distance[j] {
            (distance[j], parent[j]) = (through, i);
        }
        if distance[j] < best.1 {
            best = (j, distance[j]);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use sda_core::{Stream, Vectors};

    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for n in [2, 15, 16, 17, 61, 128] {
            let draw = |id: u32| {
                let mut values = vec![0f64; n];
                Stream::new(5, id).fill_normal(0, 0, n, &mut values);
                values
            };
            let (costs, price, start) = (draw(0), draw(1), draw(2));
            for vectors in Vectors::available() {
                let (fast, plain) =
                    (cheapest_two(vectors, &costs, &price), cheapest_two_body(&costs, &price));
                assert_eq!((fast.first, fast.second), (plain.first, plain.second));
                assert_eq!((fast.first_cost, fast.second_cost), (plain.first_cost, plain.second_cost));
                let mut reduced: Vec<f64> = costs.iter().zip(&price).map(|(c, v)| c - v).collect();
                reduced.sort_by(f64::total_cmp);
                assert_eq!((fast.first_cost, fast.second_cost), (reduced[0], reduced[1]));
                let (mut a, mut b) = ((start.clone(), vec![7; n]), (start.clone(), vec![7; n]));
                let nearest = relax(vectors, &costs, &price, 0.3, 1, &mut a.0, &mut a.1);
                assert_eq!(nearest, relax_body(&costs, &price, 0.3, 1, &mut b.0, &mut b.1));
                assert_eq!(a, b);
                assert_eq!(nearest.1, a.0.iter().copied().fold(f64::INFINITY, f64::min));
            }
        }
    }
}
