//! The emitted graphs and the real sampler against the affine maps of the table.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayD, Axis};
use sda_core::Stream;
use sda_core::linalg::{cholesky, inverse};
use sda_graph::Graph;
use sda_kernels::Interpreter;
use sda_observe::{Observation, Operator};

use super::affine::{Expectation, Guided, Moments, propagate};
use super::chain::{ExactPosterior, ExactScore, Seen, composed_noise, covariance, exact_noise};
use crate::compose::LocalScore;
use crate::guidance::{Guidance, Place, Posterior};
use crate::interpret::evaluate;
use crate::predictor::{NoisePredictor, TimeNodes};
use crate::sampler::{NoiseSource, Sampled, Sampler};
use crate::schedule::Schedule;
use crate::time_grid::TimeGrid;

const GAMMA: f64 = 0.03;

fn random(shape: &[usize], id: u32) -> ArrayD<f64> {
    let mut values = vec![0.0; shape.iter().product()];
    Stream::new(5, id).fill_normal(0, 0, values.len(), &mut values);
    ArrayD::from_shape_vec(shape, values).unwrap()
}

fn posterior<P>(prior: P, seen: Seen, y: &Array1<f64>, detach: bool) -> Posterior<P> {
    let operator = Operator::Compose(vec![Operator::EveryNth(seen.every), Operator::Components(vec![0])]);
    let values = y.clone().insert_axis(Axis(1)).into_dyn();
    let observation = Observation::new(operator, values, seen.noise_std).unwrap();
    let guidance = Guidance::Sda { gamma: GAMMA, detach };
    Posterior { place: Place::Composed, ..Posterior::new(prior, observation, guidance) }
}

/// The graph's estimate of random states, at one time of the default schedule.
fn emitted(predictor: &dyn NoisePredictor, x: &ArrayD<f64>, t: f64) -> ArrayD<f64> {
    let schedule = Schedule::default();
    let mut g = Graph::new();
    let node = g.constant(x.clone());
    let time = TimeNodes {
        features: g.scalar(0.0),
        mu: g.scalar(schedule.mu(t)),
        sigma: g.scalar(schedule.sigma(t)),
    };
    let noise = predictor.emit(&mut g, node, &time);
    evaluate(g, &predictor.conditions(x.shape()), &[noise]).remove(0)
}

fn assert_affine(got: &ArrayD<f64>, guided: &Guided, x: &ArrayD<f64>, y: &Array1<f64>) {
    for (got, x) in got.outer_iter().zip(x.outer_iter()) {
        let x: Array1<f64> = x.iter().copied().collect();
        let want = guided.of_x.dot(&x) + guided.of_y.dot(y);
        let got: Array1<f64> = got.iter().copied().collect();
        let norm = |a: &Array1<f64>| a.dot(a).sqrt();
        let error = norm(&(got - &want)) / norm(&want);
        assert!(error < 1e-9, "{error:e}");
    }
}

#[test]
fn emitted_guidance_is_the_affine_map() {
    let schedule = Schedule::default();
    for (length, seen) in [(65, Seen { every: 8, noise_std: 0.05 }), (21, Seen { every: 1, noise_std: 0.25 })]
    {
        let x = random(&[3, length, 2], 0);
        let a = seen.operator(length);
        let y: Array1<f64> = random(&[a.nrows()], 1).into_iter().collect();
        for t in [1.0, 0.7, 0.2, 0.0] {
            let (mu, sigma) = (schedule.mu(t), schedule.sigma(t));
            let guided = |prior: &Array2<f64>| Guided::new(prior, &a, seen.noise_std, GAMMA, mu, sigma);
            let whole = posterior(ExactScore::new(length), seen, &y, false);
            let dense = guided(&exact_noise(&covariance(length), mu, sigma));
            assert_affine(&emitted(&whole, &x, t), &dense, &x, &y);
            for k in [2, 4] {
                let local = LocalScore { kernel: ExactScore::new(2 * k + 1), order: k, stride: 1 };
                let dense = guided(&composed_noise(length, k, mu, sigma));
                assert_affine(&emitted(&posterior(local, seen, &y, false), &x, t), &dense, &x, &y);
            }
        }
    }
}

#[test]
fn detached_guidance_keeps_the_noise_fixed() {
    let (length, seen, t) = (13, Seen { every: 4, noise_std: 0.1 }, 0.4);
    let (mu, sigma) = (Schedule::default().mu(t), Schedule::default().sigma(t));
    let x = random(&[2, length, 2], 2);
    let a = seen.operator(length);
    let y: Array1<f64> = random(&[a.nrows()], 3).into_iter().collect();
    let prior = exact_noise(&covariance(length), mu, sigma);
    let jacobian = (Array2::<f64>::eye(2 * length) - &prior * sigma) / mu;
    let variance = seen.noise_std.powi(2) + GAMMA * (sigma / mu).powi(2);
    let pull = a.t().to_owned() * (sigma / (mu * variance));
    let guided = Guided { of_x: &prior + &pull.dot(&a.dot(&jacobian)), of_y: -pull };
    let score = posterior(ExactScore::new(length), seen, &y, true);
    assert_affine(&emitted(&score, &x, t), &guided, &x, &y);
}

const LENGTH: usize = 17;
const SAMPLES: usize = 512;
const SEEN: Seen = Seen { every: 4, noise_std: 0.1 };

fn sampler(corrections: u32) -> Sampler {
    Sampler {
        steps: 32,
        corrections,
        grid: TimeGrid::Squared,
        ..Sampler::default()
    }
}

/// An observation drawn from the model.
fn observation() -> Array1<f64> {
    let root = cholesky(&ExactPosterior::new(LENGTH, SEEN).observation_covariance).unwrap();
    let z: Array1<f64> = random(&[root.nrows()], 4).into_iter().collect();
    root.dot(&z)
}

/// Samples [N, n] of the real sampler.
fn sampled(corrections: u32, y: &Array1<f64>) -> Array2<f64> {
    let mut executor = Interpreter::<f64>::new();
    let predictor = posterior(ExactScore::new(LENGTH), SEEN, y, false);
    let shape = [SAMPLES, LENGTH, 2];
    let run = sampler(corrections).compile(&mut executor, &predictor, &shape, NoiseSource::Drawn).unwrap();
    match run.run(&mut executor, 3, |_| ControlFlow::Continue(())).unwrap() {
        Sampled::Finished(samples) => {
            assert_eq!(samples.diverged, []);
            samples.values.into_shape_with_order((SAMPLES, 2 * LENGTH)).unwrap()
        }
        Sampled::Interrupted { .. } => unreachable!("the callback goes on"),
    }
}

fn exact_moments(corrections: u32, y: &Array1<f64>) -> Moments {
    let whole = covariance(LENGTH);
    let prior = |mu, sigma| exact_noise(&whole, mu, sigma);
    let a = SEEN.operator(LENGTH);
    propagate(&sampler(corrections), &a, SEEN, GAMMA, &Expectation::At(y.clone()), prior)
}

/// χ² of the mean over its degrees of freedom, and of the deviations.
fn chi_squares(x: &Array2<f64>, mean: &Array1<f64>, covariance: &Array2<f64>) -> [f64; 2] {
    let precision = inverse(covariance).unwrap();
    let (count, n) = (x.nrows() as f64, x.ncols() as f64);
    let own = x.mean_axis(Axis(0)).unwrap();
    let d = &own - mean;
    let deviations = x - &own;
    let scatter = deviations.t().dot(&deviations);
    [count * d.dot(&precision.dot(&d)) / n, (&precision * &scatter).sum() / (n * (count - 1.0))]
}

/// χ² over its degrees of freedom d scatters by √(2/d) around 1.
#[track_caller]
fn assert_law(corrections: u32, widening: f64) {
    let y = observation();
    let moments = exact_moments(corrections, &y);
    let x = sampled(corrections, &y);
    let [mean, spread] = chi_squares(&x, &moments.gain.dot(&y), &moments.covariance);
    let n = 2.0 * LENGTH as f64;
    assert!(
        (mean - 1.0).abs() < 4.0 * (2.0 / n).sqrt(),
        "χ² of the mean over its degrees of freedom: {mean}"
    );
    let scatter = (2.0 / (n * (SAMPLES - 1) as f64)).sqrt();
    assert!(
        (spread - widening).abs() < 4.0 * scatter,
        "χ² of the spread over its degrees of freedom: {spread}"
    );
}

#[test]
fn the_predictor_samples_the_propagated_law() {
    assert_law(0, 1.0);
}

#[test]
fn the_corrector_samples_the_propagated_law() {
    // The maps take δ = τ/E[mean ε²], the sampler τ/mean ε² of each sample: for white ε longer by n/(n − 2) on average.
    // Measured: 1.061 at n = 34, 1.030 at n = 70.
    let n = 2.0 * LENGTH as f64;
    assert_law(1, n / (n - 2.0));
}
