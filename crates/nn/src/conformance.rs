//! The networks and the optimiser against the published code's numbers, in f64.

use crate::reference::{Case, assert_close, evaluate_with, reference_networks};
use crate::{Activation, AdamW, LearningRate, Network, ResMlp, TIME_FEATURES, Weights, time_features};
use ndarray::{Array2, ArrayD, Axis, IxDyn};
use sda_graph::{Declaration, Executor, Graph, NodeId, Program, RunKey};
use sda_kernels::Interpreter;
use std::collections::BTreeMap;

const TOLERANCE: f64 = 1e-6;

fn features(times: &ArrayD<f64>) -> ArrayD<f64> {
    let times: Vec<f64> = times.iter().copied().collect();
    Array2::from_shape_fn((times.len(), TIME_FEATURES), |(i, j)| time_features(times[i])[j]).into_dyn()
}

/// Sliding windows of 2·order + 1 states, the estimate of each window's centre, and the ends of the outer windows.
fn composed(g: &mut Graph, network: &Network, order: usize, x: NodeId, features: NodeId) -> NodeId {
    let [b, l, d] = [0, 1, 2].map(|a| g.shape(x)[a]);
    let (window, n) = (2 * order + 1, l - 2 * order);
    let shifted: Vec<NodeId> = (0..window).map(|k| g.slice(x, 1, k, n, 1)).collect();
    let windows = g.concat(&shifted, 2);
    let y = network.emit(g, windows, features);
    let y = g.reshape(y, &[b, n, window, d]);
    let mut part = |window: (usize, usize), state: (usize, usize)| {
        let chosen = g.slice(y, 1, window.0, window.1, 1);
        let states = g.slice(chosen, 2, state.0, state.1, 1);
        g.reshape(states, &[b, window.1 * state.1, d])
    };
    let parts = [part((0, 1), (0, order)), part((0, n), (order, 1)), part((n - 1, 1), (order + 1, order))];
    g.concat(&parts, 1)
}

fn check(name: &str) {
    let (_, network) = reference_networks().into_iter().find(|(n, _)| *n == name).unwrap();
    let case = Case::read(name);
    let weights = network.from_published(&case.under("param.")).unwrap();
    // Channels last, where the case has them first.
    let planar = case.tensor("in.x").ndim() == 4;
    let ours = |t: &ArrayD<f64>| {
        let view = if planar { t.view().permuted_axes(IxDyn(&[0, 2, 3, 1])) } else { t.view() };
        view.as_standard_layout().into_owned()
    };
    let mut g = Graph::new();
    let x = g.constant(ours(case.tensor("in.x")));
    let features = g.constant(features(case.tensor("in.t")));
    let y = match &network {
        Network::ResMlp(_) => composed(&mut g, &network, 2, x, features),
        Network::UNet(_) => network.emit(&mut g, x, features),
    };
    let cotangent = g.constant(ours(case.tensor("in.cotangent")));
    let parameters = network.parameters();
    let mut wrt = vec![x];
    wrt.extend(parameters.iter().map(|p| Weights::Trained.read(&mut g, p)));
    let mut ends = vec![y];
    ends.extend(g.vjp(&[(y, cotangent)], &wrt));
    let states = weights.into_iter().map(|(n, w)| (Weights::Trained.state(&n), w)).collect();
    let mut out = evaluate_with(g, &states, &ends).into_iter();

    assert_close("out.eps", &out.next().unwrap(), &ours(case.tensor("out.eps")), TOLERANCE);
    assert_close("grad.x", &out.next().unwrap(), &ours(case.tensor("grad.x")), TOLERANCE);
    let gradients: BTreeMap<String, ArrayD<f64>> =
        parameters.iter().map(|p| p.name.clone()).zip(out).collect();
    let gradients = network.to_published(&gradients, "").unwrap();
    let wanted = case.under("grad.param.");
    assert_eq!(wanted.len(), parameters.len());
    for (published, want) in wanted {
        let bare = published.trim_start_matches("kernel.").trim_start_matches("score.");
        assert_close(&published, &gradients[bare], &want, TOLERANCE);
    }
}

#[test]
fn conformance_res_mlp_over_a_trajectory() {
    check("score_mlp_local");
}

#[test]
fn conformance_u_net_of_one_depth() {
    check("score_unet1d_global");
}

#[test]
fn conformance_u_net_of_two_depths() {
    check("score_unet1d_deep");
}

#[test]
fn conformance_u_net_on_circular_fields_with_forcing() {
    check("score_unet2d_circular");
}

/// μ and σ of the variance-preserving process with the cosine schedule.
fn noise_level(t: f64) -> (f64, f64) {
    let eta = 1e-3_f64;
    let alpha = (t * eta.sqrt().acos()).cos().powi(2);
    (alpha, (1.0 - alpha * alpha + eta * eta).sqrt())
}

#[test]
fn conformance_training_by_adamw() {
    let case = Case::read("train_adamw");
    let hidden_features = vec![16, 16];
    let network =
        Network::ResMlp(ResMlp { features: 9, embedding: 8, hidden_features, activation: Activation::SiLU });
    let weights = network.from_published(&case.under("param.")).unwrap();
    let optimiser = AdamW::default();

    let mut g = Graph::new();
    let scalars = ["rate", "c1", "c2"].map(|n| g.input(Declaration::shared(n, &[])));
    let rows = [("x_t", 9), ("eps", 9), ("features", TIME_FEATURES)];
    let [x, eps, features] = rows.map(|(n, width)| g.input(Declaration::rows(n, &[8, width])));
    let estimate = network.emit(&mut g, x, features);
    let error = g.sub(estimate, eps);
    let square = g.square(error);
    let mean = g.mean(square, &[0, 1]);
    let loss = g.reshape(mean, &[]);
    let parameters = network.parameters();
    let wrt: Vec<NodeId> = parameters.iter().map(|p| Weights::Trained.read(&mut g, p)).collect();
    let gradients = g.gradient(loss, &wrt);
    let named: Vec<(String, NodeId)> = parameters.iter().map(|p| p.name.clone()).zip(gradients).collect();
    let updates = optimiser.emit(&mut g, scalars[0], [scalars[1], scalars[2]], &named);
    let program = updates.iter().fold(Program::new(g), |p, (state, node)| p.update(state, *node));
    let program = program.output("loss", loss);

    let mut executor = Interpreter::<f64>::new();
    for (name, w) in &weights {
        executor.write(&Weights::Trained.state(name), w.view()).unwrap();
    }
    let handle = executor.compile(&program).unwrap();
    for n in 0..8 {
        let of_step = |name: &str| case.tensor(name).index_axis(Axis(0), n).to_owned();
        let (x, eps, t) = (of_step("in.x"), of_step("in.eps"), of_step("in.t"));
        let noised = ArrayD::from_shape_fn(x.raw_dim(), |i| {
            let (mu, sigma) = noise_level(t[[i[0]]]);
            mu * x[&i] + sigma * eps[&i]
        });
        let rate = LearningRate::Linear.at(n / 2, 4, 1e-3);
        let [c1, c2] = optimiser.corrections(n as u64 + 1);
        let arrays = [noised, eps, self::features(&t)].map(|a| a.iter().copied().collect::<Vec<f64>>());
        let inputs: [&[f64]; 6] = [&[rate], &[c1], &[c2], &arrays[0], &arrays[1], &arrays[2]];
        executor.run(handle, RunKey { seed: 0, step: n as u32 }, &inputs).unwrap();
        let (got, want) = (executor.output(handle, 0).unwrap()[0], case.tensor("out.loss")[[n]]);
        assert!((got / want - 1.0).abs() < TOLERANCE, "loss of step {n}: {got} and {want}");
    }
    let trained = network.from_published(&case.under("out.param.")).unwrap();
    for (name, want) in &trained {
        let got = executor.read(&Weights::Trained.state(name)).unwrap();
        // The case stores t as f32: moving it within that rounding moves the embedding's changes by up to 4.5e-5.
        let tolerance = if name.starts_with("embedding") { 5e-5 } else { 5e-6 };
        assert_close(name, &(&got - &weights[name]), &(want - &weights[name]), tolerance);
    }
}
