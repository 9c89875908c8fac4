//! Weights and checkpoints: safetensors files that say what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::DataError;
use crate::tensor_file::{self, Metadata, Tensor, TensorFile};

/// The version of the header's meaning that is written, and the newest that is read.
pub const FORMAT_VERSION: u64 = 1;

const REMEDY: &str = "check the path, or copy the file anew from where it came";
/// Of a file that holds another network.
const OTHER: &str = "delete it if a run made it, which then trains again, or name another file";

/// What a model is, as JSON values, so that this crate knows no network and no file is a riddle.
///
/// A field is `null` where it does not apply or where the file comes from another program; `other` keeps
/// that program's own metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelHeader {
    /// Kind of network and its sizes.
    pub architecture: Value,
    /// Mean and standard deviation that states are standardised with.
    pub normalisation: Value,
    /// Configuration of the training: data, loss, optimiser, seed.
    pub training: Value,
    /// Counters of a checkpoint: step, epoch, best loss. `null` in finished weights.
    pub progress: Value,
    /// Everything else.
    pub other: Metadata,
}

/// Tensors by name with a header; parameters, moments and moving averages of a checkpoint are told apart by prefix.
///
/// Equal content is written as equal bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFile {
    /// By name, as `network.0.weight`.
    pub tensors: BTreeMap<String, ArrayD<f32>>,
    /// What the tensors are.
    pub header: ModelHeader,
    /// Where it was loaded from; empty before that.
    pub path: PathBuf,
}

impl ModelFile {
    /// Not yet on disk.
    pub fn new(tensors: BTreeMap<String, ArrayD<f32>>, header: ModelHeader) -> Self {
        Self { tensors, header, path: PathBuf::new() }
    }

    /// Adds tensors under `prefix`, as `moment.first.` for a checkpoint.
    pub fn insert_under(&mut self, prefix: &str, tensors: BTreeMap<String, ArrayD<f32>>) {
        self.tensors.extend(tensors.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)));
    }

    /// The tensors under `prefix`, named without it.
    pub fn tensors_under(&self, prefix: &str) -> BTreeMap<String, ArrayD<f32>> {
        self.tensors
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_string(), value.clone())))
            .collect()
    }

    /// Writes the file whole or not at all.
    ///
    /// Errors: a value is NaN or ±∞ (nothing is written); the folder cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        check(
            &self.tensors.iter().collect(),
            path,
            f32::MAX,
            "the training has diverged: lower its learning rate; nothing was written",
        )?;
        let tensors = self.tensors.iter().map(|(n, t)| (n.as_str(), Tensor::Reals(t.view()))).collect();
        tensor_file::write(path, &tensors, &self.header.to_metadata())
    }

    /// As [`ModelFile::save`], in half the bytes: f16, rounded to nearest (11 bits, below 6e-5 fewer), but for the
    /// tensors under the prefix `whole`, which stay f32.
    ///
    /// Errors: as [`ModelFile::save`]; a value that f16 does not hold, of 65520 or more.
    pub fn save_halved(&self, path: &Path, whole: &str) -> Result<(), DataError> {
        // What rounds to f16's largest number and not to infinity.
        const LARGEST: f32 = 65519.996;
        let (halved, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.tensors.iter().partition(|(name, _)| !name.starts_with(whole));
        check(&kept, path, f32::MAX, "it is not a number to be kept; nothing was written")?;
        check(&halved, path, LARGEST, "f16 ends at 65504: keep these weights in f32; nothing was written")?;
        let mut tensors: BTreeMap<&str, Tensor<'_>> =
            halved.into_iter().map(|(n, t)| (n.as_str(), Tensor::Halves(t.view()))).collect();
        tensors.extend(kept.into_iter().map(|(n, t)| (n.as_str(), Tensor::Reals(t.view()))));
        tensor_file::write(path, &tensors, &self.header.to_metadata())
    }

    /// Reads f32, f16 and (rounded) f64 tensors; any other type is refused.
    ///
    /// Errors: no file, truncated, corrupted, another number type, NaN, a header of a newer version.
    pub fn load(path: &Path) -> Result<Self, DataError> {
        Self::read(path, false, REMEDY)
    }

    /// As [`ModelFile::load`], with what to do about a file that can't be read: for one that its reader can make again.
    pub fn load_or(path: &Path, remedy: &'static str) -> Result<Self, DataError> {
        Self::read(path, false, remedy)
    }

    /// As [`ModelFile::load`], and integers and flags become f32 too, rounded beyond 2²⁴.
    pub fn load_with_integers(path: &Path) -> Result<Self, DataError> {
        Self::read(path, true, REMEDY)
    }

    fn read(path: &Path, integers: bool, remedy: &'static str) -> Result<Self, DataError> {
        let file = TensorFile::read(path, "model file", remedy)?;
        let header = ModelHeader::from_metadata(path, file.metadata.clone())?;
        let tensors = file
            .names()
            .map(|name| Ok((name.to_string(), file.reals(name, integers)?)))
            .collect::<Result<_, DataError>>()?;
        Ok(Self { tensors, header, path: path.to_path_buf() })
    }

    /// Checks names and shapes against a network's own.
    ///
    /// Errors: the first few missing, unexpected and mis-shaped names, and the architecture that the file names.
    pub fn expect_shapes(&self, expected: &[(&str, &[usize])]) -> Result<(), DataError> {
        let wanted: BTreeMap<&str, &[usize]> = expected.iter().copied().collect();
        let missing =
            wanted.keys().filter(|n| !self.tensors.contains_key(**n)).map(|n| (*n).to_string()).collect();
        let unexpected = self.tensors.keys().filter(|n| !wanted.contains_key(n.as_str())).cloned().collect();
        let misshaped = self
            .tensors
            .iter()
            .filter_map(|(name, tensor)| {
                let shape = *wanted.get(name.as_str())?;
                (shape != tensor.shape()).then(|| format!("{name} is {:?}, not {shape:?}", tensor.shape()))
            })
            .collect();
        let complaints: Vec<String> =
            [("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped)]
                .into_iter()
                .filter(|(_, names): &(_, Vec<String>)| !names.is_empty())
                .map(|(kind, names)| first_few(kind, &names))
                .collect();
        if complaints.is_empty() {
            return Ok(());
        }
        let detail = format!("{}; {}; {OTHER}", complaints.join("; "), self.header.described());
        Err(DataError::Shapes { path: self.path.clone(), detail })
    }

    /// A header field as a type of the caller's: `file.field("architecture", &file.header.architecture)`.
    ///
    /// Errors: the field is absent or of another form.
    pub fn field<T: DeserializeOwned>(&self, name: &str, value: &Value) -> Result<T, DataError> {
        T::deserialize(value).map_err(|e| DataError::field(&self.path, name, e.to_string()))
    }
}

/// Errors: a value that is no number, or larger than `largest`.
fn check(
    tensors: &BTreeMap<&String, &ArrayD<f32>>,
    path: &Path,
    largest: f32,
    remedy: &'static str,
) -> Result<(), DataError> {
    for (name, tensor) in tensors {
        if let Some((index, &value)) = tensor.indexed_iter().find(|(_, v)| v.is_nan() || v.abs() > largest) {
            let place = format!("tensor `{name}` at {:?}", ndarray::Dimension::slice(&index));
            return Err(DataError::NonFinite {
                path: path.to_path_buf(),
                place,
                value: value.into(),
                remedy,
            });
        }
    }
    Ok(())
}

impl ModelHeader {
    /// A header from the caller's own types.
    ///
    /// Panics: a type that JSON cannot hold (a map with keys that are not strings).
    pub fn new(
        architecture: &impl Serialize,
        normalisation: &impl Serialize,
        training: &impl Serialize,
    ) -> Self {
        Self {
            architecture: to_json(architecture),
            normalisation: to_json(normalisation),
            training: to_json(training),
            ..Self::default()
        }
    }

    /// The same header with a checkpoint's counters.
    pub fn with_progress(mut self, progress: &impl Serialize) -> Self {
        self.progress = to_json(progress);
        self
    }

    fn to_metadata(&self) -> Metadata {
        let mut metadata = self.other.clone();
        for (name, value) in [
            ("architecture", &self.architecture),
            ("normalisation", &self.normalisation),
            ("training", &self.training),
            ("progress", &self.progress),
        ] {
            if !value.is_null() {
                metadata.insert(name.into(), value.clone());
            }
        }
        metadata.insert("format_version".into(), FORMAT_VERSION.into());
        metadata
    }

    fn from_metadata(path: &Path, mut metadata: Metadata) -> Result<Self, DataError> {
        let mut take = |name: &str| metadata.remove(name).unwrap_or(Value::Null);
        let version = take("format_version");
        if !version.is_null() && version.as_u64().is_none_or(|v| v > FORMAT_VERSION) {
            let detail =
                format!("it is {version}, this program reads up to {FORMAT_VERSION}; use a newer release");
            return Err(DataError::field(path, "format_version", detail));
        }
        let [architecture, normalisation, training, progress] =
            ["architecture", "normalisation", "training", "progress"].map(&mut take);
        Ok(Self { architecture, normalisation, training, progress, other: metadata })
    }

    fn described(&self) -> String {
        if self.architecture.is_null() {
            "the file does not say its architecture".into()
        } else {
            format!("the file's architecture is {}", self.architecture)
        }
    }
}

fn to_json(value: &impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(value) => value,
        Err(e) => panic!("a header field must be JSON: {e}"),
    }
}

fn first_few(kind: &str, names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    let rest = names.len().saturating_sub(SHOWN);
    if rest == 0 { format!("{kind}: {shown}") } else { format!("{kind}: {shown} and {rest} more") }
}

#[cfg(test)]
mod tests;
