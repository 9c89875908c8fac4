// y[r, i] of (seed, stream, step, FIRST + r, i): Philox4x32-10, the CPU's words to the bit; uniforms (w >> 8) 2⁻²⁴ too;
// normals by Box–Muller, within 1e-6.
//
// One invocation draws the four numbers of one block of a row.
// Constants: ROW numbers of a row, STREAM, NORMAL.
// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".

struct Dims {
    // Blocks of four numbers, over all rows.
    count: u32,
    // Global index of the first row.
    first: u32,
}

@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> key: array<u32>; // seed's low and high half, step
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [r, ROW]

const BLOCKS: u32 = (ROW + 3u) / 4u;

// High and low half of a 64-bit product, from 16-bit halves.
fn product(a: u32, b: u32) -> vec2<u32> {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let low = al * bl;
    let middle = ah * bl + (low >> 16u);
    let other = al * bh + (middle & 0xffffu);
    return vec2<u32>(ah * bh + (middle >> 16u) + (other >> 16u), a * b);
}

fn philox(start: vec4<u32>, start_key: vec2<u32>) -> vec4<u32> {
    var c = start;
    var k = start_key;
    for (var round = 0u; round < 10u; round++) {
        let p0 = product(0xD2511F53u, c.x);
        let p1 = product(0xCD9E8D57u, c.z);
        c = vec4<u32>(p1.x ^ c.y ^ k.x, p1.y, p0.x ^ c.w ^ k.y, p0.y);
        k = vec2<u32>(k.x + 0x9E3779B9u, k.y + 0xBB67AE85u);
    }
    return c;
}

// ln(v 2⁻²⁴) for 1 ≤ v ≤ 2²⁴: the exponent by bits, artanh's series of the rest in [√½, √2).
fn ln_fraction(v: u32) -> f32 {
    let bits = bitcast<u32>(f32(v));
    let shifted = bits - 0x3F3504F3u;
    let exponent = bitcast<i32>(shifted) >> 23u;
    let m = bitcast<f32>(bits - (bitcast<u32>(exponent) << 23u));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let p = (0.14790027 * z + 0.19994389) * z + 0.33333343;
    return f32(exponent - 24) * 0.6931472 + 2.0 * (s + s * (z * p));
}

// Cosine and sine of 2π w 2⁻²⁴ for w < 2²⁴: the quadrant by integers, polynomials on [−π/4, π/4].
fn cos_sin_turn(w: u32) -> vec2<f32> {
    let quadrant = (w + (1u << 21u)) >> 22u;
    let x = f32(bitcast<i32>(w) - bitcast<i32>(quadrant << 22u)) * 3.7450704e-7;
    let z = x * x;
    let sin_z = (-0.00019587866 * z + 0.008332748) * z - 0.16666664;
    let cos_z = ((2.4463754e-5 * z - 0.0013887589) * z + 0.04166665) * z - 0.5;
    let sine = x + x * (z * sin_z);
    let cosine = 1.0 + z * cos_z;
    let swapped = (quadrant & 1u) == 1u;
    let c = select(cosine, sine, swapped);
    let s = select(sine, cosine, swapped);
    return vec2<f32>(
        select(c, -c, ((quadrant + 1u) & 2u) == 2u),
        select(s, -s, (quadrant & 2u) == 2u),
    );
}

fn box_muller(a: u32, b: u32) -> vec2<f32> {
    return sqrt(-2.0 * ln_fraction((a >> 8u) + 1u)) * cos_sin_turn(b >> 8u);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = position(group, groups) * 256u + lane;
    if (at >= dims.count) {
        return;
    }
    let row = at / BLOCKS;
    let block = at % BLOCKS;
    let w = philox(vec4<u32>(block, dims.first + row, key[2], STREAM), vec2<u32>(key[0], key[1]));
    var z = vec4<f32>(w >> vec4<u32>(8u)) * 5.9604645e-8;
    if (NORMAL) {
        z = vec4<f32>(box_muller(w.x, w.y), box_muller(w.z, w.w));
    }
    for (var i = 0u; i < 4u; i++) {
        let column = block * 4u + i;
        if (column < ROW) {
            y[row * ROW + column] = z[i];
        }
    }
}
