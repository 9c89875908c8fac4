//! An instrument that bends: arctan x.

use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};

/// Arguments beyond this count as this: arctan is π/2 to 1e-9 there, and squares stay finite.
const LARGEST: f64 = 1e9;

/// arctan x = 8 arctan u with u the thrice halved angle's tangent, x ← x/(1 + √(1 + x²)), |u| < 0.2; then the odd series
/// to u¹⁷, to 2e-15. Every step is smooth, so that gradients are as exact as the values.
pub(crate) fn emit(g: &mut Graph, x: NodeId) -> NodeId {
    let (largest, least) = (g.scalar(LARGEST), g.scalar(-LARGEST));
    let below = g.min(x, largest);
    let mut u = g.max(below, least);
    for _ in 0..3 {
        let square = g.square(u);
        let total = g.offset(square, 1.0);
        let root = g.sqrt(total);
        let divisor = g.offset(root, 1.0);
        u = g.div(u, divisor);
    }
    let square = g.square(u);
    let mut series = g.scalar(1.0 / 17.0);
    for signed in [-15.0, 13.0, -11.0, 9.0, -7.0, 5.0, -3.0, 1.0] {
        let product = g.mul(series, square);
        series = g.offset(product, 1.0 / signed);
    }
    let angle = g.mul(u, series);
    g.scale(angle, 8.0)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>) -> ArrayD<f64> {
    x.mapv(f64::atan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::evaluate;
    use ndarray::Array1;

    #[test]
    fn value_and_gradient_are_those_of_arctan_everywhere() {
        let x: Array1<f64> = (-200..=200).map(|i| f64::from(i).powi(3) * 1e-4).collect();
        let mut g = Graph::new();
        let node = g.constant(x.clone().into_dyn());
        let y = emit(&mut g, node);
        let total = g.sum_all(y);
        let gradient = g.gradient(total, &[node])[0];
        let got = evaluate(g, &[y, gradient]);
        for (i, &x) in x.iter().enumerate() {
            assert!((got[0][[i]] - x.atan()).abs() < 1e-13, "{x}");
            assert!((got[1][[i]] - 1.0 / (1.0 + x * x)).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn infinity_is_a_right_angle() {
        let mut g = Graph::new();
        let node = g.constant(ndarray::arr1(&[f64::INFINITY, -1e200]).into_dyn());
        let y = emit(&mut g, node);
        let got = evaluate(g, &[y]).remove(0);
        let right = std::f64::consts::FRAC_PI_2;
        assert!((got[[0]] - right).abs() < 2e-9 && (got[[1]] + right).abs() < 2e-9);
    }
}
