//! The random streams' normals for a block of members at once, in loops that vectorise.
//!
//! They are those of [`Stream::fill_normal`], bit for bit: the same words through the same polynomials.

use sda_core::random::normal::box_muller;
use sda_core::{Stream, Vectors, widest_vectors};

use crate::ensemble::{LANES, Lanes};

/// Adds std_c · z_c to every component c of a block of members.
///
/// Shapes: `std` [D], `states` [D, LANES].
pub fn add_normals(stream: &Stream, step: u32, first_row: u32, std: &[f64], states: &mut [Lanes]) {
    assert_eq!(std.len(), states.len(), "noise of {} components for states of {}", std.len(), states.len());
    let vectors = Vectors::widest();
    for (block, (std, states)) in std.chunks(4).zip(states.chunks_mut(4)).enumerate() {
        add_four(vectors, stream, step, first_row, block as u32, std, states);
    }
}

widest_vectors! {
    /// The noise of one Philox block: four components, or what is left of them.
    fn add_four(
        stream: &Stream, step: u32, first_row: u32, block: u32, std: &[f64], states: &mut [Lanes],
    ) -> () = add_four_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn add_four_body(stream: &Stream, step: u32, first_row: u32, block: u32, std: &[f64], states: &mut [Lanes]) {
    let [w0, w1, w2, w3] = stream.words_of_rows::<LANES>(step, first_row, block);
    let mut normals = [[0.0; LANES]; 4];
    let [z0, z1, z2, z3] = &mut normals;
    for i in 0..LANES {
        (z0[i], z1[i]) = box_muller(w0[i], w1[i]);
    }
    if std.len() > 2 {
        for i in 0..LANES {
            (z2[i], z3[i]) = box_muller(w2[i], w3[i]);
        }
    }
    for ((state, &std), z) in states.iter_mut().zip(std).zip(&normals) {
        for i in 0..LANES {
            state[i] += std * z[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_any_number_of_components_follows_the_streams_rows() {
        for d in 1..=9 {
            let std: Vec<f64> = (0..d).map(|c| 0.5 + c as f64).collect();
            let mut states = vec![[1.0; LANES]; d];
            let stream = Stream::new(0x1234_5678_9abc, 5);
            add_normals(&stream, 2, u32::MAX - 5, &std, &mut states);
            let mut rows = vec![0f64; LANES * d];
            stream.fill_normal(2, u32::MAX - 5, d, &mut rows);
            for i in 0..LANES {
                for c in 0..d {
                    assert_eq!(states[c][i], 1.0 + std[c] * rows[i * d + c]);
                }
            }
        }
    }
}
