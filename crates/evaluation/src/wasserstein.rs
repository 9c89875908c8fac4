//! The earth mover's distance between two sets of samples, exactly.

use ndarray::{Array2, ArrayRef, Axis, Dimension};

use crate::assignment::assign;
use crate::distance::{rows, squared_distances};
use crate::error::EvaluationError;

/// The largest assignment solved for unequal sizes (2 GiB of costs).
const LARGEST: usize = 16_384;

/// Wasserstein distance of order 1 between two sets with uniform weights, Euclidean cost on flattened samples.
///
///   W1 = min over couplings π of Σ_ij π_ij ‖x_i − y_j‖
///
/// Unequal sizes are brought to their least common multiple by repeating samples, which keeps the answer exact.
///
/// Shapes: `x` [N, …], `y` [M, …], the same length per sample.
/// Errors: an empty set, a sample that is not finite, unequal sizes with a least common multiple over 16384.
/// Panics: the samples differ in length.
pub fn wasserstein1<S: Dimension>(
    x: &ArrayRef<f64, S>,
    y: &ArrayRef<f64, S>,
) -> Result<f64, EvaluationError> {
    let (x, y) = (rows("W1", "first", x)?, rows("W1", "second", y)?);
    let (n, m) = (x.nrows(), y.nrows());
    let common = n / greatest_common_divisor(n, m) * m;
    if n != m && common > LARGEST {
        return Err(EvaluationError::Sizes { n, m, common, limit: LARGEST });
    }
    let mut costs = squared_distances(&x, &y);
    costs.mapv_inplace(f64::sqrt);
    let costs = repeat(&costs, common / n, common / m);
    Ok(assign(&costs).cost / common as f64)
}

/// Every row `rows` times, every column `columns` times.
fn repeat(costs: &Array2<f64>, rows: usize, columns: usize) -> std::borrow::Cow<'_, Array2<f64>> {
    if rows == 1 && columns == 1 {
        return std::borrow::Cow::Borrowed(costs);
    }
    let index = |len: usize, times: usize| (0..len * times).map(|i| i / times).collect::<Vec<_>>();
    let tall = costs.select(Axis(0), &index(costs.nrows(), rows));
    std::borrow::Cow::Owned(tall.select(Axis(1), &index(costs.ncols(), columns)))
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array3};
    use proptest::prelude::*;
    use sda_core::Stream;

    use super::*;
    use crate::reference::Case;

    #[test]
    fn reference_case() {
        let case = Case::read("metrics_two_sample");
        let got = wasserstein1(&case.tensor("in.x"), &case.tensor("in.y")).unwrap();
        let want = case.scalar("out.emd");
        assert!((got - want).abs() < 1e-6 * want, "{got} is not {want}");
    }

    /// ∫ |F⁻¹ − G⁻¹| on the line.
    fn sorted_distance(mut x: Vec<f64>, mut y: Vec<f64>) -> f64 {
        x.sort_by(f64::total_cmp);
        y.sort_by(f64::total_cmp);
        let common = x.len() * y.len();
        (0..common).map(|k| (x[k / y.len()] - y[k / x.len()]).abs()).sum::<f64>() / common as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn on_the_line_the_sorted_samples_are_matched(
            x in prop::collection::vec(-5.0..5.0, 1..24), y in prop::collection::vec(-5.0..5.0, 1..24)
        ) {
            let (a, b) = (Array1::from(x.clone()), Array1::from(y.clone()));
            let got = wasserstein1(&a, &b).unwrap();
            prop_assert!((got - sorted_distance(x, y)).abs() < 1e-12);
        }
    }

    #[test]
    fn distance_laws() {
        let mut x = Array3::<f64>::zeros((64, 5, 3));
        Stream::new(4, 0).fill_normal(0, 0, 15, x.as_slice_mut().unwrap());
        let shifted = &x + 0.5;
        assert_eq!(wasserstein1(&x, &x).unwrap(), 0.0);
        // A translation is optimal: the distance is its length.
        let there = wasserstein1(&x, &shifted).unwrap();
        assert!((there - 0.5 * 15f64.sqrt()).abs() < 1e-12);
        let back = wasserstein1(&shifted, &x).unwrap();
        assert!((there - back).abs() < 1e-12);
        // Every sample twice is the same measure.
        let twice = x.select(Axis(0), &(0..128).map(|i| i % 64).collect::<Vec<_>>());
        assert!(wasserstein1(&twice, &x).unwrap() < 1e-12);
    }

    #[test]
    fn bad_sets_are_errors() {
        let x = Array1::from(vec![0.0, 1.0]);
        let empty = Array1::<f64>::zeros(0);
        let bad = Array1::from(vec![0.0, f64::NAN]);
        assert!(matches!(wasserstein1(&x, &empty), Err(EvaluationError::Empty { set: "second", .. })));
        assert!(matches!(wasserstein1(&bad, &x), Err(EvaluationError::NotFinite { sample: 1, .. })));
        let (a, b) = (Array1::<f64>::zeros(1009), Array1::<f64>::zeros(1013));
        assert!(matches!(wasserstein1(&a, &b), Err(EvaluationError::Sizes { .. })));
    }
}
