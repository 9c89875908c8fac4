// Operands rounded to f16 after a scaling by a power of two that brings the largest of each array to 2¹⁴ … 2¹⁵, f16's
// range being 2⁻²⁴ … 65 504. The scaling is exact and is undone in f32.
//
// The maxima of PARTS parts of each array, from largest.wgsl, pass through workgroup memory.
// Constants: PARTS, at most 256.
alias Element = f16;

@group(0) @binding(4) var<storage, read> largest_a: array<u32>; // [PARTS]
@group(0) @binding(5) var<storage, read> largest_b: array<u32>; // [PARTS]

var<workgroup> most: array<vec2<u32>, 256>;

fn prepare(lane: u32) {
    most[lane] = vec2<u32>(0u);
    if (lane < PARTS) {
        most[lane] = vec2<u32>(largest_a[lane], largest_b[lane]);
    }
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            most[lane] = max(most[lane], most[lane + half]);
        }
    }
    workgroupBarrier();
}

// Exponent e of the scaling 2ᵉ of an array whose largest number has these bits. An array of zeros, or with an infinity or
// a NaN, is not scaled.
fn exponent(bits: u32) -> i32 {
    let field = i32(bits >> 23u);
    if (bits == 0u || field == 255) {
        return 0;
    }
    return clamp(141 - field, -126, 126);
}

fn power(e: i32) -> f32 {
    return bitcast<f32>(u32(e + 127) << 23u);
}

fn scale_a() -> f32 {
    return power(exponent(most[0].x));
}

fn scale_b() -> f32 {
    return power(exponent(most[0].y));
}

fn unscale(sum: vec4<f32>) -> vec4<f32> {
    return sum * power(-exponent(most[0].x)) * power(-exponent(most[0].y));
}
