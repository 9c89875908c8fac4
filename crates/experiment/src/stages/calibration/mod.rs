//! Whether samples are calibrated: each case beside its truth, and what the cases say together.

mod histogram;
mod pooled;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use histogram::histograms;
pub(crate) use pooled::pooled;
pub(crate) use table::table;

use super::observe::Observed;
use ndarray::{Array2, Array3, ArrayRef1, Axis};
use sda_core::Stream;
use sda_core::random::Sequence;
use sda_evaluation::{Coverage, CoverageCounts, CrpsForm, EvaluationError, SpreadSkillSums, mean_crps, rank};
use sda_systems::Normalisation;

/// Stream that chooses the ranked number of each case, breaks its ties and spreads its rank.
const RANKS: u32 = 0x0900;
/// Levels of the intervals whose coverage is counted.
const LEVELS: [f64; 2] = [0.5, 0.9];

/// The draws of one case, the same for the reference's samples and for all of ours.
pub(crate) fn draws(seed: u64, o: &Observed) -> Sequence {
    Stream::new(seed, RANKS).sequence(o.kind as u32, o.trajectory as u32)
}

/// Scores of one case: samples beside the truth that they are to be exchangeable with.
///
/// - `crps`: fair CRPS, mean over states and components;
/// - `rmse`, `rmse_normalised`: of the samples' mean;
/// - `spread`, `spread_skill`: √(mean variance), and √(1 + 1/N) times it over `rmse_normalised`;
/// - `coverage_50`, `coverage_90`: shares of states and components inside the central intervals;
/// - `rank`: [`relative_rank`] of one state's one component, drawn at random.
///
/// One number alone is ranked, since those of a trajectory depend on each other: so the ranks of many cases are
/// independent. The means have the right expectation for all that.
///
/// Shapes: `samples` [N, L, D], `truth` [L, D].
/// Units: both physical; `rmse` is physical too, `crps`, `rmse_normalised` and `spread` are the normalisation's.
/// Errors: fewer than two samples, no states, a number that is not finite.
pub(crate) fn of_case(
    samples: &Array3<f64>,
    truth: &Array2<f64>,
    normalisation: &Normalisation,
    draws: &mut Sequence,
) -> Result<Vec<(&'static str, f64)>, EvaluationError> {
    let mut physical = SpreadSkillSums::default();
    physical.add(samples, truth)?;
    let rmse = physical.finish()?.rmse;
    let number = draws.below(truth.len() as u32) as usize;
    let (state, component) = (number / truth.ncols(), number % truth.ncols());
    let ranked = samples.index_axis(Axis(1), state).index_axis_move(Axis(1), component).to_owned();
    let rank = relative_rank(&ranked, truth[[state, component]], draws)?;
    let (mut samples, mut truth) = (samples.clone(), truth.clone());
    normalisation.normalise(&mut samples);
    normalisation.normalise(&mut truth);
    let mut sums = SpreadSkillSums::default();
    sums.add(&samples, &truth)?;
    let normalised = sums.finish()?;
    let [half, nine_tenths] = coverage(&samples, &truth)?.map(|c| c.share);
    Ok(vec![
        ("crps", mean_crps(CrpsForm::Fair, &samples, &truth)?),
        ("rmse", rmse),
        ("rmse_normalised", normalised.rmse),
        ("spread", normalised.spread),
        ("spread_skill", normalised.ratio),
        ("coverage_50", half),
        ("coverage_90", nine_tenths),
        ("rank", rank),
    ])
}

fn coverage(samples: &Array3<f64>, truth: &Array2<f64>) -> Result<[Coverage; 2], EvaluationError> {
    let mut counts = CoverageCounts::new(&LEVELS)?;
    counts.add(samples, truth)?;
    Ok(counts.finish()?.try_into().expect("one coverage a level"))
}

/// Where a truth ranks among its samples, as a number in [0, 1): uniform where they are exchangeable, for any N, so that
/// cases from which samples were lost stand beside the others.
///
///   (rank + U)/(N + 1), U uniform on [0, 1)
///
/// Shapes: `samples` `[N]`.
/// Errors: no samples, a number that is not finite.
pub(crate) fn relative_rank(
    samples: &ArrayRef1<f64>,
    truth: f64,
    draws: &mut Sequence,
) -> Result<f64, EvaluationError> {
    let rank = rank(samples, truth, draws)? as f64;
    Ok((rank + draws.uniform()) / (samples.len() as f64 + 1.0))
}

/// The bin of a relative rank, of some that are all equally wide.
fn bin(rank: f64, bins: usize) -> usize {
    ((rank * bins as f64) as usize).min(bins - 1)
}
