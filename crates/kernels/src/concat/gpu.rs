use crate::gpu::{Array, Dispatch, GpuCall, Text};

const FILE: &str = include_str!("concat.wgsl");

/// One launch an input.
pub(crate) fn launches(axis: usize, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let to = call.outputs[0];
    let inner: usize = to[axis + 1..].iter().product();
    let mut start = 0;
    let one = |(k, from): (usize, &&[usize])| {
        let text = Text::default()
            .constant("FROM", from[axis])
            .constant("TO", to[axis])
            .constant("INNER", inner)
            .constant("START", start)
            .file(FILE);
        start += from[axis];
        let count: usize = from.iter().product();
        let arrays = vec![Array::Input(k), Array::Output(0)];
        let part = GpuCall { shapes: &[from], outputs: &[from], ..*call };
        Dispatch::each("concat", text, &part, arrays, &[count as u32], count)
    };
    call.shapes.iter().enumerate().map(one).collect()
}
