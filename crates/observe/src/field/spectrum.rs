//! Energy of a periodic field by wavenumber.
//!
//!   E(k) = ½ Σ_c Σ_{round(|k|) = k} |x̂_c(k)|²,  x̂(k) = 1/(H W) Σ x e^{−i k·x},  k = 0 … round(√(⌊H/2⌋² + ⌊W/2⌋²))

use super::axes;
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, Ix2};
use sda_graph::{Graph, NodeId};
use std::f64::consts::TAU;

pub(crate) fn output_shape(shape: &[usize]) -> Result<Vec<usize>, String> {
    let [b, l, h, w, _] = axes(shape)?;
    Ok(vec![b, l, shells(h, w)])
}

fn shells(h: usize, w: usize) -> usize {
    length(h / 2, w / 2) + 1
}

fn length(a: usize, b: usize) -> usize {
    ((a * a + b * b) as f64).sqrt().round() as usize
}

/// |k| of entry i along an axis of n points.
fn wavenumber(i: usize, n: usize) -> usize {
    i.min(n - i)
}

/// cos and −sin of 2π i k/n, over n.
fn waves(n: usize) -> [Array2<f64>; 2] {
    let angle = |(i, k): (usize, usize)| TAU * ((i * k) % n) as f64 / n as f64;
    let table = |f: fn(f64) -> f64| Array2::from_shape_fn((n, n), |at| f(angle(at)) / n as f64);
    [table(f64::cos), table(|a| -a.sin())]
}

/// ½ where entry (k_w, k_h) lies in a shell [W H, K].
fn membership(h: usize, w: usize) -> Array2<f64> {
    let mut out = Array2::zeros((w * h, shells(h, w)));
    for kw in 0..w {
        for kh in 0..h {
            out[[kw * h + kh, length(wavenumber(kw, w), wavenumber(kh, h))]] = 0.5;
        }
    }
    out
}

pub(crate) fn emit(g: &mut Graph, x: NodeId) -> NodeId {
    let &[b, l, h, w, _] = g.shape(x) else { unreachable!("checked by output_shape") };
    let constant = |g: &mut Graph, a: Array2<f64>| g.constant(a.into_dyn());
    let [cos_w, sin_w] = waves(w).map(|a| constant(g, a));
    let [cos_h, sin_h] = waves(h).map(|a| constant(g, a));
    // The axis that is transformed is the last: [B, L, C, H, W], then [B, L, C, W, H].
    let x = g.permute(x, &[0, 1, 4, 2, 3]);
    let along_w = [cos_w, sin_w].map(|wave| {
        let transformed = g.linear(x, wave);
        g.permute(transformed, &[0, 1, 2, 4, 3])
    });
    let [cc, cs, sc, ss] =
        [(0, cos_h), (0, sin_h), (1, cos_h), (1, sin_h)].map(|(part, wave)| g.linear(along_w[part], wave));
    // (a + i b)(cos + i sin) with both sines taken with their sign.
    let (re, im) = (g.sub(cc, ss), g.add(cs, sc));
    let (re2, im2) = (g.square(re), g.square(im));
    let power = g.add(re2, im2);
    let power = g.sum(power, &[2]);
    let power = g.reshape(power, &[b, l, w * h]);
    let shells = constant(g, membership(h, w));
    g.linear(power, shells)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, shape: Vec<usize>) -> ArrayD<f64> {
    let (h, w) = (x.shape()[2], x.shape()[3]);
    let ([cos_h, sin_h], [cos_w, sin_w]) = (waves(h), waves(w));
    let mut out = ArrayD::zeros(shape);
    for b in 0..x.shape()[0] {
        for l in 0..x.shape()[1] {
            let mut energy = vec![0.0; shells(h, w)];
            for c in 0..x.shape()[4] {
                let field = x.index_axis(Axis(0), b).index_axis_move(Axis(0), l).index_axis_move(Axis(2), c);
                let field = field.into_dimensionality::<Ix2>().expect("two axes are left of five");
                let (re, im) = (field.dot(&cos_w), field.dot(&sin_w));
                let hat = (cos_h.t().dot(&re) - sin_h.t().dot(&im), sin_h.t().dot(&re) + cos_h.t().dot(&im));
                for kw in 0..w {
                    for kh in 0..h {
                        let power = hat.0[[kh, kw]].powi(2) + hat.1[[kh, kw]].powi(2);
                        energy[length(wavenumber(kw, w), wavenumber(kh, h))] += 0.5 * power;
                    }
                }
            }
            for (k, e) in energy.into_iter().enumerate() {
                out[[b, l, k]] = e;
            }
        }
    }
    out
}
