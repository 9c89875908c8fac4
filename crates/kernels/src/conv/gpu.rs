use crate::gpu::product::{self, Product};
use crate::gpu::{Dispatch, GpuCall, Target, Text};
use sda_graph::{ConvGeometry, Face, PaddingMode};

const SOURCE: &str = include_str!("source.wgsl");
const FORWARD: &str = include_str!("forward.wgsl");
const INPUT: &str = include_str!("input.wgsl");
const FILTER: &str = include_str!("filter.wgsl");

/// The three faces as products.
pub(crate) fn launches(target: &Target, face: Face, g: &ConvGeometry, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let (p, q, out) = (call.shapes[0], call.shapes[1], call.outputs[0]);
    let batch = p[0];
    let (ci, co) = match face {
        Face::Forward => (p[3], out[3]),
        Face::Input => (out[3], p[3]),
        Face::Filter => (p[3], q[3]),
    };
    let taps: usize = g.kernel.iter().product();
    let points: usize = batch * g.output().iter().product::<usize>();
    let geometry = constants(g, ci, co);
    let products = match face {
        Face::Forward => vec![Product {
            name: "conv forward",
            layers: 1,
            m: points,
            k: taps * ci,
            n: co,
            along_k: [true, false],
            operands: geometry.file(SOURCE).file(FORWARD),
        }],
        Face::Input => {
            let of_phase = |[y, x]: [Phase; 2]| Product {
                name: "conv input",
                layers: 1,
                m: batch * y.points * x.points,
                k: y.taps * x.taps * co,
                n: ci,
                along_k: [true, true],
                operands: phase_constants(folds(geometry.clone(), g), &y, &x).file(INPUT),
            };
            let columns = phases(g, 1);
            let all = phases(g, 0).into_iter().flat_map(|y| columns.iter().map(move |x| [y, *x]));
            all.map(of_phase).collect()
        }
        Face::Filter => vec![Product {
            name: "conv filter",
            layers: 1,
            m: taps * ci,
            k: points,
            n: co,
            along_k: [false, false],
            operands: geometry.file(SOURCE).file(FILTER),
        }],
    };
    product::launches(&products, target, call)
}

fn constants(g: &ConvGeometry, ci: usize, co: usize) -> Text {
    let [ho, wo] = g.output();
    let numbers = [
        ("H", g.input[0]),
        ("W", g.input[1]),
        ("HO", ho),
        ("WO", wo),
        ("KW", g.kernel[1]),
        ("SY", g.stride[0]),
        ("SX", g.stride[1]),
        ("PY", g.padding[0].before),
        ("PX", g.padding[1].before),
        ("CI", ci),
        ("CO", co),
    ];
    let text = numbers.into_iter().fold(Text::default(), |text, (name, value)| text.constant(name, value));
    let circular = g.padding.map(|p| p.mode == PaddingMode::Circular);
    text.flag("CIRCULAR_Y", circular[0]).flag("CIRCULAR_X", circular[1])
}

/// Points of one axis that the same taps see, and those taps.
#[derive(Clone, Copy)]
struct Phase {
    first: usize,
    points: usize,
    first_tap: usize,
    taps: usize,
    step: usize,
}

/// The phases of an axis of the input: one for each place between two outputs. Where a periodic axis is no multiple of
/// the stride the places change on the way round, and all points see all taps.
fn phases(g: &ConvGeometry, axis: usize) -> Vec<Phase> {
    let (length, before) = (g.input[axis], g.padding[axis].before);
    let circular = g.padding[axis].mode == PaddingMode::Circular;
    let step = if circular && !length.is_multiple_of(g.stride[axis]) { 1 } else { g.stride[axis] };
    let of = |place: usize| {
        // Point h and tap k meet in an output where h + before − k is a multiple of the stride.
        let first = (place + step - before % step) % step;
        let points = length.saturating_sub(first).div_ceil(step);
        let taps = g.kernel[axis].saturating_sub(place).div_ceil(step);
        Phase { first, points, first_tap: place, taps, step }
    };
    (0..step).map(of).collect()
}

fn phase_constants(text: Text, y: &Phase, x: &Phase) -> Text {
    let numbers = [
        ("H0", y.first),
        ("W0", x.first),
        // Nothing is divided by a number of points or taps that is 0.
        ("HP", y.points.max(1)),
        ("WP", x.points.max(1)),
        ("RY", y.first_tap),
        ("RX", x.first_tap),
        ("KXP", x.taps.max(1)),
        ("STEP_Y", y.step),
        ("STEP_X", x.step),
    ];
    numbers.into_iter().fold(text, |text, (name, value)| text.constant(name, value))
}

/// How many periodic images of a point one tap may show to outputs.
fn folds(text: Text, g: &ConvGeometry) -> Text {
    let outputs = g.output();
    let of = |i: usize| {
        let circular = g.padding[i].mode == PaddingMode::Circular;
        if circular && (outputs[i] - 1) * g.stride[i] >= g.input[i] { 3 } else { 1 }
    };
    text.constant("FOLDS_Y", of(0)).constant("FOLDS_X", of(1))
}
