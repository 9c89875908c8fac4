//! Entries of the last axis.

use ndarray::{ArrayD, ArrayViewD, Axis};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(indices: &[usize], shape: &[usize]) -> Result<Vec<usize>, String> {
    let last = shape.len() - 1;
    if indices.is_empty() {
        return Err("no component is named".into());
    }
    if let Some(i) = indices.iter().find(|i| **i >= shape[last]) {
        return Err(format!("there is no component {i} among {} (they are counted from 0)", shape[last]));
    }
    let mut out = shape.to_vec();
    out[last] = indices.len();
    Ok(out)
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, indices: &[usize]) -> NodeId {
    let last = g.shape(x).len() - 1;
    let parts: Vec<NodeId> =
        runs(indices).into_iter().map(|(start, len)| g.slice(x, last, start, len, 1)).collect();
    g.concat(&parts, last)
}

/// Maximal runs (first, length) of successive indices.
fn runs(indices: &[usize]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &i in indices {
        match runs.last_mut() {
            Some((start, len)) if *start + *len == i => *len += 1,
            _ => runs.push((i, 1)),
        }
    }
    runs
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, indices: &[usize]) -> ArrayD<f64> {
    x.select(Axis(x.ndim() - 1), indices)
}

#[cfg(test)]
mod tests {
    #[test]
    fn runs_cover_the_indices_in_order() {
        assert_eq!(super::runs(&[4, 5, 6, 2, 2, 3]), [(4, 3), (2, 1), (2, 2)]);
    }
}
