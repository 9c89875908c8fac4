// Sums over the columns of a row, which LANES neighbouring invocations share; every one of them gets the sum.
//
// Each invocation's part passes through workgroup memory, and everyone adds the parts of its row in their order.
// Constants: LANES, a power of two, at most 256.

var<workgroup> parts: array<f32, 256>;

fn row_sum(part: f32, lane: u32) -> f32 {
    parts[lane] = part;
    workgroupBarrier();
    let first = lane / LANES * LANES;
    var total = 0.0;
    for (var i = 0u; i < LANES; i++) {
        total += parts[first + i];
    }
    workgroupBarrier();
    return total;
}
