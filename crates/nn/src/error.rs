//! What can go wrong with a network and its weights, worded to continue "failed to …".

use std::fmt;
use thiserror::Error;

/// A parameter whose shape is not the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// The parameter.
    pub name: String,
    /// The network's shape.
    pub want: Vec<usize>,
    /// The shape given.
    pub have: Vec<usize>,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}, not {:?}", self.name, self.have, self.want)
    }
}

/// A network's configuration or its weights are unusable.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NnError {
    /// A field of the configuration is outside its range.
    #[error("build a {network}: `{field}` must be {expected}, but it is {found}")]
    Architecture {
        /// The kind of network.
        network: &'static str,
        /// The field of its configuration.
        field: &'static str,
        /// What the field may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A network has more weights than there is room for.
    #[error("build a {network}: it would have more than {most} weights; lower {remedy}")]
    Weights {
        /// The kind of network.
        network: &'static str,
        /// The largest number of them.
        most: usize,
        /// Fields of its configuration that they grow with.
        remedy: &'static str,
    },
    /// A field of the optimiser's configuration is outside its range.
    #[error("build the optimiser: `{field}` must be {expected}, but it is {found}")]
    Optimiser {
        /// The field of its configuration.
        field: &'static str,
        /// What the field may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The field's size does not suit the network.
    #[error("run a U-Net on a field of size {size:?}: {why}")]
    Size {
        /// Length of each spatial axis.
        size: Vec<usize>,
        /// The reason, with the remedy.
        why: String,
    },
    /// A set of weights is another network's.
    #[error("load the weights: they are another network's{}", differences(.missing, .unexpected, .misshapen))]
    Parameters {
        /// Names that the network has and the weights lack.
        missing: Vec<String>,
        /// Names that the network does not have.
        unexpected: Vec<String>,
        /// Names with another shape.
        misshapen: Vec<Misshapen>,
    },
    /// A buffer stored with the weights contradicts the network.
    #[error("load the weights: the buffer `{name}` {why}")]
    Buffer {
        /// The buffer.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A weight is NaN or infinite.
    #[error("load the weights: `{name}` holds a number that is not finite")]
    NotFinite {
        /// The parameter.
        name: String,
    },
}

fn differences(missing: &[String], unexpected: &[String], misshapen: &[Misshapen]) -> String {
    let mut text = String::new();
    let mut list = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            text.extend(["; ", title, ": ", &items.join(", ")]);
        }
    };
    list("missing", missing.to_vec());
    list("unexpected", unexpected.to_vec());
    list("of another shape", misshapen.iter().map(ToString::to_string).collect());
    text
}
