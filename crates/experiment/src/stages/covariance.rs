//! The data's covariance, for guidance that asks for it.

use super::train::Windows;
use crate::error::ExperimentError;
use crate::run::Run;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};
use sda_data::TrajectoryStore;
use sda_diffusion::{CovarianceForm, Guidance, NoisePredictor, Posterior, PriorCovariance};

const STAGE: &str = "assimilate";
/// Windows for each number of a window: the covariance's relative error is √(1/100) in each direction.
const WINDOWS_A_NUMBER: usize = 100;
/// Numbers of windows that are held all at once whatever the covariance: 128 MiB.
const SMALL: usize = 1 << 24;

/// Gives a posterior of so many states, guided by JFPS, the covariance of training trajectories, normalised: of as many
/// states as it takes.
///
/// Errors: trajectories shorter than these states; a covariance without eigenvalues.
pub(crate) fn give<P: NoisePredictor>(
    posterior: &mut Posterior<P>,
    run: &Run,
    store: &TrajectoryStore,
    length: usize,
) -> Result<(), ExperimentError> {
    if let Guidance::Jfps { covariance, .. } = posterior.guidance {
        let states = posterior.covariance_states(length);
        posterior.covariance = Some(estimate(run, store, states, covariance)?);
    }
    Ok(())
}

/// From random windows, one of each training trajectory and again, until there are enough.
fn estimate(
    run: &Run,
    store: &TrajectoryStore,
    states: usize,
    form: CovarianceForm,
) -> Result<PriorCovariance, ExperimentError> {
    let windows = Windows::of(run, store, states)?;
    let numbers = windows.window_len();
    let passes = (WINDOWS_A_NUMBER * numbers).div_ceil(windows.training.len());
    let rows = windows_of_a_part(numbers);
    let batches = (0..passes).flat_map(|pass| windows.epoch(pass, rows));
    let covariance = Scatter::of_all(batches, numbers, rows)?.covariance();
    PriorCovariance::of(&covariance, form, states).map_err(ExperimentError::stage(STAGE))
}

/// Windows that are held at once: as large as the covariance, or all of the few that small ones have.
fn windows_of_a_part(numbers: usize) -> usize {
    (SMALL / numbers).max(numbers)
}

/// S = Σ (x − m)(x − m)ᵀ of N windows, and their mean m.
///
/// Shapes: `mean` [M], `products` [M, M].
struct Scatter {
    count: f64,
    mean: Array1<f64>,
    products: Array2<f64>,
}

impl Scatter {
    /// Of batches of windows, about `rows` of them at once.
    fn of_all(
        batches: impl Iterator<Item = Result<Vec<f32>, ExperimentError>>,
        numbers: usize,
        rows: usize,
    ) -> Result<Self, ExperimentError> {
        let (mean, products) = (Array1::zeros(numbers), Array2::zeros((numbers, numbers)));
        let mut all = Self { count: 0.0, mean, products };
        let mut part = Vec::new();
        for batch in batches {
            part.extend(batch?.into_iter().map(f64::from));
            if part.len() >= rows * numbers {
                all.add(&Self::of(std::mem::take(&mut part), numbers)?);
            }
        }
        if !part.is_empty() {
            all.add(&Self::of(part, numbers)?);
        }
        Ok(all)
    }

    /// Of windows one after another, [N, M] flat.
    fn of(values: Vec<f64>, numbers: usize) -> Result<Self, ExperimentError> {
        let mut x = Array2::from_shape_vec((values.len() / numbers, numbers), values)
            .map_err(ExperimentError::stage(STAGE))?;
        let count = x.nrows() as f64;
        let mean = x.sum_axis(Axis(0)) / count;
        x -= &mean;
        Ok(Self { count, mean, products: x.t().dot(&x) })
    }

    /// Takes other windows in, of which there is at least one.
    ///
    ///   S ← S + S' + (N N'/(N + N')) (m' − m)(m' − m)ᵀ
    ///
    /// Source: Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    fn add(&mut self, other: &Self) {
        let count = self.count + other.count;
        let shift = (&other.mean - &self.mean).insert_axis(Axis(1));
        self.products += &other.products;
        let weight = self.count * other.count / count;
        general_mat_mul(weight, &shift, &shift.t(), 1.0, &mut self.products);
        self.mean.scaled_add(other.count / count, &shift.column(0));
        self.count = count;
    }

    fn covariance(self) -> Array2<f64> {
        self.products / (self.count - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 22 windows of 3 numbers with a mean of their own, which drifts.
    fn windows() -> Vec<f32> {
        (0..66).map(|i| ((i * i) as f32 * 0.37).sin() + 0.1 * i as f32 + (i % 3) as f32).collect()
    }

    fn covariance(values: &[f32], batch: usize, rows: usize) -> Array2<f64> {
        let batches = values.chunks(3 * batch).map(|batch| Ok(batch.to_vec()));
        Scatter::of_all(batches, 3, rows).unwrap().covariance()
    }

    fn whole(values: &[f32]) -> PriorCovariance {
        let samples = values.iter().copied().map(f64::from).collect();
        let samples = Array2::from_shape_vec((values.len() / 3, 3), samples).unwrap();
        PriorCovariance::estimate(&samples, CovarianceForm::LowRank { modes: 3 }, 1).unwrap()
    }

    fn of(covariance: &Array2<f64>) -> PriorCovariance {
        PriorCovariance::of(covariance, CovarianceForm::LowRank { modes: 3 }, 1).unwrap()
    }

    #[test]
    fn one_part_has_the_bits_of_all_windows_at_once() {
        let values = windows();
        for batch in [22, 5, 1] {
            assert_eq!(of(&covariance(&values, batch, 22)), whole(&values), "batches of {batch}");
        }
    }

    #[test]
    fn parts_of_any_size_have_the_covariance_of_all() {
        let values = windows();
        let expected = covariance(&values, 22, 22);
        for rows in [1, 2, 7, 21] {
            let found = covariance(&values, 1, rows);
            let error = (&found - &expected).iter().fold(0.0_f64, |m, d| m.max(d.abs()));
            assert!(error < 1e-13 * expected[[0, 0]], "parts of {rows}: {error}");
        }
    }

    /// 13 GB at 4096 numbers, were all windows held.
    #[test]
    fn what_is_held_is_as_large_as_the_covariance_at_most() {
        for numbers in [1, 195, 409, 4096] {
            let (held, all) = (windows_of_a_part(numbers) * numbers, WINDOWS_A_NUMBER * numbers * numbers);
            assert!(held <= SMALL.max(numbers * numbers), "{numbers}: {held}");
            assert_eq!(held >= all, numbers <= 409, "{numbers}: all windows of a small covariance");
        }
    }
}
