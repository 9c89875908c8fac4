use crate::gpu::product::Product;
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
    let product = match face {
        Face::Forward => Product {
            name: "conv forward",
            layers: 1,
            m: points,
            k: taps * ci,
            n: co,
            along_k: [true, false],
            operands: geometry.file(SOURCE).file(FORWARD),
        },
        Face::Input => Product {
            name: "conv input",
            layers: 1,
            m: batch * g.input[0] * g.input[1],
            k: taps * co,
            n: ci,
            along_k: [true, true],
            operands: folds(geometry, g).file(INPUT),
        },
        Face::Filter => Product {
            name: "conv filter",
            layers: 1,
            m: taps * ci,
            k: points,
            n: co,
            along_k: [false, false],
            operands: geometry.file(SOURCE).file(FILTER),
        },
    };
    product.launches(target, call)
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

/// How many periodic images of a point one tap may show to outputs.
fn folds(text: Text, g: &ConvGeometry) -> Text {
    let outputs = g.output();
    let of = |i: usize| {
        let circular = g.padding[i].mode == PaddingMode::Circular;
        if circular && (outputs[i] - 1) * g.stride[i] >= g.input[i] { 3 } else { 1 }
    };
    text.constant("FOLDS_Y", of(0)).constant("FOLDS_X", of(1))
}
