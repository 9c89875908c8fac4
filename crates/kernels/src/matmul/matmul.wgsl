// Operands of C[l] = op(A[l]) op(B[l]) for product.wgsl.
//
// Constants: N; TA and TB, whether A and B are transposed.

fn row_c(m: u32) -> u32 {
    return m;
}

// A is [layers, m, k], transposed [layers, k, m]: where row m begins.
fn row_a(layer: u32, m: u32) -> vec4<u32> {
    let batch = select(layer * dims.m * dims.k, 0u, SPLIT);
    return vec4<u32>(batch + m * select(dims.k, 1u, TA), 0u, 0u, 0u);
}

fn term_a(k: u32) -> vec4<u32> {
    return vec4<u32>(k * select(1u, dims.m, TA), 0u, 0u, 0u);
}

fn load_a(row: vec4<u32>, term: vec4<u32>) -> f32 {
    return a[row.x + term.x];
}

// B is [layers, k, N], transposed [layers, N, k]: where column n begins.
fn column_b(layer: u32, n: u32) -> u32 {
    let batch = select(layer * N * dims.k, 0u, SPLIT);
    return batch + n * select(1u, dims.k, TB);
}

fn term_b(k: u32) -> u32 {
    return k * select(N, 1u, TB);
}

fn load_b(term: u32, column: u32) -> f32 {
    return b[term + column];
}
