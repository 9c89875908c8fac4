use crate::gpu::product::{self, Product};
use crate::gpu::{Dispatch, GpuCall, Target, Text};

const FILE: &str = include_str!("matmul.wgsl");

pub(crate) fn launches(target: &Target, ta: bool, tb: bool, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let (a, out) = (call.shapes[0], call.outputs[0]);
    let rank = out.len();
    let product = Product {
        name: ["matmul NN", "matmul NT", "matmul TN", "matmul TT"][2 * usize::from(ta) + usize::from(tb)],
        layers: out[..rank - 2].iter().product(),
        m: out[rank - 2],
        k: a[rank - if ta { 2 } else { 1 }],
        n: out[rank - 1],
        along_k: [!ta, tb],
        operands: Text::default().flag("TA", ta).flag("TB", tb).file(FILE),
    };
    product::launches(&[product], target, call)
}
