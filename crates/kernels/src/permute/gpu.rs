use crate::broadcast::gpu::strided;
use crate::gpu::{Dispatch, GpuCall, Strided};
use crate::strided::strides;

const FILE: &str = include_str!("permute.wgsl");

pub(crate) fn launches(axes: &[usize], call: &GpuCall<'_>) -> Vec<Dispatch> {
    let step = strides(call.shapes[0]);
    let walk = Strided::new(call.outputs[0].iter().zip(axes).map(|(&n, &a)| (n, step[a])));
    vec![strided("permute", FILE, walk, call)]
}
