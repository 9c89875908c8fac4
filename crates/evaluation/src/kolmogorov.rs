//! Kolmogorov's test of counts against what was expected, by its exact law.

/// Distance, in counts, within which two of them are one: rounding, not another lattice point.
const ROUNDING: f64 = 1e-9;

/// Probability at which the tail of a Poisson law is cut.
const NEGLIGIBLE: f64 = 1e-30;

/// Below this the complement of a sum of probabilities has few digits left, and Massart's bound stands in.
const TINY: f64 = 1e-9;

/// Where an empirical distribution function strays furthest from the expected one, and how likely that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kolmogorov {
    /// max_b (F̂_b − F_b): by how much the counts come too early.
    pub above: f64,
    /// max_b (F_b − F̂_b): by how much they come too late.
    pub below: f64,
    /// P(max_b |F̂_b − F_b| ≥ the distance D seen), exact to 1e-10 for independent counts, however few; where Massart's
    /// bound 2 e^{−2RD²} is under 1e-9, that bound.
    pub p_value: f64,
}

impl Kolmogorov {
    /// Of at least one count.
    ///
    ///   F̂_b = Σ_{a ≤ b} counted_a / R, F_b = Σ_{a ≤ b} expected_a / R
    ///
    /// The law of the distance is that of the cumulated counts as a Markov chain, at a cost of bins · R · (counts that a
    /// bin may plausibly hold): in steps too coarse for Kolmogorov's limit, that limit would be conservative.
    ///
    /// Shapes: `counts` and `expected` `[B]`, of the same sum R.
    /// Source: Säilynoja, Bürkner & Vehtari 2022, section 2 for the recursion, there in binomial steps; Massart 1990 for
    /// the bound.
    pub(crate) fn new(counts: &[u64], expected: &[f64]) -> Self {
        let total: u64 = counts.iter().sum();
        let (mut found, mut centre, mut above, mut below) = (0.0, 0.0, 0.0f64, 0.0f64);
        for (&count, expected) in counts.iter().zip(expected) {
            found += count as f64;
            centre += expected;
            (above, below) = (above.max(found - centre), below.max(centre - found));
        }
        let r = total as f64;
        Self {
            above: above / r,
            below: below / r,
            p_value: p_value(above.max(below), total as usize, expected),
        }
    }
}

/// P(a distance at least as large), in counts. The bound also spares the widest bands, the most costly ones.
fn p_value(distance: f64, total: usize, expected: &[f64]) -> f64 {
    let bound = 2.0 * (-2.0 * distance * distance / total as f64).exp();
    if bound < TINY {
        return bound;
    }
    (1.0 - probability_within(distance, total, expected)).clamp(0.0, 1.0)
}

/// P(|Σ_{a ≤ b} (counted_a − expected_a)| < distance for all b), the counts multinomial.
///
/// Multinomial counts are Poisson ones given their sum, so that the bins are passed one after another.
fn probability_within(distance: f64, total: usize, expected: &[f64]) -> f64 {
    let mut paths = vec![0.0; total + 1];
    paths[0] = 1.0;
    let mut centre = 0.0;
    for &mean in expected {
        centre += mean;
        paths = advance(&paths, &poisson(mean, total), centre, distance - ROUNDING);
    }
    paths[total] / poisson(total as f64, total)[total]
}

/// The law of a cumulated count after one more bin, only where it is nearer to the centre than the distance.
fn advance(paths: &[f64], increments: &[f64], centre: f64, distance: f64) -> Vec<f64> {
    let reach = |s: usize| increments.iter().zip(paths[..=s].iter().rev()).map(|(w, p)| w * p).sum();
    let near = |s: usize| (s as f64 - centre).abs() < distance;
    (0..paths.len()).map(|s| if near(s) { reach(s) } else { 0.0 }).collect()
}

/// e^{−m} m^k / k! for k = 0 … `most`, or to where it is negligible.
fn poisson(mean: f64, most: usize) -> Vec<f64> {
    let mut log = -mean;
    let mut out = vec![log.exp()];
    for k in 1..=most {
        log += (mean / k as f64).ln();
        if k as f64 > mean && log.exp() < NEGLIGIBLE {
            break;
        }
        out.push(log.exp());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(counts: &[u64], expected: &[f64]) -> f64 {
        let (mut sum, mut largest) = (0.0, 0.0f64);
        for (&count, expected) in counts.iter().zip(expected) {
            sum += count as f64 - expected;
            largest = largest.max(sum.abs());
        }
        largest
    }

    /// All outcomes of `total` draws from cells, of which bin b holds `widths[b]`: the p-value by counting.
    fn check(total: u32, widths: &[usize]) {
        let cells: usize = widths.iter().sum();
        let bin_of: Vec<usize> = widths.iter().enumerate().flat_map(|(b, &w)| vec![b; w]).collect();
        let scale = f64::from(total) / cells as f64;
        let expected: Vec<f64> = widths.iter().map(|&w| w as f64 * scale).collect();
        let outcome = |code: usize| {
            let mut counts = vec![0u64; widths.len()];
            (0..total).for_each(|i| counts[bin_of[code / cells.pow(i) % cells]] += 1);
            counts
        };
        let outcomes: Vec<Vec<u64>> = (0..cells.pow(total)).map(outcome).collect();
        for seen in outcomes.iter().step_by(7) {
            let far = |counts: &&Vec<u64>| distance(counts, &expected) > distance(seen, &expected) - 1e-9;
            let want = outcomes.iter().filter(far).count() as f64 / outcomes.len() as f64;
            let got = Kolmogorov::new(seen, &expected);
            assert!((got.p_value - want).abs() < 1e-13, "{} is not {want} of {seen:?}", got.p_value);
            let furthest = got.above.max(got.below) * f64::from(total);
            assert!((furthest - distance(seen, &expected)).abs() < 1e-14);
        }
    }

    #[test]
    fn few_draws_by_counting_all_outcomes() {
        check(5, &[1, 1, 1]);
        check(4, &[1, 1, 1, 1, 1]);
        check(6, &[1, 1]);
        check(5, &[2, 1, 1]);
        check(1, &[1, 3, 2]);
    }

    /// Kolmogorov's law of draws from a continuum: it is met exactly where distance and bins share a lattice, since its
    /// bounds are then crossed at edges of bins only. First the value that Marsaglia, Tsang & Wang 2003 print, then others
    /// by their matrix in 30 digits, and P(D₁ < d) = 2d − 1.
    #[test]
    fn bins_on_the_lattice_have_the_law_of_a_continuum() {
        let table = [
            (10, 0.274, 500, 0.6284796154565045),
            (10, 0.40925, 4000, 0.950003547665741),
            (100, 0.08, 100, 0.4817806354519331),
            (100, 0.1358, 5000, 0.9546401972663952),
            (1, 0.8, 10, 0.6),
        ];
        for (total, distance, bins, want) in table {
            let r = total as f64;
            // Up to the distance itself, which a continuum has with probability 0.
            let got = probability_within(distance * r, total, &vec![r / f64::from(bins); bins as usize]);
            assert!((got - want).abs() < 1e-12, "{got} is not {want} of {total}");
        }
    }

    /// Without a limit all paths are within: what rounding and the cut tails leave.
    #[test]
    fn probabilities_sum_to_one() {
        for (total, bins) in [(1, 2), (37, 5), (5000, 20), (10_000, 1000)] {
            let expected = vec![total as f64 / f64::from(bins); bins as usize];
            let got = probability_within(f64::INFINITY, total, &expected);
            assert!((got - 1.0).abs() < 1e-10, "{got} of {total}");
        }
    }

    /// Massart's constant 2 is sharp: where it takes over, the exact tail is little below it.
    #[test]
    fn the_bound_meets_the_exact_tail() {
        let (total, bins) = (4000, 400);
        let r = total as f64;
        let expected = vec![r / f64::from(bins); bins as usize];
        for want in [1e-4, 1e-8] {
            let distance = (0.5 * r * f64::ln(2.0 / want)).sqrt();
            let got = p_value(distance, total, &expected);
            assert!(got < want && got > 0.6 * want, "{got:e} is not near {want:e}");
        }
        let certain = Kolmogorov::new(&[100, 0], &[50.0; 2]).p_value;
        assert!((certain / (2.0 * f64::exp(-50.0)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn sides_are_told_apart() {
        let early = Kolmogorov::new(&[6, 1, 1], &[8.0 / 3.0; 3]);
        assert!((early.above - 5.0 / 12.0).abs() < 1e-15 && early.below == 0.0);
        let late = Kolmogorov::new(&[1, 1, 6], &[8.0 / 3.0; 3]);
        assert!((late.below - 5.0 / 12.0).abs() < 1e-15 && late.above < 1e-15);
        assert_eq!(Kolmogorov::new(&[4, 4], &[4.0; 2]).p_value, 1.0);
    }
}
