use crate::gpu::{Array, Dispatch, GpuCall, Text};

const FILE: &str = include_str!("slice.wgsl");

pub(crate) fn launches(axis: usize, start: usize, step: usize, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let text = along(axis, call).constant("START", start).constant("STEP", step).file(FILE);
    let count = call.outputs[0].iter().product();
    vec![Dispatch::each("slice", text, call, vec![Array::Input(0), Array::Output(0)], &[count as u32], count)]
}

/// Lengths of one axis in the first input and in the output, and of what comes after it.
pub(crate) fn along(axis: usize, call: &GpuCall<'_>) -> Text {
    let (from, to) = (call.shapes[0], call.outputs[0]);
    let inner = to[axis + 1..].iter().product();
    Text::default().constant("FROM", from[axis]).constant("TO", to[axis]).constant("INNER", inner)
}
