//! A short training: losses, rates, changes of the weights.

use ndarray::{Array1, ArrayD, Axis};
use sda_core::Real;
use sda_diffusion::{Trainer, Training};
use sda_graph::Executor;
use sda_nn::{AdamW, LearningRate, Weights};

use super::network::{network, prefix};
use super::report::Report;
use super::schedule::schedule;
use crate::reference::Case;

fn optimiser(case: &Case) -> AdamW {
    assert_eq!(case.word("optimizer"), "AdamW");
    let beta = |i: usize| case.config["betas"][i].as_f64().expect("two betas");
    AdamW {
        betas: [beta(0), beta(1)],
        epsilon: case.number("eps"),
        weight_decay: case.number("weight_decay"),
        ..AdamW::default()
    }
}

pub(super) fn check<E: Executor>(case: &Case, executor: &mut E, report: &mut Report<'_>) {
    let network = network(&case.config["network"]);
    assert_eq!(case.word("schedule"), "linear per epoch");
    let (epochs, batches) = (case.count("epochs"), case.count("batches_per_epoch"));
    let training = Training { schedule: schedule(case), optimiser: optimiser(case), ..Training::default() };
    let windows = case.tensor("in.x");
    let mut trainer = Trainer::new(executor, network.clone(), &windows.shape()[2..], training, 0).unwrap();
    trainer.begin(&network.from_published(&case.under("param.")).unwrap()).unwrap();

    let narrow = |array: &ArrayD<f64>, step: usize| -> Vec<E::Real> {
        array.index_axis(Axis(0), step).iter().map(|&x| E::Real::from_f64(x)).collect()
    };
    let (mut losses, mut rates) = (Vec::new(), Vec::new());
    for step in 0..epochs * batches {
        let rate = LearningRate::Linear.at(step / batches, epochs, case.number("lr"));
        let times: Vec<f64> = case.tensor("in.t").index_axis(Axis(0), step).iter().copied().collect();
        let (x, noise) = (narrow(windows, step), narrow(case.tensor("in.eps"), step));
        losses.push(trainer.step_on(step as u32, rate, &x, &times, &noise).unwrap());
        rates.push(rate);
    }
    let tolerance = report.tolerance;
    report.compare("out.loss", &Array1::from(losses).into_dyn(), tolerance.values);
    report.compare("out.lr", &Array1::from(rates).into_dyn(), tolerance.values);

    let trained = network.to_published(&trainer.weights(Weights::Trained).unwrap(), &prefix(case)).unwrap();
    for (name, weight) in trained {
        let (before, after) = (case.tensor(&format!("param.{name}")), format!("out.param.{name}"));
        let want = case.tensor(&after) - before;
        let got = weight.mapv(Real::to_f64) - before;
        report.compare_with(&after, &got, &want, tolerance.weight_changes);
    }
}
