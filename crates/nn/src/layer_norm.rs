//! Layer norm without learned scale or shift.

use sda_graph::{Graph, NodeId};

/// Added to the variance, under the root.
const EPSILON: f64 = 1e-5;

/// Centres and scales the last axis of each point.
///
///   y = (x − mean x) / √(var x + 1e-5),  var x = Σ (x − mean x)² / (n − 1)
///
/// Shapes: `x` […, n], result the same.
///
/// Panics: n < 2, where the variance does not exist.
#[track_caller]
pub fn layer_norm(g: &mut Graph, x: NodeId) -> NodeId {
    let shape = g.shape(x).to_vec();
    let n = shape.last().copied().unwrap_or(1);
    assert!(n > 1, "layer norm: shape {shape:?} has no variance along its last axis");
    let axis = [shape.len() - 1];
    let mean = g.mean(x, &axis);
    let centred = g.sub(x, mean);
    let square = g.square(centred);
    let sum = g.sum(square, &axis);
    let variance = g.scale(sum, 1.0 / (n - 1) as f64);
    let shifted = g.offset(variance, EPSILON);
    let deviation = g.sqrt(shifted);
    let scale = g.recip(deviation);
    g.mul(centred, scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::evaluate;
    use ndarray::{ArrayD, Axis};

    #[test]
    fn divides_by_the_root_of_the_unbiased_variance() {
        let x = ArrayD::from_shape_fn(vec![3, 2, 5], |i| {
            (i[0] as f64 * 1.3 + i[1] as f64 * 0.7 + (i[2] * i[2]) as f64 * 0.31).sin()
        });
        let mut g = Graph::new();
        let node = g.constant(x.clone());
        let y = layer_norm(&mut g, node);
        let y = evaluate(g, &[y]).remove(0);
        for (x, y) in x.lanes(Axis(2)).into_iter().zip(y.lanes(Axis(2))) {
            let mean = x.sum() / 5.0;
            let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 4.0;
            for (a, b) in x.iter().zip(y) {
                assert!(((a - mean) / (variance + 1e-5).sqrt() - b).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn is_zero_on_a_constant() {
        let mut g = Graph::new();
        let x = g.constant(ArrayD::from_elem(vec![2, 4], 7.5));
        let y = layer_norm(&mut g, x);
        let y = evaluate(g, &[y]).remove(0);
        assert!(y.iter().all(|v| *v == 0.0), "{y}");
    }

    #[test]
    #[should_panic(expected = "layer norm: shape [3, 1]")]
    fn refuses_one_channel() {
        let mut g = Graph::new();
        let x = g.constant(ArrayD::zeros(vec![3, 1]));
        layer_norm(&mut g, x);
    }
}
