//! AdamW as a step of the graph.

use crate::error::NnError;
use crate::parameter::Weights;
use sda_graph::{Declaration, Graph, NodeId};
use serde::{Deserialize, Serialize};

/// Added to the norm that clipping divides by.
const CLIP_EPSILON: f64 = 1e-6;

/// AdamW with decoupled weight decay.
///
///   m ← m + (1 − β₁)(g − m),  v ← β₂ v + (1 − β₂) g²
///   θ ← θ − r λ θ − (r/c₁) m / (√(v/c₂) + ε),  cᵢ = 1 − βᵢⁿ in step n = 1, 2, …
///
/// Good values: the defaults (β 0.9/0.999, ε 1e-8, λ 1e-3), with a rate of 1e-3.
///
/// Source: Loshchilov & Hutter 2019, arXiv 1711.05101, in PyTorch's arrangement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamW {
    /// β₁, β₂.
    pub betas: [f64; 2],
    /// ε.
    pub epsilon: f64,
    /// λ, of weights and biases alike.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; a longer one is scaled down to it.
    pub clip_norm: Option<f64>,
    /// Whether a step with a gradient that is not finite leaves parameters and moments as they were. It still
    /// counts in n.
    pub skip_non_finite: bool,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 1e-3,
            clip_norm: None,
            skip_non_finite: true,
        }
    }
}

/// Scalars of a step that every parameter shares.
struct Scalars {
    decay: NodeId,
    rate: NodeId,
    root: NodeId,
}

/// What the gradients' common norm says about a step.
struct Guard {
    scale: Option<NodeId>,
    finite: Option<NodeId>,
}

impl AdamW {
    /// Errors: a constant is outside its range.
    pub fn validate(&self) -> Result<(), NnError> {
        let Self { betas, epsilon, weight_decay, clip_norm, .. } = *self;
        let finite_from = |x: f64, least: f64| x >= least && x.is_finite();
        let rules: [(&'static str, &'static str, bool, String); 4] = [
            (
                "betas",
                "two numbers in [0, 1)",
                betas.iter().all(|b| (0.0..1.0).contains(b)),
                format!("{betas:?}"),
            ),
            (
                "epsilon",
                "positive and finite, in single precision too",
                epsilon as f32 > 0.0 && (epsilon as f32).is_finite(),
                format!("{epsilon:e}"),
            ),
            (
                "weight_decay",
                "finite and not negative",
                finite_from(weight_decay, 0.0),
                format!("{weight_decay}"),
            ),
            (
                "clip_norm",
                "positive and finite, or none",
                clip_norm.is_none_or(|c| finite_from(c, f64::MIN_POSITIVE)),
                format!("{clip_norm:?}"),
            ),
        ];
        let broken = rules.into_iter().find(|(_, _, holds, _)| !holds);
        broken
            .map_or(Ok(()), |(field, expected, _, found)| Err(NnError::Optimiser { field, expected, found }))
    }

    /// States of the first and second moments of a parameter, which begin with zeros.
    pub fn moments(name: &str) -> [String; 2] {
        [format!("moment1.{name}"), format!("moment2.{name}")]
    }

    /// The bias corrections c₁, c₂ of step n = 1, 2, …
    ///
    /// Panics: `step` is 0.
    #[track_caller]
    pub fn corrections(&self, step: u64) -> [f64; 2] {
        assert!(step > 0, "AdamW: steps are counted from 1");
        // −expm1(n ln β) keeps its digits where βⁿ is near 1.
        self.betas.map(|beta| -(step as f64 * beta.ln()).exp_m1())
    }

    /// One step: states and their new values, for [`sda_graph::Program::update`].
    ///
    /// Shapes: `rate` and `corrections` scalars; `gradients` the parameters' names with nodes of their shapes.
    pub fn emit(
        &self,
        g: &mut Graph,
        rate: NodeId,
        corrections: [NodeId; 2],
        gradients: &[(String, NodeId)],
    ) -> Vec<(String, NodeId)> {
        let guard = self.guard(g, gradients);
        let variance = g.sqrt(corrections[1]);
        let scalars = Scalars {
            decay: g.scale(rate, self.weight_decay),
            rate: g.div(rate, corrections[0]),
            root: g.recip(variance),
        };
        let mut updates = Vec::with_capacity(3 * gradients.len());
        for (name, gradient) in gradients {
            let gradient = guard.scale.map_or(*gradient, |s| g.mul(*gradient, s));
            for (state, old, new) in self.update(g, &scalars, name, gradient) {
                let new = guard.finite.map_or(new, |finite| g.select(finite, new, old));
                updates.push((state, new));
            }
        }
        updates
    }

    /// State, old value and new value of a parameter and its moments.
    fn update(
        &self,
        g: &mut Graph,
        s: &Scalars,
        name: &str,
        gradient: NodeId,
    ) -> [(String, NodeId, NodeId); 3] {
        let shape = g.shape(gradient).to_vec();
        let [first, second] = Self::moments(name);
        let states = [Weights::Trained.state(name), first, second];
        let [old, m, v] = [0, 1, 2].map(|i| g.state(Declaration::shared(states[i].clone(), &shape)));

        let distance = g.sub(gradient, m);
        let distance = g.scale(distance, 1.0 - self.betas[0]);
        let new_m = g.add(m, distance);

        let kept = g.scale(v, self.betas[1]);
        let square = g.square(gradient);
        let square = g.scale(square, 1.0 - self.betas[1]);
        let new_v = g.add(kept, square);

        let deviation = g.sqrt(new_v);
        let deviation = g.mul(deviation, s.root);
        let deviation = g.offset(deviation, self.epsilon);
        let direction = g.div(new_m, deviation);
        let step = g.mul(direction, s.rate);
        // Both changes are added up first: 1 − r λ has too few digits in f32.
        let decay = g.mul(old, s.decay);
        let change = g.add(decay, step);
        let new = g.sub(old, change);

        let [parameter, first, second] = states;
        [(parameter, old, new), (first, m, new_m), (second, v, new_v)]
    }

    /// min(1, clip/(‖g‖ + 1e-6)), and whether all gradients are finite.
    ///
    /// The second is told by their plain sum, which shares no node with the update: the update then stays one pass
    /// over memory, with the squares made where they are used.
    fn guard(&self, g: &mut Graph, gradients: &[(String, NodeId)]) -> Guard {
        let scale = self.clip_norm.map(|clip| {
            let total = total(g, gradients, Graph::square);
            let norm = g.sqrt(total);
            let norm = g.offset(norm, CLIP_EPSILON);
            let inverse = g.recip(norm);
            let ratio = g.scale(inverse, clip);
            let one = g.scalar(1.0);
            g.min(ratio, one)
        });
        let finite = self.skip_non_finite.then(|| {
            let total = total(g, gradients, |_, gradient| gradient);
            g.finite(total)
        });
        Guard { scale, finite }
    }
}

/// The sum of a function of all gradients.
fn total(g: &mut Graph, gradients: &[(String, NodeId)], of: impl Fn(&mut Graph, NodeId) -> NodeId) -> NodeId {
    let mut total = g.scalar(0.0);
    for (_, gradient) in gradients {
        let value = of(g, *gradient);
        let sum = g.sum_all(value);
        total = g.add(total, sum);
    }
    total
}

#[cfg(test)]
mod tests;
