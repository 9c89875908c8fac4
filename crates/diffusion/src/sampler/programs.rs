//! The sampler's steps as programs over the state of the samples.

use sda_graph::{Declaration, Graph, Law, NodeId, Program};
use sda_nn::TIME_FEATURES;

use super::{FINITE_STEPS, Integrator, LangevinStep, NoiseSource, PREVIOUS, SAMPLE, Sampler};
use crate::predictor::{Estimate, NoisePredictor, TimeNodes, flat};
use crate::stream;

/// Declares the inputs of one time for all samples.
pub(crate) fn declare_time(g: &mut Graph, suffix: &str) -> TimeNodes {
    let mut input =
        |name: &str, shape: &[usize]| g.input(Declaration::shared(format!("{name}{suffix}"), shape));
    TimeNodes {
        features: input("features", &[1, TIME_FEATURES]),
        mu: input("mu", &[]),
        sigma: input("sigma", &[]),
    }
}

pub(crate) fn declare_scalar(g: &mut Graph, name: &str) -> NodeId {
    g.input(Declaration::shared(name, &[]))
}

fn declare_samples(g: &mut Graph, shape: &[usize]) -> [NodeId; 2] {
    let sample = g.state(Declaration::rows(SAMPLE, shape));
    [sample, g.state(Declaration::rows(FINITE_STEPS, &[shape[0], 1]))]
}

fn declare_noise(g: &mut Graph, shape: &[usize], source: NoiseSource, stream: u32) -> NodeId {
    let noise = match source {
        NoiseSource::Drawn => g.noise(shape, stream, Law::Normal),
        NoiseSource::Given => g.input(Declaration::rows("noise", shape)),
    };
    flat(g, noise)
}

/// x ~ N(0, I).
pub(super) fn start_program(integrator: Integrator, shape: &[usize]) -> Program {
    let mut g = Graph::new();
    declare_samples(&mut g, shape);
    let noise = g.noise(shape, stream::START, Law::Normal);
    let zero = g.scalar(0.0);
    let none = g.broadcast(zero, &[shape[0], 1]);
    let previous = integrator.looks_back().then(|| {
        g.state(Declaration::rows(PREVIOUS, shape));
        g.broadcast(zero, shape)
    });
    let program = Program::new(g).update(SAMPLE, noise).update(FINITE_STEPS, none);
    previous.into_iter().fold(program, |program, node| program.update(PREVIOUS, node))
}

/// One step of the integrator; inputs: features, μ, σ of t, the numbers of `Sampler::step_scalars`, for Heun features,
/// μ, σ of s, and z where it is given.
pub(super) fn predictor_program(
    integrator: Integrator,
    predictor: &dyn NoisePredictor,
    shape: &[usize],
    source: NoiseSource,
) -> Program {
    let mut g = Graph::new();
    let time = declare_time(&mut g, "");
    let ratio = declare_scalar(&mut g, "ratio");
    let gain = declare_scalar(&mut g, "gain");
    let [x, steps] = declare_samples(&mut g, shape);
    let mut previous = None;
    let noise = (!integrator.looks_back()).then(|| predictor.emit(&mut g, x, &time));
    let step = |g: &mut Graph, x: NodeId, noise: NodeId| {
        let (x, noise) = (flat(g, x), flat(g, noise));
        let (kept, added) = (g.mul(x, ratio), g.mul(noise, gain));
        g.add(kept, added)
    };
    let moved = match (integrator, noise) {
        (Integrator::Ancestral { .. }, Some(noise)) => {
            let moved = step(&mut g, x, noise);
            kicked(&mut g, moved, shape, source)
        }
        (Integrator::Heun, Some(noise)) => {
            let then = declare_time(&mut g, " of s");
            let trial = step(&mut g, x, noise);
            let trial = g.reshape(trial, shape);
            let after = predictor.emit(&mut g, trial, &then);
            let sum = g.add(noise, after);
            let mean = g.scale(sum, 0.5);
            step(&mut g, x, mean)
        }
        (_, Some(noise)) => step(&mut g, x, noise),
        (_, None) => {
            let look = LookBack::declare(&mut g);
            let before = g.state(Declaration::rows(PREVIOUS, shape));
            let noise = predictor.emit(&mut g, x, &time);
            let now = Estimate::of_noise(&mut g, x, noise, &time).denoised;
            previous = Some(now);
            let ahead = look.ahead(&mut g, now, before);
            let moved = step(&mut g, x, ahead);
            if integrator.is_stochastic() { kicked(&mut g, moved, shape, source) } else { moved }
        }
    };
    let squared = g.square(moved);
    let size = g.sum(squared, &[1]);
    let finite = g.finite(size);
    let steps = g.add(steps, finite);
    let moved = g.reshape(moved, shape);
    let program = Program::new(g).update(SAMPLE, moved).update(FINITE_STEPS, steps);
    previous.into_iter().fold(program, |program, node| program.update(PREVIOUS, node))
}

/// What an integrator that looks back is told, declared after ratio and gain.
pub(crate) struct LookBack {
    /// c.
    back: NodeId,
    /// 1 where the sample is as the step before left it, 0 where it was corrected since.
    is_path: NodeId,
}

impl LookBack {
    pub(crate) fn declare(g: &mut Graph) -> Self {
        Self { back: declare_scalar(g, "back"), is_path: declare_scalar(g, "is path") }
    }

    /// x̂ + c (x̂ − x̂_before), or x̂ + c (x̂' − x̂_before) with x̂' before the corrections, which have left x̂_before − x̂'.
    ///
    /// Shapes: `now` and `before` [N, L, …], result the same.
    pub(crate) fn ahead(&self, g: &mut Graph, now: NodeId, before: NodeId) -> NodeId {
        let on_path = g.mul(now, self.is_path);
        let change = g.sub(on_path, before);
        let change = g.mul(change, self.back);
        g.add(now, change)
    }
}

/// What a correction leaves for the next step to look back on: x̂_before − x̂ where it is the first, else what is there.
///
/// Shapes: `before` and `now` [N, L, …], result the same.
pub(crate) fn left_by_correction(g: &mut Graph, before: NodeId, now: NodeId, is_first: NodeId) -> NodeId {
    let taken = g.mul(now, is_first);
    g.sub(before, taken)
}

/// x + ς z, with ς and, where it is given, z as further inputs.
fn kicked(g: &mut Graph, moved: NodeId, shape: &[usize], source: NoiseSource) -> NodeId {
    let kick = declare_scalar(g, "kick");
    let z = declare_noise(g, shape, source, stream::ANCESTRAL);
    let kicked = g.mul(z, kick);
    g.add(moved, kicked)
}

/// x ← x − (δ ε + √(2δ) z) σ; inputs: features, μ, σ of s, τ, 1 in the first correction after a step and else 0 where the
/// integrator looks back, and z where it is given.
pub(super) fn corrector_program(
    sampler: &Sampler,
    predictor: &dyn NoisePredictor,
    shape: &[usize],
    source: NoiseSource,
) -> Program {
    let mut g = Graph::new();
    let time = declare_time(&mut g, "");
    let tau = declare_scalar(&mut g, "tau");
    let is_first = sampler.integrator.looks_back().then(|| declare_scalar(&mut g, "is first"));
    let z = declare_noise(&mut g, shape, source, stream::CORRECTION);
    let x = g.state(Declaration::rows(SAMPLE, shape));
    let noise = predictor.emit(&mut g, x, &time);
    let left = is_first.map(|is_first| {
        let before = g.state(Declaration::rows(PREVIOUS, shape));
        let now = Estimate::of_noise(&mut g, x, noise, &time).denoised;
        left_by_correction(&mut g, before, now, is_first)
    });
    let moved = langevin(&mut g, sampler, [x, noise, z], &time, tau);
    let program = Program::new(g).update(SAMPLE, moved);
    left.into_iter().fold(program, |program, node| program.update(PREVIOUS, node))
}

/// x − (δ ε + √(2δ) z) σ.
///
/// Shapes: `x` and its noise ε [N, L, …], z as many numbers, result as x.
pub(crate) fn langevin(
    g: &mut Graph,
    sampler: &Sampler,
    [x, noise, z]: [NodeId; 3],
    time: &TimeNodes,
    tau: NodeId,
) -> NodeId {
    let shape = g.shape(x).to_vec();
    // One row for each δ: a sample, or a state of a sample.
    let rows = match sampler.langevin {
        LangevinStep::State => shape[0] * shape[1],
        LangevinStep::Trajectory | LangevinStep::Fixed => shape[0],
    };
    let numbers = shape.iter().product::<usize>() / rows.max(1);
    let [x, noise, z] = [x, noise, z].map(|node| g.reshape(node, &[rows, numbers]));
    let mut delta = match sampler.langevin {
        LangevinStep::Fixed => tau,
        LangevinStep::State | LangevinStep::Trajectory => {
            let squared = g.square(noise);
            let mean = g.mean(squared, &[1]);
            g.div(tau, mean)
        }
    };
    if let Some(largest) = sampler.largest_delta {
        let largest = g.scalar(largest);
        delta = g.min(delta, largest);
    }
    let twice = g.scale(delta, 2.0);
    let spread = g.sqrt(twice);
    let (drift, kick) = (g.mul(noise, delta), g.mul(z, spread));
    let step = g.add(drift, kick);
    let step = g.mul(step, time.sigma);
    let moved = g.sub(x, step);
    g.reshape(moved, &shape)
}
