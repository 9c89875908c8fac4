//! Samples on disk: a safetensors file with the key of what they depend on.

use crate::error::ExperimentError;
use ndarray::{Array3, ArrayD};
use sda_data::{ModelFile, ModelHeader};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Tensors with a key.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    /// What the tensors depend on.
    pub(crate) key: String,
    /// By name.
    pub(crate) tensors: BTreeMap<String, ArrayD<f32>>,
    /// Small facts.
    pub(crate) facts: Value,
}

impl Keyed {
    /// Writes the file whole or not at all.
    pub(crate) fn save(self, path: &Path, stage: &'static str) -> Result<(), ExperimentError> {
        let mut header = ModelHeader::default();
        header.other.insert("key".into(), json!(self.key));
        header.other.insert("facts".into(), self.facts);
        ModelFile::new(self.tensors, header).save(path).map_err(ExperimentError::stage(stage))
    }

    /// The file, if it is there and has this key. A file that can't be read is an error, not a reason to start anew:
    /// it says what to delete.
    pub(crate) fn load(path: &Path, key: &str, stage: &'static str) -> Result<Option<Self>, ExperimentError> {
        if !path.exists() {
            return Ok(None);
        }
        let file = ModelFile::load_or(path, "delete the file; the same command makes it again")
            .map_err(ExperimentError::stage(stage))?;
        let found = file.header.other.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
        let facts = file.header.other.get("facts").cloned().unwrap_or(Value::Null);
        Ok((found == key).then_some(Self { key: found, tensors: file.tensors, facts }))
    }

    /// A tensor [N, L, state…] in f64, its states laid out flat [N, L, D].
    ///
    /// Errors: it is not there; `path` is the file, for the message.
    pub(crate) fn trajectories(
        &self,
        name: &str,
        path: &Path,
        stage: &'static str,
    ) -> Result<Array3<f64>, ExperimentError> {
        let missing = || ExperimentError::Stage {
            stage,
            reason: format!(
                "read {}: there is no tensor «{name}» of rank 3 or more; delete the file",
                path.display()
            ),
        };
        let tensor = self.tensors.get(name).ok_or_else(missing)?;
        let &[n, l, ref state @ ..] = tensor.shape() else { return Err(missing()) };
        if state.is_empty() {
            return Err(missing());
        }
        let flat = (n, l, state.iter().product());
        let values = tensor.as_standard_layout().mapv(f64::from);
        values.into_shape_with_order(flat).map_err(|_| missing())
    }
}
