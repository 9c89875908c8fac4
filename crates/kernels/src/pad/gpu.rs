use crate::gpu::{Array, Dispatch, GpuCall};
use crate::slice::gpu::along;

const FILE: &str = include_str!("pad.wgsl");

pub(crate) fn launches(axis: usize, before: usize, step: usize, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let text = along(axis, call).constant("BEFORE", before).constant("STEP", step).file(FILE);
    let count = call.outputs[0].iter().product();
    vec![Dispatch::each("pad", text, call, vec![Array::Input(0), Array::Output(0)], &[count as u32], count)]
}
