// Operands rounded to f16 after a scaling by a power of two that brings the largest of each array to 2¹⁴ … 2¹⁵, f16's
// range being 2⁻²⁴ … 65 504. The scaling is exact and is undone in f32.
//
// The maxima of parts of each array, from largest.wgsl, pass through workgroup memory.
// Constants: PARTS_A and PARTS_B, at most 256.
alias Element = f16;

@group(0) @binding(4) var<storage, read> largest_a: array<u32>; // [PARTS_A]
@group(0) @binding(5) var<storage, read> largest_b: array<u32>; // [PARTS_B]

var<workgroup> parts_of_a: array<u32, PARTS_A>;
var<workgroup> parts_of_b: array<u32, PARTS_B>;
var<private> most: vec2<u32>;

fn prepare(lane: u32) {
    if (lane < PARTS_A) {
        parts_of_a[lane] = largest_a[lane];
    }
    if (lane < PARTS_B) {
        parts_of_b[lane] = largest_b[lane];
    }
    workgroupBarrier();
    most = vec2<u32>(0u);
    for (var i = 0u; i < PARTS_A; i++) {
        most.x = max(most.x, parts_of_a[i]);
    }
    for (var i = 0u; i < PARTS_B; i++) {
        most.y = max(most.y, parts_of_b[i]);
    }
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
    return power(exponent(most.x));
}

fn scale_b() -> f32 {
    return power(exponent(most.y));
}

fn unscale(sum: vec4<f32>) -> vec4<f32> {
    return sum * power(-exponent(most.x)) * power(-exponent(most.y));
}
