// Operands of y[b, o, c'] = Σ x[b, source(o, k), c] w[k, c, c'] for product.wgsl: a row is an output point, a term a tap and
// an input channel, a column an output channel.
//
// Shapes: a is x [B, H, W, CI], b is w [taps, CI, CO], c is y [B, HO, WO, CO].

fn row_c(m: u32) -> u32 {
    return m;
}

fn row_a(layer: u32, m: u32) -> vec4<u32> {
    return vec4<u32>(m / (HO * WO), m / WO % HO * SY, m % WO * SX, 0u);
}

fn term_a(k: u32) -> vec4<u32> {
    let tap = k / CI;
    return vec4<u32>(0u, tap / KW, tap % KW, k % CI);
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
