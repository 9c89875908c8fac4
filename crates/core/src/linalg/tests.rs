//! Laws of every factorisation over awkward sizes, and agreement with plain loops.

mod laws;
mod refusals;
mod stored;

use ndarray::{Array2, ArrayRef, Dimension};

use crate::Stream;

/// One, primes, a power of two, one past it.
const SIZES: [usize; 6] = [1, 2, 3, 7, 32, 65];

/// Entries uniform on [−1, 1).
fn uniform(m: usize, n: usize, row: u32) -> Array2<f64> {
    let mut draws = Stream::new(17, 0).sequence((m * 1000 + n) as u32, row);
    Array2::from_shape_simple_fn((m, n), || 2.0 * draws.uniform() - 1.0)
}

/// B Bᵀ/n + 1/10, condition at most about 40.
fn positive_definite(n: usize, row: u32) -> Array2<f64> {
    let b = uniform(n, n, row);
    b.dot(&b.t()) / n as f64 + Array2::<f64>::eye(n) * 0.1
}

fn symmetric(n: usize, row: u32) -> Array2<f64> {
    let b = uniform(n, n, row);
    &b + &b.t()
}

/// ‖a − b‖ ≤ tolerance (1 + ‖b‖), in Frobenius' norm.
#[track_caller]
fn assert_close<D: Dimension>(a: &ArrayRef<f64, D>, b: &ArrayRef<f64, D>, tolerance: f64) {
    assert_eq!(a.shape(), b.shape());
    let norm = |sum: f64| sum.sqrt();
    let error = norm(a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum());
    let size = norm(b.iter().map(|b| b * b).sum());
    assert!(error <= tolerance * (1.0 + size), "error {error:e} beside {size:e} at shape {:?}", a.shape());
}
