// y[o] = Σ_t x[kept(o) + summed(t)]: sum.wgsl with one output a workgroup, its invocations' sums added by subgroups.
//
// Each subgroup adds up its invocations; the sums of at most 64 subgroups pass through workgroup memory.
// Constants: those of walk.wgsl; TERMS; SPLITS.

struct Dims {
    // Outputs.
    count: u32,
    // 1: the sum is added to what y holds.
    adds: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>; // kept and summed axes
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [SPLITS, count]

const PART: u32 = (TERMS + SPLITS - 1u) / SPLITS;

var<workgroup> sums: array<f32, 64>; // one a subgroup

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) member: u32,
) {
    let at = position(group, groups);
    let split = at / dims.count;
    let o = at % dims.count;
    var total = 0.0;
    if (split < SPLITS) {
        let begin = kept(o);
        let end = min(TERMS, (split + 1u) * PART);
        // All invocations go round as often, so that a subgroup is whole when it adds.
        for (var base = split * PART; base < end; base += 256u) {
            let t = base + lane;
            if (t < end) {
                total += x[begin + summed(t)];
            }
        }
    }
    let sum = subgroupAdd(total);
    if (member == 0u) {
        sums[subgroup] = sum;
    }
    workgroupBarrier();
    if (lane == 0u && split < SPLITS) {
        var all = sums[0];
        for (var s = 1u; s < subgroups; s++) {
            all += sums[s];
        }
        let to = split * dims.count + o;
        if (dims.adds == 1u) {
            y[to] += all;
        } else {
            y[to] = all;
        }
    }
}
