//! The work that is timed: what `method.md` runs for Lorenz-63, at the published sizes.

use anyhow::Context;
use ndarray::{Array2, Array3, ArrayD};
use sda_core::Stream;
use sda_device::Cpu;
use sda_diffusion::{GlobalScore, Guidance, NoiseSource, Posterior, Sampler, Trainer, Training};
use sda_filters::{BootstrapFilter, LinearOperator, Observations};
use sda_graph::{Executor, Graph, Handle, Program, RunKey};
use sda_nn::{Network, Weights};
use sda_observe::{Observation, Operator};
use sda_systems::{Simulation, SystemConfig};

/// One run of an item.
type Work = Box<dyn FnMut() -> anyhow::Result<()>>;

/// A named piece of work.
pub(crate) struct Item {
    /// Name in the table.
    pub(crate) name: &'static str,
    /// The peer's name for the same work.
    pub(crate) peer: Option<&'static str>,
    /// Multiplications and additions of the matrix products, where they are counted.
    pub(crate) flops: Option<f64>,
    /// Prepares it.
    pub(crate) build: Box<dyn FnOnce() -> anyhow::Result<Work>>,
}

const ORDER: usize = 4;
const LENGTH: usize = 65;

/// All items, in the table's order.
pub(crate) fn items(threads: usize) -> Vec<Item> {
    let mut out = vec![
        item("train_local", Some(3.0 * 64.0 * local_flops()), move || {
            train(threads, &local_network(), &[9, 3])
        }),
        item("train_global", None, move || train(threads, &global_network(), &[32, 3])),
        item("posterior_score_64", Some(posterior_flops(64)), move || posterior_score(threads, 64)),
        item("posterior_score_1024", Some(posterior_flops(1024)), move || posterior_score(threads, 1024)),
        item("simulate", None, simulate),
        item("particle_filter", None, particle_filter),
        item("exact_w1", None, exact_w1),
    ];
    for (name, m, k, n) in [
        ("matmul_64x256x256", 64, 256, 256),
        ("matmul_1024x256x256", 1024, 256, 256),
        ("matmul_4096x256x256", 4096, 256, 256),
        ("matmul_4096x864x96", 4096, 864, 96),
        ("matmul_1024x1024x1024", 1024, 1024, 1024),
    ] {
        out.push(item(name, Some(2.0 * (m * k * n) as f64), move || matmul(threads, m, k, n)));
    }
    out
}

fn item(
    name: &'static str,
    flops: Option<f64>,
    build: impl FnOnce() -> anyhow::Result<Work> + 'static,
) -> Item {
    Item { name, peer: Some(name), flops, build: Box::new(build) }
}

/// Two operations for each weight of the ResMLP and each window.
fn local_flops() -> f64 {
    let weights: usize = local_network()
        .parameters()
        .iter()
        .filter(|p| p.shape.len() == 2)
        .map(|p| p.shape.iter().product::<usize>())
        .sum();
    2.0 * weights as f64
}

/// Forward and the gradient of the input: twice the forward's operations.
fn posterior_flops(samples: usize) -> f64 {
    2.0 * local_flops() * (samples * (LENGTH - 2 * ORDER)) as f64
}

fn network(text: &str) -> anyhow::Result<Network> {
    serde_json::from_str(text).context("read a network")
}

fn local_network() -> Network {
    network(r#"{"ResMlp": {"features": 27, "embedding": 32, "hidden_features": [256, 256, 256, 256, 256]}}"#)
        .expect("the paper's local network")
}

fn global_network() -> Network {
    network(
        r#"{"UNet": {"channels": 3, "embedding": 32, "hidden_channels": [64], "hidden_blocks": [3], "kernel": 3, "stride": 2, "boundary": ["Zero"]}}"#,
    )
    .expect("the paper's global network")
}

/// A training step on a batch of 64 windows.
fn train(threads: usize, network: &Network, window: &[usize]) -> anyhow::Result<Work> {
    // The executor outlives the closure that uses it: a benchmark's process ends with it.
    let executor: &'static mut Cpu = Box::leak(Box::new(Cpu::new(threads)?));
    let mut trainer = Trainer::new(executor, network.clone(), window, Training::default(), 1)?;
    trainer.begin(&network.initialise(1))?;
    let mut windows = vec![0f32; 64 * window.iter().product::<usize>()];
    Stream::new(1, 1).fill_normal(0, 0, windows.len(), &mut windows);
    let mut step = 0;
    Ok(Box::new(move || {
        trainer.step(step, 1e-3, &windows)?;
        step += 1;
        Ok(())
    }))
}

/// A predictor step of the guided sampler: one posterior score.
fn posterior_score(threads: usize, samples: usize) -> anyhow::Result<Work> {
    let network = local_network();
    let mut executor = Cpu::new(threads)?;
    for (name, values) in network.initialise(1) {
        executor.write(&Weights::Trained.state(&name), values.view())?;
    }
    let operator = Operator::Compose(vec![Operator::EveryNth(8), Operator::Components(vec![0])]);
    let observation = Observation::new(operator, ArrayD::zeros(vec![9, 1]), 0.05)?;
    let prior = GlobalScore { network, weights: Weights::Trained }.local(ORDER, 1);
    let predictor = Posterior { prior, observation, guidance: Guidance::Sda { gamma: 3e-2, detach: false } };
    let sampler: Sampler = serde_json::from_str(r#"{"steps": 256}"#).context("read the sampler")?;
    let run = sampler.compile(&mut executor, &predictor, &[samples, LENGTH, 3], NoiseSource::Drawn)?;
    let mut start = vec![0f32; samples * LENGTH * 3];
    Stream::new(1, 2).fill_normal(0, 0, LENGTH * 3, &mut start);
    run.start_from(&mut executor, &start)?;
    Ok(Box::new(move || Ok(run.predict(&mut executor, 1, 0)?)))
}

fn simulate() -> anyhow::Result<Work> {
    let system = SystemConfig::lorenz63().build()?;
    Ok(Box::new(move || {
        let simulation = Simulation { system: &*system, burn_in: 0, steps: 256, stream: Stream::new(1, 3) };
        let trajectories = simulation.trajectories(0..1024)?;
        anyhow::ensure!(trajectories.len() == 1024 * 256 * 3);
        Ok(())
    }))
}

fn trajectory() -> anyhow::Result<(Box<dyn sda_systems::System>, Array3<f64>)> {
    let system = SystemConfig::lorenz63().build()?;
    let simulation = Simulation { system: &*system, burn_in: 1024, steps: LENGTH, stream: Stream::new(1, 4) };
    let trajectory = simulation.trajectories(0..1)?;
    Ok((system, trajectory))
}

/// hi: every state's first component, σ 0.25; 16384 particles, paths of 1024 samples; no burn-in.
fn particle_filter() -> anyhow::Result<Work> {
    let (system, truth) = trajectory()?;
    let operator = LinearOperator::component(&system.normalisation(), 0);
    let (scale, offset) = (system.normalisation().scale[0], system.normalisation().offset[0]);
    let y = Array2::from_shape_fn((LENGTH, 1), |(i, _)| (truth[[0, i, 0]] - offset) / scale);
    let observations = Observations::new((0..LENGTH).collect(), y, 0.25)?;
    Ok(Box::new(move || {
        let stream = Stream::new(1, 5);
        let filter =
            BootstrapFilter { system: &*system, particles: 16384, burn_in: 0, resample_below: 1.0, stream };
        let history = filter.run(LENGTH, &observations, &operator)?;
        anyhow::ensure!(history.sample_paths(1024).len() == 1024 * LENGTH * 3);
        Ok(())
    }))
}

/// Two sets of 1024 trajectories of 65 states of the chain.
fn exact_w1() -> anyhow::Result<Work> {
    let system = SystemConfig::lorenz63().build()?;
    let simulation = Simulation { system: &*system, burn_in: 64, steps: LENGTH, stream: Stream::new(1, 6) };
    let (x, y) = (simulation.trajectories(0..1024)?, simulation.trajectories(1024..2048)?);
    Ok(Box::new(move || {
        anyhow::ensure!(sda_evaluation::wasserstein1(&x, &y)? > 0.0);
        Ok(())
    }))
}

fn matmul(threads: usize, m: usize, k: usize, n: usize) -> anyhow::Result<Work> {
    let mut executor = Cpu::new(threads)?;
    let mut g = Graph::new();
    let a = g.input(sda_graph::Declaration::shared("a", &[m, k]));
    let b = g.input(sda_graph::Declaration::shared("b", &[k, n]));
    let c = g.matmul(a, b, false, false);
    let corner = g.slice(c, 0, 0, 1, 1);
    let program: Handle = executor.compile(&Program::new(g).output("corner", corner))?;
    let (mut x, mut y) = (vec![0f32; m * k], vec![0f32; k * n]);
    Stream::new(1, 7).fill_normal(0, 0, m * k, &mut x);
    Stream::new(1, 7).fill_normal(1, 0, k * n, &mut y);
    Ok(Box::new(move || Ok(executor.run(program, RunKey { seed: 1, step: 0 }, &[&x, &y])?)))
}
