//! Log weights of particles in blocks, with what resampling and the evidence need of them.

use rayon::prelude::*;
use sda_core::widest_vectors;
use sda_systems::{LANES, Lanes};

/// Partial results of a pass over a block, so that it vectorises.
const PARTIALS: usize = 8;

/// Particles' log weights, not normalised, by block; spare lanes weigh nothing.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// log w [blocks, LANES].
    pub(crate) logs: Vec<Lanes>,
    /// Σ_{j ≤ i} of w_j over the block's greatest, from the block's first particle on [blocks, LANES].
    pub(crate) reached: Vec<Lanes>,
    /// One for each block.
    pub(crate) sums: Vec<BlockSum>,
}

/// What is known of one block of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BlockSum {
    /// max log w.
    pub(crate) greatest: f64,
    /// Σ (w over the block's greatest)².
    pub(crate) squares: f64,
}

/// One block of [`Weights`], to be written.
pub(crate) struct BlockMut<'a> {
    pub(crate) logs: &'a mut Lanes,
    pub(crate) reached: &'a mut Lanes,
    pub(crate) sum: &'a mut BlockSum,
}

/// The whole of [`Weights`].
#[derive(Clone, Debug)]
pub(crate) struct Total {
    /// log Σ w.
    pub(crate) log_sum: f64,
    /// (Σ w)² / Σ w².
    pub(crate) effective_sample_size: f64,
    /// Each block's greatest weight over the greatest of all [blocks].
    pub(crate) scales: Vec<f64>,
    /// Σ w over the greatest of all, before each block and at the end [blocks + 1].
    pub(crate) starts: Vec<f64>,
}

impl Weights {
    pub(crate) fn new(particles: usize) -> Self {
        let blocks = particles.div_ceil(LANES);
        Self {
            logs: vec![[0.0; LANES]; blocks],
            reached: vec![[0.0; LANES]; blocks],
            sums: vec![BlockSum { greatest: 0.0, squares: 0.0 }; blocks],
        }
    }

    pub(crate) fn par_blocks_mut(&mut self) -> impl IndexedParallelIterator<Item = BlockMut<'_>> {
        let values = self.logs.par_iter_mut().zip(&mut self.reached);
        values.zip(&mut self.sums).map(|((logs, reached), sum)| BlockMut { logs, reached, sum })
    }

    /// `None` where no particle has any weight.
    pub(crate) fn total(&self) -> Option<Total> {
        let greatest = self.sums.iter().map(|sum| sum.greatest).fold(f64::NEG_INFINITY, f64::max);
        if greatest == f64::NEG_INFINITY {
            return None;
        }
        let scales: Vec<f64> = self.sums.iter().map(|sum| (sum.greatest - greatest).exp()).collect();
        let (mut starts, mut start, mut squares) = (Vec::with_capacity(scales.len() + 1), 0.0, 0.0);
        for ((scale, reached), sum) in scales.iter().zip(&self.reached).zip(&self.sums) {
            starts.push(start);
            start += scale * reached[LANES - 1];
            squares += scale * scale * sum.squares;
        }
        starts.push(start);
        let log_sum = greatest + start.ln();
        Some(Total { log_sum, effective_sample_size: start * start / squares, scales, starts })
    }
}

/// A Gaussian likelihood's part that does not depend on the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Misfit<'a> {
    /// y [P].
    pub(crate) values: &'a [f64],
    pub(crate) inverse_std: f64,
    /// P log(std √(2π)).
    pub(crate) constant: f64,
}

widest_vectors! {
    /// Log weights times the likelihood of the values predicted, `present` particles of the block.
    ///
    ///   log w_i − ½ Σ_p ((y_p − a_p,i) / std)² − P log(std √(2π))
    ///
    /// Shapes: `before` [LANES], `predicted` [P, LANES].
    pub(crate) fn weigh(
        before: &Lanes, predicted: &[Lanes], misfit: Misfit<'_>, present: usize, out: &mut BlockMut<'_>,
    ) -> () = weigh_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn weigh_body(
    before: &Lanes,
    predicted: &[Lanes],
    misfit: Misfit<'_>,
    present: usize,
    out: &mut BlockMut<'_>,
) {
    let mut squares = [0.0; LANES];
    for (predicted, y) in predicted.iter().zip(misfit.values) {
        for i in 0..LANES {
            let scaled = (y - predicted[i]) * misfit.inverse_std;
            squares[i] += scaled * scaled;
        }
    }
    let mut logs = [0.0; LANES];
    for i in 0..LANES {
        let log = before[i] - 0.5 * squares[i] - misfit.constant;
        // A particle that diverged explains nothing.
        logs[i] = if log.is_nan() { f64::NEG_INFINITY } else { log };
    }
    logs[present..].fill(f64::NEG_INFINITY);
    *out.logs = logs;
    let greatest = greatest(&logs);
    let mut weights = exp_below(&logs, greatest);
    *out.sum = BlockSum { greatest, squares: total(&squared(&weights)) };
    accumulate(&mut weights);
    *out.reached = weights;
}

/// The greatest of a block.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
pub(crate) fn greatest(x: &Lanes) -> f64 {
    let mut best = [f64::NEG_INFINITY; PARTIALS];
    for row in x.as_chunks::<PARTIALS>().0 {
        for k in 0..PARTIALS {
            best[k] = if row[k] > best[k] { row[k] } else { best[k] };
        }
    }
    let mut all = f64::NEG_INFINITY;
    for best in best {
        all = if best > all { best } else { all };
    }
    all
}

#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn squared(x: &Lanes) -> Lanes {
    let mut out = [0.0; LANES];
    for i in 0..LANES {
        out[i] = x[i] * x[i];
    }
    out
}

/// The sum of a block.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
pub(crate) fn total(x: &Lanes) -> f64 {
    let mut sums = [0.0; PARTIALS];
    for row in x.as_chunks::<PARTIALS>().0 {
        for k in 0..PARTIALS {
            sums[k] += row[k];
        }
    }
    let mut all = 0.0;
    for sum in sums {
        all += sum;
    }
    all
}

/// x_i ← Σ_{j ≤ i} x_j, first in runs of [`PARTIALS`], whose additions do not wait for each other.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn accumulate(x: &mut Lanes) {
    let runs = x.as_chunks_mut::<PARTIALS>().0;
    for k in 1..PARTIALS {
        for run in &mut *runs {
            run[k] += run[k - 1];
        }
    }
    let mut before = 0.0;
    for run in runs {
        for x in &mut *run {
            *x += before;
        }
        before = run[PARTIALS - 1];
    }
}

/// exp(x_i − greatest); zeros where nothing is above −∞.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
pub(crate) fn exp_below(x: &Lanes, greatest: f64) -> Lanes {
    let top = if greatest == f64::NEG_INFINITY { 0.0 } else { greatest };
    let mut out = [0.0; LANES];
    for i in 0..LANES {
        out[i] = exp(x[i] - top);
    }
    out
}

/// eˣ for x ≤ 0, to 2 units of the last place; 0 below −708, where normal numbers end.
///
///   eˣ = 2ᵏ eʳ, k = ⌊x / ln 2⌉, |r| ≤ ½ ln 2, eʳ by Taylor's series up to r¹³
///
/// There is no fused multiply-add, so the bits are the same on every instruction set.
#[inline(always)]
#[allow(clippy::inline_always)] // as above
fn exp(x: f64) -> f64 {
    /// Adding it rounds to an integer, which is then in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 with its last 21 bits zero, so that its products with k are exact, and what is missing.
    const LN_2: [f64; 2] = [f64::from_bits(0x3FE6_2E42_FEE0_0000), f64::from_bits(0x3DEA_39EF_3579_3C76)];
    const SERIES: [f64; 11] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ];
    let inside = x >= -708.0;
    let x = if inside { x } else { 0.0 };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN_2[0]) - k * LN_2[1];
    let mut sum = 1.0 / 6_227_020_800.0;
    let mut term = 0;
    while term < SERIES.len() {
        sum = sum * r + SERIES[term];
        term += 1;
    }
    let value = 1.0 + (r + r * r * sum);
    let scale = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    if inside { value * scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use sda_core::{Stream, Vectors};

    use super::*;

    #[test]
    fn exponentials_are_the_librarys() {
        for i in 0..200_000 {
            let x = -708.0 * f64::from(i) / 199_999.0;
            for x in [x, x / 1e3, x / 1e9] {
                assert!((exp(x) - x.exp()).abs() <= 5e-16 * x.exp(), "{x}: {} {}", exp(x), x.exp());
            }
        }
        assert_eq!([exp(0.0), exp(-708.1), exp(f64::NEG_INFINITY)], [1.0, 0.0, 0.0]);
    }

    fn normals(step: u32) -> Lanes {
        let mut out = [0.0; LANES];
        Stream::new(3, 0).fill_normal(step, 0, LANES, &mut out);
        out
    }

    /// One block by plain loops, on every set of instructions, and one with the last particles missing.
    #[test]
    fn a_block_is_weighed() {
        let (before, predicted) = (normals(0), [normals(1), normals(2)]);
        let values = [0.3, -1.0];
        let misfit = Misfit { values: &values, inverse_std: 4.0, constant: 2.5 };
        for present in [LANES, 11, 1] {
            let log = |i: usize| {
                let squares: f64 = (0..2).map(|p| ((values[p] - predicted[p][i]) * 4.0).powi(2)).sum();
                before[i] - 0.5 * squares - 2.5
            };
            let greatest = (0..present).map(log).fold(f64::NEG_INFINITY, f64::max);
            let mut first = None;
            for vectors in Vectors::available() {
                let mut weights = Weights::new(1);
                let mut block = BlockMut {
                    logs: &mut weights.logs[0],
                    reached: &mut weights.reached[0],
                    sum: &mut weights.sums[0],
                };
                weigh(vectors, &before, &predicted, misfit, present, &mut block);
                let (mut sum, mut squares) = (0.0, 0.0);
                for i in 0..LANES {
                    if i < present {
                        assert!((weights.logs[0][i] - log(i)).abs() < 1e-13);
                        sum += (log(i) - greatest).exp();
                        squares += (log(i) - greatest).exp().powi(2);
                    } else {
                        assert_eq!(weights.logs[0][i], f64::NEG_INFINITY);
                    }
                    assert!((weights.reached[0][i] - sum).abs() < 1e-13);
                }
                assert!((weights.sums[0].squares - squares).abs() < 1e-13);
                assert_eq!(first.get_or_insert_with(|| weights.reached.clone()), &weights.reached);
                let total = weights.total().unwrap();
                assert!((total.log_sum - greatest - sum.ln()).abs() < 1e-13);
                assert!((total.effective_sample_size - sum * sum / squares).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn diverged_particles_weigh_nothing() {
        let mut before = [0.0; LANES];
        before[3] = f64::NAN;
        let mut weights = Weights::new(LANES);
        let misfit = Misfit { values: &[], inverse_std: 1.0, constant: 0.0 };
        let mut weigh_all = |before: &Lanes| {
            let mut block = BlockMut {
                logs: &mut weights.logs[0],
                reached: &mut weights.reached[0],
                sum: &mut weights.sums[0],
            };
            weigh(Vectors::widest(), before, &[], misfit, LANES, &mut block);
            weights.total()
        };
        assert!((weigh_all(&before).unwrap().log_sum - 63f64.ln()).abs() < 1e-14);
        assert!(weigh_all(&[f64::NAN; LANES]).is_none());
    }
}
