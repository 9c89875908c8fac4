//! Samples the posterior of an observation of a finished run of `lorenz` with the shipped network:
//!
//!   cargo run --release -p sda --example posterior -- models/lorenz63.safetensors runs/lorenz-quick/observations/lo-0.safetensors

use anyhow::Context;
use sda::data::{ModelFile, Observations};
use sda::device::Cpu;
use sda::diffusion::{
    Denoiser, GlobalScore, Guidance, Integrator, NoiseSource, Posterior, Sampled, Sampler, TimeGrid,
};
use sda::graph::Executor;
use sda::nn::{Network, Weights};
use sda::observe::{Observation, Operator};
use std::ops::ControlFlow;
use std::path::PathBuf;

const SAMPLES: usize = 64;
const STATES: usize = 65;
const COMPONENTS: usize = 3;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let model = ModelFile::load(&arguments.next().context("name a file of weights")?)?;
    let seen = Observations::load(&arguments.next().context("name a file of observations")?)?;
    let network: Network = model.field("architecture.network", &model.header.architecture["network"])?;
    let denoiser: Denoiser = model.field("training.denoiser", &model.header.training["denoiser"])?;

    // The weights are states of the executor, under the names that the network reads; the losses are no weights.
    let mut executor = Cpu::new(0)?;
    for (name, values) in model.tensors.iter().filter(|(name, _)| !name.starts_with("curve.")) {
        executor.write(&Weights::Trained.state(name), values.view())?;
    }

    // Every 8th state of the first component, with noise of 0.05, all in normalised units.
    let operator = Operator::Compose(vec![Operator::EveryNth(8), Operator::Components(vec![0])]);
    // The network sees all states; `.local(order, stride)` would slide one of windows of 2·order + 1 over them.
    let prior = GlobalScore { denoiser, ..GlobalScore::new(network) };
    let observation = Observation::new(operator, seen.y.mapv(f64::from), 0.05)?;
    let posterior = Posterior::new(prior, observation, Guidance::mmps(1));

    let sampler = Sampler {
        schedule: model.field("training.schedule", &model.header.training["schedule"])?,
        steps: 128,
        grid: TimeGrid::Squared,
        corrections: 1,
        tau: 0.1,
        corrector_floor: 0.02,
        integrator: Integrator::Ancestral { eta: 1.0 },
        noise_floor: 0.1,
        ..Sampler::default()
    };
    let planned =
        sampler.compile(&mut executor, &posterior, &[SAMPLES, STATES, COMPONENTS], NoiseSource::Drawn)?;
    let Sampled::Finished(samples) = planned.run(&mut executor, 7, |_| ControlFlow::Continue(()))? else {
        anyhow::bail!("the run was stopped");
    };

    println!("{} of {SAMPLES} samples diverged", samples.diverged.len());
    for state in (0..STATES).step_by(8) {
        let x: Vec<f32> = samples.values.outer_iter().map(|sample| sample[[state, 0]]).collect();
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / x.len() as f32;
        println!(
            "state {state:>2}: y {:>7.3}, x {mean:>7.3} ± {:.3}",
            seen.y[[state / 8, 0]],
            variance.sqrt()
        );
    }
    Ok(())
}
