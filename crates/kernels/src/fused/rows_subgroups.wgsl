// Sums over the columns of a row that a whole workgroup shares: by subgroups, whose sums pass through workgroup memory and
// are added in their order by everyone.

var<workgroup> parts: array<f32, 64>;

fn row_sum(part: f32, subgroup: u32, subgroups: u32, member: u32) -> f32 {
    let sum = subgroupAdd(part);
    if (member == 0u) {
        parts[subgroup] = sum;
    }
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < subgroups; i++) {
        total += parts[i];
    }
    workgroupBarrier();
    return total;
}
