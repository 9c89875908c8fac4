//! The safetensors format, one file at a time: the same content gives the same bytes.
//!
//!   8 bytes: length n of the header · n bytes: JSON {name: {dtype, shape, data_offsets}} · the numbers, little-endian
//!
//! The `safetensors` crate reads and validates. Writing is here, since the crate orders metadata at random and
//! equal runs must end in equal files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use half::f16;
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorInfo};
use serde_json::{Value, json};

use crate::{DataError, whole_file};

/// Longest header that the format allows.
const LONGEST_HEADER: u64 = 100_000_000;

/// What a file holds beside its tensors: JSON values by name.
pub type Metadata = BTreeMap<String, Value>;

/// A tensor to be written.
pub(crate) enum Tensor<'a> {
    Reals(ArrayViewD<'a, f32>),
    /// Rounded to f16 as they are written.
    Halves(ArrayViewD<'a, f32>),
    Integers(&'a [i64]),
    Flags(ArrayViewD<'a, bool>),
}

impl Tensor<'_> {
    fn dtype(&self) -> (&'static str, usize) {
        match self {
            Tensor::Integers(_) => ("I64", 8),
            Tensor::Reals(_) => ("F32", 4),
            Tensor::Halves(_) => ("F16", 2),
            Tensor::Flags(_) => ("BOOL", 1),
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            Tensor::Integers(values) => vec![values.len()],
            Tensor::Reals(values) | Tensor::Halves(values) => values.shape().to_vec(),
            Tensor::Flags(values) => values.shape().to_vec(),
        }
    }

    fn write(&self, file: &mut dyn Write) -> io::Result<()> {
        match self {
            Tensor::Integers(values) => values.iter().try_for_each(|v| file.write_all(&v.to_le_bytes())),
            Tensor::Reals(values) => values.iter().try_for_each(|v| file.write_all(&v.to_le_bytes())),
            Tensor::Halves(values) => {
                values.iter().try_for_each(|&v| file.write_all(&f16::from_f32(v).to_le_bytes()))
            }
            Tensor::Flags(values) => values.iter().try_for_each(|&v| file.write_all(&[u8::from(v)])),
        }
    }
}

/// Writes a file whole or not at all; wide numbers come first, so that every tensor is aligned.
pub(crate) fn write(
    path: &Path,
    tensors: &BTreeMap<&str, Tensor<'_>>,
    metadata: &Metadata,
) -> Result<(), DataError> {
    let mut ordered: Vec<_> = tensors.iter().collect();
    ordered.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype().1));
    let mut header = BTreeMap::new();
    let mut start = 0;
    for (name, tensor) in &ordered {
        assert!(**name != "__metadata__", "the tensor name __metadata__ belongs to the format");
        let ((dtype, width), shape) = (tensor.dtype(), tensor.shape());
        let end = start + width * shape.iter().product::<usize>();
        header.insert(**name, json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}));
        start = end;
    }
    let texts: BTreeMap<&str, String> = metadata.iter().map(|(k, v)| (k.as_str(), v.to_string())).collect();
    if !texts.is_empty() {
        header.insert("__metadata__", json!(texts));
    }
    whole_file::write_with(path, |file| {
        let mut header = serde_json::to_vec(&header)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        ordered.iter().try_for_each(|(_, tensor)| tensor.write(file))
    })
}

/// A file read and validated as to its form.
pub(crate) struct TensorFile {
    path: PathBuf,
    remedy: &'static str,
    numbers: Vec<u8>,
    tensors: BTreeMap<String, TensorInfo>,
    pub(crate) metadata: Metadata,
}

impl TensorFile {
    /// Reads `path`; `what` and `remedy` word the errors ("model file", "train it again").
    pub(crate) fn read(path: &Path, what: &'static str, remedy: &'static str) -> Result<Self, DataError> {
        let mut bytes = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => DataError::NotFound { what, path: path.to_path_buf(), remedy },
            _ => DataError::Io { action: "read", path: path.to_path_buf(), source },
        })?;
        let (header_length, form) =
            SafeTensors::read_metadata(&bytes).map_err(|error| diagnose(path, remedy, &bytes, &error))?;
        let tensors = form.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        let metadata = form.metadata().iter().flatten().map(|(k, text)| (k.clone(), parsed(text))).collect();
        bytes.drain(..8 + header_length);
        Ok(Self { path: path.to_path_buf(), remedy, numbers: bytes, tensors, metadata })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// f32, f16, or f64 rounded to f32; integers too where `integers` asks for them. Every value is finite.
    pub(crate) fn reals(&self, name: &str, integers: bool) -> Result<ArrayD<f32>, DataError> {
        let (info, bytes) = self.tensor(name)?;
        let values: Vec<f32> = match (info.dtype, integers) {
            (Dtype::F32, _) => numbers(bytes, f32::from_le_bytes),
            (Dtype::F16, _) => numbers(bytes, |b| f16::from_le_bytes(b).to_f32()),
            (Dtype::F64, _) => numbers(bytes, |b| f64::from_le_bytes(b) as f32),
            (Dtype::U8 | Dtype::BOOL, true) => bytes.iter().map(|&b| f32::from(b)).collect(),
            (Dtype::I32, true) => numbers(bytes, |b| i32::from_le_bytes(b) as f32),
            (Dtype::I64, true) => numbers(bytes, |b| i64::from_le_bytes(b) as f32),
            (other, _) => {
                return Err(self.wrong_type(
                    name,
                    other,
                    if integers { "F16, F32, F64, I32, I64, U8 or BOOL" } else { "F16, F32 or F64" },
                ));
            }
        };
        let array = self.shaped(name, &info.shape, values)?;
        match array.indexed_iter().find(|(_, v)| !v.is_finite()) {
            None => Ok(array),
            Some((index, &value)) => Err(DataError::NonFinite {
                path: self.path.clone(),
                place: format!("tensor `{name}` at {:?}", ndarray::Dimension::slice(&index)),
                value: f64::from(value),
                remedy: self.remedy,
            }),
        }
    }

    /// A vector of I64.
    pub(crate) fn integers(&self, name: &str) -> Result<Vec<i64>, DataError> {
        let (info, bytes) = self.tensor(name)?;
        match info.dtype {
            Dtype::I64 => Ok(numbers(bytes, i64::from_le_bytes)),
            other => Err(self.wrong_type(name, other, "I64")),
        }
    }

    /// BOOL.
    pub(crate) fn flags(&self, name: &str) -> Result<ArrayD<bool>, DataError> {
        let (info, bytes) = self.tensor(name)?;
        match info.dtype {
            Dtype::BOOL => self.shaped(name, &info.shape, bytes.iter().map(|&b| b != 0).collect()),
            other => Err(self.wrong_type(name, other, "BOOL")),
        }
    }

    fn tensor(&self, name: &str) -> Result<(&TensorInfo, &[u8]), DataError> {
        let info = self.tensors.get(name).ok_or_else(|| {
            let present = self.names().take(8).collect::<Vec<_>>().join(", ");
            DataError::field(&self.path, name, format!("no such tensor; the file has {present}"))
        })?;
        Ok((info, &self.numbers[info.data_offsets.0..info.data_offsets.1]))
    }

    fn shaped<T>(&self, name: &str, shape: &[usize], values: Vec<T>) -> Result<ArrayD<T>, DataError> {
        ArrayD::from_shape_vec(IxDyn(shape), values)
            .map_err(|e| DataError::field(&self.path, name, format!("shape {shape:?}: {e}")))
    }

    fn wrong_type(&self, name: &str, found: Dtype, expected: &'static str) -> DataError {
        DataError::WrongType {
            path: self.path.clone(),
            tensor: name.into(),
            found: found.to_string(),
            expected,
        }
    }
}

/// JSON where the text is JSON, else the text itself: files of other programs hold plain words.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into()))
}

fn numbers<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&b| from(b)).collect()
}

/// Tells a file that ends early from one whose bytes are wrong.
fn diagnose(path: &Path, remedy: &'static str, bytes: &[u8], error: &SafeTensorError) -> DataError {
    let path = path.to_path_buf();
    match expected_length(bytes) {
        Some(length) if length > bytes.len() as u64 => DataError::Truncated {
            path,
            detail: format!("{} bytes are there, its header tells of {length}", bytes.len()),
            remedy,
        },
        None if bytes.len() < 8 => DataError::Truncated {
            path,
            detail: format!("{} bytes are there, a safetensors file has at least 8", bytes.len()),
            remedy,
        },
        _ => DataError::Corrupted { path, detail: error.to_string(), remedy },
    }
}

/// Length of the whole file by its own header, as far as that can be read.
fn expected_length(bytes: &[u8]) -> Option<u64> {
    let header = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    if header > LONGEST_HEADER {
        return None;
    }
    let Some(text) = bytes.get(8..8 + header as usize) else {
        // Text of another kind of file would be read as an absurd length, seldom as a plausible one.
        return (bytes.get(8) == Some(&b'{') || bytes.len() == 8).then_some(8 + header);
    };
    let tensors: BTreeMap<String, Value> = serde_json::from_slice(text).ok()?;
    let end = tensors.values().filter_map(|t| t.get("data_offsets")?.get(1)?.as_u64()).max().unwrap_or(0);
    end.checked_add(8 + header)
}
