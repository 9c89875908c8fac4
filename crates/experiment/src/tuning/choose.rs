//! Which candidate is taken.

use super::{Scores, Trial};
use serde::{Deserialize, Serialize};

/// What refutes a candidate.
///
/// Good values: p 0.01; a residual of 0.85 … 1.15, since the mean square of 9 numbers in each of 32 trajectories scatters
/// by 8 %, and networks are not exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Smallest p-value of the ranks.
    #[serde(default = "hundredth")]
    pub least_p: f64,
    /// Band of the residual over the noise, ends included.
    #[serde(default = "band")]
    pub residual: (f64, f64),
}

impl Default for Rule {
    fn default() -> Self {
        Self { least_p: hundredth(), residual: band() }
    }
}

fn hundredth() -> f64 {
    0.01
}

fn band() -> (f64, f64) {
    (0.85, 1.15)
}

/// How a candidate came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Standing {
    /// Taken.
    Chosen,
    /// Not refuted, not told from the best by a standard error, and dearer than the chosen one.
    Dearer,
    /// Not refuted, and worse than the best by more than a standard error.
    Worse,
    /// Residual or ranks are not a posterior's.
    Refuted,
    /// Samples left the real numbers.
    Diverged,
}

/// The choice among some candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Position of the one taken.
    pub chosen: usize,
    /// Position of the best CRPS, among those not refuted where there are any.
    pub best: usize,
    /// How each came out.
    pub standings: Vec<Standing>,
    /// Whether all are refuted, so that the best CRPS was taken.
    pub all_refuted: bool,
}

impl Rule {
    /// Whether residual or ranks are not a posterior's.
    pub fn refutes(&self, scores: &Scores) -> bool {
        let (lowest, highest) = self.residual;
        scores.rank_p < self.least_p || !(lowest..=highest).contains(&scores.residual_over_noise)
    }
}

/// The cheapest of those that are not refuted and within a paired standard error of the best CRPS.
///
///   among { c : p_c ≥ least_p, residual_c in its band }:  b = argmin mean_r CRPS_cr
///   chosen = argmin evaluations_c over { c : mean_r (CRPS_cr − CRPS_br) ≤ standard error of that mean }
///
/// Of equal evaluations the lower CRPS is taken, of equal CRPS the earlier. Where all are refuted, the best CRPS is taken.
///
/// Shapes: `trials` and `evaluations` one for each candidate; all trials of the same cases.
/// Errors: `None` where all diverged, or there are none.
/// Source: the one-standard-error rule, Breiman, Friedman, Olshen & Stone 1984, section 3.4.3.
pub fn choose(trials: &[Trial], evaluations: &[usize], rule: &Rule) -> Option<Choice> {
    let scored: Vec<Placed<'_>> =
        trials.iter().enumerate().filter_map(|(i, trial)| Some((i, trial.scores()?))).collect();
    let standing: Vec<Placed<'_>> = scored.iter().copied().filter(|(_, s)| !rule.refutes(s)).collect();
    let all_refuted = standing.is_empty();
    let (best, of_best) = least_crps(if all_refuted { &scored } else { &standing })?;
    let is_close = |(i, scores): &Placed<'_>| {
        let (above, error) = scores.above(of_best);
        *i == best || above <= error
    };
    let close: Vec<Placed<'_>> = standing.iter().copied().filter(is_close).collect();
    let fewest = close.iter().map(|(i, _)| evaluations[*i]).min();
    let cheapest: Vec<Placed<'_>> =
        close.iter().copied().filter(|(i, _)| Some(evaluations[*i]) == fewest).collect();
    let cheapest = least_crps(&cheapest);
    let chosen = cheapest.map_or(best, |(i, _)| i);
    let has = |of: &[Placed<'_>], i: usize| of.iter().any(|(j, _)| *j == i);
    let standings = trials.iter().enumerate().map(|(i, trial)| match trial {
        _ if i == chosen => Standing::Chosen,
        Trial::Diverged(_) => Standing::Diverged,
        Trial::Scored(_) if has(&close, i) => Standing::Dearer,
        Trial::Scored(_) if has(&standing, i) => Standing::Worse,
        Trial::Scored(_) => Standing::Refuted,
    });
    Some(Choice { chosen, best, standings: standings.collect(), all_refuted })
}

/// Scores and their candidate's position.
type Placed<'a> = (usize, &'a Scores);

/// The first of those with the lowest mean.
fn least_crps<'a>(scored: &[Placed<'a>]) -> Option<Placed<'a>> {
    let mean = |placed: &Placed<'_>| placed.1.mean_crps().0;
    scored.iter().copied().min_by(|a, b| mean(a).total_cmp(&mean(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores with this CRPS, ± `spread` on two cases, which are not refuted.
    fn scored(crps: f64, spread: f64) -> Trial {
        Trial::Scored(Scores {
            crps: vec![crps - spread, crps + spread],
            rank_p: 0.5,
            residual_over_noise: 1.0,
        })
    }

    fn refuted(crps: f64, rank_p: f64, residual_over_noise: f64) -> Trial {
        Trial::Scored(Scores { crps: vec![crps; 2], rank_p, residual_over_noise })
    }

    #[track_caller]
    fn check(trials: &[Trial], evaluations: &[usize], standings: &[Standing], all_refuted: bool) {
        let choice = choose(trials, evaluations, &Rule::default()).unwrap();
        assert_eq!((&choice.standings[..], choice.all_refuted), (standings, all_refuted));
        assert_eq!(choice.standings[choice.chosen], Standing::Chosen);
    }

    #[test]
    fn the_cheapest_within_a_paired_standard_error() {
        use Standing::{Chosen, Dearer, Worse};
        // Differences of 0.1 ± 0.2 and 0.3 ± 0.2 to the best.
        let trials = [scored(1.0, 0.0), scored(1.1, 0.2), scored(1.3, 0.2)];
        check(&trials, &[30, 20, 10], &[Dearer, Chosen, Worse], false);
        check(&trials, &[10, 20, 30], &[Chosen, Dearer, Worse], false);
        // Paired: cases that scatter together are told apart.
        check(&[scored(1.0, 5.0), scored(1.1, 5.0)], &[20, 10], &[Chosen, Worse], false);
    }

    #[test]
    fn of_equal_cost_the_lower_crps_and_then_the_earlier() {
        use Standing::{Chosen, Dearer};
        check(&[scored(1.1, 0.2), scored(1.0, 0.0)], &[10, 10], &[Dearer, Chosen], false);
        check(&[scored(1.0, 0.0), scored(1.0, 0.0)], &[10, 10], &[Chosen, Dearer], false);
    }

    #[test]
    fn what_is_refuted_is_taken_only_where_all_are() {
        use Standing::{Chosen, Diverged, Refuted};
        let (ranks, low, high) = (refuted(0.1, 0.009, 1.0), refuted(0.2, 0.5, 0.84), refuted(0.3, 0.5, 1.16));
        let all = [ranks.clone(), low.clone(), high.clone(), Trial::Diverged(1)];
        check(&all, &[10, 9, 8, 7], &[Chosen, Refuted, Refuted, Diverged], true);
        check(
            &[ranks, low, high, scored(9.0, 0.0)],
            &[1, 1, 1, 9],
            &[Refuted, Refuted, Refuted, Chosen],
            false,
        );
        check(
            &[refuted(1.0, 0.01, 0.85), refuted(2.0, 0.01, 1.15)],
            &[1, 2],
            &[Chosen, Standing::Worse],
            false,
        );
    }

    #[test]
    fn one_case_has_no_standard_error_and_the_best_is_taken() {
        let one = |crps| Trial::Scored(Scores { crps: vec![crps], rank_p: 1.0, residual_over_noise: 1.0 });
        check(&[one(1.0), one(1.1)], &[20, 10], &[Standing::Chosen, Standing::Worse], false);
    }

    #[test]
    fn nothing_is_chosen_of_none_and_of_what_diverged() {
        assert_eq!(choose(&[], &[], &Rule::default()), None);
        assert_eq!(choose(&[Trial::Diverged(3)], &[1], &Rule::default()), None);
    }
}
