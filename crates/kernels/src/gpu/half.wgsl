// Operands rounded to f16 after a scaling by a power of two that brings the largest of each array to 2¹⁴ … 2¹⁵, f16's
// range being 2⁻²⁴ … 65 504. The scaling is exact and is undone in f32.
//
// The maxima of parts of each array, from largest.wgsl, pass through workgroup memory.
// Constants: PARTS_A and PARTS_B, multiples of 4, at most 1024.
alias Element = f16;

@group(0) @binding(4) var<storage, read> largest_a: array<u32>; // [PARTS_A]
@group(0) @binding(5) var<storage, read> largest_b: array<u32>; // [PARTS_B]

var<workgroup> parts_of_a: array<vec4<u32>, PARTS_A / 4u>;
var<workgroup> parts_of_b: array<vec4<u32>, PARTS_B / 4u>;
var<private> most: vec2<u32>;

fn prepare(lane: u32) {
    if (lane < PARTS_A / 4u) {
        let at = 4u * lane;
        parts_of_a[lane] = vec4<u32>(largest_a[at], largest_a[at + 1u], largest_a[at + 2u], largest_a[at + 3u]);
    }
    if (lane < PARTS_B / 4u) {
        let at = 4u * lane;
        parts_of_b[lane] = vec4<u32>(largest_b[at], largest_b[at + 1u], largest_b[at + 2u], largest_b[at + 3u]);
    }
    workgroupBarrier();
    var most_a = vec4<u32>(0u);
    for (var i = 0u; i < PARTS_A / 4u; i++) {
        most_a = max(most_a, parts_of_a[i]);
    }
    var most_b = vec4<u32>(0u);
    for (var i = 0u; i < PARTS_B / 4u; i++) {
        most_b = max(most_b, parts_of_b[i]);
    }
    most = vec2<u32>(
        max(max(most_a.x, most_a.y), max(most_a.z, most_a.w)),
        max(max(most_b.x, most_b.y), max(most_b.z, most_b.w)),
    );
}

// Exponent e of the scaling 2ᵉ of an array whose largest finite number has these bits. An array of zeros is not scaled.
fn exponent(bits: u32) -> i32 {
    if (bits == 0u) {
        return 0;
    }
    return clamp(141 - i32(bits >> 23u), -126, 126);
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
    // In two halves of the same sign, so that nothing overflows half-way.
    let e = -(exponent(most.x) + exponent(most.y));
    return sum * power(e / 2) * power(e - e / 2);
}
