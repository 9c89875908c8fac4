//! Reader of reference cases: one safetensors file each, with `kind` and `config` in its header.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use safetensors::{Dtype, SafeTensors};
use sda_core::Stream;
use serde_json::Value;

/// One file: what goes in, the weights, what must come out.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The file's name without its extension.
    pub(crate) name: String,
    /// Which check it is for.
    pub(crate) kind: String,
    /// How the numbers were made.
    pub(crate) config: Value,
    /// Widened to f64.
    pub(crate) tensors: BTreeMap<String, ArrayD<f64>>,
}

/// The folder of cases: `SDA_REFERENCE_DIR`, else the repository's.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("SDA_REFERENCE_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("reference"), PathBuf::from)
}

/// All cases of a folder, by name.
///
/// Errors: the folder cannot be read or holds no case, a file is no case.
pub(crate) fn cases(folder: &Path) -> Result<Vec<Case>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(|e| format!("{}: {e}", folder.display())))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "safetensors"));
    paths.sort();
    if paths.is_empty() {
        return Err(format!("{}: no reference case (*.safetensors)", folder.display()));
    }
    paths.iter().map(|path| read(path).map_err(|e| format!("{}: {e}", path.display()))).collect()
}

fn read(path: &Path) -> Result<Case, String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| e.to_string())?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let entry = |key: &str| metadata.get(key).ok_or_else(|| format!("the header has no `{key}`"));
    let config = serde_json::from_str(entry("config")?).map_err(|e| format!("`config`: {e}"))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| e.to_string())?;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in file.tensors() {
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("`{name}` is {:?}, not F32", tensor.dtype()));
        }
        let numbers = tensor.data().as_chunks::<4>().0.iter();
        let values = numbers.map(|b| f64::from(f32::from_le_bytes(*b))).collect();
        let array = ArrayD::from_shape_vec(tensor.shape(), values).map_err(|e| e.to_string())?;
        tensors.insert(name, array);
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Case { name, kind: entry("kind")?.clone(), config, tensors })
}

impl Case {
    /// A tensor that the case must have.
    pub(crate) fn tensor(&self, name: &str) -> &ArrayD<f64> {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor `{name}`", self.name))
    }

    /// Tensors whose names begin with `prefix`, without it.
    pub(crate) fn under(&self, prefix: &str) -> BTreeMap<String, ArrayD<f64>> {
        let stripped =
            |(n, t): (&String, &ArrayD<f64>)| Some((n.strip_prefix(prefix)?.to_string(), t.clone()));
        self.tensors.iter().filter_map(stripped).collect()
    }

    /// The case with each number of its inputs and weights moved within half of its last f32 digit, at random.
    pub(crate) fn with_inputs_moved(&self, seed: u64) -> Self {
        let mut case = self.clone();
        let inputs = case.tensors.iter_mut().filter(|(n, _)| n.starts_with("in.") || n.starts_with("param."));
        for (row, (_, tensor)) in inputs.enumerate() {
            let mut draws = Stream::new(seed, 0).sequence(0, row as u32);
            tensor.mapv_inplace(|x| {
                let stored = (x as f32).abs();
                x + (draws.uniform() - 0.5) * f64::from(stored.next_up() - stored)
            });
        }
        case
    }

    /// A number of the configuration that the case must have.
    pub(crate) fn number(&self, key: &str) -> f64 {
        let value = &self.config[key];
        value.as_f64().unwrap_or_else(|| panic!("{}: `{key}` is {value}, not a number", self.name))
    }

    /// A count of the configuration that the case must have.
    pub(crate) fn count(&self, key: &str) -> usize {
        let value = &self.config[key];
        value.as_u64().unwrap_or_else(|| panic!("{}: `{key}` is {value}, not a count", self.name)) as usize
    }

    /// A word of the configuration that the case must have.
    pub(crate) fn word(&self, key: &str) -> &str {
        let value = &self.config[key];
        value.as_str().unwrap_or_else(|| panic!("{}: `{key}` is {value}, not a word", self.name))
    }
}

/// Multiplies a tensor of a file in memory by a factor.
pub(crate) fn scale_stored(file: &mut [u8], name: &str, factor: f32) {
    let (header, form) = SafeTensors::read_metadata(file).unwrap();
    let (start, end) = form.info(name).unwrap().data_offsets;
    for number in file[8 + header + start..8 + header + end].as_chunks_mut::<4>().0 {
        *number = (f32::from_le_bytes(*number) * factor).to_le_bytes();
    }
}
