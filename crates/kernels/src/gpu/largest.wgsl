// y[g] = bits of the largest finite |x| of part g: what an array is scaled by before it is rounded to f16.
//
// Bits of numbers that are not negative have their order. Infinities and NaNs pass through f16 as they are. Workgroup g
// takes every PARTS-th stretch of 1024 numbers; maxima pass through workgroup memory.
// Constants: PARTS.

struct Dims {
    // Numbers of x.
    count: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [count]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [PARTS]

var<workgroup> largest: array<u32, 256>;

fn magnitude(i: u32) -> u32 {
    let bits = bitcast<u32>(x[i]) & 0x7fffffffu;
    return select(bits, 0u, bits >= 0x7f800000u);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let part = position(group, groups);
    var most = 0u;
    var i = part * 1024u + lane;
    // Four numbers at a time, so that four reads are under way; then what is left of the last stretch.
    for (; i + 768u < dims.count; i += PARTS * 1024u) {
        let pair = max(magnitude(i), magnitude(i + 256u));
        most = max(most, max(pair, max(magnitude(i + 512u), magnitude(i + 768u))));
    }
    for (; i < dims.count; i += 256u) {
        most = max(most, magnitude(i));
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
