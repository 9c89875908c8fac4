use ndarray::Array1;
use proptest::prelude::*;
use sda_core::Stream;
use sda_graph::{Graph, NodeId};
use sda_kernels::Interpreter;

use super::*;
use crate::predictor::TimeNodes;
use crate::stream;
use crate::time_grid::TimeGrid;

/// The exact estimate for data N(0, variance): ε = σ x / (μ² variance + σ²).
struct Gaussian {
    variance: f64,
}

impl NoisePredictor for Gaussian {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        let (data, noise) = (g.square(time.mu), g.square(time.sigma));
        let data = g.scale(data, self.variance);
        let total = g.add(data, noise);
        let factor = g.div(time.sigma, total);
        g.mul(x, factor)
    }
}

fn sampler(steps: u32, corrections: u32) -> Sampler {
    Sampler { steps, corrections, ..Sampler::default() }
}

const SHAPE: [usize; 3] = [5, 4, 2];

fn go_on(_: u32) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn finished<T>(sampled: Sampled<T>) -> Samples<T> {
    match sampled {
        Sampled::Finished(samples) => samples,
        Sampled::Interrupted { step } => panic!("stopped before step {step}"),
    }
}

fn sample(sampler: &Sampler, predictor: &dyn NoisePredictor, seed: u64) -> Samples<f64> {
    let mut executor = Interpreter::<f64>::new();
    let run = sampler.compile(&mut executor, predictor, &SHAPE, NoiseSource::Drawn).unwrap();
    finished(run.run(&mut executor, seed, go_on).unwrap())
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let run = |seed| sample(&sampler(6, 2), &Gaussian { variance: 0.3 }, seed).values;
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn samples_do_not_depend_on_their_number() {
    let mut executor = Interpreter::<f64>::new();
    let few =
        sampler(5, 1).compile(&mut executor, &Gaussian { variance: 2.0 }, &[2, 4, 2], NoiseSource::Drawn);
    let few = finished(few.unwrap().run(&mut executor, 3, go_on).unwrap()).values;
    let many = sample(&sampler(5, 1), &Gaussian { variance: 2.0 }, 3).values;
    assert_eq!(few, many.slice_axis(ndarray::Axis(0), (0..2).into()).to_owned());
}

#[test]
fn one_dimension_without_corrections_is_a_product_of_factors() {
    for grid in [TimeGrid::Uniform, TimeGrid::Squared] {
        let sampler = Sampler { grid, ..sampler(16, 0) };
        let predictor = Gaussian { variance: 0.3 };
        let got = sample(&sampler, &predictor, 1).values;
        let mut start = vec![0.0; got.len()];
        Stream::new(1, stream::START).fill_normal(0, 0, 8, &mut start);
        let times = sampler.times().unwrap();
        let factor: f64 = (0..16)
            .map(|i| {
                let (t, s) = (times[i], times[i + 1]);
                let [(mu, sigma), (mu_s, sigma_s)] =
                    [t, s].map(|t| (sampler.schedule.mu(t), sampler.schedule.sigma(t)));
                let r = mu_s / mu;
                r + (sigma_s - r * sigma) * sigma / (mu * mu * 0.3 + sigma * sigma)
            })
            .product();
        for (got, start) in got.iter().zip(&start) {
            assert!((got - factor * start).abs() < 1e-12 * (1.0 + start.abs()));
        }
    }
}

/// Below the floor a stochastic integrator is the one that it is with η = 0; above it, what it is without a floor.
#[test]
fn noise_stops_at_its_floor() {
    let predictor = Gaussian { variance: 0.3 };
    let pairs = [
        (Integrator::Ancestral { eta: 1.0 }, Integrator::Exponential),
        (Integrator::StochasticDpm2m { eta: 1.0 }, Integrator::Dpm2m),
    ];
    let run = |integrator, noise_floor| {
        sample(&Sampler { integrator, noise_floor, ..sampler(12, 0) }, &predictor, 5).values
    };
    for (noisy, plain) in pairs {
        let quiet = run(noisy, 2.0);
        let expected = run(plain, 0.0);
        let apart = (&quiet - &expected).iter().fold(0.0f64, |m, d| m.max(d.abs()));
        assert!(apart < 1e-13, "{noisy:?}: {apart:e} from {plain:?}");
        assert_eq!(run(noisy, 0.0), run(noisy, 1e-9), "{noisy:?}");
        let between = run(noisy, 0.5);
        assert!(between != quiet && between != run(noisy, 0.0), "{noisy:?}");
        // A step draws noise where σ(s) is at the floor or above.
        let sampler = Sampler { integrator: noisy, noise_floor: 0.5, ..sampler(12, 0) };
        let times = sampler.times().unwrap();
        for (i, pair) in times.windows(2).enumerate() {
            let before = i.checked_sub(1).map(|i| times[i]);
            let (scalars, count) = sampler.step_scalars(before, pair[0], pair[1]);
            let kick = scalars[count - 1];
            let draws = kick > 0.0;
            assert_eq!(draws, sampler.schedule.sigma(pair[1]) >= 0.5, "{noisy:?}, step {i}: {kick}");
        }
    }
}

/// The interpreter draws by the plain formula.
#[test]
fn drawn_noise_is_a_function_of_seed_correction_and_sample() {
    let (sampler, predictor, seed) = (sampler(4, 3), Gaussian { variance: 0.3 }, 11);
    let drawn = sample(&sampler, &predictor, seed).values;
    let mut executor = Interpreter::<f64>::new();
    let run = sampler.compile(&mut executor, &predictor, &SHAPE, NoiseSource::Given).unwrap();
    let fill = |id, step| {
        let mut values = vec![0.0; 40];
        Stream::new(seed, id).fill_normal_plainly(step, 0, 8, &mut values);
        values
    };
    run.start_from(&mut executor, &fill(stream::START, 0)).unwrap();
    for step in 0..4 {
        run.predict(&mut executor, 0, step).unwrap();
        for correction in 0..3 {
            let noise = fill(stream::CORRECTION, step * 3 + correction);
            run.correct(&mut executor, 0, step, correction, Some(&noise)).unwrap();
        }
    }
    assert_eq!(run.samples(&mut executor).unwrap().values, drawn);
}

#[test]
fn delta_is_one_number_per_sample() {
    // A correction without noise: x ← x − τ M ε σ / Σ ε², over the M numbers of each sample.
    let (sampler, predictor) = (sampler(2, 1), Gaussian { variance: 0.3 });
    let mut executor = Interpreter::<f64>::new();
    let run = sampler.compile(&mut executor, &predictor, &SHAPE, NoiseSource::Given).unwrap();
    let x = Array1::from_shape_fn(40, |i| (i as f64 * 0.7).sin() * (1.0 + (i / 8) as f64));
    run.start_from(&mut executor, x.as_slice().unwrap()).unwrap();
    run.correct(&mut executor, 0, 0, 0, Some(&[0.0; 40])).unwrap();
    let got = executor.read(SAMPLE).unwrap();
    let (mu, sigma) = (sampler.schedule.mu(0.5), sampler.schedule.sigma(0.5));
    let noise = &x * (sigma / (mu * mu * 0.3 + sigma * sigma));
    for (i, got) in got.iter().enumerate() {
        let row = i / 8;
        let mean = noise.iter().skip(8 * row).take(8).map(|e| e * e).sum::<f64>() / 8.0;
        assert!((got - (x[i] - 0.25 / mean * noise[i] * sigma)).abs() < 1e-13);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_run_stopped_and_resumed_ends_in_the_same_bits(stop in 1u32..6, seed: u64, looks_back: bool) {
        let (mut sampler, predictor) = (sampler(6, 2), Gaussian { variance: 0.3 });
        if looks_back {
            sampler.integrator = Integrator::StochasticDpm2m { eta: 1.0 };
        }
        let whole = sample(&sampler, &predictor, seed);
        let mut executor = Interpreter::<f64>::new();
        let run = sampler.compile(&mut executor, &predictor, &SHAPE, NoiseSource::Drawn).unwrap();
        let at_stop = |done| if done == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        prop_assert_eq!(run.run(&mut executor, seed, at_stop).unwrap(), Sampled::Interrupted { step: stop });
        let stored: Vec<_> =
            run.state_names().into_iter().map(|name| (name, executor.read(name).unwrap())).collect();
        // Another process.
        let mut executor = Interpreter::<f64>::new();
        let run = sampler.compile(&mut executor, &predictor, &SHAPE, NoiseSource::Drawn).unwrap();
        for (name, values) in &stored {
            executor.write(name, values.view()).unwrap();
        }
        prop_assert_eq!(finished(run.resume(&mut executor, seed, stop, go_on).unwrap()), whole);
    }
}

#[test]
fn a_diverged_sample_is_a_result_with_its_step() {
    /// Not a number once σ is below ½, for samples that begin above ½.
    struct Broken;
    impl NoisePredictor for Broken {
        fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
            let late = g.offset(time.sigma, -0.5);
            let root = g.sqrt(late);
            let half = g.scalar(0.5);
            let small = g.less(x, half);
            let noise = Gaussian { variance: 1.0 }.emit(g, x, time);
            g.select(small, noise, root)
        }
    }
    let mut executor = Interpreter::<f64>::new();
    let sampler = sampler(8, 0);
    let run = sampler.compile(&mut executor, &Broken, &[3, 1, 1], NoiseSource::Drawn).unwrap();
    run.start_from(&mut executor, &[0.1, 3.0, -0.2]).unwrap();
    let samples = finished(run.resume(&mut executor, 0, 0, go_on).unwrap());
    let times = sampler.times().unwrap();
    let step = (0..8).take_while(|&i| sampler.schedule.sigma(times[i]) >= 0.5).count() as u32;
    assert!(step > 0 && step < 8);
    assert_eq!(samples.diverged, [Divergence { sample: 1, step }]);
    assert!(samples.values.iter().enumerate().all(|(i, x)| x.is_finite() == (i != 1)));
}

#[test]
fn the_floor_leaves_out_the_last_corrections() {
    let count = |corrector_floor| {
        let sampler = Sampler { corrector_floor, ..sampler(16, 2) };
        let mut executor = Interpreter::<f64>::new();
        let run =
            sampler.compile(&mut executor, &Gaussian { variance: 1.0 }, &SHAPE, NoiseSource::Drawn).unwrap();
        (0..16).map(|step| run.corrections(step)).collect::<Vec<_>>()
    };
    assert_eq!(count(0.0), [2; 16]);
    let sigma = |step: usize| Schedule::default().sigma(1.0 - (step + 1) as f64 / 16.0);
    for (step, corrections) in count(0.3).into_iter().enumerate() {
        assert_eq!(corrections, if sigma(step) < 0.3 { 0 } else { 2 });
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    for (bad, field) in [
        (Sampler { steps: 0, ..sampler(1, 0) }, "steps"),
        (Sampler { tau: 0.0, ..sampler(1, 0) }, "tau"),
        (Sampler { tau: f64::NAN, ..sampler(1, 0) }, "tau"),
        (Sampler { corrector_floor: -1.0, ..sampler(1, 0) }, "corrector_floor"),
        (Sampler { corrections: u32::MAX, ..sampler(2, 0) }, "corrections"),
        (Sampler { schedule: Schedule { eta: 2.0, ..Schedule::default() }, ..sampler(1, 0) }, "eta"),
    ] {
        let error = bad.check().unwrap_err();
        assert!(matches!(error, DiffusionError::Setting { field: found, .. } if found == field), "{error}");
    }
    let mut executor = Interpreter::<f64>::new();
    let run = sampler(2, 0)
        .compile(&mut executor, &Gaussian { variance: 1.0 }, &SHAPE, NoiseSource::Drawn)
        .unwrap();
    assert!(matches!(run.start_from(&mut executor, &[0.0; 3]), Err(DiffusionError::Length { found: 3, .. })));
}

#[test]
fn all_that_grows_with_the_samples_is_one_region_of_rows() {
    use sda_graph::{Plan, PlanOptions, Stage};
    use sda_nn::{Activation, Network, ResMlp};
    use sda_observe::{Observation, Operator};

    let hidden_features = vec![16, 16];
    let (features, embedding, activation) = (5 * 3, 8, Activation::SiLU);
    let network = Network::ResMlp(ResMlp { features, embedding, hidden_features, activation });
    let operator = Operator::Compose(vec![Operator::EveryNth(4), Operator::Components(vec![0])]);
    let observation = Observation::new(operator, ArrayD::zeros(vec![4, 1]), 0.1).unwrap();
    let prior = crate::GlobalScore::new(network).local(2, 2);
    let (shape, drawn) = ([37, 14, 3], NoiseSource::Drawn);
    let mut programs = Vec::new();
    for guidance in [crate::Guidance::Sda { gamma: 1e-2, detach: false }, crate::Guidance::mmps(2)] {
        for place in [crate::Place::Composed, crate::Place::Windowed] {
            let posterior = crate::Posterior {
                place,
                ..crate::Posterior::new(&prior, observation.clone(), guidance.clone())
            };
            let looking_back = Sampler { integrator: Integrator::Dpm2m, ..sampler(2, 1) };
            programs.extend([
                predictor_program(Integrator::Dpm2m, &posterior, &shape, drawn),
                corrector_program(&sampler(2, 1), &posterior, &shape, drawn),
                corrector_program(&looking_back, &posterior, &shape, drawn),
            ]);
        }
    }
    for program in programs {
        let plan = Plan::new(&program, PlanOptions::default());
        let mut regions = 0;
        for stage in &plan.stages {
            match stage {
                Stage::Rows { rows, .. } => {
                    assert_eq!(*rows, 37);
                    regions += 1;
                }
                // 37 is prime, and no axis of the network has it.
                Stage::Global(steps) => {
                    let outputs = steps.iter().flat_map(|step| &step.outputs);
                    let grows = |shape: &[usize]| shape.iter().product::<usize>().is_multiple_of(37);
                    let grown: Vec<_> = outputs.filter(|output| grows(&output.shape)).collect();
                    assert!(grown.is_empty(), "{grown:?}");
                }
            }
        }
        assert_eq!(regions, 1);
    }
}
