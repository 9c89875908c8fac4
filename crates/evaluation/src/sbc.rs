//! Simulation-based calibration: whether a sampler draws from the posterior of its own model.

use ndarray::{ArrayRef1, ArrayRef2};

use crate::chi_squared::ChiSquared;
use crate::error::EvaluationError;
use crate::kolmogorov::Kolmogorov;
use crate::ranks::RankHistogram;

const METRIC: &str = "simulation-based calibration";

/// What the ranks of one quantity say.
///
/// Of the distance of the ranks' distribution function from uniform, `above` alone means samples too high and `below`
/// alone samples too low; `above` at small ranks with `below` at large ones means posteriors too narrow, the reverse
/// too wide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SbcQuantity {
    /// Of the binned ranks.
    pub chi_squared: ChiSquared,
    /// Of the ranks as they are, N + 1 bins: needs no choice of bins, and sees shifts better than widths.
    pub kolmogorov: Kolmogorov,
}

/// Verdict on all quantities.
#[derive(Clone, Debug, PartialEq)]
pub struct Sbc {
    /// K of them.
    pub quantities: Vec<SbcQuantity>,
    /// min(1, 2K · the least of the 2K p-values), Bonferroni: right for dependent quantities, if conservative.
    pub p_value: f64,
}

impl Sbc {
    /// Tests of uniformity of the ranks of K quantities (test functions) over R replicates.
    ///
    ///   x* ~ p(x), y ~ p(y | x*), x_n ~ the sampler given y, rank = #{f(x_n) < f(x*)}
    ///
    /// A sampler of p(x | y) makes every rank uniform on 0 … N, whatever f. The replicates must be independent, and the N
    /// samples of one of them independent given y: a chain is thinned first. Passing is not proof: a sampler that ignores
    /// y and draws from the prior passes for every f of x alone, so that one f should depend on y too.
    ///
    /// Shapes: `ranks` [R, K].
    /// Good values: `samples` + 1 = N + 1 divisible by `bins`, R at least 5 `bins`.
    /// Errors: no replicates, no quantities, a rank above N, bins that ranks cannot fill.
    /// Source: Talts et al. 2018, arXiv 1804.06788, section 4; the distribution function, Säilynoja, Bürkner & Vehtari
    /// 2022, arXiv 2103.10522, section 2.
    pub fn of(ranks: &ArrayRef2<usize>, samples: usize, bins: usize) -> Result<Self, EvaluationError> {
        let (replicates, quantities) = ranks.dim();
        for (count, what) in [(replicates, "replicates"), (quantities, "quantities")] {
            if count == 0 {
                return Err(EvaluationError::Missing { metric: METRIC, what });
            }
        }
        let quantities: Result<Vec<SbcQuantity>, _> =
            ranks.columns().into_iter().map(|ranks| quantity(&ranks, samples, bins)).collect();
        let quantities = quantities?;
        Ok(Self { p_value: bonferroni(&quantities), quantities })
    }
}

fn quantity(ranks: &ArrayRef1<usize>, samples: usize, bins: usize) -> Result<SbcQuantity, EvaluationError> {
    let histogram = |bins| RankHistogram::of(ranks.iter().copied(), samples, bins);
    Ok(SbcQuantity {
        chi_squared: histogram(bins)?.chi_squared()?,
        kolmogorov: histogram(samples + 1)?.kolmogorov()?,
    })
}

fn bonferroni(quantities: &[SbcQuantity]) -> f64 {
    let p_values = quantities.iter().map(|q| q.chi_squared.p_value.min(q.kolmogorov.p_value));
    let tests = 2 * quantities.len();
    (tests as f64 * p_values.fold(1.0, f64::min)).min(1.0)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};
    use sda_core::Stream;

    use super::*;
    use crate::ranks::rank;

    const N: usize = 63;
    const R: usize = 1000;

    /// x ~ N(0, 1), y | x ~ N(x, 1), sampled from N(y/2 + shift, stretch²/2), as ranks of x and of |x − y|.
    fn ranks_of_sampler(shift: f64, stretch: f64) -> Array2<usize> {
        let mut ranks = Array2::zeros((R, 2));
        for (r, mut ranks) in ranks.outer_iter_mut().enumerate() {
            let mut draws = Stream::new(8, 0).sequence(0, r as u32);
            let truth = draws.normal();
            let y = truth + draws.normal();
            let samples =
                Array1::from_shape_fn(N, |_| 0.5 * y + shift + stretch * 0.5f64.sqrt() * draws.normal());
            ranks[0] = rank(&samples, truth, &mut draws).unwrap();
            ranks[1] = rank(&samples.mapv(|x| (x - y).abs()), (truth - y).abs(), &mut draws).unwrap();
        }
        ranks
    }

    #[test]
    fn the_posterior_passes() {
        let got = Sbc::of(&ranks_of_sampler(0.0, 1.0), N, 16).unwrap();
        assert!(got.p_value > 0.01, "{got:?}");
        assert_eq!(got.quantities[0].chi_squared.degrees, 15);
    }

    #[test]
    fn a_wrong_width_or_place_fails_and_shows_which() {
        let of = |shift, stretch| Sbc::of(&ranks_of_sampler(shift, stretch), N, 16).unwrap();
        // √2 is the factor that is forgotten; at small ranks the distribution function rises too early.
        let narrow = of(0.0, 0.5f64.sqrt());
        assert!(narrow.p_value < 1e-9);
        let found = narrow.quantities[0].kolmogorov;
        assert!(found.above > 0.05 && found.below > 0.05);
        assert!(of(0.0, 2f64.sqrt()).p_value < 1e-9);
        let high = of(0.2, 1.0);
        let found = high.quantities[0].kolmogorov;
        assert!(high.p_value < 1e-6 && found.above > 3.0 * found.below);
        let found = of(-0.2, 1.0).quantities[0].kolmogorov;
        assert!(found.below > 3.0 * found.above);
    }

    /// At most a share α of uniform replicates has a p-value up to α, and not far less of a single test.
    #[test]
    fn p_values_of_uniform_ranks_are_uniform() {
        let tables = 2000u32;
        let (mut chi_squared, mut kolmogorov, mut combined) = (0, 0, 0);
        for table in 0..tables {
            let mut draws = Stream::new(1, 0).sequence(0, table);
            let ranks = Array2::from_shape_simple_fn((100, 2), || draws.below(20) as usize);
            let got = Sbc::of(&ranks, 19, 5).unwrap();
            chi_squared += u32::from(got.quantities[0].chi_squared.p_value <= 0.1);
            kolmogorov += u32::from(got.quantities[0].kolmogorov.p_value <= 0.1);
            combined += u32::from(got.p_value <= 0.1);
        }
        // Four standard errors of a share of 0.1 are 0.027.
        let share = |count: u32| f64::from(count) / f64::from(tables);
        assert!((share(chi_squared) - 0.1).abs() < 0.027, "{}", share(chi_squared));
        assert!((share(kolmogorov) - 0.1).abs() < 0.027, "{}", share(kolmogorov));
        assert!((0.04..0.127).contains(&share(combined)), "{}", share(combined));
    }

    #[test]
    fn the_combined_p_value_is_bonferronis() {
        let ranks = array![[0, 3], [0, 2], [1, 0], [0, 1], [0, 3], [0, 0], [1, 2], [2, 1]];
        let got = Sbc::of(&ranks, 3, 4).unwrap();
        let each = got.quantities.iter().flat_map(|q| [q.chi_squared.p_value, q.kolmogorov.p_value]);
        let least = each.fold(1.0, f64::min);
        assert!(least < 0.1 && (got.p_value - 4.0 * least).abs() < 1e-15);
        assert_eq!(Sbc::of(&array![[0], [1], [2], [3]], 3, 4).unwrap().p_value, 1.0);
    }

    #[test]
    fn nothing_to_test_is_an_error() {
        for (shape, what) in [((0, 2), "replicates"), ((3, 0), "quantities")] {
            let got = Sbc::of(&Array2::zeros(shape), 3, 4);
            assert_eq!(got, Err(EvaluationError::Missing { metric: METRIC, what }));
        }
        assert!(matches!(Sbc::of(&array![[4]], 3, 4), Err(EvaluationError::Rank { rank: 4, .. })));
        assert!(matches!(Sbc::of(&array![[0]], 3, 5), Err(EvaluationError::Bins { .. })));
    }
}
