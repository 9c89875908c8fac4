// Operands of dw[k, c, c'] = Σ x[b, source(o, k), c] dy[b, o, c'] for product.wgsl: a row is a tap and an input channel, a
// term an output point, a column an output channel.
//
// Shapes: a is x [B, H, W, CI], b is dy [B, HO, WO, CO], c is dw [taps, CI, CO].

fn row_c(m: u32) -> u32 {
    return m;
}

fn row_a(layer: u32, m: u32) -> vec4<u32> {
    let tap = m / CI;
    return vec4<u32>(0u, tap / KW, tap % KW, m % CI);
}

fn term_a(k: u32) -> vec4<u32> {
    return vec4<u32>(k / (HO * WO), k / WO % HO * SY, k % WO * SX, 0u);
}

fn load_a(row: vec4<u32>, term: vec4<u32>) -> f32 {
    let at = row + term;
    let i = padded(at.x, at.y, at.z, at.w);
    if (i == 0xffffffffu) {
        return 0.0;
    }
    return a[i];
}

fn column_b(layer: u32, n: u32) -> u32 {
    return n;
}

fn term_b(k: u32) -> u32 {
    return k * CO;
}

fn load_b(term: u32, column: u32) -> f32 {
    return b[term + column];
}
