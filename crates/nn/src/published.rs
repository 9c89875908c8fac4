//! PyTorch's published names and layouts, in and out.
//!
//! Names are ours with a prefix of the wrapping module (`kernel.`, `score.` or none). Layouts: linear weights
//! (out, in) ↔ [in, out], convolutions (out, in, k…) ↔ [kh, kw, in, out].

use crate::error::NnError;
use crate::network::Network;
use crate::parameter::Parameter;
use crate::time_embedding::frequencies;
use ndarray::{Array1, ArrayD, Axis};
use sda_core::Real;
use std::collections::BTreeMap;

/// Every network has this parameter; what precedes it is the prefix.
const LANDMARK: &str = "embedding.0.weight";
const FREQUENCIES: &str = "embedding.freqs";
const FORCING: &str = "forcing";

impl Network {
    /// Weights from a published state dict: prefix removed, layouts converted, buffers checked and dropped.
    ///
    /// Errors: names missing, unexpected or of another shape (all listed, in our layout); a buffer that contradicts
    /// the configuration; a number that is not finite.
    pub fn from_published(
        &self,
        tensors: &BTreeMap<String, ArrayD<f64>>,
    ) -> Result<BTreeMap<String, ArrayD<f64>>, NnError> {
        let prefix = tensors.keys().find_map(|n| n.strip_suffix(LANDMARK)).unwrap_or_default();
        let parameters = self.parameters();
        let mut weights = BTreeMap::new();
        for (published, tensor) in tensors {
            let Some(name) = published.strip_prefix(prefix) else {
                weights.insert(format!("{published} (without the prefix {prefix})"), tensor.clone());
                continue;
            };
            if self.is_buffer(name) {
                self.check_buffer(published, name, tensor)?;
                continue;
            }
            let known = parameters.iter().find(|p| p.name == name);
            let ours = known.map_or_else(|| tensor.clone(), |p| from_layout(p, tensor));
            weights.insert(name.to_string(), ours);
        }
        self.check(&weights)?;
        Ok(weights)
    }

    /// A published state dict's parameters, each name after `prefix`.
    ///
    /// Errors: the weights are not this network's.
    pub fn to_published<T: Real>(
        &self,
        weights: &BTreeMap<String, ArrayD<T>>,
        prefix: &str,
    ) -> Result<BTreeMap<String, ArrayD<T>>, NnError> {
        self.check(weights)?;
        let axes = self.spatial_axes();
        Ok(weights.iter().map(|(name, w)| (format!("{prefix}{name}"), to_layout(w, axes))).collect())
    }

    /// The buffers that a published state dict holds beside the parameters.
    ///
    /// Shapes: `size` the field's spatial axes (empty for a ResMlp); frequencies [16], forcing (1, size…).
    pub fn published_buffers(&self, prefix: &str, size: &[usize]) -> BTreeMap<String, ArrayD<f64>> {
        let frequencies = Array1::from_iter(frequencies()).into_dyn();
        let mut buffers: BTreeMap<_, _> = [(format!("{prefix}{FREQUENCIES}"), frequencies)].into();
        if let Some(context) = self.context() {
            let values = context.values(size).permuted_axes(channels_first(size.len() + 1));
            buffers.insert(format!("{prefix}{FORCING}"), values.as_standard_layout().into_owned());
        }
        buffers
    }

    fn is_buffer(&self, name: &str) -> bool {
        name == FREQUENCIES || name == FORCING && self.context().is_some()
    }

    fn check_buffer(&self, published: &str, name: &str, tensor: &ArrayD<f64>) -> Result<(), NnError> {
        let refuse = |why: String| Err(NnError::Buffer { name: published.into(), why });
        let axes = self.spatial_axes();
        let size = if name == FORCING {
            if tensor.ndim() != axes + 1 {
                return refuse(format!("is {:?}, not one channel on {axes} spatial axes", tensor.shape()));
            }
            &tensor.shape()[1..]
        } else {
            &vec![1; axes][..]
        };
        let want = self.published_buffers("", size).remove(name);
        let Some(want) = want.filter(|w| w.shape() == tensor.shape()) else {
            return refuse(format!(
                "has the shape {:?}, which no network of this configuration has",
                tensor.shape()
            ));
        };
        let same = want.iter().zip(tensor).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + a.abs()));
        if same { Ok(()) } else { refuse("holds other values than this configuration's".into()) }
    }
}

/// (0, 1, …, n) with the last axis first.
fn channels_first(rank: usize) -> Vec<usize> {
    std::iter::once(rank - 1).chain(0..rank - 1).collect()
}

/// A tensor that cannot be this parameter keeps its shape, for the list of misshapen ones.
fn from_layout(parameter: &Parameter, tensor: &ArrayD<f64>) -> ArrayD<f64> {
    let moved = match (parameter.shape.len(), tensor.ndim()) {
        (2, 2) => tensor.view().reversed_axes(),
        (4, 3) => tensor.view().insert_axis(Axis(2)).permuted_axes(vec![2, 3, 1, 0]),
        (4, 4) => tensor.view().permuted_axes(vec![2, 3, 1, 0]),
        _ => tensor.view(),
    };
    moved.as_standard_layout().into_owned()
}

fn to_layout<T: Real>(weight: &ArrayD<T>, axes: usize) -> ArrayD<T> {
    let moved = match (weight.ndim(), axes) {
        (2, _) => weight.view().reversed_axes(),
        (4, 1) => weight.view().permuted_axes(vec![3, 2, 0, 1]).index_axis_move(Axis(2), 0),
        (4, _) => weight.view().permuted_axes(vec![3, 2, 0, 1]),
        _ => weight.view(),
    };
    moved.as_standard_layout().into_owned()
}

#[cfg(test)]
mod tests;
