//! The reference cases, and what this crate's tests run graphs with.

use crate::{Activation, Boundary, Context, Network, ResMlp, UNet, Weights};
use ndarray::{Array1, ArrayD};
use safetensors::SafeTensors;
use sda_graph::{Executor, Graph, NodeId, Program, RunKey};
use sda_kernels::Interpreter;
use std::collections::BTreeMap;
use std::path::Path;

/// One safetensors file, its tensors widened to f64.
pub(crate) struct Case {
    tensors: BTreeMap<String, ArrayD<f64>>,
}

impl Case {
    pub(crate) fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |(name, t): (String, safetensors::tensor::TensorView<'_>)| {
            let words = t.data().as_chunks::<4>().0.iter();
            let values = words.map(|b| f64::from(f32::from_le_bytes(*b))).collect();
            (name, ArrayD::from_shape_vec(t.shape(), values).unwrap())
        };
        Self { tensors: file.tensors().into_iter().map(tensor).collect() }
    }

    pub(crate) fn tensor(&self, name: &str) -> &ArrayD<f64> {
        &self.tensors[name]
    }

    /// Tensors whose names begin with `prefix`, without it.
    pub(crate) fn under(&self, prefix: &str) -> BTreeMap<String, ArrayD<f64>> {
        let stripped =
            |(n, t): (&String, &ArrayD<f64>)| Some((n.strip_prefix(prefix)?.to_string(), t.clone()));
        self.tensors.iter().filter_map(stripped).collect()
    }
}

/// The cases of a network, with the configuration that their headers describe.
pub(crate) fn reference_networks() -> Vec<(&'static str, Network)> {
    let u_net = UNet {
        channels: 3,
        embedding: 8,
        hidden_channels: vec![8, 12, 16],
        hidden_blocks: vec![1, 2, 1],
        kernel: 3,
        stride: 2,
        activation: Activation::SiLU,
        boundary: vec![Boundary::Zero],
        context: None,
    };
    let activation = Activation::SiLU;
    let res_mlp = ResMlp { features: 15, embedding: 8, hidden_features: vec![24; 3], activation };
    let global = UNet { hidden_channels: vec![16], hidden_blocks: vec![2], ..u_net.clone() };
    let deep = UNet {
        hidden_channels: vec![8, 16],
        hidden_blocks: vec![1, 2],
        kernel: 5,
        activation: Activation::GELU,
        ..u_net.clone()
    };
    let boundary = vec![Boundary::Circular; 2];
    let circular = UNet { channels: 6, boundary, context: Some(Context::Forcing { wavenumber: 4 }), ..u_net };
    vec![
        ("score_mlp_local", Network::ResMlp(res_mlp)),
        ("score_unet1d_global", Network::UNet(global)),
        ("score_unet1d_deep", Network::UNet(deep)),
        ("score_unet2d_circular", Network::UNet(circular)),
    ]
}

/// Numbers without pattern: sin(i·step) for i = 1, 2, … in row-major order.
pub(crate) fn wave(shape: &[usize], step: f64) -> ArrayD<f64> {
    let n: usize = shape.iter().product();
    let values = (1..=n).map(|i| (i as f64 * step).sin()).collect();
    ArrayD::from_shape_vec(shape, values).unwrap()
}

pub(crate) fn vector(values: &[f64]) -> ArrayD<f64> {
    Array1::from(values.to_vec()).into_dyn()
}

/// Initial weights as states.
pub(crate) fn random_weights(network: &Network) -> BTreeMap<String, ArrayD<f64>> {
    let weights = network.initialise(3).into_iter();
    weights.map(|(n, w)| (Weights::Trained.state(&n), w.mapv(f64::from))).collect()
}

/// Values of nodes that depend on constants alone.
pub(crate) fn evaluate(g: Graph, nodes: &[NodeId]) -> Vec<ArrayD<f64>> {
    evaluate_with(g, &BTreeMap::new(), nodes)
}

/// Values of nodes, in f64.
pub(crate) fn evaluate_with(
    g: Graph,
    states: &BTreeMap<String, ArrayD<f64>>,
    nodes: &[NodeId],
) -> Vec<ArrayD<f64>> {
    let shapes: Vec<Vec<usize>> = nodes.iter().map(|n| g.shape(*n).to_vec()).collect();
    let mut executor = Interpreter::<f64>::new();
    for (name, value) in states {
        executor.write(name, value.view()).unwrap();
    }
    let program =
        nodes.iter().enumerate().fold(Program::new(g), |p, (i, node)| p.output(format!("out{i}"), *node));
    let handle = executor.compile(&program).unwrap();
    executor.run(handle, RunKey { seed: 0, step: 0 }, &[]).unwrap();
    let value = |(i, shape): (usize, Vec<usize>)| {
        ArrayD::from_shape_vec(shape, executor.output(handle, i).unwrap().to_vec()).unwrap()
    };
    shapes.into_iter().enumerate().map(value).collect()
}

/// ‖got − want‖ ≤ tolerance ‖want‖.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &ArrayD<f64>, want: &ArrayD<f64>, tolerance: f64) {
    assert_eq!(got.shape(), want.shape(), "{what}");
    let norm = |a: &ArrayD<f64>| a.iter().map(|x| x * x).sum::<f64>().sqrt();
    let error = norm(&(got - want));
    assert!(error <= tolerance * norm(want), "{what}: ‖got − want‖ = {error:e}, ‖want‖ = {:e}", norm(want));
}
