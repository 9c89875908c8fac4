use sda_core::Stream;
use sda_observe::Operator;

use super::*;
use crate::interpret::evaluate;

/// ε = σ x / (μ² + σ²), exact for data N(0, I): x̂ = μ x / (μ² + σ²).
struct Unit;
impl NoisePredictor for Unit {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        let (x, shape) = (flat(g, x), g.shape(x).to_vec());
        let (data, noise) = (g.square(time.mu), g.square(time.sigma));
        let total = g.add(data, noise);
        let factor = g.div(time.sigma, total);
        let noise = g.mul(x, factor);
        g.reshape(noise, &shape)
    }
}

const SHAPE: [usize; 3] = [3, 4, 2];
const MU: f64 = 0.6;
const SIGMA: f64 = 0.8;

fn states() -> ArrayD<f64> {
    let mut values = vec![0.0; 24];
    Stream::new(2, 0).fill_normal(0, 0, 8, &mut values);
    ArrayD::from_shape_vec(vec![3, 4, 2], values).unwrap()
}

/// First component of every second state.
fn observation(values: [f64; 2]) -> Observation {
    let operator = Operator::Compose(vec![Operator::EveryNth(2), Operator::Components(vec![0])]);
    let values = ArrayD::from_shape_vec(vec![2, 1], values.to_vec()).unwrap();
    Observation::new(operator, values, 0.1).unwrap()
}

fn posterior(guidance: Guidance, y: [f64; 2]) -> Posterior<Unit> {
    Posterior::new(Unit, observation(y), guidance)
}

fn estimate(posterior: &Posterior<Unit>, times_of_samples: bool) -> ArrayD<f64> {
    let mut g = Graph::new();
    let x = g.constant(states());
    let mut number = |value: f64| {
        if times_of_samples { g.constant(ArrayD::from_elem(vec![3, 1], value)) } else { g.scalar(value) }
    };
    let (mu, sigma) = (number(MU), number(SIGMA));
    let node = posterior.emit(&mut g, x, &TimeNodes { features: mu, mu, sigma });
    evaluate(g, &posterior.conditions(&SHAPE), &[node]).remove(0)
}

/// ε of the prior, and y − A(x̂) of a sample, on the host: with MU² + SIGMA² = 1, x̂ = μ x and ε = σ x.
fn residual(n: usize, y: [f64; 2]) -> [f64; 2] {
    [0, 1].map(|p| y[p] - MU * states()[[n, 2 * p, 0]])
}

#[track_caller]
fn assert_estimate(guidance: &Guidance, y: [f64; 2], score: impl Fn(usize, usize) -> f64) {
    for times_of_samples in [false, true] {
        let got = estimate(&posterior(guidance.clone(), y), times_of_samples);
        for n in 0..3 {
            for i in 0..4 {
                for c in 0..2 {
                    let pulled = if c == 0 && i % 2 == 0 { SIGMA * score(n, i / 2) } else { 0.0 };
                    let want = SIGMA * states()[[n, i, c]] - pulled;
                    assert!((got[[n, i, c]] - want).abs() < 1e-12, "{guidance:?} at {:?}", [n, i, c]);
                }
            }
        }
    }
}

const Y: [f64; 2] = [0.7, -1.3];

#[test]
fn sda_is_its_closed_form() {
    let variance = 0.01 + 0.05 * (SIGMA / MU).powi(2);
    for (detach, jacobian) in [(false, MU), (true, 1.0 / MU)] {
        let score = |n, p: usize| jacobian * residual(n, Y)[p] / variance;
        assert_estimate(&Guidance::Sda { gamma: 0.05, detach }, Y, score);
    }
}

#[test]
fn dps_is_its_closed_form_by_sample_and_by_batch() {
    let square = |n| residual(n, Y).iter().map(|r| r * r).sum::<f64>();
    let batch = (0..3).map(square).sum::<f64>().sqrt();
    for norm in [DpsNorm::Sample, DpsNorm::Batch] {
        let length = |n| if norm == DpsNorm::Sample { f64::sqrt(square(n)) } else { batch };
        let score = |n, p: usize| 2.0 * 0.7 * MU * residual(n, Y)[p] / length(n);
        assert_estimate(&Guidance::Dps { zeta: 0.7, norm }, Y, score);
    }
}

#[test]
fn a_perfect_fit_pulls_nowhere() {
    // 0.6 · x is not exact in binary, so that x̂ is made 0 by an observation of states that are 0.
    let mut g = Graph::new();
    let x = g.constant(ArrayD::zeros(vec![1, 4, 2]));
    let [mu, sigma] = [MU, SIGMA].map(|value| g.scalar(value));
    let dps = posterior(Guidance::Dps { zeta: 1.0, norm: DpsNorm::Sample }, [0.0, 0.0]);
    let node = dps.emit(&mut g, x, &TimeNodes { features: mu, mu, sigma });
    let got = evaluate(g, &dps.conditions(&[1, 4, 2]), &[node]).remove(0);
    assert!(got.iter().all(|&x| x == 0.0), "{got}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let sda = Guidance::Sda { gamma: 0.01, detach: false };
    assert!(posterior(sda.clone(), Y).check(&[3, 4, 2]).is_ok());
    let other = posterior(sda, Y).check(&[3, 6, 2]).unwrap_err();
    assert!(matches!(other, DiffusionError::Observe(_)), "{other}");
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        let sda = posterior(Guidance::Sda { gamma: bad, detach: false }, Y).check(&[3, 4, 2]).unwrap_err();
        assert!(matches!(sda, DiffusionError::Setting { field: "gamma", .. }), "{sda}");
        let dps = Guidance::Dps { zeta: bad, norm: DpsNorm::Sample };
        assert!(matches!(dps.check(), Err(DiffusionError::Setting { field: "zeta", .. })));
    }
}
