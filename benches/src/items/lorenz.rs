//! Lorenz-63 at the published sizes.

use super::programs::{PosteriorScore, Task, TrainingStep, network};
use super::{Host, Item, Setting, Use};
use ndarray::{Array2, Array3};
use sda_core::Stream;
use sda_diffusion::{Guidance, Place};
use sda_filters::{BootstrapFilter, LinearOperator, Observations};
use sda_nn::Network;
use sda_observe::Operator;
use sda_systems::{Simulation, System, SystemConfig};

const ORDER: usize = 4;
const LENGTH: usize = 65;

pub(super) fn items() -> Vec<Item> {
    vec![
        Item::new("train_local", |setting, work| train(local_network()?, [9, 3]).with(setting, work)),
        Item::new("train_global", |setting, work| train(global_network()?, [32, 3]).with(setting, work)),
        Item::new("posterior_score_64", |setting, work| local_score(64)?.with(setting, work)),
        Item::new("posterior_score_1024", |setting, work| local_score(1024)?.with(setting, work)),
        Item::new("posterior_score_global_64", |setting, work| global_score(64)?.with(setting, work)),
        Item::new("simulate", simulate),
        // The peer's filter is there twice: tracing ancestors as ours does, and as the published algorithm.
        Item::new("particle_filter", particle_filter),
        Item::new("particle_filter_published", particle_filter),
        Item::new("exact_w1", exact_w1),
    ]
}

/// The same programs for an executor of any kind: training steps, and posterior scores of 64 and 1024 samples.
pub(crate) fn tasks() -> anyhow::Result<Vec<(String, Task)>> {
    let mut tasks = vec![
        ("train_local".into(), Task::Training(train(local_network()?, [9, 3]))),
        ("train_global".into(), Task::Training(train(global_network()?, [32, 3]))),
    ];
    for samples in [64, 1024] {
        tasks.push((format!("posterior_score_{samples}"), Task::Posterior(local_score(samples)?)));
        tasks.push((format!("posterior_score_global_{samples}"), Task::Posterior(global_score(samples)?)));
    }
    Ok(tasks)
}

fn local_network() -> anyhow::Result<Network> {
    network(r#"{"ResMlp": {"features": 27, "embedding": 32, "hidden_features": [256, 256, 256, 256, 256]}}"#)
}

fn global_network() -> anyhow::Result<Network> {
    network(
        r#"{"UNet": {"channels": 3, "embedding": 32, "hidden_channels": [64], "hidden_blocks": [3], "kernel": 3,
            "stride": 2, "boundary": ["Zero"]}}"#,
    )
}

/// On a batch of 64 windows.
fn train(network: Network, window: [usize; 2]) -> TrainingStep {
    TrainingStep { network, window: window.to_vec(), batch: 64, rate: 1e-3 }
}

fn local_score(samples: usize) -> anyhow::Result<PosteriorScore> {
    Ok(posterior_score(local_network()?, Some(ORDER), samples))
}

fn global_score(samples: usize) -> anyhow::Result<PosteriorScore> {
    Ok(posterior_score(global_network()?, None, samples))
}

/// lo: the first component of every 8th state, σ 0.05.
fn posterior_score(network: Network, order: Option<usize>, samples: usize) -> PosteriorScore {
    PosteriorScore {
        network,
        order,
        stride: 1,
        shape: vec![samples, LENGTH, 3],
        operator: Operator::Compose(vec![Operator::EveryNth(8), Operator::Components(vec![0])]),
        noise_std: 0.05,
        guidance: Guidance::Sda { gamma: 3e-2, detach: false },
        place: Place::Composed,
    }
}

fn simulate(_: Setting, work: Use<'_>) -> anyhow::Result<()> {
    let system = SystemConfig::lorenz63().build()?;
    work(&mut Host(|| {
        let simulation = Simulation { system: &*system, burn_in: 0, steps: 256, stream: Stream::new(1, 3) };
        let trajectories = simulation.trajectories(0..1024)?;
        anyhow::ensure!(trajectories.len() == 1024 * 256 * 3);
        Ok(())
    }))
}

fn trajectory() -> anyhow::Result<(Box<dyn System>, Array3<f64>)> {
    let system = SystemConfig::lorenz63().build()?;
    let simulation = Simulation { system: &*system, burn_in: 1024, steps: LENGTH, stream: Stream::new(1, 4) };
    let trajectory = simulation.trajectories(0..1)?;
    Ok((system, trajectory))
}

/// hi: every state's first component, σ 0.25; 16384 particles, paths of 1024 samples; no burn-in.
fn particle_filter(_: Setting, work: Use<'_>) -> anyhow::Result<()> {
    let (system, truth) = trajectory()?;
    let operator = LinearOperator::component(&system.normalisation(), 0);
    let (scale, offset) = (system.normalisation().scale[0], system.normalisation().offset[0]);
    let y = Array2::from_shape_fn((LENGTH, 1), |(i, _)| (truth[[0, i, 0]] - offset) / scale);
    let observations = Observations::new((0..LENGTH).collect(), y, 0.25)?;
    work(&mut Host(|| {
        let stream = Stream::new(1, 5);
        let filter =
            BootstrapFilter { system: &*system, particles: 16384, burn_in: 0, resample_below: 1.0, stream };
        let history = filter.run(LENGTH, &observations, &operator)?;
        anyhow::ensure!(history.sample_paths(1024).len() == 1024 * LENGTH * 3);
        Ok(())
    }))
}

/// Two sets of 1024 trajectories of 65 states of the chain.
fn exact_w1(_: Setting, work: Use<'_>) -> anyhow::Result<()> {
    let system = SystemConfig::lorenz63().build()?;
    let simulation = Simulation { system: &*system, burn_in: 64, steps: LENGTH, stream: Stream::new(1, 6) };
    let (x, y) = (simulation.trajectories(0..1024)?, simulation.trajectories(1024..2048)?);
    work(&mut Host(|| {
        anyhow::ensure!(sda_evaluation::wasserstein1(&x, &y)? > 0.0);
        Ok(())
    }))
}
