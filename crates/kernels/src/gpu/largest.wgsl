// y[g] = bits of the largest |x| of part g: what an array is scaled by before it is rounded to f16.
//
// Bits of numbers that are not negative have their order; a NaN's are the largest. Workgroup g takes every PARTS-th
// stretch of 256 numbers; maxima pass through workgroup memory.
// Constants: PARTS.

struct Dims {
    // Numbers of x.
    count: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [count]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [PARTS]

var<workgroup> largest: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let part = position(group, groups);
    var most = 0u;
    for (var i = part * 256u + lane; i < dims.count; i += PARTS * 256u) {
        most = max(most, bitcast<u32>(x[i]) & 0x7fffffffu);
    }
    largest[lane] = most;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            largest[lane] = max(largest[lane], largest[lane + half]);
        }
    }
    if (lane == 0u && part < PARTS) {
        y[part] = largest[0];
    }
}
