//! What a trajectory store says about itself, as attributes in the CF manner.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::DataError;

/// Version of the layout of stores that is written, and the newest that is read.
pub(super) const FORMAT_VERSION: u64 = 1;

/// Which trajectories serve for what: ranges start..end, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// For the weights.
    pub train: Range<usize>,
    /// For choosing among runs.
    pub validation: Range<usize>,
    /// For the scores that are reported.
    pub test: Range<usize>,
}

impl Split {
    /// The first `train` trajectories, the next `validation`, the next `test`.
    pub fn of_counts(train: usize, validation: usize, test: usize) -> Self {
        let (a, b) = (train, train + validation);
        Self { train: 0..a, validation: a..b, test: b..b + test }
    }

    fn parts(&self) -> [(&'static str, &Range<usize>); 3] {
        [("split_train", &self.train), ("split_validation", &self.validation), ("split_test", &self.test)]
    }
}

/// What the numbers are and where they come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// As `lorenz63`.
    pub system: String,
    /// One line for people.
    pub description: String,
    /// What a number is, as "state of the Lorenz-63 system".
    pub long_name: String,
    /// Unit of the state; "1" where it has none.
    pub units: String,
    /// Model time between two steps.
    pub dt: f64,
    /// Seed of the simulation.
    pub seed: u64,
    /// Trajectories for training, validation and test.
    pub split: Split,
    /// The whole recipe, so that the store can be made again.
    pub recipe: Value,
}

impl Description {
    /// What is wrong with it for a store of `trajectories`, as (field, detail).
    pub(super) fn problem(&self, trajectories: usize) -> Option<(String, String)> {
        if !(self.dt.is_finite() && self.dt > 0.0) {
            return Some(("dt".into(), format!("it is {}, expected a positive number", self.dt)));
        }
        let mut end = 0;
        for (name, part) in self.split.parts() {
            if part.start < end || part.end < part.start || part.end > trajectories {
                let detail = format!(
                    "it is {part:?}, expected a range from {end} on within {trajectories} trajectories"
                );
                return Some((name.into(), detail));
            }
            end = part.end;
        }
        None
    }

    /// Attributes of the array.
    pub(super) fn attributes(&self) -> Map<String, Value> {
        let mut attributes = Map::new();
        let mut set = |name: &str, value: Value| attributes.insert(name.into(), value);
        set("long_name", json!(self.long_name));
        set("units", json!(self.units));
        set("description", json!(self.description));
        set("system", json!(self.system));
        set("dt", json!(self.dt));
        set("seed", json!(self.seed));
        for (name, part) in self.split.parts() {
            set(name, json!([part.start, part.end]));
        }
        set("coordinates", json!("time"));
        attributes
    }

    /// Attributes of the group.
    pub(super) fn group_attributes(&self) -> Map<String, Value> {
        let mut attributes = Map::new();
        attributes.insert("Conventions".into(), json!("CF-1.11"));
        attributes.insert("title".into(), json!(self.description));
        attributes.insert("source".into(), json!(concat!("sda-data ", env!("CARGO_PKG_VERSION"))));
        attributes.insert("format_version".into(), json!(FORMAT_VERSION));
        attributes.insert("recipe".into(), self.recipe.clone());
        attributes
    }

    /// Reads both back; `path` is for the errors.
    pub(super) fn from_attributes(
        path: &Path,
        group: &Map<String, Value>,
        array: &Map<String, Value>,
    ) -> Result<Self, DataError> {
        let version: u64 = attribute(path, group, "format_version")?;
        if version > FORMAT_VERSION {
            let detail =
                format!("it is {version}, this program reads up to {FORMAT_VERSION}; use a newer release");
            return Err(DataError::field(path, "format_version", detail));
        }
        let range = |name| attribute(path, array, name).map(|[start, end]: [usize; 2]| start..end);
        Ok(Self {
            system: attribute(path, array, "system")?,
            description: attribute(path, array, "description")?,
            long_name: attribute(path, array, "long_name")?,
            units: attribute(path, array, "units")?,
            dt: attribute(path, array, "dt")?,
            seed: attribute(path, array, "seed")?,
            split: Split {
                train: range("split_train")?,
                validation: range("split_validation")?,
                test: range("split_test")?,
            },
            recipe: attribute(path, group, "recipe")?,
        })
    }
}

fn attribute<T: serde::de::DeserializeOwned>(
    path: &Path,
    attributes: &Map<String, Value>,
    name: &str,
) -> Result<T, DataError> {
    let value = attributes.get(name).ok_or_else(|| {
        DataError::field(
            path,
            name,
            "the attribute is missing; the store was not written by this program or was edited",
        )
    })?;
    T::deserialize(value).map_err(|e| DataError::field(path, name, format!("the attribute is {value}: {e}")))
}
