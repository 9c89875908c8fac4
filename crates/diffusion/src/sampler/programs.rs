//! The sampler's steps as programs over the state of the samples.

use sda_graph::{Declaration, Graph, Law, NodeId, Program};
use sda_nn::TIME_FEATURES;

use super::{FINITE_STEPS, NoiseSource, SAMPLE};
use crate::predictor::{NoisePredictor, TimeNodes, flat};
use crate::stream;

/// Declares the inputs of one time for all samples.
fn declare_time(g: &mut Graph) -> TimeNodes {
    TimeNodes {
        features: g.input(Declaration::shared("features", &[1, TIME_FEATURES])),
        mu: g.input(Declaration::shared("mu", &[])),
        sigma: g.input(Declaration::shared("sigma", &[])),
    }
}

fn declare_samples(g: &mut Graph, shape: &[usize]) -> [NodeId; 2] {
    let sample = g.state(Declaration::rows(SAMPLE, shape));
    [sample, g.state(Declaration::rows(FINITE_STEPS, &[shape[0], 1]))]
}

/// x ~ N(0, I).
pub(super) fn start_program(shape: &[usize]) -> Program {
    let mut g = Graph::new();
    declare_samples(&mut g, shape);
    let noise = g.noise(shape, stream::START, Law::Normal);
    let zero = g.scalar(0.0);
    let none = g.broadcast(zero, &[shape[0], 1]);
    Program::new(g).update(SAMPLE, noise).update(FINITE_STEPS, none)
}

/// x ← r x + (σ(s) − r σ(t)) ε(x, t); inputs: features, μ, σ of t, r, σ(s) − r σ(t).
pub(super) fn predictor_program(predictor: &dyn NoisePredictor, shape: &[usize]) -> Program {
    let mut g = Graph::new();
    let time = declare_time(&mut g);
    let ratio = g.input(Declaration::shared("ratio", &[]));
    let gain = g.input(Declaration::shared("gain", &[]));
    let [x, steps] = declare_samples(&mut g, shape);
    let noise = predictor.emit(&mut g, x, &time);
    let (x, noise) = (flat(&mut g, x), flat(&mut g, noise));
    let (kept, added) = (g.mul(x, ratio), g.mul(noise, gain));
    let moved = g.add(kept, added);
    let squared = g.square(moved);
    let size = g.sum(squared, &[1]);
    let finite = g.finite(size);
    let steps = g.add(steps, finite);
    let moved = g.reshape(moved, shape);
    Program::new(g).update(SAMPLE, moved).update(FINITE_STEPS, steps)
}

/// x ← x − (δ ε + √(2δ) z) σ; inputs: features, μ, σ of s, τ, and z where it is given.
pub(super) fn corrector_program(
    predictor: &dyn NoisePredictor,
    shape: &[usize],
    source: NoiseSource,
) -> Program {
    let mut g = Graph::new();
    let time = declare_time(&mut g);
    let tau = g.input(Declaration::shared("tau", &[]));
    let z = match source {
        NoiseSource::Drawn => g.noise(shape, stream::CORRECTION, Law::Normal),
        NoiseSource::Given => g.input(Declaration::rows("noise", shape)),
    };
    let x = g.state(Declaration::rows(SAMPLE, shape));
    let noise = predictor.emit(&mut g, x, &time);
    let (x, noise, z) = (flat(&mut g, x), flat(&mut g, noise), flat(&mut g, z));
    let squared = g.square(noise);
    let mean = g.mean(squared, &[1]);
    let delta = g.div(tau, mean);
    let twice = g.scale(delta, 2.0);
    let spread = g.sqrt(twice);
    let (drift, kick) = (g.mul(noise, delta), g.mul(z, spread));
    let step = g.add(drift, kick);
    let step = g.mul(step, time.sigma);
    let moved = g.sub(x, step);
    let moved = g.reshape(moved, shape);
    Program::new(g).update(SAMPLE, moved)
}
