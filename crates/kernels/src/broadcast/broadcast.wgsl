// y[i] = x[j], j the index i with 0 on repeated axes: a stride of 0.
//
// One invocation writes one number. Exact.
// Constants: those of strided.wgsl.

struct Dims {
    // Numbers of the output.
    count: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [n0 or 1, …]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [n0, N1 … N5]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = position(group, groups) * 256u + lane;
    if (i < dims.count) {
        y[i] = x[strided(i)];
    }
}
