//! Philox4x32-10, one counter at a time and many side by side.
//!
//! Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", with its known answers.

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32 with ten rounds.
#[inline]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut c = counter;
    let mut k = key;
    for _ in 0..10 {
        let p0 = u64::from(MULTIPLIER[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIER[1]) * u64::from(c[2]);
        c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// The words of N counters (block_i, row_i, step, id), the same as [`philox4x32_10`]'s.
///
/// Shapes: `blocks` [N], `rows` [N], result [4, N].
#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
pub fn philox_lanes<const N: usize>(
    blocks: &[u32; N],
    rows: &[u32; N],
    (step, id): (u32, u32),
    key: [u32; 2],
) -> [[u32; N]; 4] {
    let mut words = [[0; N]; 4];
    let [w0, w1, w2, w3] = &mut words;
    for i in 0..N {
        [w0[i], w1[i], w2[i], w3[i]] = rounds([blocks[i], rows[i], step, id], key);
    }
    words
}

/// Ten rounds in 64-bit lanes whose upper halves are never looked at: vectors multiply the lower halves.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn rounds(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    const LOW: u64 = 0xFFFF_FFFF;
    let mut c = counter.map(u64::from);
    let mut k = key;
    for _ in 0..10 {
        let p0 = u64::from(MULTIPLIER[0]) * (c[0] & LOW);
        let p1 = u64::from(MULTIPLIER[1]) * (c[2] & LOW);
        c = [(p1 >> 32) ^ c[1] ^ u64::from(k[0]), p1, (p0 >> 32) ^ c[3] ^ u64::from(k[1]), p0];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c.map(|c| c as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Vectors, widest_vectors};

    #[test]
    fn philox_known_answers() {
        assert_eq!(philox4x32_10([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox4x32_10([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32_10([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    widest_vectors! {
        fn lanes(blocks: &[u32; 13], rows: &[u32; 13], ends: (u32, u32), key: [u32; 2]) -> [[u32; 13]; 4]
            = philox_lanes
    }

    #[test]
    fn lanes_hold_the_same_words() {
        let mut x = 1u32;
        let mut next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x
        };
        for _ in 0..100 {
            let (blocks, rows) = (std::array::from_fn(|_| next()), std::array::from_fn(|_| next()));
            let (ends, key) = ((next(), next()), [next(), next()]);
            for vectors in Vectors::available() {
                let words = lanes(vectors, &blocks, &rows, ends, key);
                for i in 0..13 {
                    let want = philox4x32_10([blocks[i], rows[i], ends.0, ends.1], key);
                    assert_eq!(std::array::from_fn(|w| words[w][i]), want, "{vectors:?}");
                }
            }
        }
    }
}
