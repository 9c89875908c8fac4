//! Observations of one trajectory: y = A(x) + noise, with the operator's description, in one safetensors file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use serde_json::Value;

use crate::DataError;
use crate::tensor_file::{self, Metadata, Tensor, TensorFile};

const REMEDY: &str = "delete it and observe again, or copy it anew from where it came";

/// What was measured, when, how exactly, and by which operator.
///
/// Shapes: `y` [P…], `noise_std` [] or [P…], `mask` [P…], `steps` one for each entry of y's first axis, `truth` [L, D…].
/// Units: `y` and `noise_std` in the observation's unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observations {
    /// The measured values; 0 where `mask` says there is none.
    pub y: ArrayD<f32>,
    /// Standard deviation of the noise, one for all or one for each value.
    pub noise_std: ArrayD<f32>,
    /// True where a value was measured; everywhere without a mask.
    pub mask: Option<ArrayD<bool>>,
    /// Steps of the trajectory that y's first axis stands for, increasing.
    pub steps: Option<Vec<usize>>,
    /// The trajectory that was observed, where it is known.
    pub truth: Option<ArrayD<f32>>,
    /// The operator A and its settings.
    pub operator: Value,
    /// Whatever else: system, seed, source.
    pub other: Metadata,
    /// Where it was loaded from; empty before that.
    pub path: PathBuf,
}

impl Observations {
    /// Writes the file whole or not at all; values under a false mask may be NaN and are stored as 0.
    ///
    /// Errors: what [`Observations::load`] would refuse; the folder cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        let y = self.without_masked(path)?;
        let steps: Option<Vec<i64>> = self.steps.as_ref().map(|s| s.iter().map(|&n| n as i64).collect());
        let clean = Self { y, path: path.to_path_buf(), ..self.clone() };
        clean.check()?;
        let mut tensors = BTreeMap::from([
            ("noise_std", Tensor::Reals(clean.noise_std.view())),
            ("y", Tensor::Reals(clean.y.view())),
        ]);
        tensors.extend(clean.mask.as_ref().map(|mask| ("mask", Tensor::Flags(mask.view()))));
        tensors.extend(steps.as_ref().map(|steps| ("steps", Tensor::Integers(steps))));
        tensors.extend(clean.truth.as_ref().map(|truth| ("truth", Tensor::Reals(truth.view()))));
        let mut metadata = self.other.clone();
        metadata.insert("operator".into(), self.operator.clone());
        tensor_file::write(path, &tensors, &metadata)
    }

    /// Reads and checks a file.
    ///
    /// Errors: no file, truncated, corrupted, NaN, shapes that do not agree, noise that is not positive,
    /// steps that do not increase.
    pub fn load(path: &Path) -> Result<Self, DataError> {
        let file = TensorFile::read(path, "observation file", REMEDY)?;
        let mut other = file.metadata.clone();
        let observations = Self {
            y: file.reals("y", false)?,
            noise_std: file.reals("noise_std", false)?,
            mask: file.has("mask").then(|| file.flags("mask")).transpose()?,
            steps: file.has("steps").then(|| steps_of(path, &file)).transpose()?,
            truth: file.has("truth").then(|| file.reals("truth", false)).transpose()?,
            operator: other.remove("operator").unwrap_or(Value::Null),
            other,
            path: path.to_path_buf(),
        };
        observations.check()?;
        Ok(observations)
    }

    /// Checks that the observations are of a trajectory of `length` states.
    ///
    /// Errors: the last step or the stored truth does not fit.
    pub fn expect_length(&self, length: usize) -> Result<(), DataError> {
        if let Some(&last) = self.steps.iter().flatten().last().filter(|&&last| last >= length) {
            return Err(self.field(
                "steps",
                format!("the last is {last}, the trajectory has {length} states from 0 on"),
            ));
        }
        match &self.truth {
            Some(truth) if truth.shape().first() != Some(&length) => {
                Err(self
                    .field("truth", format!("its shape is {:?}, expected {length} states", truth.shape())))
            }
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), DataError> {
        let shape = self.y.shape();
        if self.y.is_empty() {
            return Err(self.field("y", format!("its shape is {shape:?}: there is no observation")));
        }
        if !(self.noise_std.ndim() == 0 || self.noise_std.shape() == shape) {
            return Err(self.field(
                "noise_std",
                format!("its shape is {:?}, expected [] or that of y, {shape:?}", self.noise_std.shape()),
            ));
        }
        if let Some(&std) = self.noise_std.iter().find(|&&std| !(std.is_finite() && std > 0.0)) {
            return Err(self.field("noise_std", format!("a value is {std}, expected positive numbers")));
        }
        if let Some(mask) = self.mask.as_ref().filter(|mask| mask.shape() != shape) {
            return Err(
                self.field("mask", format!("its shape is {:?}, expected that of y, {shape:?}", mask.shape()))
            );
        }
        if let Some(steps) = &self.steps {
            let rows = shape.first().copied().unwrap_or(1);
            if steps.len() != rows || !steps.is_sorted_by(|a, b| a < b) {
                return Err(self.field("steps", format!("found {steps:?}, expected {rows} that increase")));
            }
        }
        self.check_finite("y", &self.y)?;
        self.truth.as_ref().map_or(Ok(()), |truth| self.check_finite("truth", truth))
    }

    fn check_finite(&self, name: &str, values: &ArrayD<f32>) -> Result<(), DataError> {
        match values.indexed_iter().find(|(_, v)| !v.is_finite()) {
            None => Ok(()),
            Some((index, &value)) => Err(DataError::NonFinite {
                path: self.path.clone(),
                place: format!("tensor `{name}` at {:?}", ndarray::Dimension::slice(&index)),
                value: f64::from(value),
                remedy: "mask missing values out",
            }),
        }
    }

    fn without_masked(&self, path: &Path) -> Result<ArrayD<f32>, DataError> {
        let mut y = self.y.clone();
        if let Some(mask) = &self.mask {
            if mask.shape() != y.shape() {
                let detail = format!("its shape is {:?}, expected that of y, {:?}", mask.shape(), y.shape());
                return Err(DataError::field(path, "mask", detail));
            }
            y.zip_mut_with(mask, |value, &measured| *value = if measured { *value } else { 0.0 });
        }
        Ok(y)
    }

    fn field(&self, name: &str, detail: String) -> DataError {
        DataError::field(&self.path, name, detail)
    }
}

fn steps_of(path: &Path, file: &TensorFile) -> Result<Vec<usize>, DataError> {
    let as_step = |n: i64| {
        usize::try_from(n)
            .map_err(|_| DataError::field(path, "steps", format!("one is {n}, expected 0 or more")))
    };
    file.integers("steps")?.into_iter().map(as_step).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ndarray::{arr0, array};
    use serde_json::json;

    use super::*;

    fn example() -> Observations {
        Observations {
            y: array![[1.0f32, -2.0], [3.5, 0.25], [7.0, 8.0]].into_dyn(),
            noise_std: arr0(0.05).into_dyn(),
            steps: Some(vec![0, 8, 16]),
            truth: Some(ArrayD::ones(vec![17, 3])),
            operator: json!({"stride": {"step": 8, "components": [0, 1]}}),
            other: Metadata::from([("seed".into(), json!(3))]),
            ..Observations::default()
        }
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("observation.safetensors");
        (folder, path)
    }

    #[test]
    fn round_trip() {
        let (_folder, path) = file();
        let mask = array![[true, false], [true, true], [false, true]].into_dyn();
        let noise_std = array![[0.1f32, 0.2], [0.3, 0.4], [0.5, 0.6]].into_dyn();
        for mut observations in [
            example(),
            Observations { steps: None, truth: None, ..example() },
            Observations { noise_std, ..example() },
            Observations { mask: Some(mask), ..example() },
        ] {
            if let Some(mask) = &observations.mask {
                observations.y.zip_mut_with(mask, |y, &measured| *y = if measured { *y } else { f32::NAN });
            }
            observations.save(&path).unwrap();
            let back = Observations::load(&path).unwrap();
            observations.y.mapv_inplace(|y| if y.is_nan() { 0.0 } else { y });
            observations.path.clone_from(&path);
            assert_eq!(back, observations);
            back.expect_length(17).unwrap();
        }
    }

    #[test]
    fn what_does_not_agree_is_neither_written_nor_read() {
        let (_folder, path) = file();
        let with_nan = array![[1.0f32, f32::NAN], [3.5, 0.25], [7.0, 8.0]].into_dyn();
        for (bad, words) in [
            (Observations { y: ArrayD::zeros(vec![0, 2]), ..example() }, "`y`"),
            (Observations { y: with_nan, ..example() }, "`y` at [0, 1]"),
            (Observations { noise_std: arr0(-0.1).into_dyn(), ..example() }, "-0.1, expected positive"),
            (Observations { noise_std: ArrayD::ones(vec![2]), ..example() }, "`noise_std`"),
            (Observations { mask: Some(ArrayD::from_elem(vec![2], true)), ..example() }, "`mask`"),
            (Observations { steps: Some(vec![0, 8]), ..example() }, "`steps`"),
            (Observations { steps: Some(vec![0, 8, 8]), ..example() }, "`steps`"),
            (
                Observations { truth: Some(ArrayD::from_elem(vec![17, 3], f32::NAN)), ..example() },
                "`truth` at [0, 0]",
            ),
        ] {
            let message = bad.save(&path).unwrap_err().to_string();
            assert!(message.contains(words) && message.contains("observation.safetensors"), "{message}");
            assert!(!path.exists());
        }
        // The same by another program's hand.
        let (y, noise_std) = (example().y, arr0(0.0).into_dyn());
        let views =
            BTreeMap::from([("y", Tensor::Reals(y.view())), ("noise_std", Tensor::Reals(noise_std.view()))]);
        tensor_file::write(&path, &views, &Metadata::new()).unwrap();
        let message = Observations::load(&path).unwrap_err().to_string();
        assert!(message.contains("`noise_std`") && message.contains("expected positive"), "{message}");
    }

    #[test]
    fn a_trajectory_that_is_too_short_is_told() {
        let message = example().expect_length(16).unwrap_err().to_string();
        assert!(message.contains("the last is 16") && message.contains("16 states"), "{message}");
        let message = example().expect_length(20).unwrap_err().to_string();
        assert!(message.contains("`truth`") && message.contains("expected 20 states"), "{message}");
    }

    #[test]
    fn truncated_and_missing_parts_are_told() {
        let (_folder, path) = file();
        assert!(Observations::load(&path).unwrap_err().to_string().contains("find observation file"));
        example().save(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let message = Observations::load(&path).unwrap_err().to_string();
        assert!(message.contains("truncated") && message.contains("observe again"), "{message}");
        let y = example().y;
        tensor_file::write(&path, &BTreeMap::from([("y", Tensor::Reals(y.view()))]), &Metadata::new())
            .unwrap();
        let message = Observations::load(&path).unwrap_err().to_string();
        assert!(message.contains("`noise_std`") && message.contains("no such tensor"), "{message}");
    }
}
