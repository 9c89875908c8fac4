use crate::Call;
use sda_core::Real;
use sda_graph::{ConvGeometry, Face};

/// The trilinear form, point by point; each face accumulates into its own third.
pub(crate) fn reference<T: Real>(face: Face, g: &ConvGeometry, call: Call<'_, T>) {
    call.output.fill(T::ZERO);
    let [h, w] = g.input;
    let [ho, wo] = g.output();
    let [kh, kw] = g.kernel;
    let batch = call.shapes[0][0];
    let (ci, co) = match face {
        Face::Forward => (call.shapes[0][3], call.shape[3]),
        Face::Input => (call.shape[3], call.shapes[0][3]),
        Face::Filter => (call.shapes[0][3], call.shapes[1][3]),
    };
    let (p, q) = (call.inputs[0], call.inputs[1]);
    for b in 0..batch {
        for (oy, ox) in (0..ho).flat_map(|y| (0..wo).map(move |x| (y, x))) {
            for (ky, kx) in (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                let (Some(sy), Some(sx)) = (g.source(0, oy, ky), g.source(1, ox, kx)) else { continue };
                let x = ((b * h + sy) * w + sx) * ci;
                let y = ((b * ho + oy) * wo + ox) * co;
                let k = (ky * kw + kx) * ci * co;
                for (i, o) in (0..ci).flat_map(|i| (0..co).map(move |o| (i, o))) {
                    match face {
                        Face::Forward => call.output[y + o] += p[x + i] * q[k + i * co + o],
                        Face::Input => call.output[x + i] += p[y + o] * q[k + i * co + o],
                        Face::Filter => call.output[k + i * co + o] += p[x + i] * q[y + o],
                    }
                }
            }
        }
    }
}
