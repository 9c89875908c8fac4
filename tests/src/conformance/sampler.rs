//! The predictor–corrector from a given start, with given noise.

use ndarray::{ArrayD, Axis};
use sda_core::Real;
use sda_diffusion::{NoisePredictor, NoiseSource, Place, Posterior, Sampler};
use sda_graph::Executor;

use super::guidance::{guidance, observation, prior};
use super::report::Report;
use super::schedule::schedule;
use crate::reference::Case;

fn sampler(case: &Case) -> Sampler {
    let corrections = case.count("corrections") as u32;
    Sampler {
        schedule: schedule(case),
        steps: case.count("steps") as u32,
        corrections,
        tau: if corrections == 0 { 1.0 } else { case.number("tau") },
        ..Sampler::default()
    }
}

fn narrow<T: Real>(array: &ArrayD<f64>) -> Vec<T> {
    array.iter().map(|&x| T::from_f64(x)).collect()
}

fn sample<E: Executor>(case: &Case, executor: &mut E, predictor: &dyn NoisePredictor) -> ArrayD<f64> {
    let start = case.tensor("in.x1");
    let sampler = sampler(case);
    let run = sampler.compile(executor, predictor, start.shape(), NoiseSource::Given).unwrap();
    run.start_from(executor, &narrow(start)).unwrap();
    for step in 0..sampler.steps {
        run.predict(executor, 0, step).unwrap();
        for correction in 0..run.corrections(step) {
            let draw = (step * sampler.corrections + correction) as usize;
            let noise: Vec<E::Real> = narrow(&case.tensor("in.noise").index_axis(Axis(0), draw).to_owned());
            run.correct(executor, 0, step, correction, Some(&noise)).unwrap();
        }
    }
    let samples = run.samples(executor).unwrap();
    assert_eq!(samples.diverged, []);
    samples.values.mapv(Real::to_f64)
}

pub(super) fn check<E: Executor>(case: &Case, executor: &mut E, report: &mut Report<'_>) {
    let prior = prior(case, executor);
    let got = if case.tensors.contains_key("in.y") {
        let posterior =
            Posterior { place: Place::Composed, ..Posterior::new(prior, observation(case), guidance(case)) };
        sample(case, executor, &posterior)
    } else {
        sample(case, executor, &prior)
    };
    report.compare("out.x0", &got, report.tolerance.samples);
}
