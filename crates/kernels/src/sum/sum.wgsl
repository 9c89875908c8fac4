// y[o] = Σ_t x[kept(o) + summed(t)]: a sum over some axes, or over one of SPLITS parts of its terms.
//
// A workgroup adds up WIDTH outputs, 256 / WIDTH invocations each. Each of them takes every (256 / WIDTH)-th term of its
// part; their sums pass through workgroup memory and are added as a tree.
// With SPLITS > 1 y holds one sum a part, to be added by another launch.
// Constants: those of walk.wgsl; TERMS; WIDTH, a power of two; SPLITS.

struct Dims {
    // Outputs.
    count: u32,
    // 1: the sum is added to what y holds.
    adds: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>; // kept and summed axes
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [SPLITS, count]

const HEIGHT: u32 = 256u / WIDTH;
const PART: u32 = (TERMS + SPLITS - 1u) / SPLITS;

var<workgroup> sums: array<f32, 256>; // [HEIGHT, WIDTH]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = position(group, groups);
    let tiles = (dims.count + WIDTH - 1u) / WIDTH;
    let split = at / tiles;
    let o = at % tiles * WIDTH + lane % WIDTH;
    let first = lane / WIDTH;
    var total = 0.0;
    if (split < SPLITS && o < dims.count) {
        let begin = kept(o);
        let end = min(TERMS, (split + 1u) * PART);
        for (var t = split * PART + first; t < end; t += HEIGHT) {
            total += x[begin + summed(t)];
        }
    }
    sums[lane] = total;
    for (var half = HEIGHT / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (first < half) {
            sums[lane] += sums[lane + half * WIDTH];
        }
    }
    if (first == 0u && split < SPLITS && o < dims.count) {
        let to = split * dims.count + o;
        if (dims.adds == 1u) {
            y[to] += sums[lane];
        } else {
            y[to] = sums[lane];
        }
    }
}
