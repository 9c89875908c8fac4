// Operands of dx[b, i, c] = Σ dy[b, o, c'] w[k, c, c'] over the o and k with source(o, k) = i, for product.wgsl: a row is an
// input point, a term a tap and an output channel, a column an input channel.
//
// With a stride, points that differ in their place between two outputs see other taps: each such phase is a product of
// its own, of its points and its taps.
//
// Shapes: a is dy [B, HO, WO, CO], b is w [taps, CI, CO], c is dx [B, H, W, CI].
// Constants: H0 W0 the phase's first point and HP WP its points along each axis, every STEP_Y-th and STEP_X-th; RY RX its
// first tap, again every STEP-th, KXP taps a row; FOLDS_Y FOLDS_X: 3 where a periodic padding may show one point to
// several outputs of one tap, else 1.

fn row_c(m: u32) -> u32 {
    let y = H0 + m / WP % HP * STEP_Y;
    return (m / (HP * WP) * H + y) * W + W0 + m % WP * STEP_X;
}

fn row_a(layer: u32, m: u32) -> vec4<u32> {
    return vec4<u32>(m / (HP * WP), H0 + m / WP % HP * STEP_Y + PY, W0 + m % WP * STEP_X + PX, 0u);
}

fn term_a(k: u32) -> vec4<u32> {
    let tap = k / CO;
    return vec4<u32>(0u, RY + tap / KXP * STEP_Y, RX + tap % KXP * STEP_X, k % CO);
}

// The output that sees padded index `at` through tap k, and one of its periodic images; `count` where there is none.
fn output(at: u32, k: u32, fold: u32, folds: u32, length: u32, stride: u32, count: u32, circular: bool) -> u32 {
    var d = i32(at) - i32(k);
    if (circular) {
        if (folds == 1u) {
            // At most one image is in range.
            if (d < 0) {
                d += i32(length);
            } else if (d > i32((count - 1u) * stride)) {
                d -= i32(length);
            }
        } else {
            d += (i32(fold) - 1) * i32(length);
        }
    }
    if (d < 0 || d % i32(stride) != 0) {
        return count;
    }
    return min(u32(d) / stride, count);
}

fn load_a(row: vec4<u32>, term: vec4<u32>) -> f32 {
    var total = 0.0;
    for (var fy = 0u; fy < FOLDS_Y; fy++) {
        let oy = output(row.y, term.y, fy, FOLDS_Y, H, SY, HO, CIRCULAR_Y);
        for (var fx = 0u; fx < FOLDS_X; fx++) {
            let ox = output(row.z, term.z, fx, FOLDS_X, W, SX, WO, CIRCULAR_X);
            if (oy < HO && ox < WO) {
                total += a[((row.x * HO + oy) * WO + ox) * CO + term.w];
            }
        }
    }
    return total;
}

fn column_b(layer: u32, n: u32) -> u32 {
    return n * CO;
}

fn term_b(k: u32) -> u32 {
    let tap = k / CO;
    return ((RY + tap / KXP * STEP_Y) * KW + RX + tap % KXP * STEP_X) * CI * CO + k % CO;
}

fn load_b(term: u32, column: u32) -> f32 {
    return b[term + column];
}
