//! Exponential moving average of the weights.

use crate::error::NnError;
use crate::parameter::Weights;
use sda_graph::{Declaration, Graph, NodeId};
use serde::{Deserialize, Serialize};

/// The moving average that a network samples with.
///
///   θ̄ ← θ̄ + (1 − d) (θ − θ̄),  d = min(decay, (1 + n)/(10 + n)) in step n
///
/// Good values: `decay` 0.999 … 0.9999; the ramp keeps a young average near its weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// Weight of the past, in [0, 1).
    pub decay: f64,
}

impl Average {
    /// Errors: the decay is outside [0, 1).
    pub fn validate(self) -> Result<(), NnError> {
        if (0.0..1.0).contains(&self.decay) {
            return Ok(());
        }
        Err(NnError::Optimiser { field: "decay", expected: "in [0, 1)", found: format!("{}", self.decay) })
    }

    /// d in step n = 0, 1, …
    pub fn at(self, step: u64) -> f64 {
        let n = step as f64;
        self.decay.min((1.0 + n) / (10.0 + n))
    }

    /// The average after a step, for [`sda_graph::Program::update`].
    ///
    /// The states [`Weights::Averaged`] begin as copies of the parameters, written by the host.
    ///
    /// Shapes: `decay` a scalar; `values` the parameters' names and *new* values; result states and new values.
    pub fn emit(g: &mut Graph, decay: NodeId, values: &[(String, NodeId)]) -> Vec<(String, NodeId)> {
        let negative = g.neg(decay);
        let fresh = g.offset(negative, 1.0);
        let update = |(name, value): &(String, NodeId)| {
            let state = Weights::Averaged.state(name);
            let old = g.state(Declaration::shared(state.clone(), g.shape(*value)));
            let distance = g.sub(*value, old);
            let step = g.mul(fresh, distance);
            (state, g.add(old, step))
        };
        values.iter().map(update).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{evaluate_with, wave};

    #[test]
    fn ramps_up_to_the_decay() {
        let average = Average { decay: 0.999 };
        assert_eq!(average.at(0), 0.1);
        assert_eq!(average.at(90), 0.91);
        assert_eq!(average.at(1_000_000), 0.999);
        assert!((0..20_000).all(|n| average.at(n) <= average.at(n + 1)));
    }

    #[test]
    fn a_decay_outside_its_range_is_refused() {
        Average { decay: 0.0 }.validate().unwrap();
        for decay in [1.0, -0.1, f64::NAN] {
            let error = Average { decay }.validate().unwrap_err().to_string();
            assert!(error.starts_with("build the optimiser: `decay` must be in [0, 1)"), "{error}");
        }
    }

    #[test]
    fn mixes_the_past_with_the_new_value() {
        let (old, new) = (wave(&[3, 2], 0.3), wave(&[3, 2], 0.8));
        let mut g = Graph::new();
        let [decay, value] = [g.scalar(0.75), g.constant(new.clone())];
        let updates = Average::emit(&mut g, decay, &[("w".into(), value)]);
        assert_eq!(updates[0].0, "average.w");
        let got =
            evaluate_with(g, &[("average.w".to_string(), old.clone())].into(), &[updates[0].1]).remove(0);
        let want = 0.75 * &old + 0.25 * &new;
        assert!((&got - &want).iter().all(|d| d.abs() < 1e-15));
    }
}
