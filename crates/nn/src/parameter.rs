//! Parameters by name, and the states that hold them.

use crate::error::{Misshapen, NnError};
use ndarray::ArrayD;
use sda_core::Real;
use sda_graph::{Declaration, Graph, NodeId};
use std::collections::BTreeMap;

/// Name and shape of one trained array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The published name without prefix, as in `network.0.weight`.
    pub name: String,
    /// Shape in our layout: a linear weight [in, out], a convolution's [kh, kw, in, out] (kh = 1 in one dimension).
    pub shape: Vec<usize>,
    /// Number of inputs that one output of the layer sums over; its initial numbers lie within ±1/√fan_in.
    pub fan_in: usize,
}

impl Parameter {
    /// The weight and bias of a layer whose weight has its outputs last.
    pub(crate) fn layer(name: &str, weight: &[usize]) -> [Self; 2] {
        let (outputs, inputs) = weight.split_last().expect("a weight has an output axis");
        let fan_in = inputs.iter().product();
        [
            Self { name: format!("{name}.weight"), shape: weight.to_vec(), fan_in },
            Self { name: format!("{name}.bias"), shape: vec![*outputs], fan_in },
        ]
    }
}

/// Most weights of one network: 4 GiB in f32, and random streams count with 32 bits.
pub(crate) const LARGEST: usize = u32::MAX as usize / 4;

/// The weights of all parts of a network, as many as can be counted.
pub(crate) fn total(parts: impl IntoIterator<Item = usize>) -> usize {
    parts.into_iter().fold(0, usize::saturating_add)
}

/// The numbers of a layer's weight and bias, as many as can be counted.
pub(crate) fn weights_of_layer(weight: &[usize]) -> usize {
    let outputs = weight.last().copied().unwrap_or(0);
    weight.iter().fold(1, |all: usize, &n| all.saturating_mul(n)).saturating_add(outputs)
}

/// Which copy of the parameters a graph reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    /// Those that the optimiser moves: states `parameter.NAME`.
    #[default]
    Trained,
    /// Their moving average: states `average.NAME`.
    Averaged,
}

impl Weights {
    /// The state that holds a parameter.
    pub fn state(self, name: &str) -> String {
        match self {
            Self::Trained => format!("parameter.{name}"),
            Self::Averaged => format!("average.{name}"),
        }
    }

    /// Reads a parameter in a graph.
    pub fn read(self, g: &mut Graph, parameter: &Parameter) -> NodeId {
        g.state(Declaration::shared(self.state(&parameter.name), &parameter.shape))
    }
}

/// Checks a set of arrays against a network's parameters: every name, every shape, every number finite.
pub(crate) fn check<T: Real>(
    parameters: &[Parameter],
    arrays: &BTreeMap<String, ArrayD<T>>,
) -> Result<(), NnError> {
    let known = |name: &str| parameters.iter().any(|p| p.name == name);
    let unexpected: Vec<String> = arrays.keys().filter(|n| !known(n)).cloned().collect();
    let mut missing = Vec::new();
    let mut misshapen = Vec::new();
    for p in parameters {
        match arrays.get(&p.name) {
            None => missing.push(p.name.clone()),
            Some(a) if a.shape() != p.shape => misshapen.push(Misshapen {
                name: p.name.clone(),
                want: p.shape.clone(),
                have: a.shape().to_vec(),
            }),
            Some(_) => {}
        }
    }
    if !(missing.is_empty() && unexpected.is_empty() && misshapen.is_empty()) {
        return Err(NnError::Parameters { missing, unexpected, misshapen });
    }
    let bad = arrays.iter().find(|(_, a)| a.iter().any(|x| !x.is_finite()));
    bad.map_or(Ok(()), |(name, _)| Err(NnError::NotFinite { name: name.clone() }))
}
