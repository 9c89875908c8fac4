//! One transition of each system.

use ndarray::{Array2, ArrayD, Axis, Ix2};
use sda_systems::{System, SystemConfig, log_transitions, transition_means};

use super::report::{DOUBLE, Report};
use crate::reference::Case;

fn matrix(case: &Case, name: &str) -> Array2<f64> {
    case.tensor(name).clone().into_dimensionality::<Ix2>().unwrap()
}

fn means(system: &dyn System, x: &Array2<f64>) -> ArrayD<f64> {
    transition_means(system, x).into_dyn()
}

pub(super) fn check(case: &Case, report: &mut Report<'_>) {
    match case.word("system") {
        "lorenz63" => lorenz63(case, report),
        "lorenz96" => lorenz96(case, report),
        "lotka_volterra" => lotka_volterra(case, report),
        "damped_spring" => damped_spring(case, report),
        other => report.fail(format!("unknown system `{other}`")),
    }
}

fn lorenz63(case: &Case, report: &mut Report<'_>) {
    let dt = case.number("dt");
    let system = SystemConfig::Lorenz63 {
        dt,
        substeps: case.count("steps") as u32,
        sigma: case.number("sigma"),
        rho: case.number("rho"),
        beta: case.number("beta"),
        diffusion: case.number("noise_std") / dt.sqrt(),
    };
    let system = system.build().unwrap();
    let (x, next) = (matrix(case, "in.x"), matrix(case, "in.next"));
    report.compare("out.mean", &means(&*system, &x), DOUBLE.values);
    let log = log_transitions(&*system, &x, &next).unwrap();
    report.compare("out.log_prob", &log.into_dyn(), DOUBLE.values);
    let mut normalised = x;
    system.normalisation().normalise(&mut normalised);
    report.compare("out.preprocess", &normalised.into_dyn(), DOUBLE.values);
}

/// The case has the mirrored order of the ring.
fn lorenz96(case: &Case, report: &mut Report<'_>) {
    let flip = |mut array: Array2<f64>| {
        array.invert_axis(Axis(1));
        array.as_standard_layout().into_owned()
    };
    let system = SystemConfig::Lorenz96 {
        dt: case.number("dt"),
        substeps: case.count("steps") as u32,
        n: case.count("n"),
        forcing: case.number("F"),
        diffusion: 0.0,
    };
    let system = system.build().unwrap();
    let means = transition_means(&*system, &flip(matrix(case, "in.x")));
    report.compare("out.mean", &flip(means).into_dyn(), DOUBLE.values);
}

fn lotka_volterra(case: &Case, report: &mut Report<'_>) {
    let [alpha, beta, delta, gamma] = ["alpha", "beta", "delta", "gamma"].map(|key| case.number(key));
    let (dt, substeps) = (case.number("dt"), case.count("steps") as u32);
    let system = SystemConfig::LotkaVolterra { dt, substeps, alpha, beta, delta, gamma, diffusion: 0.0 };
    report.compare("out.mean", &means(&*system.build().unwrap(), &matrix(case, "in.x")), DOUBLE.values);
}

fn damped_spring(case: &Case, report: &mut Report<'_>) {
    let system = SystemConfig::DampedSpring {}.build().unwrap();
    assert_eq!(system.dt(), case.number("dt"));
    let chain = system.linear_gaussian().unwrap();
    for (name, got) in [
        ("A", chain.transition.into_dyn()),
        ("b", chain.offset.into_dyn()),
        ("Sigma_x", chain.noise_covariance.into_dyn()),
        ("mu_0", chain.initial_mean.into_dyn()),
        ("Sigma_0", chain.initial_covariance.into_dyn()),
    ] {
        report.compare(name, &got, DOUBLE.values);
    }
}
