//! Summary statistics for tables.

use crate::quantile::quantile_sorted;

/// What a table says of a set of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// n.
    pub count: usize,
    /// x̄.
    pub mean: f64,
    /// √(Σ (x − x̄)² / (n − 1)); NaN for a single value.
    pub std: f64,
    /// std / √n, the standard error of the mean of independent values.
    pub standard_error: f64,
    /// Least value.
    pub min: f64,
    /// Middle value.
    pub median: f64,
    /// Greatest value.
    pub max: f64,
}

impl Summary {
    /// Of any numbers; `None` of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        let count = values.len();
        if count == 0 {
            return None;
        }
        let n = count as f64;
        let mean = values.iter().sum::<f64>() / n;
        let std = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        values.sort_unstable_by(f64::total_cmp);
        Some(Self {
            count,
            mean,
            std,
            standard_error: std / n.sqrt(),
            min: values[0],
            median: quantile_sorted(&values, 0.5),
            max: values[count - 1],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_case_by_hand() {
        let s = Summary::of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((s.count, s.mean, s.min, s.median, s.max), (8, 5.0, 2.0, 4.5, 9.0));
        assert!((s.std - (32.0f64 / 7.0).sqrt()).abs() < 1e-15);
        assert!((s.standard_error - (4.0f64 / 7.0).sqrt()).abs() < 1e-15);
        assert_eq!(Summary::of([]), None);
        assert!(Summary::of([1.0]).unwrap().std.is_nan());
    }
}
