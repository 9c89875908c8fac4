//! Activations, composed from the graph's ops.

use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// A network's nonlinearity.
///
/// Good values: `SiLU`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// max(0, x)
    ReLU,
    /// x where x > 0, else eˣ − 1
    ELU,
    /// x Φ(x), with the exact error function
    GELU,
    /// λ x where x > 0, else λ α (eˣ − 1)
    SELU,
    /// x / (1 + e⁻ˣ)
    #[default]
    SiLU,
}

impl Activation {
    /// All members.
    pub const ALL: [Self; 5] = [Self::ReLU, Self::ELU, Self::GELU, Self::SELU, Self::SiLU];

    /// The activation of `x`, elementwise.
    pub fn emit(self, g: &mut Graph, x: NodeId) -> NodeId {
        match self {
            Self::ReLU => {
                // The tie at 0 sends its gradient to the first argument: none to x, as in PyTorch.
                let zero = g.scalar(0.0);
                g.max(zero, x)
            }
            Self::ELU => exponential_linear(g, x, 1.0),
            Self::GELU => {
                let scaled = g.scale(x, std::f64::consts::FRAC_1_SQRT_2);
                let erf = g.erf(scaled);
                let twice = g.offset(erf, 1.0);
                let phi = g.scale(twice, 0.5);
                g.mul(x, phi)
            }
            Self::SELU => {
                let y = exponential_linear(g, x, SELU_ALPHA);
                g.scale(y, SELU_SCALE)
            }
            Self::SiLU => {
                let gate = g.sigmoid(x);
                g.mul(x, gate)
            }
        }
    }
}

/// x where x > 0, else α (eˣ − 1); the exponential never sees a positive number, so it cannot overflow.
fn exponential_linear(g: &mut Graph, x: NodeId, alpha: f64) -> NodeId {
    let zero = g.scalar(0.0);
    let negative = g.min(x, zero);
    let exp = g.exp(negative);
    let below = g.offset(exp, -1.0);
    let below = g.scale(below, alpha);
    let positive = g.less(zero, x);
    g.select(positive, x, below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{evaluate, vector};

    const POINTS: [f64; 9] = [-30.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0, 30.0];

    fn curve(activation: Activation) -> (Vec<f64>, Vec<f64>) {
        let mut g = Graph::new();
        let x = g.constant(vector(&POINTS));
        let y = activation.emit(&mut g, x);
        let total = g.sum_all(y);
        let slope = g.gradient(total, &[x])[0];
        let out = evaluate(g, &[y, slope]);
        (out[0].iter().copied().collect(), out[1].iter().copied().collect())
    }

    #[test]
    fn values_are_those_of_the_definitions() {
        // Φ(1) and Φ(3) to 16 digits: gelu needs the exact error function, and the tanh form misses by 1e-4.
        let phi = |x: f64| match x {
            1.0 => 0.841_344_746_068_542_9,
            3.0 => 0.998_650_101_968_369_9,
            _ => unreachable!(),
        };
        for activation in Activation::ALL {
            let (y, _) = curve(activation);
            for (x, y) in POINTS.into_iter().zip(y) {
                let want = match activation {
                    Activation::ReLU => x.max(0.0),
                    Activation::ELU if x > 0.0 => x,
                    Activation::ELU => x.exp_m1(),
                    Activation::SELU if x > 0.0 => SELU_SCALE * x,
                    Activation::SELU => SELU_SCALE * SELU_ALPHA * x.exp_m1(),
                    Activation::SiLU => x / (1.0 + (-x).exp()),
                    Activation::GELU if x.abs() == 1.0 || x.abs() == 3.0 => {
                        if x > 0.0 {
                            x * phi(x)
                        } else {
                            x * (1.0 - phi(-x))
                        }
                    }
                    Activation::GELU => continue,
                };
                assert!(
                    (y - want).abs() <= 1e-13 * (1.0 + want.abs()),
                    "{activation:?}({x}) = {y}, not {want}"
                );
            }
        }
    }

    #[test]
    fn slopes_are_finite_and_match_differences_and_pytorch_at_zero() {
        let at_zero = |a| match a {
            Activation::ReLU => 0.0,
            Activation::ELU => 1.0,
            Activation::SELU => SELU_SCALE * SELU_ALPHA,
            Activation::GELU | Activation::SiLU => 0.5,
        };
        for activation in Activation::ALL {
            let (_, slope) = curve(activation);
            assert!(
                (slope[4] - at_zero(activation)).abs() < 1e-14,
                "{activation:?}: slope {} at 0",
                slope[4]
            );
            for (i, &x) in POINTS.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                let h = 1e-5;
                let mut g = Graph::new();
                let ends = g.constant(vector(&[x - h, x + h]));
                let y = activation.emit(&mut g, ends);
                let y = &evaluate(g, &[y])[0];
                let difference = (y[[1]] - y[[0]]) / (2.0 * h);
                assert!(
                    (slope[i] - difference).abs() < 1e-8,
                    "{activation:?}'({x}): {} and {difference}",
                    slope[i]
                );
            }
        }
    }
}
