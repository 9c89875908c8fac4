use ndarray::{Array1, Array2, array};
use sda_graph::{Graph, NodeId};
use sda_kernels::Interpreter;
use sda_observe::{Observation, Operator};

use super::*;
use crate::gaussian::GaussianScore;
use crate::guidance::{Guidance, Place};
use crate::predictor::{TimeNodes, flat};
use crate::sampler::LangevinStep;
use crate::time_grid::TimeGrid;

const SAMPLES: usize = 4096;

fn twisted(below: f64) -> Twisted {
    let integrator = Integrator::StochasticDpm2m { eta: 1.0 };
    // Of two numbers alone, ε² may be small.
    let (tau, langevin) = (0.05, LangevinStep::Fixed);
    let grid = TimeGrid::Squared;
    let sampler = Sampler { steps: 64, grid, integrator, tau, langevin, ..Sampler::default() };
    Twisted { sampler, resampling: Resampling { gamma: 0.2, below, particles: 1, floor: 0.0, cut: None } }
}

/// Two states of one number, correlated; the first is seen.
fn posterior(guidance: Guidance) -> Posterior<GaussianScore> {
    let prior = GaussianScore::new(array![0.4, -0.2], &covariance()).unwrap();
    let operator = Operator::EveryNth(2);
    let observation = Observation::new(operator, ArrayD::from_elem(vec![1, 1], 1.1), 0.3).unwrap();
    Posterior { place: Place::Composed, ..Posterior::new(prior, observation, guidance) }
}

fn covariance() -> Array2<f64> {
    array![[0.8, 0.6], [0.6, 1.2]]
}

/// Mean and covariance of the samples.
fn moments(guidance: Guidance, twisted: &Twisted) -> (Array1<f64>, Array2<f64>, Weighing) {
    let mut executor = Interpreter::<f64>::new();
    let run = twisted.compile(&mut executor, &posterior(guidance), &[SAMPLES, 2, 1]).unwrap();
    let Sampled::Finished(samples) = run.run(&mut executor, 3, |_| ControlFlow::Continue(())).unwrap() else {
        panic!("nothing stops it")
    };
    let x = samples.values.into_shape_with_order((SAMPLES, 2)).unwrap();
    let mean = x.mean_axis(Axis(0)).unwrap();
    let centred = &x - &mean;
    (mean, centred.t().dot(&centred) / SAMPLES as f64, samples.weighing.unwrap())
}

/// The exact posterior: gain C Aᵀ / (A C Aᵀ + σ²).
fn exact() -> (Array1<f64>, Array2<f64>) {
    let c = covariance();
    let column = c.column(0).to_owned();
    let total = c[[0, 0]] + 0.09;
    let outer = column.clone().insert_axis(Axis(1)).dot(&column.clone().insert_axis(Axis(0)));
    (array![0.4, -0.2] + &column * ((1.1 - 0.4) / total), &c - &(outer / total))
}

/// A guidance far too weak and one far too strong, both set right by the weights; without weights both miss.
#[test]
fn weights_set_a_wrong_guidance_right() {
    let (mean, spread) = exact();
    for gamma in [3.0, 0.02] {
        let guidance = Guidance::Sda { gamma, detach: false };
        let (got_mean, got_spread, weighing) = moments(guidance, &twisted(0.5));
        let error = |a: &Array1<f64>| (a - &mean).iter().fold(0.0f64, |m, d| m.max(d.abs()));
        let wide = |a: &Array2<f64>| (a - &spread).iter().fold(0.0f64, |m, d| m.max(d.abs()));
        assert!(
            error(&got_mean) < 0.06 && wide(&got_spread) < 0.06,
            "{gamma}: {got_mean} {got_spread}, {mean} {spread}"
        );
        assert_eq!(weighing.effective_sample_size.len(), 65);
        assert!(weighing.effective_sample_size.iter().all(|&n| (1.0..=SAMPLES as f64 + 1e-6).contains(&n)));
        assert!(weighing.distinct > SAMPLES / 4 && weighing.distinct <= SAMPLES);
        // The same steps without their weights.
        let mut executor = Interpreter::<f64>::new();
        let guidance = Guidance::Sda { gamma, detach: false };
        let drawn = crate::sampler::NoiseSource::Drawn;
        let run = twisted(0.5)
            .sampler
            .compile(&mut executor, &posterior(guidance), &[SAMPLES, 2, 1], drawn)
            .unwrap();
        let crate::sampler::Sampled::Finished(plain) =
            run.run(&mut executor, 3, |_| std::ops::ControlFlow::Continue(())).unwrap()
        else {
            panic!("nothing stops it")
        };
        let x = plain.values.into_shape_with_order((SAMPLES, 2)).unwrap();
        let plain_mean = x.mean_axis(Axis(0)).unwrap();
        let centred = &x - &plain_mean;
        let plain_spread = centred.t().dot(&centred) / SAMPLES as f64;
        assert!(
            error(&plain_mean) > 0.1 || wide(&plain_spread) > 0.1,
            "{gamma}: {plain_mean} {plain_spread}"
        );
    }
}

#[test]
fn exact_guidance_keeps_the_weights_even() {
    // The exact posterior's guidance and, as the potential, the exact likelihood of one number: γ makes it close.
    let (_, _, weak) = moments(Guidance::Sda { gamma: 3.0, detach: false }, &twisted(0.0));
    let (_, _, exact) = moments(Guidance::mmps(2), &twisted(0.0));
    let last = |s: &Weighing| s.effective_sample_size.last().copied().unwrap();
    assert!(last(&exact) > 0.9 * SAMPLES as f64, "{}", last(&exact));
    assert!(last(&weak) < 0.7 * SAMPLES as f64, "{}", last(&weak));
}

#[test]
fn weights_are_cut_above_their_median() {
    let weights = |logs: &[f64], cut| Weights::of_logs(logs.iter().copied(), cut).unwrap().values;
    let close = |got: Vec<f64>, want: &[f64]| {
        assert!(
            got.len() == want.len() && got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12),
            "{got:?}"
        );
    };
    let logs = [50.0, 0.0, -1.0, 1.0, f64::NAN];
    close(weights(&logs, Some(1.0)), &[1.0, 1.0, (-1.0f64).exp(), 1.0, 0.0]);
    close(weights(&logs, Some(2.0)), &[1.0, 0.5, 0.5 * (-1.0f64).exp(), 1.0, 0.0]);
    close(weights(&[3.0, 1.0], Some(1.0)), &[1.0, 1.0]);
    // Where most weigh nothing there is no median to cut at.
    let few = [f64::NEG_INFINITY, f64::NAN, 0.0, f64::NEG_INFINITY, 2.0];
    close(weights(&few, Some(1.0)), &[0.0, 0.0, (-2.0f64).exp(), 0.0, 1.0]);
    assert!(Weights::of_logs([f64::NEG_INFINITY, f64::NAN].into_iter(), Some(1.0)).is_none());
}

#[test]
fn systematic_draws_keep_shares() {
    let weights = |values: &[f64]| Weights::of_logs(values.iter().map(|w| w.ln()), None).unwrap();
    let some = weights(&[0.0, 0.5, 0.25, f64::NAN, 0.25]);
    assert!((some.effective - 1.0 / 0.375).abs() < 1e-12, "{}", some.effective);
    for (n, half, quarter) in [(5, 2..=3, 1..=2), (8, 4..=4, 2..=2), (2, 1..=1, 0..=1)] {
        for u in [0.0, 0.3, 0.999] {
            let drawn = some.parents(n, u);
            let count = |i| drawn.iter().filter(|&&p| p == i).count();
            assert_eq!((drawn.len(), count(0), count(3)), (n, 0, 0));
            assert!(half.contains(&count(1)) && quarter.contains(&count(2)), "{drawn:?}");
        }
    }
    assert_eq!(weights(&[1.0; 4]).parents(4, 0.5), [0, 1, 2, 3]);
    assert!(Weights::of_logs([f64::NEG_INFINITY, f64::NAN].into_iter(), None).is_none());
}

/// Samples drawn from more particles have the law of the particles.
#[test]
fn samples_are_drawn_from_more_particles() {
    let (mean, spread) = exact();
    let mut twisted = twisted(0.5);
    twisted.resampling.particles = 4;
    let mut executor = Interpreter::<f64>::new();
    let guidance = Guidance::Sda { gamma: 3.0, detach: false };
    let run = twisted.compile(&mut executor, &posterior(guidance), &[SAMPLES / 4, 2, 1]).unwrap();
    let Sampled::Finished(samples) = run.run(&mut executor, 3, |_| ControlFlow::Continue(())).unwrap() else {
        panic!("nothing stops it")
    };
    assert_eq!(samples.values.shape(), [SAMPLES / 4, 2, 1]);
    let weighing = samples.weighing.unwrap();
    let greatest = weighing.effective_sample_size.iter().copied().fold(0.0, f64::max);
    assert!(greatest > (SAMPLES / 2) as f64, "of {SAMPLES} particles {greatest} are effective");
    let x = samples.values.into_shape_with_order((SAMPLES / 4, 2)).unwrap();
    let got = x.mean_axis(Axis(0)).unwrap();
    let centred = &x - &got;
    let got_spread = centred.t().dot(&centred) / (SAMPLES / 4) as f64;
    let off = (&got - &mean).iter().chain(&(&got_spread - &spread)).fold(0.0f64, |m, d| m.max(d.abs()));
    assert!(off < 0.1, "{got} {got_spread}, {mean} {spread}");
}

/// A last correction comes after its particle was weighed.
#[test]
fn a_sample_that_a_last_correction_throws_out_of_the_real_numbers_is_told() {
    let mut twisted = twisted(0.5);
    twisted.sampler = Sampler { steps: 1, corrections: 1, tau: 1e308, ..twisted.sampler };
    let mut executor = Interpreter::<f64>::new();
    let posterior = posterior(Guidance::Sda { gamma: 0.2, detach: false });
    let run = twisted.compile(&mut executor, &posterior, &[8, 2, 1]).unwrap();
    let Sampled::Finished(samples) = run.run(&mut executor, 3, |_| ControlFlow::Continue(())).unwrap() else {
        panic!("nothing stops it")
    };
    let all: Vec<_> = (0..8).map(|sample| Divergence { sample, step: 1 }).collect();
    assert_eq!(samples.diverged, all);
}

/// All particles leave the real numbers in the middle, with weights to the end and with steps without.
#[test]
fn samples_that_are_all_lost_are_a_result() {
    for floor in [0.0, 0.5] {
        let mut twisted = twisted(0.5);
        twisted.sampler = Sampler { steps: 8, corrections: 1, tau: 1e308, ..twisted.sampler };
        twisted.resampling = Resampling { floor, particles: 2, ..twisted.resampling };
        let mut executor = Interpreter::<f64>::new();
        let run = twisted.compile(&mut executor, &posterior(Guidance::mmps(1)), &[3, 2, 1]).unwrap();
        let Sampled::Finished(samples) = run.run(&mut executor, 3, |_| ControlFlow::Continue(())).unwrap()
        else {
            panic!("nothing stops it")
        };
        assert_eq!(samples.values.shape(), [3, 2, 1]);
        assert_eq!(samples.diverged.iter().map(|d| d.sample).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(samples.diverged.iter().all(|d| d.step < 8), "{:?}", samples.diverged);
        assert_eq!(samples.weighing.unwrap().distinct, 0);
    }
}

#[test]
fn what_it_cannot_do_is_refused() {
    let refused = |twisted: Twisted| twisted.check().unwrap_err().to_string();
    let base = twisted(0.5);
    let with = |sampler: Sampler| Twisted { sampler, ..base.clone() };
    let exponential = refused(with(Sampler { integrator: Integrator::Exponential, ..base.sampler.clone() }));
    assert!(exponential.contains("`integrator` must be Ancestral or"), "{exponential}");
    let mut silent = with(Sampler { noise_floor: 0.2, ..base.sampler.clone() });
    assert!(refused(silent.clone()).contains("`noise_floor` must be at most the `floor`"));
    silent.resampling.floor = 0.2;
    silent.check().unwrap();
    for floor in [-0.1, 1.0, f64::NAN] {
        silent.resampling.floor = floor;
        assert!(refused(silent.clone()).contains("`floor` must be at least 0 and below 1"));
    }
    let share = refused(Twisted { resampling: Resampling { below: 1.5, ..base.resampling }, ..base.clone() });
    assert!(share.contains("`below`"), "{share}");
    for cut in [0.5, f64::NAN] {
        let cut =
            refused(Twisted { resampling: Resampling { cut: Some(cut), ..base.resampling }, ..base.clone() });
        assert!(cut.contains("`cut` must be at least 1"), "{cut}");
    }
    let cut_by = |below: f64| Twisted {
        resampling: Resampling { below, cut: Some(1.0), ..base.resampling },
        ..base.clone()
    };
    assert!(refused(cut_by(0.5)).contains("`below` must be above 0.5 where `cut` is 1"));
    cut_by(0.75).check().unwrap();
    let mut exact = posterior(Guidance::mmps(1));
    exact.observation.noise_std = 0.0;
    let narrow = Twisted { resampling: Resampling { gamma: 0.0, ..base.resampling }, ..base.clone() };
    let error = narrow.compile(&mut Interpreter::<f64>::new(), &exact, &[3, 2, 1]).unwrap_err().to_string();
    assert!(error.contains("choose γ > 0 for the weights"), "{error}");
    base.compile(&mut Interpreter::<f64>::new(), &exact, &[3, 2, 1]).unwrap();
    let mut posterior = posterior(Guidance::Tmpd);
    posterior.each = Some(ArrayD::zeros(vec![3, 1, 1]));
    let error = base.compile(&mut Interpreter::<f64>::new(), &posterior, &[3, 2, 1]).unwrap_err().to_string();
    assert!(error.contains("one observation for all"), "{error}");
}

#[test]
fn a_stopped_run_goes_on_with_the_same_bits() {
    let guidance = || posterior(Guidance::Sda { gamma: 0.2, detach: false });
    let shape = [64, 2, 1];
    let integrators = [Integrator::StochasticDpm2m { eta: 1.0 }, Integrator::Ancestral { eta: 1.0 }];
    // Drawn anew at nearly every step, and never, so that the stop has weights to lose; weighed to the end, for 6 of the
    // 12 steps, for none.
    let settings = [
        (0.9, 0.0, 0),
        (0.0, 0.0, 0),
        (0.9, 0.0, 2),
        (0.9, 0.4, 0),
        (0.0, 0.4, 2),
        (0.9, 0.4, 1),
        (0.9, 1e-3, 1),
        (0.9, 0.9999, 1),
    ];
    let cases = integrators.into_iter().flat_map(|i| settings.map(|s| (i, s)));
    for (integrator, (below, floor, corrections)) in cases {
        let mut twisted = twisted(below);
        twisted.sampler =
            Sampler { steps: 12, integrator, corrections, noise_floor: floor / 2.0, ..twisted.sampler };
        twisted.resampling = Resampling { floor, particles: 2, ..twisted.resampling };
        let mut whole = Interpreter::<f64>::new();
        let run = twisted.compile(&mut whole, &guidance(), &shape).unwrap();
        let never_stopped = run.run(&mut whole, 5, |_| ControlFlow::Continue(())).unwrap();
        for at in [1, 5, 6, 7, 11] {
            let stop = |step| if step == at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            let mut first = Interpreter::<f64>::new();
            let run = twisted.compile(&mut first, &guidance(), &shape).unwrap();
            assert_eq!(run.run(&mut first, 5, stop).unwrap(), Sampled::Interrupted { step: at });
            let mut second = Interpreter::<f64>::new();
            let run = twisted.compile(&mut second, &guidance(), &shape).unwrap();
            for name in run.state_names() {
                second.write(name, first.read(name).unwrap().view()).unwrap();
            }
            let gone_on = run.resume(&mut second, 5, at, |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(
                gone_on, never_stopped,
                "{integrator:?}, below {below}, floor {floor}, {corrections} corrections, stopped at {at}"
            );
        }
        let Sampled::Finished(samples) = never_stopped else { panic!("nothing stops it") };
        let sizes = samples.weighing.unwrap().effective_sample_size;
        let weighed = match floor {
            0.4 => 6,
            0.9999 => 0,
            _ => 12,
        };
        let after = usize::from(corrections == 0 || weighed == 0);
        assert!(sizes.len() == weighed + after && sizes.iter().all(|&size| size >= 1.0), "{sizes:?}");
    }
}

/// A correction with the potential's own guidance leaves the weights' law as it is, by whatever steps it was reached.
#[test]
fn corrections_and_a_floor_keep_the_posterior() {
    let (mean, spread) = exact();
    let guidance = || Guidance::Sda { gamma: 0.2, detach: false };
    for (corrections, floor, particles) in [(1, 0.0, 1), (2, 0.0, 1), (0, 0.1, 1), (1, 0.1, 2), (2, 0.1, 1)] {
        let mut twisted = twisted(0.5);
        // With corrections in some of the weighed steps, and in steps after them.
        let corrector_floor = 0.05;
        let (steps, noise_floor) = (128, floor / 2.0);
        twisted.sampler = Sampler { steps, corrections, corrector_floor, noise_floor, ..twisted.sampler };
        twisted.resampling = Resampling { particles, floor, ..twisted.resampling };
        let (got_mean, got_spread, weighing) = moments(guidance(), &twisted);
        let off =
            (&got_mean - &mean).iter().chain(&(&got_spread - &spread)).fold(0.0f64, |m, d| m.max(d.abs()));
        assert!(
            off < 0.06,
            "{corrections} corrections, floor {floor}: {got_mean} {got_spread}, {mean} {spread}"
        );
        // Of more particles, fewer samples have one parent.
        let least = if particles > 1 { 4 } else { 3 } * SAMPLES / 5;
        assert!((least..=SAMPLES).contains(&weighing.distinct), "{particles}: {}", weighing.distinct);
    }
}

/// Data around ±(1, 1) with variance v in each number.
#[derive(Clone, Copy, Debug)]
struct Wings {
    v: f64,
}

impl NoisePredictor for Wings {
    /// ε = σ (x − μ w c)/(μ² v + σ²), w = tanh(μ c·x/(μ² v + σ²)), c = (1, 1)
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        let shape = g.shape(x).to_vec();
        let rows = flat(g, x);
        let (mu, sigma) = (g.square(time.mu), g.square(time.sigma));
        let data = g.scale(mu, self.v);
        let variance = g.add(data, sigma);
        let along = g.sum(rows, &[1]);
        let along = g.mul(along, time.mu);
        let along = g.div(along, variance);
        let wing = g.tanh(along);
        let centre = g.mul(wing, time.mu);
        let off = g.sub(rows, centre);
        let off = g.mul(off, time.sigma);
        let noise = g.div(off, variance);
        g.reshape(noise, &shape)
    }
}

/// While nothing is drawn, particles go the way of the plain sampler's samples.
#[test]
fn without_draws_particles_are_the_plain_samplers() {
    let posterior = posterior(Guidance::Sda { gamma: 0.5, detach: false });
    let integrators = [Integrator::StochasticDpm2m { eta: 1.0 }, Integrator::Ancestral { eta: 0.7 }];
    for (integrator, corrections) in integrators.into_iter().flat_map(|i| [(i, 0), (i, 1), (i, 2)]) {
        let mut twisted = twisted(0.0);
        // Corrected steps and steps that are not.
        let corrector_floor = 0.6;
        twisted.sampler = Sampler { steps: 12, integrator, corrections, corrector_floor, ..twisted.sampler };
        let shape = [16, 2, 1];
        let stop = |step| if step == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let mut weighed = Interpreter::<f64>::new();
        let run = twisted.compile(&mut weighed, &posterior, &shape).unwrap();
        assert_eq!(run.run(&mut weighed, 5, stop).unwrap(), Sampled::Interrupted { step: 9 });
        let mut plain = Interpreter::<f64>::new();
        let run = twisted.sampler.compile(&mut plain, &posterior, &shape, NoiseSource::Drawn).unwrap();
        assert_eq!(run.run(&mut plain, 5, stop).unwrap(), Sampled::Interrupted { step: 9 });
        for name in run.state_names().into_iter().filter(|&name| name != FINITE_STEPS) {
            let (got, want) = (weighed.read(name).unwrap(), plain.read(name).unwrap());
            let off = (&got - &want).iter().fold(0.0f64, |m, d| m.max(d.abs()));
            assert!(off < 1e-10, "{integrator:?}, {corrections} corrections, {name}: off by {off:e}");
        }
    }
}

/// Two wings of which one explains what was seen: a weak guidance leads some samples to the other, where a deterministic
/// end leaves them. Weights that end before that leave none.
#[test]
fn weights_above_a_floor_leave_no_sample_on_a_wrong_wing() {
    let prior = Wings { v: 0.01 };
    let observation =
        Observation::new(Operator::EveryNth(2), ArrayD::from_elem(vec![1, 1], 1.0), 0.1).unwrap();
    let guidance = Guidance::Sda { gamma: 30.0, detach: false };
    let posterior = Posterior { place: Place::Composed, ..Posterior::new(prior, observation, guidance) };
    let mut twisted = twisted(0.75);
    let integrator = Integrator::Ancestral { eta: 1.0 };
    twisted.sampler = Sampler { integrator, corrections: 1, noise_floor: 0.1, ..twisted.sampler };
    twisted.resampling.floor = 0.2;
    let n = 512;
    let wrong = |sampled: Sampled<f64>| {
        let Sampled::Finished(samples) = sampled else { panic!("nothing stops it") };
        samples.values.outer_iter().filter(|x| x.iter().any(|&x| x < 0.0)).count()
    };
    let mut executor = Interpreter::<f64>::new();
    let plain = twisted.sampler.compile(&mut executor, &posterior, &[n, 2, 1], NoiseSource::Drawn).unwrap();
    let plain = wrong(plain.run(&mut executor, 3, |_| ControlFlow::Continue(())).unwrap());
    let mut executor = Interpreter::<f64>::new();
    assert!(plain > n / 50, "{plain} without weights");
    for cut in [None, Some(1.0)] {
        twisted.resampling.cut = cut;
        let run = twisted.compile(&mut executor, &posterior, &[n, 2, 1]).unwrap();
        let weighed = run.run(&mut executor, 3, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(wrong(weighed), 0, "with weights, cut at {cut:?}");
    }
}
