use crate::gpu::{Array, Dispatch, GpuCall};
use crate::slice::gpu::along;
use std::sync::Arc;

const FILE: &str = include_str!("scatter.wgsl");

pub(crate) fn launches(axis: usize, indices: &[usize], call: &GpuCall<'_>) -> Vec<Dispatch> {
    let arrays = vec![Array::Input(0), Array::Table(table(indices, call.outputs[0][axis])), Array::Output(0)];
    let count = call.outputs[0].iter().product();
    vec![Dispatch::each("scatter", along(axis, call).file(FILE), call, arrays, &[count as u32], count)]
}

/// For each of `to` targets where its sources begin, then the sources, in their order.
fn table(indices: &[usize], to: usize) -> Arc<[u32]> {
    let mut table = Vec::with_capacity(to + 1 + indices.len());
    let mut begin = 0;
    table.push(0);
    for j in 0..to {
        begin += indices.iter().filter(|&&i| i == j).count() as u32;
        table.push(begin);
    }
    for j in 0..to {
        table.extend(indices.iter().enumerate().filter(|(_, i)| **i == j).map(|(l, _)| l as u32));
    }
    table.into()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn sources_stand_by_target_in_their_order() {
        assert_eq!(&*table(&[2, 0, 2, 1], 4), [0, 1, 2, 4, 4, 1, 3, 0, 2]);
    }
}
