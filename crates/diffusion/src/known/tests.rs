use ndarray::{Array1, Array2, Axis, array, s};
use sda_core::Stream;
use sda_core::linalg::solve;
use sda_observe::{Observation, Operator};

use super::*;
use crate::compose::LocalScore;
use crate::gaussian::GaussianScore;
use crate::guidance::{Guidance, Place, Posterior};
use crate::interpret::evaluate;
use crate::levels::Levels;
use crate::schedule::Schedule;

fn random(shape: &[usize], id: u32) -> ArrayD<f64> {
    let mut values = vec![0.0; shape.iter().product()];
    Stream::new(6, id).fill_normal(0, 0, values.len().max(1), &mut values);
    ArrayD::from_shape_vec(shape, values).unwrap()
}

/// A covariance without structure, of eigenvalues between 0.1 and a few.
fn covariance(n: usize) -> Array2<f64> {
    let root = random(&[n, n], 9).into_dimensionality::<ndarray::Ix2>().unwrap();
    root.dot(&root.t()) / n as f64 + Array2::<f64>::eye(n) * 0.1
}

fn mean(n: usize) -> Array1<f64> {
    Array1::from_shape_fn(n, |i| (i as f64).sin())
}

fn gaussian(n: usize) -> GaussianScore {
    GaussianScore::new(mean(n), &covariance(n)).unwrap()
}

fn time_nodes(g: &mut Graph, t: f64) -> TimeNodes {
    let schedule = Schedule::default();
    let features = g.constant(ArrayD::zeros(vec![1, 32]));
    TimeNodes { features, mu: g.scalar(schedule.mu(t)), sigma: g.scalar(schedule.sigma(t)) }
}

/// Noise and denoised mean, and the derivative of the latter's sum.
fn emitted(predictor: &dyn NoisePredictor, x: &ArrayD<f64>, t: f64) -> [ArrayD<f64>; 3] {
    predictor.check(x.shape()).unwrap();
    let mut g = Graph::new();
    let node = g.constant(x.clone());
    let time = time_nodes(&mut g, t);
    let estimate = predictor.estimate(&mut g, node, &time);
    let weights = g.constant(random(x.shape(), 3));
    let derivative = g.vjp(&[(estimate.denoised, weights)], &[node])[0];
    let out = evaluate(g, &predictor.conditions(x.shape()), &[estimate.noise, estimate.denoised, derivative]);
    out.try_into().unwrap()
}

/// p(a part | y) for y = A x + noise, A of any rows, noise of any variances.
fn conditioned(n: usize, a: &Array2<f64>, y: &Array1<f64>, variances: &[f64]) -> (Array1<f64>, Array2<f64>) {
    let c = covariance(n);
    let total = a.dot(&c).dot(&a.t()) + Array2::from_diag(&Array1::from(variances.to_vec()));
    let gain = solve(&total, &a.dot(&c)).unwrap().reversed_axes();
    (mean(n) + gain.dot(&(y - &a.dot(&mean(n)))), &c - &gain.dot(a).dot(&c))
}

const LENGTH: usize = 5;
const SHAPE: [usize; 3] = [3, LENGTH, 2];
const STATES: [usize; 2] = [0, 3];
/// Numbers of the other states.
const FREE: [usize; 6] = [2, 3, 4, 5, 8, 9];
const HELD: [usize; 4] = [0, 1, 6, 7];

fn known() -> Known<GaussianScore> {
    Known { prior: gaussian(10), states: STATES.to_vec(), values: random(&[3, 2, 2], 1) }
}

/// Rows of the identity.
fn rows(of: &[usize]) -> Array2<f64> {
    Array2::<f64>::eye(10).select(Axis(0), of)
}

/// ε = σ (μ² C + σ² I)⁻¹ (x − μ m) of the free numbers, for their law given all that is known.
fn want(x: &Array1<f64>, law: &(Array1<f64>, Array2<f64>), t: f64) -> Array1<f64> {
    let (mu, sigma) = (Schedule::default().mu(t), Schedule::default().sigma(t));
    let (m, c) = (law.0.select(Axis(0), &FREE), law.1.select(Axis(0), &FREE).select(Axis(1), &FREE));
    let total = c * (mu * mu) + Array2::<f64>::eye(FREE.len()) * (sigma * sigma);
    solve(&total, &(x.select(Axis(0), &FREE) - m * mu)).unwrap() * sigma
}

#[test]
fn a_gaussian_given_known_states_is_the_conditional_law() {
    let (known, x) = (known(), random(&SHAPE, 0));
    for t in [1.0, 0.6, 0.1, 0.0] {
        let (mu, sigma) = (Schedule::default().mu(t), Schedule::default().sigma(t));
        let [noise, denoised, derivative] = emitted(&known, &x, t);
        for n in 0..3 {
            let row = |a: &ArrayD<f64>| a.index_axis(Axis(0), n).iter().copied().collect::<Array1<f64>>();
            let held = row(&known.values);
            let law = conditioned(10, &rows(&HELD), &held, &[1e-12; 4]);
            let expected = want(&row(&x), &law, t);
            let got = row(&noise).select(Axis(0), &FREE);
            assert!((&got - &expected).iter().all(|d| d.abs() < 1e-7), "{t}: {got} {expected}");
            let data = (row(&x).select(Axis(0), &FREE) - expected * sigma) / mu;
            let away = row(&denoised).select(Axis(0), &FREE) - data;
            assert!(away.iter().all(|d| d.abs() < 1e-6 / mu), "{t}: {away}");
            for (k, i) in HELD.into_iter().enumerate() {
                assert_eq!(row(&denoised)[i], held[k]);
                assert!((row(&noise)[i] - (row(&x)[i] - mu * held[k]) / sigma).abs() < 1e-12);
                assert_eq!(
                    row(&derivative)[i],
                    0.0,
                    "what is known does not depend on x, nor anything on its x"
                );
            }
        }
    }
}

/// What is observed and seen beside known states: MMPS, converged, is exact; what isn't seen says nothing.
#[test]
fn an_observation_beside_known_states_has_the_exact_posterior() {
    let x = random(&SHAPE, 0);
    let y = random(&[LENGTH, 1], 2);
    let observation = Observation::new(Operator::Components(vec![1]), y.clone(), 0.2).unwrap();
    // Of states 1 and 4 alone.
    let seen = array![[0.0], [1.0], [0.0], [0.0], [1.0]].into_dyn();
    let guidance = Guidance::mmps(12);
    let posterior = Posterior { seen: Some(seen), ..Posterior::new(known(), observation, guidance) };
    for t in [0.9, 0.4, 0.05] {
        let [noise, ..] = emitted(&posterior, &x, t);
        for n in 0..3 {
            let row = |a: &ArrayD<f64>| a.index_axis(Axis(0), n).iter().copied().collect::<Array1<f64>>();
            let a = rows(&[0, 1, 6, 7, 3, 9]);
            let held = row(&posterior.prior.values);
            let told: Array1<f64> = held.iter().copied().chain([y[[1, 0]], y[[4, 0]]]).collect();
            let law = conditioned(10, &a, &told, &[1e-12, 1e-12, 1e-12, 1e-12, 0.04, 0.04]);
            let (got, expected) = (row(&noise).select(Axis(0), &FREE), want(&row(&x), &law, t));
            assert!((&got - &expected).iter().all(|d| d.abs() < 1e-6), "{t}: {got} {expected}");
        }
    }
}

#[test]
fn windows_know_the_states_that_fall_in_them() {
    // Windows 0 … 2, 2 … 4, 4 … 6, 5 … 7: two patterns, one window whole, one without.
    let (length, states) = (8, vec![0, 1, 2, 3]);
    let (x, values) = (random(&[2, length, 2], 0), random(&[2, 4, 2], 1));
    let local = LocalScore { kernel: gaussian(6), order: 1, stride: 2 };
    let windows = Windows::new(length, 1, 2).unwrap();
    let known = Known { prior: local, states: states.clone(), values: values.clone() };
    let [noise, denoised, _] = emitted(&known, &x, 0.3);
    for state in 4..length {
        let q = windows.owner(state);
        let start = windows.start(q);
        let window = x.slice_axis(Axis(1), (start..start + 3).into()).to_owned();
        let inside: Vec<usize> = states.iter().filter(|&&i| i >= start).map(|i| i - start).collect();
        let alone: &dyn NoisePredictor = if inside.is_empty() {
            &gaussian(6)
        } else {
            let held: Vec<usize> = inside.iter().map(|i| i + start).collect();
            &Known { prior: gaussian(6), states: inside, values: values.select(Axis(1), &held) }
        };
        let [own_noise, own_denoised, _] = emitted(alone, &window, 0.3);
        for (whole, own) in [(&noise, own_noise), (&denoised, own_denoised)] {
            let away = &whole.index_axis(Axis(1), state) - &own.index_axis(Axis(1), state - start);
            assert!(away.iter().all(|d| d.abs() < 1e-12), "state {state}: {away}");
        }
    }
}

/// Guided in windows, composed of one window that holds all: the same nodes as on the whole.
#[test]
fn guidance_in_windows_sees_what_is_seen_and_keeps_what_is_known() {
    let x = random(&SHAPE, 0);
    let observation = Observation::new(Operator::Components(vec![1]), random(&[LENGTH, 1], 2), 0.2).unwrap();
    let seen = array![[0.0], [1.0], [1.0], [0.0], [0.0]].into_dyn();
    let of = |prior: Box<dyn NoisePredictor>, place| {
        let known = Known { prior, states: STATES.to_vec(), values: random(&[3, 2, 2], 1) };
        let guidance = Guidance::mmps(3);
        let posterior = Posterior::new(known, observation.clone(), guidance);
        let [noise, ..] = emitted(&Posterior { seen: Some(seen.clone()), place, ..posterior }, &x, 0.4);
        noise
    };
    let whole = of(Box::new(gaussian(10)), Place::Composed);
    let local = || Box::new(LocalScore { kernel: gaussian(10), order: 2, stride: 5 });
    let away = &of(local(), Place::Windowed) - &whole;
    assert!(away.iter().all(|d| d.abs() < 1e-10), "{away}");
    let shifted = of(Box::new(LocalScore { kernel: gaussian(6), order: 1, stride: 2 }), Place::Windowed);
    let held = |noise: &ArrayD<f64>| noise.select(Axis(1), &STATES);
    assert!((held(&shifted) - held(&whole)).iter().all(|d| d.abs() < 1e-10));
}

#[test]
fn what_cannot_be_known_is_refused_with_the_reason() {
    let with = |states: &[usize], values: &[usize]| Known {
        prior: gaussian(10),
        states: states.to_vec(),
        values: ArrayD::zeros(values.to_vec()),
    };
    for (known, why) in [
        (with(&[], &[3, 0, 2]), "must ascend within the 5 states"),
        (with(&[1, 1], &[3, 2, 2]), "and are [1, 1]"),
        (with(&[5], &[3, 1, 2]), "and are [5]"),
        (with(&[0, 1, 2, 3, 4], &[3, 5, 2]), "none is left to sample"),
        (with(&[1], &[3, 2, 2]), "[3, 1, 2] belong"),
    ] {
        let error = known.check(&SHAPE).unwrap_err().to_string();
        assert!(error.starts_with("hold known states: ") && error.contains(why), "{error}");
    }
    let shared =
        Known { prior: network(Levels::Shared, 10), states: vec![0], values: ArrayD::zeros(vec![3, 1, 2]) };
    let error = shared.check(&SHAPE).unwrap_err().to_string();
    assert!(error.contains("one noise level for all states; condition by guidance"), "{error}");
    let observation = Observation::new(Operator::Components(vec![0]), random(&[5, 1], 2), 0.2).unwrap();
    let detached = Guidance::Sda { gamma: 0.1, detach: true };
    let error = Posterior::new(known(), observation, detached).check(&SHAPE).unwrap_err().to_string();
    assert!(error.contains("would move states that are known"), "{error}");
}

fn network(levels: Levels, features: usize) -> crate::GlobalScore {
    let network = sda_nn::ResMlp {
        features,
        embedding: 4,
        hidden_features: vec![12],
        activation: sda_nn::Activation::SiLU,
    };
    crate::GlobalScore { levels, ..crate::GlobalScore::new(sda_nn::Network::ResMlp(network)) }
}

/// A network with a level for each state reads the known values, not what x says in their place, and another level than
/// where nothing is known; what it says of them is their value.
#[test]
fn a_network_reads_levels_and_passes_known_states_through() {
    for denoiser in [crate::Denoiser::Noise, crate::Denoiser::Preconditioned { data_std: 0.7 }] {
        let levels = Levels::PerState { share: 0.5 };
        let prior = crate::GlobalScore { denoiser, ..network(levels, 15) };
        let weights = prior.network.initialise(3);
        let values = random(&[3, 2, 2], 1);
        let of = |x: &ArrayD<f64>, values: &ArrayD<f64>, states: Option<&[usize]>| {
            let mut g = Graph::new();
            let node = g.constant(x.clone());
            let time = time_nodes(&mut g, 0.4);
            let estimate = match states {
                None => prior.estimate(&mut g, node, &time),
                Some(states) => {
                    let known =
                        Known { prior: prior.clone(), states: states.to_vec(), values: values.clone() };
                    known.estimate(&mut g, node, &time)
                }
            };
            let mut given: Vec<(String, ArrayD<f64>)> = weights
                .iter()
                .map(|(name, value)| (sda_nn::Weights::Trained.state(name), value.mapv(f64::from)))
                .collect();
            given.push((KNOWN.into(), values.clone()));
            evaluate(g, &given, &[estimate.denoised]).remove(0)
        };
        let x = random(&SHAPE, 0);
        let denoised = of(&x, &values, Some(&STATES));
        assert_eq!(denoised.select(Axis(1), &STATES), values);
        let free = |a: &ArrayD<f64>| a.select(Axis(1), &[1, 2, 4]);
        let mut moved = x.clone();
        moved.slice_mut(s![.., 0, ..]).fill(7.0);
        assert_eq!(
            free(&of(&moved, &values, Some(&STATES))),
            free(&denoised),
            "x of a known state is not read"
        );
        let other = of(&x, &(&values + 1.0), Some(&STATES));
        assert!((free(&other) - free(&denoised)).iter().any(|d| d.abs() > 1e-3), "its value is");
        // The same numbers, once known, once as noisy as all.
        let placed = of(&x, &x.select(Axis(1), &STATES), Some(&STATES));
        let unknown = of(&x, &values, None);
        assert!((free(&placed) - free(&unknown)).iter().any(|d| d.abs() > 1e-4), "and so is its level");
    }
}
