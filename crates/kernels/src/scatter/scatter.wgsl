// y[o, j, i] = Σ x[o, l, i] over the l whose index is j along one axis; o counts the axes before it, i those after it.
//
// One invocation adds up one number, its terms in the order of l, so that no two invocations meet.
// The table holds TO + 1 starts, then the l's of j = 0, of j = 1, …
// Constants: FROM and TO lengths of the axis in x and y, INNER.

struct Dims {
    // Numbers of the output.
    count: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [o, FROM, INNER]
@group(0) @binding(2) var<storage, read> table: array<u32>; // [TO + 1 + FROM]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [o, TO, INNER]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = position(group, groups) * 256u + lane;
    if (at < dims.count) {
        let i = at % INNER;
        let j = at / INNER % TO;
        let o = at / INNER / TO;
        var value = 0.0;
        for (var t = table[j]; t < table[j + 1u]; t++) {
            value += x[(o * FROM + table[TO + 1u + t]) * INNER + i];
        }
        y[at] = value;
    }
}
