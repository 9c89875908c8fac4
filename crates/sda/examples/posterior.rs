//! Samples the posterior of an observation with the model of a finished run of `lorenz`:
//!
//!   cargo run --release -p sda --example posterior -- runs/lorenz_rozet2023-quick

use anyhow::Context;
use sda::data::{ModelFile, Observations};
use sda::device::Cpu;
use sda::diffusion::{GlobalScore, Guidance, NoiseSource, Posterior, Sampled, Sampler};
use sda::graph::Executor;
use sda::nn::{Network, Weights};
use sda::observe::{Observation, Operator};
use std::ops::ControlFlow;
use std::path::PathBuf;

const SAMPLES: usize = 64;
const STATES: usize = 65;
const COMPONENTS: usize = 3;

fn main() -> anyhow::Result<()> {
    let run: PathBuf = std::env::args_os().nth(1).context("name a run directory")?.into();
    let model = ModelFile::load(&run.join("model.safetensors"))?;
    // Windows of 2k + 1 states, one at every k-th state: half of each overlaps the next.
    let window: usize = model.field("architecture.window", &model.header.architecture["window"])?;
    let network: Network = model.field("architecture.network", &model.header.architecture["network"])?;
    let (order, stride) = (window / 2, window / 2);

    // The weights are states of the executor, under the names that the network reads; the losses are no weights.
    let mut executor = Cpu::new(0)?;
    for (name, values) in model.tensors.iter().filter(|(name, _)| !name.starts_with("curve.")) {
        executor.write(&Weights::Trained.state(name), values.view())?;
    }

    // Every 8th state of the first component, with noise of 0.05, all in normalised units.
    let seen = Observations::load(&run.join("observations/lo-0.safetensors"))?;
    let operator = Operator::Compose(vec![Operator::EveryNth(8), Operator::Components(vec![0])]);
    let prior = GlobalScore::new(network).local(order, stride);
    let observation = Observation::new(operator, seen.y.mapv(f64::from), 0.05)?;
    let posterior = Posterior::new(prior, observation, Guidance::Sda { gamma: 3e-2, detach: false });

    let sampler = Sampler {
        schedule: model.field("training.schedule", &model.header.training["schedule"])?,
        steps: 256,
        corrections: 1,
        tau: 0.25,
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
