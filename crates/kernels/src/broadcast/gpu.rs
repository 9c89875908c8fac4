use crate::gpu::{Array, Dispatch, GpuCall, Strided, Text};
use crate::strided::strides;

const FILE: &str = include_str!("broadcast.wgsl");
const STRIDED: &str = include_str!("../gpu/strided.wgsl");

pub(crate) fn launches(call: &GpuCall<'_>) -> Vec<Dispatch> {
    let (from, to) = (call.shapes[0], call.outputs[0]);
    let step = strides(from);
    let axes = to.iter().zip(from).zip(step).map(|((&n, &f), s)| (n, if f == 1 { 0 } else { s }));
    vec![strided("broadcast", FILE, Strided::new(axes), call)]
}

/// A launch that copies by strides.
pub(crate) fn strided(name: &str, file: &str, walk: Strided, call: &GpuCall<'_>) -> Dispatch {
    let text = walk.constants(Text::default(), "N", "S", 6).file(STRIDED).file(file);
    let count = call.outputs[0].iter().product();
    Dispatch::each(name, text, call, vec![Array::Input(0), Array::Output(0)], &[count as u32], count)
}
