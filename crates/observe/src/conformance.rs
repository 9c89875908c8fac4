//! Operators on fields against the published code's numbers, on the host and as graphs.

use crate::reference::{evaluate, tensor};
use crate::{Interpolation, Operator};
use ndarray::{ArrayD, Axis, IxDyn};
use sda_graph::Graph;

/// (L, C, H, W) to [1, L, H, W, C].
fn channels_last(field: ArrayD<f64>) -> ArrayD<f64> {
    let moved = field.permuted_axes(IxDyn(&[0, 2, 3, 1]));
    moved.as_standard_layout().into_owned().insert_axis(Axis(0))
}

#[test]
fn conformance_field_operators() {
    let x = channels_last(tensor("field_ops", "in.x"));
    let cases = [
        ("out.coarsen", Operator::Coarsen(4)),
        ("out.upsample", Operator::Upsample { factor: 4, mode: Interpolation::Bilinear }),
        ("out.upsample_nearest", Operator::Upsample { factor: 2, mode: Interpolation::Nearest }),
        ("out.vorticity", Operator::Vorticity),
    ];
    for (name, operator) in cases {
        let want = tensor("field_ops", name);
        let want = if want.ndim() == 3 { want.insert_axis(Axis(1)) } else { want };
        let want = channels_last(want);
        let mut g = Graph::new();
        let node = g.constant(x.clone());
        let emitted = operator.emit(&mut g, node);
        for got in [operator.apply(x.view()).unwrap(), evaluate(g, &[emitted]).remove(0)] {
            assert_eq!(got.shape(), want.shape(), "{name}");
            let norm = |a: &ArrayD<f64>| a.iter().map(|x| x * x).sum::<f64>().sqrt();
            let error = norm(&(&got - &want)) / norm(&want);
            assert!(error < 1e-6, "{name}: {error:e}");
        }
    }
}
