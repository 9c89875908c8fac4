//! Distances between samples, and densities.

use ndarray::{Ix3, arr0};
use sda_evaluation::{squared_mmd, wasserstein1};
use sda_observe::{Observation, Operator};
use sda_systems::{SystemConfig, log_trajectory};

use super::report::{DOUBLE, Report};
use crate::reference::Case;

pub(super) fn check(case: &Case, report: &mut Report<'_>) {
    if case.tensors.contains_key("out.emd") {
        two_sample(case, report);
    }
    if case.tensors.contains_key("out.log_prior") {
        lorenz_density(case, report);
    }
}

fn two_sample(case: &Case, report: &mut Report<'_>) {
    let (x, y) = (case.tensor("in.x"), case.tensor("in.y"));
    let emd = wasserstein1(x, y).unwrap();
    report.compare("out.emd", &arr0(emd).into_dyn(), DOUBLE.values);
    let mmd = squared_mmd(x, y).unwrap();
    report.compare("out.mmd", &arr0(mmd).into_dyn(), DOUBLE.values);
}

fn lorenz_density(case: &Case, report: &mut Report<'_>) {
    let x = case.tensor("in.x").clone().into_dimensionality::<Ix3>().unwrap();
    let system = SystemConfig::Lorenz63 {
        dt: case.number("dt"),
        substeps: 1,
        sigma: 10.0,
        rho: 28.0,
        beta: 8.0 / 3.0,
        diffusion: 1.0,
    };
    let system = system.build().unwrap();
    report.compare("out.log_prior", &log_trajectory(&*system, &x).unwrap().into_dyn(), DOUBLE.values);

    assert_eq!(case.word("observe"), "preprocessed first component every 4th state");
    let operator = Operator::Compose(vec![Operator::EveryNth(4), Operator::Components(vec![0])]);
    let observation = Observation::new(operator, case.tensor("in.y").clone(), case.number("sigma")).unwrap();
    let mut normalised = x;
    system.normalisation().normalise(&mut normalised);
    let log = observation.log_likelihood(normalised.into_dyn().view()).unwrap();
    report.compare("out.log_likelihood", &log.into_dyn(), DOUBLE.values);
}
