//! The twisted sampler's steps as programs over the state of the particles.

use sda_graph::{Declaration, Graph, Law, NodeId, Program};

use super::{DISTINCT, EFFECTIVE, HISTORIES, LOG_WEIGHT, POTENTIAL, Twisted};
use crate::guidance::Posterior;
use crate::predictor::{Estimate, Guided, NoisePredictor, TimeNodes, flat};
use crate::sampler::{
    FINITE_STEPS, LookBack, SAMPLE, declare_scalar, declare_time, langevin, left_by_correction,
};
use crate::stream;

fn declare(g: &mut Graph, shape: &[usize]) -> [NodeId; 3] {
    let number = [shape[0], 1];
    [
        g.state(Declaration::rows(SAMPLE, shape)),
        g.state(Declaration::rows(LOG_WEIGHT, &number)),
        g.state(Declaration::rows(POTENTIAL, &number)),
    ]
}

impl Twisted {
    /// x ~ N(0, I), of equal weight.
    pub(super) fn start_program(&self, shape: &[usize]) -> Program {
        let mut g = Graph::new();
        declare(&mut g, shape);
        let noise = g.noise(shape, stream::START, Law::Normal);
        let zero = g.scalar(0.0);
        let even = g.broadcast(zero, &[shape[0], 1]);
        let none = g.broadcast(zero, shape);
        let sizes = [self.sampler.steps as usize + 1];
        g.state(Declaration::shared(EFFECTIVE, &sizes));
        let unknown = g.broadcast(zero, &sizes);
        g.state(Declaration::rows(FINITE_STEPS, &[shape[0], 1]));
        g.state(Declaration::shared(DISTINCT, &[1]));
        let count = g.broadcast(zero, &[1]);
        let mut updates = vec![
            (SAMPLE, noise),
            (LOG_WEIGHT, even),
            (POTENTIAL, even),
            (EFFECTIVE, unknown),
            (FINITE_STEPS, even),
            (DISTINCT, count),
        ];
        if self.sampler.integrator.looks_back() {
            for name in HISTORIES {
                g.state(Declaration::rows(name, shape));
                updates.push((name, none));
            }
        }
        updates.into_iter().fold(Program::new(g), |program, (name, node)| program.update(name, node))
    }

    /// A guided step, with its log weight; inputs: features, μ, σ of t, the numbers of `Sampler::step_scalars`, and
    /// whether the potential of x is new, else 0.
    ///
    ///   x(s) = r x + g ã + ς z with a of ε or of x̂, ã guided;  Δ = g (ã − a):  log p/q = −z·Δ/ς − ½ ‖Δ‖²/ς²
    pub(super) fn step_program<P: NoisePredictor>(
        &self,
        posterior: &Posterior<P>,
        shape: &[usize],
    ) -> Program {
        let mut g = Graph::new();
        let time = declare_time(&mut g, "");
        let [ratio, gain] = ["ratio", "gain"].map(|name| declare_scalar(&mut g, name));
        let [x, weight, before] = declare(&mut g, shape);
        let guided = posterior.emit_both(&mut g, x, &time);
        let potential = posterior.emit_potential(&mut g, guided.prior.denoised, self.resampling.gamma, &time);
        let (ahead, histories) = self.ahead(&mut g, x, &guided, &time);
        let kick = declare_scalar(&mut g, "kick");
        let is_new = declare_scalar(&mut g, "is new");
        let z = g.noise(shape, stream::ANCESTRAL, Law::Normal);
        let [x, z, bent, free] = [x, z, ahead[0], ahead[1]].map(|node| flat(&mut g, node));
        let (kept, added, shaken) = (g.mul(x, ratio), g.mul(bent, gain), g.mul(z, kick));
        let moved = g.add(kept, added);
        let moved = g.add(moved, shaken);
        let difference = g.sub(bent, free);
        let shift = g.mul(difference, gain);
        let shift = g.div(shift, kick);
        let half = g.scale(shift, 0.5);
        let reach = g.add(z, half);
        let product = g.mul(shift, reach);
        let log_ratio = g.sum(product, &[1]);
        let change = g.sub(potential, before);
        let change = g.mul(change, is_new);
        let change = g.sub(change, log_ratio);
        let weight = g.add(weight, change);
        let moved = g.reshape(moved, shape);
        let mut updates = vec![(SAMPLE, moved), (LOG_WEIGHT, weight), (POTENTIAL, potential)];
        updates.extend(histories);
        updates.into_iter().fold(Program::new(g), |program, (name, node)| program.update(name, node))
    }

    /// A weighing, and after it the first correction; inputs: features, μ, σ of s, τ.
    pub(super) fn correct_program<P: NoisePredictor>(
        &self,
        posterior: &Posterior<P>,
        shape: &[usize],
    ) -> Program {
        let mut g = Graph::new();
        let time = declare_time(&mut g, "");
        let tau = declare_scalar(&mut g, "tau");
        let z = g.noise(shape, stream::CORRECTION, Law::Normal);
        let [x, weight, before] = declare(&mut g, shape);
        let guided = posterior.emit_both(&mut g, x, &time);
        let potential = posterior.emit_potential(&mut g, guided.prior.denoised, self.resampling.gamma, &time);
        let change = g.sub(potential, before);
        let weight = g.add(weight, change);
        let moved = langevin(&mut g, &self.sampler, [x, guided.noise, z], &time, tau);
        let mut updates = vec![(SAMPLE, moved), (LOG_WEIGHT, weight), (POTENTIAL, potential)];
        if self.sampler.integrator.looks_back() {
            let one = g.scalar(1.0);
            for (name, noise) in HISTORIES.into_iter().zip([guided.noise, guided.prior.noise]) {
                let before = g.state(Declaration::rows(name, shape));
                let now = Estimate::of_noise(&mut g, x, noise, &time).denoised;
                updates.push((name, left_by_correction(&mut g, before, now, one)));
            }
        }
        updates.into_iter().fold(Program::new(g), |program, (name, node)| program.update(name, node))
    }

    /// What the step goes along, guided and free, and what the next step looks back to.
    fn ahead(
        &self,
        g: &mut Graph,
        x: NodeId,
        guided: &Guided,
        time: &TimeNodes,
    ) -> ([NodeId; 2], Vec<(&'static str, NodeId)>) {
        let noises = [guided.noise, guided.prior.noise];
        if !self.sampler.integrator.looks_back() {
            return (noises, Vec::new());
        }
        let look = LookBack::declare(g);
        let shape = g.shape(x).to_vec();
        let now = noises.map(|noise| Estimate::of_noise(g, x, noise, time).denoised);
        let ahead = [0, 1].map(|i| {
            let before = g.state(Declaration::rows(HISTORIES[i], &shape));
            look.ahead(g, now[i], before)
        });
        (ahead, HISTORIES.into_iter().zip(now).collect())
    }
}

/// The last weighting, at the time at which weighting ends: of x̂ = (x − σ ε)/μ by the network there.
pub(super) fn end_program<P: NoisePredictor>(
    posterior: &Posterior<P>,
    shape: &[usize],
    gamma: f64,
) -> Program {
    let mut g = Graph::new();
    let time: TimeNodes = declare_time(&mut g, "");
    let [x, weight, before] = declare(&mut g, shape);
    let noise = posterior.prior.emit(&mut g, x, &time);
    let denoised = Estimate::of_noise(&mut g, x, noise, &time).denoised;
    let potential = posterior.emit_potential(&mut g, denoised, gamma, &time);
    let change = g.sub(potential, before);
    let weight = g.add(weight, change);
    Program::new(g).update(LOG_WEIGHT, weight).update(POTENTIAL, potential)
}
