//! The score networks as one type: what an experiment file names and a model file stores.

use crate::error::NnError;
use crate::parameter::{Parameter, Weights, check};
use crate::res_mlp::ResMlp;
use crate::u_net::{Context, UNet};
use ndarray::ArrayD;
use sda_core::Real;
use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A score network's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Network {
    /// On flattened windows.
    ResMlp(ResMlp),
    /// On trajectories or fields.
    UNet(UNet),
}

impl Network {
    /// Errors: a field of the configuration for which the network does not exist.
    pub fn validate(&self) -> Result<(), NnError> {
        match self {
            Self::ResMlp(network) => network.validate(),
            Self::UNet(network) => network.validate(),
        }
    }

    /// All parameters; their order is part of the initial draw.
    pub fn parameters(&self) -> Vec<Parameter> {
        match self {
            Self::ResMlp(network) => network.parameters(),
            Self::UNet(network) => network.parameters(),
        }
    }

    /// The noise estimate, reading the trained parameters.
    ///
    /// Shapes: ResMlp: `x` [B, …, features]; U-Net: `x` [B, W, C] or [B, H, W, C]; time `features` [1, 32] (one time
    /// for all) or [B, 32]; result that of `x`.
    ///
    /// Panics: a shape does not fit, or the configuration is invalid.
    #[track_caller]
    pub fn emit(&self, g: &mut Graph, x: NodeId, features: NodeId) -> NodeId {
        self.emit_with(g, Weights::Trained, x, features)
    }

    /// As [`Network::emit`], with a choice of the parameters' copy.
    #[track_caller]
    pub fn emit_with(&self, g: &mut Graph, weights: Weights, x: NodeId, features: NodeId) -> NodeId {
        match self {
            Self::ResMlp(network) => network.emit(g, weights, x, features),
            Self::UNet(network) => network.emit(g, weights, x, features),
        }
    }

    /// Checks weights under our names and layouts.
    ///
    /// Errors: names missing, unexpected or of another shape (all of them listed), or a number that is not finite.
    pub fn check<T: Real>(&self, weights: &BTreeMap<String, ArrayD<T>>) -> Result<(), NnError> {
        check(&self.parameters(), weights)
    }

    /// Number of spatial axes of the convolutions' weights.
    pub(crate) fn spatial_axes(&self) -> usize {
        match self {
            Self::ResMlp(_) => 0,
            Self::UNet(network) => network.boundary.len(),
        }
    }

    pub(crate) fn context(&self) -> Option<Context> {
        match self {
            Self::ResMlp(_) => None,
            Self::UNet(network) => network.context,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;
    use crate::reference::reference_networks;
    use sda_graph::{Declaration, Graph, Plan, PlanOptions, Program, Stage};

    #[test]
    fn weights_are_counted_as_they_are_made() {
        for (name, network) in reference_networks() {
            let counted = match &network {
                Network::ResMlp(network) => network.weights(),
                Network::UNet(network) => network.weights(),
            };
            let made: usize = network.parameters().iter().map(|p| p.shape.iter().product::<usize>()).sum();
            assert_eq!(counted, made, "{name}");
        }
    }

    /// What does not depend on the sample runs once; the rest, forward and back to the input, stays in one row region.
    #[test]
    fn a_network_and_its_input_gradient_are_one_pass_over_the_rows() {
        let sizes: [&[usize]; 4] = [&[15], &[17, 3], &[16, 3], &[16, 16, 6]];
        for ((name, network), size) in reference_networks().into_iter().zip(sizes) {
            for times in [1, 5] {
                let mut g = Graph::new();
                let x = g.input(Declaration::rows("x", &[&[5], size].concat()));
                let features = [times, 32];
                let features = match times {
                    1 => Declaration::shared("features", &features),
                    _ => Declaration::rows("features", &features),
                };
                let features = g.input(features);
                let y = network.emit(&mut g, x, features);
                let gradient = g.vjp(&[(y, y)], &[x])[0];
                let plan = Plan::new(&Program::new(g).output("gradient", gradient), PlanOptions::default());
                let passes = plan.stages.iter().filter(|s| matches!(s, Stage::Rows { .. })).count();
                let last = plan.stages.last();
                assert!(
                    passes == 1 && matches!(last, Some(Stage::Rows { .. })),
                    "{name}, {times} times: {passes}"
                );
            }
        }
    }
}
