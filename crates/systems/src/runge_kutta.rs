//! The classical Runge–Kutta method of order 4.
//!
//!   k₁ = f(x), k₂ = f(x + h/2 k₁), k₃ = f(x + h/2 k₂), k₄ = f(x + h k₃), x ← x + h/6 (k₁ + 2k₂ + 2k₃ + k₄)

use crate::ensemble::{LANES, Lanes};

/// One step for a block of members of a small system, stage values in registers.
///
/// Shapes: `states` [D, LANES].
#[inline(always)]
#[allow(clippy::inline_always)] // the loop over members vectorises only if `f` is inlined into it
pub(crate) fn rk4_small<const D: usize>(states: &mut [Lanes], h: f64, f: impl Fn([f64; D]) -> [f64; D]) {
    let states: &mut [Lanes; D] = states.try_into().expect("a block has as many components as its system");
    let step = |x: &[f64; D], k: &[f64; D], h: f64| -> [f64; D] { std::array::from_fn(|c| x[c] + h * k[c]) };
    #[allow(clippy::needless_range_loop)] // a lane runs through every component
    for i in 0..LANES {
        let x: [f64; D] = std::array::from_fn(|c| states[c][i]);
        let k1 = f(x);
        let k2 = f(step(&x, &k1, 0.5 * h));
        let k3 = f(step(&x, &k2, 0.5 * h));
        let k4 = f(step(&x, &k3, h));
        for c in 0..D {
            states[c][i] = x[c] + h / 6.0 * (k1[c] + 2.0 * (k2[c] + k3[c]) + k4[c]);
        }
    }
}

/// One step for a block of members of a system of any size, stage values in `scratch`.
///
/// Shapes: `states` [D, LANES]; `f(x, dx)` with both [D, LANES].
#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
pub(crate) fn rk4(
    states: &mut [Lanes],
    h: f64,
    scratch: &mut Vec<Lanes>,
    f: impl Fn(&[Lanes], &mut [Lanes]),
) {
    let d = states.len();
    scratch.resize(3 * d, [0.0; LANES]);
    let (sum, rest) = scratch.split_at_mut(d);
    let (stage, k) = rest.split_at_mut(d);
    sum.copy_from_slice(states);
    stage.copy_from_slice(states);
    for (weight, shift) in [(h / 6.0, 0.5 * h), (h / 3.0, 0.5 * h), (h / 3.0, h), (h / 6.0, 0.0)] {
        f(stage, k);
        for (((sum, stage), k), x) in sum.iter_mut().zip(&mut *stage).zip(&*k).zip(&*states) {
            for i in 0..LANES {
                sum[i] += weight * k[i];
                stage[i] = x[i] + shift * k[i];
            }
        }
    }
    states.copy_from_slice(sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Error of e⁻¹ after n steps.
    fn error(n: u32, small: bool) -> f64 {
        let mut states = vec![[1.0; LANES]; 1];
        let (h, mut scratch) = (1.0 / f64::from(n), Vec::new());
        for _ in 0..n {
            if small {
                rk4_small(&mut states, h, |[x]: [f64; 1]| [-x]);
            } else {
                rk4(&mut states, h, &mut scratch, |x, dx| dx[0] = x[0].map(|x| -x));
            }
        }
        (states[0][LANES - 1] - (-1f64).exp()).abs()
    }

    #[test]
    fn order_is_four() {
        for small in [true, false] {
            let order = (error(8, small) / error(16, small)).log2();
            assert!((order - 4.0).abs() < 0.15, "order {order}");
        }
    }

    #[test]
    fn both_forms_agree() {
        let start: Vec<Lanes> =
            (0..2).map(|c| std::array::from_fn(|i| 0.1 * i as f64 - f64::from(c))).collect();
        let (mut a, mut b) = (start.clone(), start);
        rk4_small(&mut a, 0.1, |[x, y]: [f64; 2]| [y, -x.sin()]);
        rk4(&mut b, 0.1, &mut Vec::new(), |x, dx| {
            dx[0] = x[1];
            dx[1] = x[0].map(|x| -x.sin());
        });
        for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
            assert!((a - b).abs() < 1e-14);
        }
    }
}
