use crate::gpu::{Array, Dispatch, GpuCall, Text};
use sda_graph::Law;

const FILE: &str = include_str!("noise.wgsl");

pub(crate) fn launches(stream: u32, law: Law, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let shape = call.outputs[0];
    let row: usize = shape.iter().skip(1).product();
    let blocks = shape.first().copied().unwrap_or(1) * row.div_ceil(4);
    let text = Text::default()
        .constant("ROW", row)
        .constant("STREAM", stream as usize)
        .flag("NORMAL", law == Law::Normal)
        .file(FILE);
    let dims = [blocks as u32, call.first_row as u32];
    let mut made = Dispatch::each("noise", text, call, vec![Array::Key, Array::Output(0)], &dims, blocks);
    // About a Philox block's integer operations and Box–Muller's.
    made.flops = 200 * blocks as u64;
    vec![made]
}
