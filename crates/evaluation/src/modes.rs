//! Modes of trajectories, told apart by the signs of one component, and how much of a set lies in each.

use std::collections::BTreeMap;

use ndarray::{ArrayRef3, ArrayView2};

use crate::distance::rows;
use crate::error::EvaluationError;

const METRIC: &str = "the masses of modes";

/// How many samples have each pattern of signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignPatterns {
    samples: usize,
    counts: BTreeMap<Vec<bool>, usize>,
}

impl SignPatterns {
    /// Samples clustered by the signs of one component at some states, true where it is not negative.
    ///
    /// Shapes: `samples` [N, L, D], `states` `[P]`; a pattern has P signs.
    /// Units: those in which the sign tells the modes apart, for Lorenz's wings the physical ones.
    /// Errors: no samples, no states, a number that is not finite.
    /// Panics: a state or the component is not there.
    #[track_caller]
    pub fn of(samples: &ArrayRef3<f64>, component: usize, states: &[usize]) -> Result<Self, EvaluationError> {
        let (_, length, dim) = samples.dim();
        assert!(component < dim, "component {component} of states of {dim}");
        assert!(states.iter().all(|&i| i < length), "states {states:?} of trajectories of {length}");
        rows(METRIC, "clustered", samples)?;
        if states.is_empty() {
            return Err(EvaluationError::Missing { metric: METRIC, what: "states" });
        }
        let pattern = |sample: ArrayView2<'_, f64>| -> Vec<bool> {
            states.iter().map(|&i| sample[[i, component]] >= 0.0).collect()
        };
        let mut counts = BTreeMap::new();
        for sample in samples.outer_iter() {
            *counts.entry(pattern(sample)).or_insert(0) += 1;
        }
        Ok(Self { samples: samples.dim().0, counts })
    }

    /// Share of the samples with this pattern.
    pub fn mass(&self, pattern: &[bool]) -> f64 {
        self.count(pattern) as f64 / self.samples as f64
    }

    fn count(&self, pattern: &[bool]) -> usize {
        self.counts.get(pattern).copied().unwrap_or(0)
    }

    /// Patterns of at least this mass, the heaviest first.
    pub fn modes(&self, least_mass: f64) -> Vec<&[bool]> {
        let mut modes: Vec<&[bool]> =
            self.counts.keys().map(Vec::as_slice).filter(|p| self.mass(p) >= least_mass).collect();
        modes.sort_by(|a, b| self.mass(b).total_cmp(&self.mass(a)));
        modes
    }
}

/// What one set's masses are beside a reference's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModeMasses {
    /// Clusters of the reference of at least the mass asked for.
    pub modes: usize,
    /// Least and greatest of the set's mass over the reference's, over these clusters; none without any.
    pub ratio: Option<(f64, f64)>,
}

impl ModeMasses {
    /// Of a set beside a reference.
    ///
    ///   min and max over p with m_ref(p) ≥ `least_mass` of m(p)/m_ref(p)
    ///
    /// A mode of mass m has a ratio uncertain by √((1 − m)/m (1/N + 1/N_ref)) from the finite sets alone.
    ///
    /// Good values: `least_mass` 0.05 with a thousand samples in each set.
    pub fn of(set: &SignPatterns, reference: &SignPatterns, least_mass: f64) -> Self {
        let modes = reference.modes(least_mass);
        let ratios = modes.iter().map(|pattern| set.mass(pattern) / reference.mass(pattern));
        Self { modes: modes.len(), ratio: extremes(ratios) }
    }
}

/// How a set divides between modes that are mirror images: by a symmetry of the posterior, in halves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MirrorShares {
    /// Share of all samples whose first sign is positive.
    pub all: f64,
    /// Least and greatest share within a pair that the pattern with the positive first sign has; none without a pair.
    pub pair: Option<(f64, f64)>,
}

impl MirrorShares {
    /// Of a set, under a symmetry that changes every sign; pairs are those of which either is a mode of the reference.
    ///
    ///   m(p)/(m(p) + m(−p)), p₁ > 0, m_ref(p) ≥ `least_mass` or m_ref(−p) ≥ `least_mass`
    ///
    /// A pair in which the set has nothing is left to [`ModeMasses`]. A pair of mass m has a share uncertain by
    /// ½/√(N m).
    pub fn of(set: &SignPatterns, reference: &SignPatterns, least_mass: f64) -> Self {
        let positive: Vec<Vec<bool>> = reference.modes(least_mass).into_iter().map(facing_up).collect();
        let share = |pattern: &Vec<bool>| {
            let (one, other) = (set.count(pattern), set.count(&mirrored(pattern)));
            (one + other > 0).then(|| one as f64 / (one + other) as f64)
        };
        let up = set.counts.iter().filter(|(pattern, _)| pattern[0]).map(|(_, count)| count);
        Self {
            all: up.sum::<usize>() as f64 / set.samples as f64,
            pair: extremes(positive.iter().filter_map(share)),
        }
    }
}

fn mirrored(pattern: &[bool]) -> Vec<bool> {
    pattern.iter().map(|sign| !sign).collect()
}

/// Of a pattern and its mirror image, the one with the positive first sign.
fn facing_up(pattern: &[bool]) -> Vec<bool> {
    if pattern[0] { pattern.to_vec() } else { mirrored(pattern) }
}

fn extremes(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.map(|x| (x, x)).reduce(|(low, high), (x, _)| (low.min(x), high.max(x)))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use sda_core::Stream;

    use super::*;

    const STATES: [usize; 3] = [0, 2, 5];
    /// Signs at [`STATES`] and counts of 200 samples: one pair, two single modes, one below 5 %.
    const MIXTURE: [([f64; 3], usize); 5] = [
        ([1.0, 1.0, 1.0], 80),
        ([-1.0, -1.0, -1.0], 60),
        ([1.0, -1.0, 1.0], 30),
        ([-1.0, 1.0, 1.0], 24),
        ([1.0, 1.0, -1.0], 6),
    ];

    /// Samples of a mixture in component 1; everything else is noise of either sign.
    fn samples(mixture: &[([f64; 3], usize)]) -> Array3<f64> {
        let signs: Vec<[f64; 3]> =
            mixture.iter().flat_map(|&(signs, count)| std::iter::repeat_n(signs, count)).collect();
        let mut draws = Stream::new(5, 0).sequence(0, 0);
        Array3::from_shape_fn((signs.len(), 6, 2), |(n, i, d)| {
            let noise = draws.normal();
            let seen = STATES.iter().position(|&state| state == i && d == 1);
            seen.map_or(noise, |at| signs[n][at] * (0.1 + noise.abs()))
        })
    }

    fn patterns(mixture: &[([f64; 3], usize)]) -> SignPatterns {
        SignPatterns::of(&samples(mixture), 1, &STATES).unwrap()
    }

    #[test]
    fn masses_are_the_mixtures() {
        let found = patterns(&MIXTURE);
        for (signs, count) in MIXTURE {
            assert_eq!(found.mass(&signs.map(|s| s > 0.0)), count as f64 / 200.0, "{signs:?}");
        }
        assert_eq!(found.mass(&[false, true, false]), 0.0);
        assert_eq!(found.modes(0.05).len(), 4);
        assert_eq!(found.modes(0.03).len(), 5);
        assert_eq!(found.modes(0.05)[0], [true; 3]);
        assert!(found.modes(0.5).is_empty());
        // Another component and other states are other clusters.
        let other = SignPatterns::of(&samples(&MIXTURE), 0, &STATES).unwrap();
        assert!(other.counts.len() == 8 && other != found);
    }

    #[test]
    fn a_mixture_beside_itself_has_ratios_of_one() {
        let found = patterns(&MIXTURE);
        assert_eq!(ModeMasses::of(&found, &found, 0.05), ModeMasses { modes: 4, ratio: Some((1.0, 1.0)) });
        assert_eq!(ModeMasses::of(&found, &found, 0.5), ModeMasses { modes: 0, ratio: None });
    }

    #[test]
    fn a_broken_mixture_fails_by_what_is_broken() {
        let reference = patterns(&MIXTURE);
        // A mode of 12 % lost to the greatest; of other sizes too, since masses are shares.
        let lost = patterns(&[MIXTURE[0], MIXTURE[0], MIXTURE[1], MIXTURE[2]]);
        let got = ModeMasses::of(&lost, &reference, 0.05);
        assert_eq!(got.modes, 4);
        let (least, most) = got.ratio.unwrap();
        assert!(least == 0.0 && (most - (160.0 / 250.0) / 0.4).abs() < 1e-12);
        // A mode that is a third too light, and one that only the set has.
        let light =
            patterns(&[MIXTURE[0], MIXTURE[1], ([1.0, -1.0, 1.0], 20), MIXTURE[3], ([-1.0, 1.0, -1.0], 16)]);
        let (least, most) = ModeMasses::of(&light, &reference, 0.05).ratio.unwrap();
        assert!((least - 2.0 / 3.0).abs() < 1e-12 && most == 1.0);
    }

    #[test]
    fn shares_are_those_of_the_pattern_that_begins_above() {
        let found = patterns(&MIXTURE);
        let got = MirrorShares::of(&found, &found, 0.05);
        // Pairs of the modes: 80 and 60; 30 and 0; 0 and 24, whose mirror image begins above.
        assert_eq!(got.pair, Some((0.0, 1.0)));
        assert_eq!(got.all, 116.0 / 200.0);
        let heavy = MirrorShares::of(&found, &found, 0.3);
        assert_eq!(heavy.pair, Some((80.0 / 140.0, 80.0 / 140.0)));
        // Either of a pair may be the reference's mode.
        let below = patterns(&[([-1.0, -1.0, -1.0], 10)]);
        assert_eq!(MirrorShares::of(&found, &below, 0.05).pair, heavy.pair);
        assert_eq!(MirrorShares::of(&below, &found, 0.3).pair, Some((0.0, 0.0)));
    }

    #[test]
    fn even_halves_are_half() {
        let halves = patterns(&[
            ([1.0, 1.0, -1.0], 40),
            ([-1.0, -1.0, 1.0], 40),
            ([1.0, 1.0, 1.0], 7),
            ([-1.0, -1.0, -1.0], 7),
        ]);
        let got = MirrorShares::of(&halves, &halves, 0.05);
        assert_eq!(got, MirrorShares { all: 0.5, pair: Some((0.5, 0.5)) });
        // Nothing where the reference's modes are: no share, and a ratio of 0 tells.
        let elsewhere = patterns(&[([1.0, -1.0, 1.0], 9)]);
        assert_eq!(MirrorShares::of(&elsewhere, &halves, 0.05).pair, None);
        assert_eq!(ModeMasses::of(&elsewhere, &halves, 0.05).ratio, Some((0.0, 0.0)));
    }

    #[test]
    fn what_cannot_be_clustered_is_an_error() {
        let x = samples(&MIXTURE);
        let none = SignPatterns::of(&x, 1, &[]);
        assert_eq!(none, Err(EvaluationError::Missing { metric: METRIC, what: "states" }));
        assert!(matches!(
            SignPatterns::of(&Array3::zeros((0, 6, 2)), 1, &STATES),
            Err(EvaluationError::Empty { .. })
        ));
        let mut bad = x;
        bad[[3, 0, 0]] = f64::NAN;
        assert!(matches!(
            SignPatterns::of(&bad, 1, &STATES),
            Err(EvaluationError::NotFinite { sample: 3, .. })
        ));
    }

    #[test]
    #[should_panic(expected = "component 2 of states of 2")]
    fn a_component_that_is_not_there_panics() {
        let _ = SignPatterns::of(&samples(&MIXTURE), 2, &STATES);
    }
}
