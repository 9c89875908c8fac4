//! Observed states at their places in windows.

use sda_graph::{Graph, NodeId};

use crate::predictor::WindowRows;

/// Which observed state stands where in some windows.
pub(super) struct Places {
    /// For every state of every window, its position among the observed states.
    observed: Vec<Option<usize>>,
}

impl Places {
    pub(super) fn new(rows: &WindowRows, states: &[usize]) -> Self {
        let of_window = |start: &usize| (*start..start + rows.width).map(|i| states.binary_search(&i).ok());
        Self { observed: rows.starts.iter().flat_map(of_window).collect() }
    }

    /// Predictions and observations of the windows, 0 where nothing was observed.
    ///
    /// Shapes: `predicted` [N · Q, W, …], `observed` [N, S, …], results as `predicted`.
    pub(super) fn observed(&self, g: &mut Graph, predicted: NodeId, observed: NodeId) -> [NodeId; 2] {
        let shape = g.shape(predicted).to_vec();
        if self.observed.iter().all(Option::is_some) {
            return [predicted, self.unfolded(g, observed, &shape)];
        }
        // Made of what each sample saw rather than of a constant that all share: a window then has its own piece of the
        // mask, and its row of a stage needs no other.
        let mut seen = observed;
        (2..shape.len()).for_each(|axis| seen = g.slice(seen, axis, 0, 1, 1));
        let seen = g.finite(seen);
        let state = [&shape[..2], &vec![1; shape.len() - 2]].concat();
        let mask = self.unfolded(g, seen, &state);
        [g.mul(predicted, mask), self.unfolded(g, observed, &shape)]
    }

    /// What all samples share of the observed states, at their places in the windows.
    ///
    /// Shapes: `shared` [S, …], result as `like`, [N · Q, W, …].
    pub(super) fn unfold_shared(&self, g: &mut Graph, shared: NodeId, like: NodeId) -> NodeId {
        let shape = g.shape(like).to_vec();
        let samples = shape[0] * shape[1] / self.observed.len();
        let one = [&[1], g.shape(shared)].concat();
        let all = [&[samples], g.shape(shared)].concat();
        let shared = g.reshape(shared, &one);
        let shared = g.broadcast(shared, &all);
        self.unfolded(g, shared, &shape)
    }

    /// The windows' own of what there is of each observed state, 0 where nothing was observed.
    ///
    /// Shapes: `x` [N, S, …], result `shape`, [N · Q, W, …].
    fn unfolded(&self, g: &mut Graph, x: NodeId, shape: &[usize]) -> NodeId {
        let states = g.shape(x)[1];
        let places: Vec<usize> = self.observed.iter().map(|place| place.unwrap_or(states)).collect();
        let x = if places.contains(&states) { g.pad(x, 1, 0, states + 1, 1) } else { x };
        let unfolded = g.gather(x, 1, &places);
        let unfolded = g.reshape(unfolded, shape);
        g.rows(unfolded)
    }
}
