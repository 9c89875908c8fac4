//! Ranks of truths among their samples, and histograms of them.

use ndarray::{Array, ArrayRef, ArrayRef1, Dimension, aview0};
use sda_core::Stream;
use sda_core::random::Sequence;

use crate::chi_squared::ChiSquared;
use crate::ensemble::Ensemble;
use crate::error::EvaluationError;
use crate::kolmogorov::Kolmogorov;

const METRIC: &str = "a rank";
const HISTOGRAM: &str = "a rank histogram";

/// Rank of a truth among its samples, 0 … N: uniform where truth and samples are exchangeable.
///
///   rank = #{x_n < y} + U, U uniform on 0 … #{x_n = y}
///
/// Ties are broken at random rather than split evenly: only so are ranks of tied values multinomial, as a test of their
/// histogram supposes.
///
/// Shapes: `samples` `[N]`.
/// Errors: no samples, a number that is not finite.
/// Source: Hamill 2001, "Interpretation of rank histograms for verifying ensemble forecasts", section 2.
pub fn rank(samples: &ArrayRef1<f64>, truth: f64, ties: &mut Sequence) -> Result<usize, EvaluationError> {
    Ensemble::new(METRIC, 1, samples, &aview0(&truth))?;
    Ok(rank_of(samples, truth, ties))
}

/// [`rank`] of every number of a truth; number i breaks its ties by row i of `step` of the stream.
///
/// The numbers of one trajectory depend on each other, and so do their ranks: a histogram of all of them has the right
/// shape, but its p-value wants one number a case.
///
/// Shapes: `samples` [N, …], `truth` and result […].
/// Errors: shapes that disagree, no numbers, no samples, a number that is not finite.
/// Source: as [`rank`].
pub fn ranks<S: Dimension, T: Dimension>(
    samples: &ArrayRef<f64, S>,
    truth: &ArrayRef<f64, T>,
    ties: Stream,
    step: u32,
) -> Result<Array<usize, T>, EvaluationError> {
    let ensemble = Ensemble::new(METRIC, 1, samples, truth)?;
    let ranks = ensemble.map(|number, samples, truth| {
        rank_of(samples.iter(), truth, &mut ties.sequence(step, number as u32))
    });
    Ok(Array::from_shape_vec(truth.raw_dim(), ranks).expect("one rank a number"))
}

fn rank_of<'a>(samples: impl IntoIterator<Item = &'a f64>, truth: f64, ties: &mut Sequence) -> usize {
    let (mut below, mut equal) = (0, 0);
    for &x in samples {
        below += usize::from(x < truth);
        equal += u32::from(x == truth);
    }
    below + ties.below(equal + 1) as usize
}

/// Counts of ranks among N samples, in bins of ranks that follow each other.
///
/// A ∪ is an ensemble too narrow, a ∩ one too wide, a slope one off to a side: much in the first bins is samples too
/// high.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankHistogram {
    samples: usize,
    counts: Vec<u64>,
}

impl RankHistogram {
    /// An empty histogram of ranks among `samples` samples.
    ///
    ///   bin = ⌊rank · bins/(N + 1)⌋
    ///
    /// Good values: `bins` a divisor of N + 1, so that all expect the same, with five counts or more in each.
    /// Errors: no samples, fewer than two bins, more bins than ranks.
    pub fn new(samples: usize, bins: usize) -> Result<Self, EvaluationError> {
        if samples == 0 {
            return Err(EvaluationError::TooFew { metric: HISTOGRAM, found: 0, least: 1 });
        }
        let ranks = samples + 1;
        if !(2..=ranks).contains(&bins) {
            return Err(EvaluationError::Bins { bins, ranks });
        }
        Ok(Self { samples, counts: vec![0; bins] })
    }

    /// Of some ranks.
    ///
    /// Errors: as [`RankHistogram::new`] and [`RankHistogram::add`].
    pub fn of(
        ranks: impl IntoIterator<Item = usize>,
        samples: usize,
        bins: usize,
    ) -> Result<Self, EvaluationError> {
        let mut histogram = Self::new(samples, bins)?;
        ranks.into_iter().try_for_each(|rank| histogram.add(rank))?;
        Ok(histogram)
    }

    /// Counts one rank.
    ///
    /// Errors: a rank above N.
    pub fn add(&mut self, rank: usize) -> Result<(), EvaluationError> {
        if rank > self.samples {
            return Err(EvaluationError::Rank { rank, samples: self.samples });
        }
        let bin = rank * self.counts.len() / (self.samples + 1);
        self.counts[bin] += 1;
        Ok(())
    }

    /// Counts of the bins `[B]`.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// What uniform ranks would count `[B]`: each bin's share of the N + 1 ranks, equal where they divide.
    ///
    ///   R (⌈(b + 1)(N + 1)/B⌉ − ⌈b (N + 1)/B⌉)/(N + 1)
    pub fn expected(&self) -> Vec<f64> {
        let (ranks, bins) = (self.samples + 1, self.counts.len());
        let total = self.counts.iter().sum::<u64>() as f64;
        let first = |bin: usize| (bin * ranks).div_ceil(bins);
        (0..bins).map(|b| total * (first(b + 1) - first(b)) as f64 / ranks as f64).collect()
    }

    /// χ² against uniform ranks; its p-value takes them for independent, as numbers of one trajectory are not.
    ///
    /// Errors: no ranks were counted.
    pub fn chi_squared(&self) -> Result<ChiSquared, EvaluationError> {
        self.check()?;
        Ok(ChiSquared::new(&self.counts, &self.expected()))
    }

    /// Distance of the empirical distribution function from uniform, at the bins' edges; independence as for χ².
    ///
    /// Errors: no ranks were counted.
    pub fn kolmogorov(&self) -> Result<Kolmogorov, EvaluationError> {
        self.check()?;
        Ok(Kolmogorov::new(&self.counts, &self.expected()))
    }

    fn check(&self) -> Result<(), EvaluationError> {
        if self.counts.iter().all(|&c| c == 0) {
            return Err(EvaluationError::Missing { metric: HISTOGRAM, what: "ranks" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;

    fn ties() -> Sequence {
        Stream::new(2, 0).sequence(0, 0)
    }

    #[test]
    fn ranks_count_what_lies_below() {
        let samples = array![3.0, -1.0, 2.0, 8.0];
        for (truth, want) in [(-2.0, 0), (0.0, 1), (2.5, 2), (7.0, 3), (9.0, 4)] {
            assert_eq!(rank(&samples, truth, &mut ties()), Ok(want));
        }
    }

    /// Of N + 1 different values each has its own rank: exchangeable truths are uniform.
    #[test]
    fn every_member_of_a_set_has_its_own_rank() {
        let values: Vec<f64> = (0..12).map(|i| f64::from(i * 5 % 12)).collect();
        let others = |i: usize| values.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, x)| *x);
        let ranks =
            (0..12).map(|i| rank(&others(i).collect::<Array1<f64>>(), values[i], &mut ties()).unwrap());
        let histogram = RankHistogram::of(ranks, 11, 12).unwrap();
        assert_eq!(histogram.counts(), [1; 12]);
        assert_eq!(histogram.chi_squared().unwrap().p_value, 1.0);
    }

    /// Two samples below, three equal, one above: uniform on 2 … 5.
    #[test]
    fn ties_are_uniform() {
        let samples = array![0.0, 1.0, 1.0, -3.0, 2.0, 1.0];
        let mut sequence = ties();
        let mut counts = [0u64; 7];
        (0..40_000).for_each(|_| counts[rank(&samples, 1.0, &mut sequence).unwrap()] += 1);
        assert_eq!((counts[0], counts[1], counts[6]), (0, 0, 0));
        let p_value = ChiSquared::new(&counts[2..6], &[1e4; 4]).p_value;
        assert!(p_value > 1e-3, "{counts:?}");
    }

    #[test]
    fn numbers_are_ranked_each_among_their_own() {
        let samples = Array2::from_shape_fn((9, 4), |(n, d)| (10 * d + n) as f64);
        let truth = array![-1.0, 13.5, 27.5, 90.0];
        assert_eq!(ranks(&samples, &truth, Stream::new(0, 0), 0), Ok(array![0, 4, 8, 9]));
        // Ties of different numbers and of different steps fall differently.
        let (tied, truth) = (Array2::zeros((99, 50)), Array1::zeros(50));
        let of_step = |step| ranks(&tied, &truth, Stream::new(0, 0), step).unwrap();
        assert!(of_step(0) != of_step(1) && of_step(0).iter().any(|&r| r != of_step(0)[0]));
    }

    #[test]
    fn expected_counts_are_the_ranks_of_each_bin() {
        for samples in 1..24 {
            for bins in 2..=samples + 1 {
                let each = RankHistogram::of(0..=samples, samples, bins).unwrap();
                let found: Vec<f64> = each.counts().iter().map(|&c| c as f64).collect();
                let error = each.expected().iter().zip(&found).map(|(e, f)| (e - f).abs()).sum::<f64>();
                assert!(error < 1e-12, "{bins} bins for {samples} samples");
                let spread = |of: fn(f64, f64) -> f64| found.iter().copied().reduce(of).unwrap();
                assert!(spread(f64::max) - spread(f64::min) <= 1.0);
            }
        }
    }

    #[test]
    fn bins_that_do_not_divide_by_hand() {
        let histogram = RankHistogram::of([0, 1, 2, 3, 4, 5, 5, 9, 9, 9], 9, 4).unwrap();
        // Ranks 0–2, 3–4, 5–7, 8–9.
        assert_eq!(histogram.counts(), [3, 2, 2, 3]);
        assert_eq!(histogram.expected(), [3.0, 2.0, 3.0, 2.0]);
        let got = histogram.chi_squared().unwrap();
        assert!((got.statistic - (1.0 / 3.0 + 0.5)).abs() < 1e-15);
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        assert!(matches!(RankHistogram::new(0, 2), Err(EvaluationError::TooFew { found: 0, .. })));
        for bins in [0, 1, 11] {
            assert_eq!(RankHistogram::new(9, bins), Err(EvaluationError::Bins { bins, ranks: 10 }));
        }
        let mut histogram = RankHistogram::new(9, 5).unwrap();
        assert_eq!(histogram.add(10), Err(EvaluationError::Rank { rank: 10, samples: 9 }));
        assert!(matches!(histogram.chi_squared(), Err(EvaluationError::Missing { what: "ranks", .. })));
        assert!(matches!(histogram.kolmogorov(), Err(EvaluationError::Missing { what: "ranks", .. })));
        assert!(rank(&array![f64::NAN], 0.0, &mut ties()).is_err());
        assert!(ranks(&array![[0.0, 1.0]], &array![0.0], Stream::new(0, 0), 0).is_err());
    }
}
