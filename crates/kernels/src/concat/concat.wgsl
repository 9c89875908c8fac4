// y[o, START + j, i] = x[o, j, i] along one axis: one of a concatenation's inputs; o counts the axes before the axis, i
// those after it.
//
// One invocation copies one number. Exact.
// Constants: FROM and TO lengths of the axis in x and y, INNER, START.

struct Dims {
    // Numbers of the input.
    count: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [o, FROM, INNER]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [o, TO, INNER]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = position(group, groups) * 256u + lane;
    if (at < dims.count) {
        let i = at % INNER;
        let j = at / INNER % FROM;
        let o = at / INNER / FROM;
        y[(o * TO + START + j) * INNER + i] = x[at];
    }
}
