// Sums over the columns of a row, which LANES neighbouring invocations share; every one of them gets the sum.
//
// Each invocation's part passes through workgroup memory. Up to 32 parts are added by everyone in their order, more as a
// tree.
// Constants: LANES, a power of two, at most 256.

var<workgroup> parts: array<f32, 256>;

fn row_sum(part: f32, lane: u32) -> f32 {
    parts[lane] = part;
    workgroupBarrier();
    let first = lane / LANES * LANES;
    var total = 0.0;
    if (LANES <= 32u) {
        for (var i = 0u; i < LANES; i++) {
            total += parts[first + i];
        }
    } else {
        for (var half = LANES / 2u; half > 0u; half /= 2u) {
            if (lane - first < half) {
                parts[lane] += parts[lane + half];
            }
            workgroupBarrier();
        }
        total = parts[first];
    }
    workgroupBarrier();
    return total;
}
