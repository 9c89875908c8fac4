//! What a candidate's samples are worth.

use super::Cases;
use ndarray::{Array1, ArrayD, Axis, Slice};
use sda_core::Stream;
use sda_evaluation::{
    CrpsForm, EvaluationError, RankHistogram, Summary, mean_crps, rank, residual_over_noise,
};
use sda_observe::ObserveError;
use serde::{Deserialize, Serialize};

/// How the sampling of all cases with one candidate ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Trial {
    /// All samples are there.
    Scored(Scores),
    /// So many samples left the real numbers: the candidate is out.
    Diverged(usize),
}

impl Trial {
    /// The scores, if there are any.
    pub fn scores(&self) -> Option<&Scores> {
        match self {
            Self::Scored(scores) => Some(scores),
            Self::Diverged(_) => None,
        }
    }
}

/// Scores of N samples for each of R cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Fair CRPS of each case `[R]`, mean over states and components.
    pub crps: Vec<f64>,
    /// Kolmogorov's p-value of the truths' ranks against uniform, one number a case.
    pub rank_p: f64,
    /// √(mean (y − A(x_n))²)/σ_y over cases, samples and numbers observed; 1 for the posterior.
    pub residual_over_noise: f64,
}

/// What keeps samples from being scored, worded to continue "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The operator does not apply.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A score can't be computed.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

impl Scores {
    /// Of samples beside the cases that they are of.
    ///
    /// The number that is ranked is one of a trajectory's, drawn for each case: the numbers of one trajectory depend on
    /// each other, and a p-value wants independent ones. Its ties are broken by the same stream.
    ///
    /// Shapes: `samples` [R · N, L, …], those of one case after another.
    /// Units: normalised states.
    /// Good values: N at least 16, R at least 16.
    /// Errors: fewer than two samples, a number that is not finite.
    pub fn of(samples: &ArrayD<f64>, cases: &Cases, ranked: Stream) -> Result<Self, ScoreError> {
        let (count, n) = (cases.count(), samples.len_of(Axis(0)) / cases.count());
        let predicted = cases.operator.apply(samples.view())?;
        let of_case = |all: &ArrayD<f64>, r: usize| {
            let rows = all.slice_axis(Axis(0), Slice::from(r * n..(r + 1) * n));
            let numbers = rows.len() / n;
            rows.to_shape((n, numbers)).expect("rows of a case are whole").into_owned()
        };
        let (mut crps, mut ranks, mut square) = (Vec::with_capacity(count), Vec::new(), 0.0);
        for r in 0..count {
            let (x, truth) = (of_case(samples, r), flat(&cases.truth, r));
            crps.push(mean_crps(CrpsForm::Fair, &x, &truth)?);
            let mut draws = ranked.sequence(0, r as u32);
            let number = draws.below(truth.len() as u32) as usize;
            ranks.push(rank(&x.column(number), truth[number], &mut draws)?);
            let y = flat(&cases.y, r);
            square += residual_over_noise(&of_case(&predicted, r), &y, cases.noise_std)?.powi(2);
        }
        let rank_p = RankHistogram::of(ranks, n, n + 1)?.kolmogorov()?.p_value;
        Ok(Self { crps, rank_p, residual_over_noise: (square / count as f64).sqrt() })
    }

    /// Mean CRPS over the cases, and its standard error; NaN of one case.
    pub fn mean_crps(&self) -> (f64, f64) {
        summary(self.crps.iter().copied())
    }

    /// Mean over the cases of this CRPS less another's of the same cases, and the standard error of that mean.
    pub fn above(&self, other: &Self) -> (f64, f64) {
        summary(self.crps.iter().zip(&other.crps).map(|(own, other)| own - other))
    }
}

fn summary(values: impl Iterator<Item = f64>) -> (f64, f64) {
    Summary::of(values).map_or((f64::NAN, f64::NAN), |s| (s.mean, s.standard_error))
}

/// One case's numbers.
fn flat(all: &ArrayD<f64>, case: usize) -> Array1<f64> {
    all.index_axis(Axis(0), case).iter().copied().collect()
}
