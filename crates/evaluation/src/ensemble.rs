//! An ensemble beside the truth that it is judged by.

use ndarray::{ArrayRef, Dimension};
use rayon::prelude::*;

use crate::distance::rows;
use crate::error::EvaluationError;

/// N ≥ 1 samples and a truth of D ≥ 1 numbers, all finite.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ensemble {
    /// [D, N], row-major: the samples of one number lie together.
    samples: Vec<f64>,
    truth: Vec<f64>,
}

impl Ensemble {
    /// Of samples [N, …] and a truth […], flattened.
    ///
    /// Errors: shapes that disagree, fewer samples than `least`, an empty truth, a number that is not finite.
    pub(crate) fn new<S: Dimension, T: Dimension>(
        metric: &'static str,
        least: usize,
        samples: &ArrayRef<f64, S>,
        truth: &ArrayRef<f64, T>,
    ) -> Result<Self, EvaluationError> {
        if samples.shape().get(1..) != Some(truth.shape()) {
            let (samples, truth) = (samples.shape().to_vec(), truth.shape().to_vec());
            return Err(EvaluationError::Shapes { metric, samples, truth });
        }
        if truth.is_empty() {
            return Err(EvaluationError::Missing { metric, what: "numbers in the truth" });
        }
        let rows = rows(metric, "drawn", samples)?;
        if rows.nrows() < least {
            return Err(EvaluationError::TooFew { metric, found: rows.nrows(), least });
        }
        if let Some(number) = truth.iter().position(|y| !y.is_finite()) {
            return Err(EvaluationError::TruthNotFinite { metric, number });
        }
        Ok(Self { samples: rows.t().iter().copied().collect(), truth: truth.iter().copied().collect() })
    }

    /// N.
    pub(crate) fn size(&self) -> usize {
        self.samples.len() / self.truth.len()
    }

    /// D.
    pub(crate) fn numbers(&self) -> usize {
        self.truth.len()
    }

    /// A function of every number's index, samples and truth, in parallel; it may reorder the samples.
    pub(crate) fn map<R: Send>(mut self, of: impl Fn(usize, &mut [f64], f64) -> R + Sync) -> Vec<R> {
        let size = self.size();
        let numbers = self.samples.par_chunks_exact_mut(size).zip(&self.truth).enumerate();
        numbers.map(|(number, (samples, &truth))| of(number, samples, truth)).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Array3, arr0, array};

    use super::*;

    #[test]
    fn samples_of_one_number_lie_together() {
        let samples = Array3::from_shape_fn((3, 2, 2), |(n, i, j)| (100 * n + 10 * i + j) as f64);
        let ensemble = Ensemble::new("test", 1, &samples, &array![[0.5, 1.5], [2.5, 3.5]]).unwrap();
        assert_eq!((ensemble.size(), ensemble.numbers()), (3, 4));
        let seen = ensemble.map(|number, samples, truth| (number, samples.to_vec(), truth));
        assert_eq!(seen[1], (1, vec![1.0, 101.0, 201.0], 1.5));
        assert_eq!(seen[2], (2, vec![10.0, 110.0, 210.0], 2.5));
    }

    #[test]
    fn bad_ensembles_are_errors() {
        let (x, y) = (Array2::<f64>::zeros((3, 2)), Array1::<f64>::zeros(2));
        let shapes = Ensemble::new("test", 1, &x, &Array1::<f64>::zeros(3)).unwrap_err();
        assert_eq!(
            shapes.to_string(),
            "compute test: samples of shape [3, 2] for a truth of shape [3], expected [N, …] for […]"
        );
        assert!(matches!(Ensemble::new("test", 1, &y, &y), Err(EvaluationError::Shapes { .. })));
        assert!(matches!(Ensemble::new("test", 1, &arr0(1.0), &y), Err(EvaluationError::Shapes { .. })));
        assert!(matches!(
            Ensemble::new("test", 4, &x, &y),
            Err(EvaluationError::TooFew { found: 3, least: 4, .. })
        ));
        let none = Array2::zeros((0, 2));
        assert!(matches!(
            Ensemble::new("test", 1, &none, &y),
            Err(EvaluationError::Empty { set: "drawn", .. })
        ));
        let (narrow, nothing) = (Array2::zeros((3, 0)), Array1::zeros(0));
        assert!(matches!(Ensemble::new("test", 1, &narrow, &nothing), Err(EvaluationError::Missing { .. })));
        let bad = array![[0.0, 0.0], [0.0, f64::NAN]];
        assert!(matches!(
            Ensemble::new("test", 1, &bad, &y),
            Err(EvaluationError::NotFinite { sample: 1, .. })
        ));
        let bad = array![0.0, f64::INFINITY];
        assert!(matches!(
            Ensemble::new("test", 1, &x, &bad),
            Err(EvaluationError::TruthNotFinite { number: 1, .. })
        ));
    }
}
