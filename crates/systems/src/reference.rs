//! The reference cases of `tests/reference`, for this crate's tests.

use std::path::Path;

use ndarray::{Array, Array1, Array2, Dimension};
use safetensors::{Dtype, SafeTensors};

/// One safetensors file, its tensors widened to f64.
pub(crate) struct Case(Vec<u8>);

impl Case {
    pub(crate) fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
        Self(std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap())
    }

    fn tensor(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::F32);
        let values = tensor
            .data()
            .chunks_exact(4)
            .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
            .collect();
        (tensor.shape().to_vec(), values)
    }

    pub(crate) fn matrix(&self, name: &str) -> Array2<f64> {
        let (shape, values) = self.tensor(name);
        Array2::from_shape_vec((shape[0], shape[1]), values).unwrap()
    }

    pub(crate) fn vector(&self, name: &str) -> Array1<f64> {
        Array1::from_vec(self.tensor(name).1)
    }
}

/// ‖got − want‖ ≤ tolerance ‖want‖.
#[track_caller]
pub(crate) fn assert_close<D: Dimension>(got: &Array<f64, D>, want: &Array<f64, D>, tolerance: f64) {
    let norm = |a: &Array<f64, D>| a.iter().map(|x| x * x).sum::<f64>().sqrt();
    let error = norm(&(got - want));
    assert!(error <= tolerance * norm(want), "‖got − want‖ = {error:e}, ‖want‖ = {:e}", norm(want));
}
