//! μ(t) and σ(t).

use sda_diffusion::{Alpha, Schedule, Sde};

use super::report::Report;
use crate::reference::Case;

/// The schedule that a case's configuration names.
pub(super) fn schedule(case: &Case) -> Schedule {
    let sde = match case.word("sde") {
        "vp" => Sde::Vp,
        "sub_vp" => Sde::SubVp,
        "sub_sub_vp" => Sde::SubSubVp,
        other => panic!("unknown SDE `{other}`"),
    };
    let alpha = match case.word("alpha") {
        "cos" => Alpha::Cos,
        "lin" => Alpha::Lin,
        "exp" => Alpha::Exp,
        other => panic!("unknown schedule `{other}`"),
    };
    Schedule { sde, alpha, eta: case.number("eta") }
}

pub(super) fn check(case: &Case, report: &mut Report<'_>) {
    let schedule = schedule(case);
    let times = case.tensor("t");
    report.compare("mu", &times.mapv(|t| schedule.mu(t)), super::report::DOUBLE.values);
    report.compare("sigma", &times.mapv(|t| schedule.sigma(t)), super::report::DOUBLE.values);
}
