//! The table of exact comparisons: predictor and corrector under SDA guidance, whole and composed scores.

use super::affine::{Expectation, propagate, scores};
use super::chain::{ExactPosterior, Seen, composed_noise, covariance, exact_noise};
use crate::sampler::Sampler;

const LENGTH: usize = 65;
const LO: Seen = Seen { every: 8, noise_std: 0.05 };
const HI: Seen = Seen { every: 1, noise_std: 0.25 };

fn sampler(corrections: u32) -> Sampler {
    Sampler { steps: 128, corrections, ..Sampler::default() }
}

/// Units of the last digit printed. One entry (k = 2, lo, C = 1: .46847) was printed as .469, rounded twice.
const TOLERANCE: f64 = 0.55;

/// Bias, spread and W2 as printed, so that their last digits carry the tolerance.
type Row = (Seen, u32, [&'static str; 3]);

fn check(order: Option<usize>, rows: &[Row; 4]) {
    let whole = covariance(LENGTH);
    for &(seen, corrections, want) in rows {
        let exact = ExactPosterior::new(LENGTH, seen);
        let over = Expectation::Over(exact.observation_covariance.clone());
        let prior = |mu, sigma| match order {
            None => exact_noise(&whole, mu, sigma),
            Some(k) => composed_noise(LENGTH, k, mu, sigma),
        };
        let moments = propagate(&sampler(corrections), &seen.operator(LENGTH), seen, 0.03, &over, prior);
        for (got, want) in scores(&moments, &exact).into_iter().zip(want) {
            let digits = want.len() - want.find('.').unwrap() - 1;
            let tolerance = TOLERANCE * 10f64.powi(-(digits as i32));
            let number: f64 = want.parse().unwrap();
            let at = format!("order {order:?}, every {}, {corrections} corrections", seen.every);
            assert!((got - number).abs() <= tolerance, "{at}: {got} is not {want}");
        }
    }
}

#[test]
fn whole_trajectory_score() {
    check(
        None,
        &[
            (LO, 0, [".142", ".815", ".0554"]),
            (LO, 1, [".129", ".924", ".0316"]),
            (HI, 0, [".317", ".749", ".0861"]),
            (HI, 1, [".110", ".950", ".0222"]),
        ],
    );
}

#[test]
fn composed_score_of_order_2() {
    check(
        Some(2),
        &[
            (LO, 0, ["3.40", "3.47", ".778"]),
            (LO, 1, ["2.11", "2.38", ".469"]),
            (HI, 0, ["2.46", "2.78", ".545"]),
            (HI, 1, ["1.23", "1.88", ".273"]),
        ],
    );
}

#[test]
fn composed_score_of_order_4() {
    check(
        Some(4),
        &[
            (LO, 0, ["1.58", "2.58", ".425"]),
            (LO, 1, [".33", "1.37", ".106"]),
            (HI, 0, [".85", "1.86", ".252"]),
            (HI, 1, [".24", "1.18", ".066"]),
        ],
    );
}
