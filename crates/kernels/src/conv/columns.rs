//! Tiles of output points gathered into a matrix (points × taps·channels) that stays in cache, and multiplied by the
//! matrix library: the form without AVX-512. With it the form of an input's gradient whose padding shows one output
//! through a tap at several points.

use crate::Call;
use crate::matmul::cpu::sgemm;
use sda_graph::{ConvGeometry, Face};

/// Output points in a tile.
const TILE: usize = 128;

pub(super) fn scratch_len(g: &ConvGeometry, shapes: &[&[usize]]) -> usize {
    // The larger of both channel counts bounds Ci, whichever face is asked for.
    let channels = shapes.iter().map(|s| s[s.len() - 1].max(s[s.len() - 2])).max().unwrap_or(0);
    TILE * g.kernel[0] * g.kernel[1] * channels
}

pub(super) fn run(face: Face, g: &ConvGeometry, call: Call<'_, f32>, scratch: &mut [f32], parallel: bool) {
    let output = g.output();
    let points = call.shapes[0][0] * output[0] * output[1];
    let taps = g.kernel[0] * g.kernel[1];
    let (a, b) = (call.inputs[0], call.inputs[1]);
    if face != Face::Forward {
        call.output.fill(0.0);
    }
    let (ci, co) = match face {
        Face::Forward => (call.shapes[0][3], call.shape[3]),
        Face::Input => (call.shape[3], call.shapes[0][3]),
        Face::Filter => (call.shapes[0][3], call.shapes[1][3]),
    };
    let k = taps * ci;
    // A tile of an input's gradient lies in one image, so that bits do not depend on how images are cut into calls.
    let image = if face == Face::Input { output[0] * output[1] } else { points };
    let mut start = 0;
    while start < points {
        let n = TILE.min(image - start % image);
        let columns = &mut scratch[..n * k];
        match face {
            Face::Forward => {
                gather(g, output, ci, a, start, columns);
                let y = &mut call.output[start * co..(start + n) * co];
                sgemm([n, k, co], (columns, (k, 1)), (b, (co, 1)), (y, co), false, parallel);
            }
            Face::Input => {
                let dy = &a[start * co..(start + n) * co];
                sgemm([n, co, k], (dy, (co, 1)), (b, (1, co)), (columns, k), false, parallel);
                scatter(g, output, ci, columns, start, call.output);
            }
            Face::Filter => {
                gather(g, output, ci, a, start, columns);
                let dy = &b[start * co..(start + n) * co];
                sgemm([k, n, co], (columns, (1, k)), (dy, (co, 1)), (call.output, co), true, parallel);
            }
        }
        start += n;
    }
}

/// For each output point of a tile, each tap and each of its runs of adjacent sources: (column, source point).
fn taps(
    g: &ConvGeometry,
    output: [usize; 2],
    start: usize,
    points: usize,
    mut visit: impl FnMut(usize, usize, Option<usize>),
) {
    let [h, w] = g.input;
    let [ho, wo] = output;
    let [kh, kw] = g.kernel;
    for p in 0..points {
        let at = start + p;
        let (b, oy, ox) = (at / (ho * wo), at / wo % ho, at % wo);
        for ky in 0..kh {
            let row = g.source(0, oy, ky);
            for kx in 0..kw {
                let source = row.and_then(|sy| g.source(1, ox, kx).map(|sx| (b * h + sy) * w + sx));
                visit(p, ky * kw + kx, source);
            }
        }
    }
}

fn gather(g: &ConvGeometry, output: [usize; 2], ci: usize, x: &[f32], start: usize, columns: &mut [f32]) {
    let k = g.kernel[0] * g.kernel[1];
    taps(g, output, start, columns.len() / (k * ci), |p, tap, source| {
        let to = &mut columns[(p * k + tap) * ci..][..ci];
        match source {
            Some(s) => to.copy_from_slice(&x[s * ci..][..ci]),
            None => to.fill(0.0),
        }
    });
}

fn scatter(g: &ConvGeometry, output: [usize; 2], ci: usize, columns: &[f32], start: usize, dx: &mut [f32]) {
    let k = g.kernel[0] * g.kernel[1];
    taps(g, output, start, columns.len() / (k * ci), |p, tap, source| {
        if let Some(s) = source {
            let from = &columns[(p * k + tap) * ci..][..ci];
            dx[s * ci..][..ci].iter_mut().zip(from).for_each(|(d, c)| *d += c);
        }
    });
}
