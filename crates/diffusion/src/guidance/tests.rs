use sda_core::Stream;
use sda_nn::{Activation, Boundary, Network, UNet, Weights};
use sda_observe::Operator;

use ndarray::Array2;

use super::*;
use crate::compose::LocalScore;
use crate::denoiser::Denoiser;
use crate::global::GlobalScore;
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

/// ε_i = a_i x_i Σ_j b_j x_j² within a window, whose derivatives are not symmetric.
struct Lopsided;
impl NoisePredictor for Lopsided {
    fn emit(&self, g: &mut Graph, x: NodeId, _: &TimeNodes) -> NodeId {
        let (x, shape) = (flat(g, x), g.shape(x).to_vec());
        let width = g.shape(x)[1];
        let [a, b] = [1, 2].map(|stream| {
            let mut values = vec![0.0; width];
            Stream::new(stream, 0).fill_normal(0, 0, width, &mut values);
            g.constant(ArrayD::from_shape_vec(vec![1, width], values).unwrap())
        });
        let square = g.square(x);
        let square = g.mul(square, b);
        let sum = g.sum(square, &[1]);
        let scaled = g.mul(x, a);
        let noise = g.mul(scaled, sum);
        let noise = g.scale(noise, 0.1);
        g.reshape(noise, &shape)
    }
}

/// All of the windows are differentiated.
struct Everywhere(LocalScore<Lopsided>);
impl NoisePredictor for Everywhere {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        self.0.emit(g, x, time)
    }

    fn windows(&self, length: usize) -> Option<crate::compose::Windows> {
        self.0.windows(length)
    }
}

/// A guidance asks for enough of the Jacobian: what it makes does not change where all of it is there.
#[test]
fn what_a_guidance_does_not_ask_of_the_jacobian_does_not_matter() {
    let length = 9;
    let operators = [
        Operator::Difference { first: 0, second: 8 },
        Operator::EveryNth(4),
        Operator::States { start: 3, count: 1 },
    ];
    let guidances = [
        Guidance::Sda { gamma: 0.05, detach: false },
        Guidance::Dps { zeta: 0.7, norm: DpsNorm::Sample },
        Guidance::Pigdm { iterations: 2 },
        Guidance::Tmpd,
        Guidance::mmps(2),
        Guidance::mmps_by(Solver::MinimalResidual, 2),
    ];
    let mut values = vec![0.0; 2 * length * 2];
    Stream::new(7, 0).fill_normal(0, 0, length * 2, &mut values);
    let x = ArrayD::from_shape_vec(vec![2, length, 2], values).unwrap();
    for operator in &operators {
        let mut shape = operator.output_shape(x.shape()).unwrap();
        shape.remove(0);
        let observation = Observation::new(operator.clone(), ArrayD::from_elem(shape, 0.3), 0.1).unwrap();
        for (guidance, (order, stride)) in
            guidances.iter().flat_map(|guidance| [(1, 1), (1, 2), (2, 3)].map(|windows| (guidance, windows)))
        {
            let score = || LocalScore { kernel: Lopsided, order, stride };
            let some = posterior_noise(score(), &observation, guidance, &x);
            let all = posterior_noise(Everywhere(score()), &observation, guidance, &x);
            let apart = (&some - &all).iter().fold(0.0, |m: f64, d| m.max(d.abs()));
            let size = all.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
            assert!(
                apart <= 1e-12 * size,
                "{operator:?}, {guidance:?}, k {order}, stride {stride}: {apart} of {size}"
            );
        }
    }
}

fn posterior_noise<P: NoisePredictor>(
    prior: P,
    observation: &Observation,
    guidance: &Guidance,
    x: &ArrayD<f64>,
) -> ArrayD<f64> {
    let mut posterior = Posterior::new(prior, observation.clone(), guidance.clone());
    posterior.place = Place::Composed;
    let mut g = Graph::new();
    let conditions = posterior.conditions(x.shape());
    let x = g.constant(x.clone());
    let [mu, sigma] = [MU, SIGMA].map(|value| g.scalar(value));
    let node = posterior.emit(&mut g, x, &TimeNodes { features: mu, mu, sigma });
    evaluate(g, &conditions, &[node]).remove(0)
}

/// One number of one sample, where an array of ones is a reshape of one: s = μ (y − μ x)/(σ_y² + σ²).
#[test]
fn a_single_number_is_guided() {
    for guidance in [Guidance::Tmpd, Guidance::Pigdm { iterations: 1 }, Guidance::mmps(1)] {
        let observation =
            Observation::new(Operator::Identity, ArrayD::from_elem(vec![1, 1], 0.7), 0.1).unwrap();
        let posterior = Posterior::new(Unit, observation, guidance.clone());
        let mut g = Graph::new();
        let x = g.constant(ArrayD::from_elem(vec![1, 1, 1], 0.4));
        let [mu, sigma] = [MU, SIGMA].map(|value| g.scalar(value));
        let node = posterior.emit(&mut g, x, &TimeNodes { features: mu, mu, sigma });
        let got = evaluate(g, &posterior.conditions(&[1, 1, 1]), &[node]).remove(0)[[0, 0, 0]];
        let score = MU * (0.7 - MU * 0.4) / (0.01 + SIGMA * SIGMA);
        assert!((got - SIGMA * (0.4 - score)).abs() < 1e-12, "{guidance:?}: {got}");
    }
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
    let exact = |guidance| {
        let posterior = posterior(guidance, Y);
        Posterior { observation: Observation { noise_std: 0.0, ..posterior.observation }, ..posterior }
    };
    let tmpd = exact(Guidance::Tmpd).check(&[3, 4, 2]).unwrap_err().to_string();
    assert!(tmpd.contains("TMPD") && tmpd.contains("choose MMPS"), "{tmpd}");
    assert!(exact(Guidance::mmps(1)).check(&[3, 4, 2]).is_ok());
}

/// Of a trajectory of one window, guided there or whole, and of fields that a network reads as channels.
#[test]
fn one_window_of_fields_is_guided_as_the_trajectory_is() {
    let network: UNet = UNet {
        channels: 6,
        embedding: 8,
        hidden_channels: vec![4, 8],
        hidden_blocks: vec![1, 1],
        kernel: 3,
        stride: 2,
        activation: Activation::SiLU,
        boundary: vec![Boundary::Circular; 2],
        context: None,
    };
    let network = Network::UNet(network);
    let weights: Vec<(String, ArrayD<f64>)> = network
        .initialise(3)
        .into_iter()
        .map(|(name, w)| (Weights::Trained.state(&name), w.mapv(|x: f32| f64::from(x))))
        .collect();
    let shape = [2, 3, 8, 8, 2];
    let draw = |seed, shape: &[usize]| {
        let mut values = vec![0.0; shape.iter().product()];
        let row = shape[1..].iter().product();
        Stream::new(seed, 0).fill_normal(0, 0, row, &mut values);
        ArrayD::from_shape_vec(shape.to_vec(), values).unwrap()
    };
    for (operator, seen) in [
        (Operator::Coarsen(4), vec![3, 2, 2, 2]),
        (Operator::Compose(vec![Operator::EveryNth(2), Operator::Coarsen(2)]), vec![2, 4, 4, 2]),
        (Operator::Compose(vec![Operator::Vorticity, Operator::Saturate]), vec![3, 8, 8, 1]),
    ] {
        for guidance in [Guidance::mmps(2), Guidance::Sda { gamma: 0.1, detach: false }] {
            let noise = |place: Place, is_row: bool| {
                let prior = GlobalScore {
                    denoiser: Denoiser::Preconditioned { data_std: 1.0 },
                    ..GlobalScore::new(network.clone())
                };
                let observation = Observation::new(operator.clone(), draw(7, &seen), 0.1).unwrap();
                let posterior =
                    Posterior { place, ..Posterior::new(prior.local(1, 1), observation, guidance.clone()) };
                posterior.check(&shape).unwrap();
                let mut g = Graph::new();
                let x = if is_row {
                    g.state(Declaration::rows("x", &shape))
                } else {
                    // As a sampler has it.
                    let x = g.state(Declaration::rows("x", &[2, 3 * 8 * 8 * 2]));
                    g.reshape(x, &shape)
                };
                let features = g.constant(draw(9, &[1, 32]));
                let [mu, sigma] = [MU, SIGMA].map(|value| g.scalar(value));
                let node = posterior.emit(&mut g, x, &TimeNodes { features, mu, sigma });
                let x = draw(5, &shape);
                let x = if is_row { x } else { x.into_shape_with_order(vec![2, 384]).unwrap() };
                let states =
                    [posterior.conditions(&shape), weights.clone(), vec![("x".to_owned(), x)]].concat();
                evaluate(g, &states, &[node]).remove(0)
            };
            let whole = noise(Place::Composed, true);
            for got in
                [noise(Place::Windowed, true), noise(Place::Windowed, false), noise(Place::Composed, false)]
            {
                let off = (&got - &whole).mapv(f64::abs).into_iter().fold(0.0, f64::max);
                assert!(off < 1e-9, "{operator:?}, {guidance:?}: {off}");
            }
        }
    }
}

/// ε = M x of a window laid out flat, M being the unit normal's and this times random numbers: not symmetric.
struct Dense(f64);

impl NoisePredictor for Dense {
    fn emit(&self, g: &mut Graph, x: NodeId, _: &TimeNodes) -> NodeId {
        let (x, shape) = (flat(g, x), g.shape(x).to_vec());
        let m = g.len(x) / shape[0];
        let mut values = vec![0.0; m * m];
        Stream::new(11, 0).fill_normal(0, 0, m * m, &mut values);
        let matrix = ArrayD::from_shape_fn(vec![m, m], |at| {
            let unit = if at[0] == at[1] { SIGMA } else { 0.0 };
            unit + self.0 * values[at[0] * m + at[1]]
        });
        let matrix = g.constant(matrix);
        let noise = g.matmul(x, matrix, false, false);
        g.reshape(noise, &shape)
    }
}

/// Fields are guided as the same numbers in a row are, whatever the operator does to their axes first.
#[test]
fn fields_are_guided_as_the_same_numbers_in_a_row() {
    let blocks = |i: usize| {
        // Entry i of the four blocks of 2 × 2 in 4 × 4 points of two components.
        let of = |block: usize, c: usize| {
            let (x, y) = (2 * (block / 2) + i / 2, 2 * (block % 2) + i % 2);
            (4 * x + y) * 2 + c
        };
        (0..4).flat_map(|block| [of(block, 0), of(block, 1)]).collect::<Vec<_>>()
    };
    let means = Operator::Sum((0..4).map(|i| (Operator::Components(blocks(i)), 0.25)).collect());
    let every = |operator: &Operator| Operator::Compose(vec![Operator::EveryNth(2), operator.clone()]);
    let draw = |seed, len: usize| {
        let mut values = vec![0.0; len];
        Stream::new(seed, 0).fill_normal(0, 0, len, &mut values);
        values
    };
    let (fields, row) = ([2, 5, 4, 4, 2], [2, 5, 32]);
    let noise = |shape: &[usize], operator: Operator, guidance: &Guidance, place: Place, as_sampled: bool| {
        let values = operator.output_shape(&[&[1], &shape[1..]].concat()).unwrap()[1..].to_vec();
        let values = ArrayD::from_shape_vec(values.clone(), draw(7, values.iter().product())).unwrap();
        let prior = LocalScore { kernel: Dense(0.02), order: 1, stride: 1 };
        let observation = Observation::new(operator, values, 0.1).unwrap();
        let mut posterior = Posterior { place, ..Posterior::new(prior, observation, guidance.clone()) };
        if let Guidance::Jfps { .. } = guidance {
            let count = posterior.covariance_states(5) * 32;
            let variances = draw(13, count).into_iter().map(|x| 1.0 + 0.3 * x.tanh()).collect();
            posterior.covariance = Some(PriorCovariance { variances, modes: None });
        }
        posterior.check(shape).unwrap();
        let mut g = Graph::new();
        let x = if as_sampled {
            let x = g.state(Declaration::rows("x", &[2, 160]));
            g.reshape(x, shape)
        } else {
            g.state(Declaration::rows("x", shape))
        };
        let [mu, sigma] = [MU, SIGMA].map(|value| g.scalar(value));
        let node = posterior.emit(&mut g, x, &TimeNodes { features: mu, mu, sigma });
        let x = if as_sampled { vec![2, 160] } else { shape.to_vec() };
        let x = ArrayD::from_shape_vec(x, draw(5, 320)).unwrap();
        let states = [posterior.conditions(shape), vec![("x".to_owned(), x)]].concat();
        evaluate(g, &states, &[node]).remove(0).into_iter().collect::<Vec<f64>>()
    };
    let jfps = Guidance::Jfps { covariance: CovarianceForm::Diagonal, iterations: 3 };
    for guidance in [
        Guidance::Sda { gamma: 0.1, detach: false },
        Guidance::Sda { gamma: 0.1, detach: true },
        Guidance::Dps { zeta: 1.0, norm: DpsNorm::Sample },
        Guidance::Pigdm { iterations: 3 },
        Guidance::Tmpd,
        Guidance::mmps(3),
        Guidance::mmps_by(Solver::MinimalResidual, 3),
        jfps,
    ] {
        for place in [Place::Composed, Place::Windowed] {
            let plain = noise(&row, every(&means), &guidance, place, false);
            let moved = plain.iter().zip(draw(5, 320)).filter(|(a, b)| (*a - SIGMA * b).abs() > 1e-3).count();
            assert!(moved > 100, "{guidance:?}, {place:?}: nothing is guided");
            for as_sampled in [false, true] {
                let got = noise(&fields, every(&Operator::Coarsen(2)), &guidance, place, as_sampled);
                let off = got.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(off < 1e-9, "{guidance:?}, {place:?}, {as_sampled}: {off}");
            }
        }
    }
}

#[test]
fn inflation_is_a_finite_number_above_zero() {
    let inflated = |inflation| Guidance::Mmps { iterations: 3, solver: Solver::default(), inflation };
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = inflated(wrong).check().unwrap_err().to_string();
        assert!(error.contains("MMPS guidance") && error.contains("inflation"), "{error}");
    }
    assert!(inflated(1.4).check().is_ok());
    assert_eq!(inflated(1.0), Guidance::mmps(3));
}

/// ‖y − x̂ − M u‖/‖y − x̂‖ of each row after so many iterations on a system whose Jacobian is `Dense`'s, where all numbers are
/// observed: M = σ_y² μ²/σ² + G, so that u is what G's inverse makes of the step G u.
fn residuals_left(iterations: usize, solver: Solver) -> Vec<f64> {
    const N: usize = 12;
    let shape = [2, 3, 4];
    let draw = |seed, len: usize| {
        let mut values = vec![0.0; len];
        Stream::new(seed, 0).fill_normal(0, 0, len, &mut values);
        values
    };
    let emitted = |what: &dyn Fn(&mut Graph, &Problem<'_>) -> NodeId| {
        let mut g = Graph::new();
        let x = g.state(Declaration::rows("x", &shape));
        let [mu, sigma] = [MU, SIGMA].map(|value| g.scalar(value));
        let time = TimeNodes { features: mu, mu, sigma };
        let estimate = Dense(0.06).estimate(&mut g, x, &time);
        let estimate = Estimate { denoised: anchored(&mut g, estimate.denoised), ..estimate };
        let all = Operator::Components(vec![0, 1, 2, 3]);
        let predicted = all.emit(&mut g, estimate.denoised);
        let residual = g.constant(ArrayD::from_shape_vec(vec![2, N], draw(7, 2 * N)).unwrap());
        let problem =
            Problem { time: &time, x, estimate, predicted, residual, noise_std: 0.1, is_composed: false };
        let node = what(&mut g, &problem);
        let x = ArrayD::from_shape_vec(shape.to_vec(), draw(5, 2 * N)).unwrap();
        evaluate(g, &[("x".to_owned(), x)], &[node]).remove(0)
    };
    // G, a column at a time.
    let mut of_units = Array2::zeros((N, N));
    for i in 0..N {
        let column = emitted(&|g, problem| {
            let unit = g.constant(ArrayD::from_shape_fn(vec![2, N], |at| f64::from(u8::from(at[1] == i))));
            problem.covariance_times(g, unit)
        });
        of_units.column_mut(i).iter_mut().zip(&column).for_each(|(to, from)| *to = *from);
    }
    let inverse = sda_core::linalg::inverse(&of_units).unwrap();
    let step = emitted(&|g, problem| {
        let covariance = |g: &mut Graph, w| problem.covariance_times(g, w);
        match solver {
            Solver::ConjugateGradients => conjugate::solve(g, problem, iterations, false, covariance).step,
            Solver::MinimalResidual => residuals::solve(g, problem, iterations, false, covariance),
        }
    });
    let instrument = (0.1 * MU / SIGMA).powi(2);
    let rows = step.into_shape_with_order((2, N)).unwrap();
    let residual = Array2::from_shape_vec((2, N), draw(7, 2 * N)).unwrap();
    let norm = |x: &Array1<f64>| x.dot(x).sqrt();
    rows.outer_iter()
        .zip(residual.outer_iter())
        .map(|(step, residual)| {
            let step = step.to_owned();
            let left = &residual - &step - inverse.dot(&step) * instrument;
            norm(&left) / norm(&residual.to_owned())
        })
        .collect()
}

/// Whatever the Jacobian: the residual falls with each iteration, and is gone after as many as there are numbers.
#[test]
fn the_least_residual_never_grows_on_a_jacobian_that_is_not_symmetric() {
    let mut before = vec![1.0; 2];
    for iterations in 1..=12 {
        let now = residuals_left(iterations, Solver::MinimalResidual);
        assert!(now.iter().zip(&before).all(|(now, before)| *now < *before), "{iterations}: {now:?}");
        // One iteration has a choice of one number, and takes the best.
        if iterations == 1 {
            let other = residuals_left(1, Solver::ConjugateGradients);
            assert!(now.iter().zip(&other).all(|(now, other)| now <= other), "{now:?}, {other:?}");
        }
        before = now;
    }
    assert!(before.iter().all(|left| *left < 1e-9), "{before:?}");
    let conjugate = residuals_left(12, Solver::ConjugateGradients);
    assert!(conjugate.iter().all(|left| *left > 1e-6), "conjugate gradients need symmetry: {conjugate:?}");
}
