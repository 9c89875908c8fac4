//! Networks and their composition over a trajectory: outputs, input gradients, weight gradients.

use std::collections::BTreeMap;

use ndarray::ArrayD;
use sda_diffusion::{GlobalScore, NoisePredictor, TimeNodes};
use sda_graph::{Executor, Graph, NodeId};
use sda_nn::{Network, Weights};

use super::network::{channels_first, channels_last, features, load, network, prefix};
use super::report::Report;
use crate::reference::Case;

fn emit(case: &Case, g: &mut Graph, network: &Network, x: NodeId) -> NodeId {
    let features = features(g, case.tensor("in.t"));
    let one = g.scalar(1.0);
    let time = TimeNodes { features, mu: one, sigma: one };
    let whole = GlobalScore::new(network.clone());
    match case.kind.as_str() {
        "mc_score_net" => whole.local(case.count("order"), 1).emit(g, x, &time),
        "mc_score_wrapper" => whole.emit(g, x, &time),
        // A window as one field, its states merged into channels already.
        _ => network.emit(g, x, features),
    }
}

pub(super) fn check<E: Executor>(case: &Case, executor: &mut E, report: &mut Report<'_>) {
    let network = network(&case.config);
    load(case, &network, executor);
    let mut g = Graph::new();
    let [x, cotangent] = ["in.x", "in.cotangent"].map(|name| g.constant(channels_last(case.tensor(name))));
    let y = emit(case, &mut g, &network, x);
    let parameters = network.parameters();
    let mut wrt = vec![x];
    wrt.extend(parameters.iter().map(|p| Weights::Trained.read(&mut g, p)));
    let mut nodes = vec![y];
    nodes.extend(g.vjp(&[(y, cotangent)], &wrt));
    let mut values = super::evaluate(executor, g, &nodes).into_iter();

    let tolerance = report.tolerance;
    for name in ["out.eps", "grad.x"] {
        let value = values.next().expect("an output for each node");
        report.compare(name, &channels_first(&value), tolerance.values);
    }
    let gradients: BTreeMap<String, ArrayD<f64>> =
        parameters.iter().map(|p| p.name.clone()).zip(values).collect();
    for (name, gradient) in network.to_published(&gradients, &prefix(case)).unwrap() {
        report.compare(&format!("grad.param.{name}"), &gradient, tolerance.weight_gradients);
    }
}
