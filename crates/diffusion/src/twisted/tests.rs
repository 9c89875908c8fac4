use ndarray::{Array1, Array2, array};
use sda_kernels::Interpreter;
use sda_observe::{Observation, Operator};

use super::*;
use crate::gaussian::GaussianScore;
use crate::guidance::{Guidance, Place};
use crate::time_grid::TimeGrid;

const SAMPLES: usize = 4096;

fn twisted(below: f64) -> Twisted {
    let integrator = Integrator::StochasticDpm2m { eta: 1.0 };
    let sampler = Sampler { steps: 64, grid: TimeGrid::Squared, integrator, ..Sampler::default() };
    Twisted { sampler, resampling: Resampling { gamma: 0.2, below, particles: 1 } }
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
    let (_, _, exact) = moments(Guidance::Mmps { iterations: 2 }, &twisted(0.0));
    let last = |s: &Weighing| s.effective_sample_size.last().copied().unwrap();
    assert!(last(&exact) > 0.9 * SAMPLES as f64, "{}", last(&exact));
    assert!(last(&weak) < 0.7 * SAMPLES as f64, "{}", last(&weak));
}

#[test]
fn systematic_draws_keep_shares() {
    let weights = |values: &[f64]| Weights::of_logs(values.iter().map(|w| w.ln())).unwrap();
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
    assert!(Weights::of_logs([f64::NEG_INFINITY, f64::NAN].into_iter()).is_none());
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

#[test]
fn what_it_cannot_do_is_refused() {
    let refused = |twisted: Twisted| twisted.check().unwrap_err().to_string();
    let base = twisted(0.5);
    let with = |sampler: Sampler| Twisted { sampler, ..base.clone() };
    let exponential = refused(with(Sampler { integrator: Integrator::Exponential, ..base.sampler.clone() }));
    assert!(exponential.contains("`integrator` must be Ancestral or"), "{exponential}");
    let corrected = refused(with(Sampler { corrections: 1, ..base.sampler.clone() }));
    assert!(corrected.contains("`corrections` must be 0"), "{corrected}");
    let share =
        refused(Twisted { resampling: Resampling { gamma: 0.2, below: 1.5, particles: 1 }, ..base.clone() });
    assert!(share.contains("`below`"), "{share}");
    let mut posterior = posterior(Guidance::Tmpd);
    posterior.each = Some(ArrayD::zeros(vec![3, 1, 1]));
    let error = base.compile(&mut Interpreter::<f64>::new(), &posterior, &[3, 2, 1]).unwrap_err().to_string();
    assert!(error.contains("one observation for all"), "{error}");
}

#[test]
fn a_stopped_run_goes_on_with_the_same_bits() {
    let (n, guidance) = (64, Guidance::Sda { gamma: 0.2, detach: false });
    let integrators = [Integrator::StochasticDpm2m { eta: 1.0 }, Integrator::Ancestral { eta: 1.0 }];
    // Drawn anew at nearly every step, and never, so that the stop has weights to lose.
    for (integrator, below) in integrators.into_iter().flat_map(|i| [(i, 0.9), (i, 0.0)]) {
        let mut twisted = twisted(below);
        twisted.sampler = Sampler { steps: 12, integrator, ..twisted.sampler };
        let mut whole = Interpreter::<f64>::new();
        let run = twisted.compile(&mut whole, &posterior(guidance.clone()), &[n, 2, 1]).unwrap();
        let never_stopped = run.run(&mut whole, 5, |_| ControlFlow::Continue(())).unwrap();
        let stop = |step| if step == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let mut first = Interpreter::<f64>::new();
        let run = twisted.compile(&mut first, &posterior(guidance.clone()), &[n, 2, 1]).unwrap();
        assert_eq!(run.run(&mut first, 5, stop).unwrap(), Sampled::Interrupted { step: 7 });
        let mut second = Interpreter::<f64>::new();
        let run = twisted.compile(&mut second, &posterior(guidance.clone()), &[n, 2, 1]).unwrap();
        for name in run.state_names() {
            second.write(name, first.read(name).unwrap().view()).unwrap();
        }
        let gone_on = run.resume(&mut second, 5, 7, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(gone_on, never_stopped, "{integrator:?}, below {below}");
        let Sampled::Finished(samples) = gone_on else { panic!("nothing stops it") };
        let sizes = samples.weighing.unwrap().effective_sample_size;
        assert!(sizes.len() == 13 && sizes.iter().all(|&size| size >= 1.0), "{sizes:?}");
    }
}
