//! The posterior's noise estimate by each approximation of the likelihood.

use sda_core::Real;
use sda_diffusion::{
    DpsNorm, GlobalScore, Guidance, LocalScore, NoisePredictor, Place, Posterior, TimeNodes,
};
use sda_graph::{Executor, Graph};
use sda_observe::{Observation, Operator};
use serde_json::Value;

use super::network::{features, load, network};
use super::report::Report;
use super::schedule::schedule;
use crate::reference::Case;

/// The local score of the network under `network` in a case's configuration, and its weights in the executor.
pub(super) fn prior<E: Executor>(case: &Case, executor: &mut E) -> LocalScore<GlobalScore> {
    let config = &case.config["network"];
    let network = network(config);
    load(case, &network, executor);
    let order = config["order"].as_u64().expect("an order") as usize;
    GlobalScore::new(network).local(order, 1)
}

/// x[..., ::n, :c]: every n-th state, the first c components.
fn operator(text: &str) -> Operator {
    let parsed = || {
        let (n, rest) = text.strip_prefix("x[..., ::")?.split_once(", :")?;
        Some((n.parse().ok()?, rest.split_once(']')?.0.parse().ok()?))
    };
    let (n, c): (usize, usize) = parsed().unwrap_or_else(|| panic!("unknown operator `{text}`"));
    Operator::Compose(vec![Operator::EveryNth(n), Operator::Components((0..c).collect())])
}

/// What the case observed; DPS knows no noise, and 1 stands for it.
pub(super) fn observation(case: &Case) -> Observation {
    let noise_std = case.config["std"].as_f64().unwrap_or(1.0);
    Observation::new(operator(case.word("observe")), case.tensor("in.y").clone(), noise_std).unwrap()
}

/// SDA's γ and `detach`; a sampler's case names no method and is SDA.
pub(super) fn guidance(case: &Case) -> Guidance {
    match case.config["method"].as_str() {
        None | Some("sda") => {
            let detach = case.config["detach"].as_bool().unwrap_or(false);
            Guidance::Sda { gamma: case.number("gamma"), detach }
        }
        Some("dps") => {
            let norm = match case.word("norm") {
                "per sample" => DpsNorm::Sample,
                "over the whole batch" => DpsNorm::Batch,
                other => panic!("unknown norm `{other}`"),
            };
            Guidance::Dps { zeta: case.number("zeta"), norm }
        }
        Some(other) => panic!("unknown method `{other}`"),
    }
}

fn estimate<E: Executor>(
    case: &Case,
    executor: &mut E,
    predictor: &dyn NoisePredictor,
) -> ndarray::ArrayD<f64> {
    for (name, values) in predictor.conditions(case.tensor("in.x").shape()) {
        executor.write(&name, values.mapv(E::Real::from_f64).view()).unwrap();
    }
    let schedule = schedule(case);
    let t = case.tensor("in.t");
    let at = t.sum();
    let mut g = Graph::new();
    let x = g.constant(case.tensor("in.x").clone());
    let time = TimeNodes {
        features: features(&mut g, t),
        mu: g.scalar(schedule.mu(at)),
        sigma: g.scalar(schedule.sigma(at)),
    };
    predictor.check(case.tensor("in.x").shape()).unwrap();
    let noise = predictor.emit(&mut g, x, &time);
    super::evaluate(executor, g, &[noise]).remove(0)
}

pub(super) fn check<E: Executor>(case: &Case, executor: &mut E, report: &mut Report<'_>) {
    assert!(!matches!(case.config["network"], Value::Null), "no `network`");
    let prior = prior(case, executor);
    let tolerance = report.tolerance.values;
    if case.tensors.contains_key("out.prior_eps") {
        let got = estimate(case, executor, &prior);
        report.compare("out.prior_eps", &got, tolerance);
    }
    let posterior =
        Posterior { place: Place::Composed, ..Posterior::new(prior, observation(case), guidance(case)) };
    let got = estimate(case, executor, &posterior);
    report.compare("out.eps", &got, tolerance);
}
