//! Networks from a case's configuration, their weights, and layouts: the cases have channels first.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayD, IxDyn};
use sda_core::Real;
use sda_graph::{Executor, Graph};
use sda_nn::{Activation, Boundary, Context, Network, ResMlp, TIME_FEATURES, UNet, Weights, time_features};
use serde_json::Value;

use crate::reference::Case;

fn counts(config: &Value, key: &str) -> Vec<usize> {
    let list = config[key].as_array().unwrap_or_else(|| panic!("`{key}` is no list"));
    list.iter().map(|n| n.as_u64().expect("a count") as usize).collect()
}

fn count(config: &Value, key: &str) -> Option<usize> {
    config[key].as_u64().map(|n| n as usize)
}

/// The network of a configuration; `features` are those of one state where there is an `order`.
pub(super) fn network(config: &Value) -> Network {
    let window = 2 * count(config, "order").unwrap_or(0) + 1;
    let channels = count(config, "channels").or(count(config, "features")).expect("`channels` or `features`");
    let channels = channels * window;
    let embedding = count(config, "embedding").expect("`embedding`");
    let activation: Activation = serde_json::from_value(config["activation"].clone()).expect("an activation");
    if config["hidden_features"].is_array() {
        let hidden_features = counts(config, "hidden_features");
        return Network::ResMlp(ResMlp { features: channels, embedding, hidden_features, activation });
    }
    let boundary = match config["padding_mode"].as_str() {
        Some("circular") => Boundary::Circular,
        Some("zeros") => Boundary::Zero,
        other => panic!("unknown padding mode {other:?}"),
    };
    let context = config["context"].as_str().map(|text| {
        assert!(text.starts_with("forcing: sin(4 y)"), "unknown context `{text}`");
        Context::Forcing { wavenumber: 4 }
    });
    Network::UNet(UNet {
        channels,
        embedding,
        hidden_channels: counts(config, "hidden_channels"),
        hidden_blocks: counts(config, "hidden_blocks"),
        kernel: count(config, "kernel_size").expect("`kernel_size`"),
        stride: count(config, "stride").expect("`stride`"),
        activation,
        boundary: vec![boundary; count(config, "spatial").expect("`spatial`")],
        context,
    })
}

/// What precedes the network's own names in the case: `kernel.`, `score.` or nothing.
pub(super) fn prefix(case: &Case) -> String {
    let landmark =
        |name: &String| Some(name.strip_prefix("param.")?.strip_suffix("embedding.0.weight")?.to_string());
    case.tensors.keys().find_map(landmark).expect("the weights of a time embedding")
}

/// Gives an executor the case's weights.
pub(super) fn load<E: Executor>(case: &Case, network: &Network, executor: &mut E) {
    let weights: BTreeMap<_, _> = network.from_published(&case.under("param.")).unwrap();
    for (name, array) in weights {
        executor.write(&Weights::Trained.state(&name), array.mapv(E::Real::from_f64).view()).unwrap();
    }
}

/// Channels first to channels last: (…, C, H, W) to [.., H, W, C]; trajectories of vectors stay.
pub(super) fn channels_last(array: &ArrayD<f64>) -> ArrayD<f64> {
    let rank = array.ndim();
    if rank < 4 {
        return array.clone();
    }
    let axes: Vec<usize> = (0..rank - 3).chain([rank - 2, rank - 1, rank - 3]).collect();
    array.view().permuted_axes(IxDyn(&axes)).as_standard_layout().into_owned()
}

/// Channels last to channels first.
pub(super) fn channels_first(array: &ArrayD<f64>) -> ArrayD<f64> {
    let rank = array.ndim();
    if rank < 4 {
        return array.clone();
    }
    let axes: Vec<usize> = (0..rank - 3).chain([rank - 1, rank - 3, rank - 2]).collect();
    array.view().permuted_axes(IxDyn(&axes)).as_standard_layout().into_owned()
}

/// Features of one time [1, 32], or of one for each sample [B, 32], as a constant.
pub(super) fn features(g: &mut Graph, times: &ArrayD<f64>) -> sda_graph::NodeId {
    let rows: Vec<f64> = times.iter().flat_map(|&t| time_features(t)).collect();
    let rows = Array2::from_shape_vec((times.len(), TIME_FEATURES), rows).expect("a row for each time");
    g.constant(rows.into_dyn())
}
