//! Comparison of tensors by ‖out − ref‖ / ‖ref‖, and what was not compared.
//!
//! The cases were computed from f64 inputs and stored as f32. Where a result hangs on the digits that were lost (a
//! density with a small noise, a weight whose gradient all but vanishes), the exact answer to what is stored is further
//! from the reference than the tolerance; how much further is measured, by moving the inputs within their last digit.

use std::collections::BTreeMap;

use ndarray::ArrayD;

use crate::reference::Case;

/// Largest relative errors that still tell right from wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    /// Outputs and input gradients.
    pub(super) values: f64,
    /// Gradients of weights.
    pub(super) weight_gradients: f64,
    /// Results of a sampler.
    pub(super) samples: f64,
    /// Changes of weights by a training.
    pub(super) weight_changes: f64,
}

/// In f64; both ends of a weight's change were stored as f32, hence its tolerance.
pub(super) const DOUBLE: Tolerance =
    Tolerance { values: 1e-6, weight_gradients: 1e-6, samples: 1e-6, weight_changes: 3e-5 };

/// In f32: layer norm by std + ε misses `values` by 3e-6, wrong correctors miss `samples` by 7e-2.
pub(super) const SINGLE: Tolerance =
    Tolerance { values: 2e-6, weight_gradients: 5e-6, samples: 1e-4, weight_changes: 3e-5 };

/// How many times the effect of rounding a case's inputs may be added to what a tolerance allows.
const ROUNDING_FACTOR: f64 = 2.0;

/// A tensor further from its reference than its tolerance.
struct Excess {
    name: String,
    error: f64,
    tolerance: f64,
}

/// What was compared of one case, and with what result.
pub(super) struct Report<'c> {
    case: &'c Case,
    pub(super) tolerance: Tolerance,
    values: BTreeMap<String, ArrayD<f64>>,
    excesses: Vec<Excess>,
    failures: Vec<String>,
    worst: f64,
}

impl<'c> Report<'c> {
    pub(super) fn new(case: &'c Case, tolerance: Tolerance) -> Self {
        let (values, excesses, failures) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { case, tolerance, values, excesses, failures, worst: 0.0 }
    }

    pub(super) fn fail(&mut self, why: impl std::fmt::Display) {
        self.failures.push(format!("{}: {why}", self.case.name));
    }

    /// A tensor of the case against ours, in the case's layout.
    pub(super) fn compare(&mut self, name: &str, got: &ArrayD<f64>, tolerance: f64) {
        let want = self.case.tensor(name).clone();
        self.compare_with(name, got, &want, tolerance);
    }

    /// As [`Report::compare`], where what is compared is made from the tensor `name`.
    pub(super) fn compare_with(&mut self, name: &str, got: &ArrayD<f64>, want: &ArrayD<f64>, tolerance: f64) {
        self.values.insert(name.into(), got.clone());
        if got.shape() != want.shape() {
            return self.fail(format!("`{name}` has shape {:?}, not {:?}", got.shape(), want.shape()));
        }
        let error = distance(got, want);
        self.worst = self.worst.max(error / tolerance);
        if error.is_nan() || error > tolerance {
            self.excesses.push(Excess { name: name.into(), error, tolerance });
        }
    }

    /// Whether a tensor is further off than its tolerance.
    pub(super) fn exceeds(&self) -> bool {
        !self.excesses.is_empty()
    }

    /// Forgives what rounding the case's inputs to f32 explains: `exact` is the case as stored, and `rounded` the same
    /// with its inputs moved within half of their last digit, all in f64.
    pub(super) fn allow_for_rounding(&mut self, exact: &Report<'_>, rounded: &[Report<'_>]) {
        self.excesses.retain(|excess| {
            let effect = |report: &Report<'_>| -> Option<f64> {
                let (a, b) = (exact.values.get(&excess.name)?, report.values.get(&excess.name)?);
                (a.shape() == b.shape()).then(|| distance(b, a))
            };
            let effect = rounded.iter().filter_map(effect).fold(0.0, f64::max);
            excess.error.is_nan() || excess.error > excess.tolerance + ROUNDING_FACTOR * effect
        });
    }

    /// Everything that went wrong, results of the case that nothing was compared with among it.
    pub(super) fn failures(mut self) -> Vec<String> {
        for Excess { name, error, tolerance } in std::mem::take(&mut self.excesses) {
            self.fail(format!("`{name}` is off by {error:.2e} (allowed: {tolerance:.0e})"));
        }
        let is_buffer = |name: &str| name.ends_with("embedding.freqs") || name.ends_with("forcing");
        let is_result = |name: &str| name.starts_with("out.") || name.starts_with("grad.");
        let results = self.case.tensors.keys().filter(|n| is_result(n) && !is_buffer(n));
        let missed: Vec<String> = results.filter(|n| !self.values.contains_key(*n)).cloned().collect();
        for name in missed {
            self.fail(format!("`{name}` was not compared"));
        }
        if self.values.is_empty() {
            self.fail("nothing was compared");
        }
        println!("{}: worst {:.2} of its tolerance", self.case.name, self.worst);
        self.failures
    }
}

/// ‖a − b‖ / ‖b‖, 0 where both are zeros.
fn distance(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    let norm = |array: &ArrayD<f64>| array.iter().map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&(a - b));
    if difference == 0.0 { 0.0 } else { difference / norm(b) }
}
