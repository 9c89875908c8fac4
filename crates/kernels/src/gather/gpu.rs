use crate::gpu::{Array, Dispatch, GpuCall};
use crate::slice::gpu::along;

const FILE: &str = include_str!("gather.wgsl");

pub(crate) fn launches(axis: usize, indices: &[usize], call: &GpuCall<'_>) -> Vec<Dispatch> {
    let table = indices.iter().map(|&i| i as u32).collect();
    let arrays = vec![Array::Input(0), Array::Table(table), Array::Output(0)];
    let count = call.outputs[0].iter().product();
    vec![Dispatch::each("gather", along(axis, call).file(FILE), call, arrays, &[count as u32], count)]
}
