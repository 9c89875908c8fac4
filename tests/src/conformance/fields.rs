//! Operators on fields.

use ndarray::Axis;
use sda_graph::{Executor, Graph};
use sda_observe::{Interpolation, Operator};

use super::network::{channels_first, channels_last};
use super::report::Report;
use crate::reference::Case;

pub(super) fn check<E: Executor>(case: &Case, executor: &mut E, report: &mut Report<'_>) {
    let upsample = |key: &str, mode| Operator::Upsample { factor: case.count(key), mode };
    let operators = [
        ("out.coarsen", Operator::Coarsen(case.count("coarsen"))),
        ("out.upsample", upsample("upsample", Interpolation::Bilinear)),
        ("out.upsample_nearest", upsample("upsample_nearest", Interpolation::Nearest)),
        ("out.vorticity", Operator::Vorticity),
    ];
    let x = channels_last(case.tensor("in.x")).insert_axis(Axis(0));
    let mut g = Graph::new();
    let node = g.constant(x);
    let nodes = operators.each_ref().map(|(_, operator)| operator.emit(&mut g, node));
    let values = super::evaluate(executor, g, &nodes);
    for ((name, _), value) in operators.iter().zip(values) {
        let got = channels_first(&value.index_axis_move(Axis(0), 0));
        // Vorticity has one channel, which the cases leave out.
        let scalar = got.ndim() > case.tensor(name).ndim();
        let got = if scalar { got.index_axis_move(Axis(1), 0) } else { got };
        report.compare(name, &got, report.tolerance.values);
    }
}
