// Functions of one number, the CPU's polynomials: WGSL promises little about its own exp, tanh, sin, cos and log.
//
// Infinities and NaNs are told by their bits: a compiler may take a < b to be a comparison of numbers.

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// 1 where x is finite, else 0.
fn finite(x: f32) -> f32 {
    return select(0.0, 1.0, is_finite(x));
}

// −1, 0 or 1; a NaN stays one.
fn sign_of(x: f32) -> f32 {
    let rest = select(0.0, x, is_nan(x));
    return select(select(rest, -1.0, x < 0.0), 1.0, x > 0.0);
}

fn less(a: f32, b: f32) -> f32 {
    return select(0.0, 1.0, a < b);
}

// The larger; a NaN if there is one.
fn larger(a: f32, b: f32) -> f32 {
    return select(select(select(a, b, a < b), b, is_nan(b)), a, is_nan(a));
}

// The smaller; a NaN if there is one.
fn smaller(a: f32, b: f32) -> f32 {
    return select(select(select(a, b, b < a), b, is_nan(b)), a, is_nan(a));
}

// x with the exponent raised by n, for results that are normal numbers.
fn raise(x: f32, n: i32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) + (bitcast<u32>(n) << 23u));
}

// +∞ or, for a NaN, the NaN: numbers that no expression may spell.
fn beyond(x: f32) -> f32 {
    return bitcast<f32>(select(0x7f800000u, bitcast<u32>(x), is_nan(x)));
}

// eˣ = 2ⁿ eʳ, n = round(x / ln 2), |r| ≤ ln 2 / 2; a polynomial of degree 7. Results below the smallest normal number are
// 0.
fn exponential(x: f32) -> f32 {
    let y = clamp(x, -87.33654, 88.72283);
    let n = round(y * 1.442695);
    let r = fma(n, 2.1219444e-4, fma(n, -0.6933594, y));
    var p = fma(1.984127e-4, r, 1.3888889e-3);
    p = fma(p, r, 8.333334e-3);
    p = fma(p, r, 4.1666668e-2);
    p = fma(p, r, 0.16666667);
    p = fma(p, r, 0.5);
    p = fma(p * r, r, r) + 1.0;
    let value = select(raise(p, i32(n)), 0.0, x < -87.33654);
    return select(value, beyond(x), x > 88.72283 || is_nan(x));
}

// 1/(1 + e⁻ˣ).
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exponential(-x));
}

// An odd polynomial near 0, 1 − 2/(e²ˣ + 1) beyond.
fn hyperbolic_tangent(x: f32) -> f32 {
    let s = x * x;
    var p = fma(s, 3.5921280e-3, -8.8632356e-3);
    p = fma(p, s, 2.1869488e-2);
    p = fma(p, s, -5.3968254e-2);
    p = fma(p, s, 0.13333334);
    p = fma(p, s, -0.33333334);
    let near = fma(p * s, x, x);
    let far = 1.0 - 2.0 / (exponential(2.0 * abs(x)) + 1.0);
    return select(select(far, -far, x < 0.0), near, abs(x) < 0.35);
}

// Taylor's series near 0, 1 − t e^(−x² + P(t)) with t = 1/(1 + x/2) beyond.
// Source of P: Press et al., Numerical Recipes, section 6.2.
fn error_function(x: f32) -> f32 {
    let a = abs(x);
    let s = a * a;
    var p = fma(-1.4503853e-7, s, 1.4589169e-6);
    p = fma(p, s, -1.3227513e-5);
    p = fma(p, s, 1.0683761e-4);
    p = fma(p, s, -7.5757576e-4);
    p = fma(p, s, 4.6296296e-3);
    p = fma(p, s, -2.3809524e-2);
    p = fma(p, s, 0.1);
    p = fma(p, s, -0.33333334);
    p = fma(p, s, 1.0);
    let near = 1.1283792 * a * p;
    let t = 1.0 / fma(0.5, a, 1.0);
    var q = fma(0.17087277, t, -0.82215223);
    q = fma(q, t, 1.4885159);
    q = fma(q, t, -1.135204);
    q = fma(q, t, 0.27886807);
    q = fma(q, t, -0.18628806);
    q = fma(q, t, 0.09678418);
    q = fma(q, t, 0.37409197);
    q = fma(q, t, 1.0000237);
    q = fma(q, t, -1.2655122);
    let far = 1.0 - t * exponential(q - s);
    let y = select(far, near, a < 0.9);
    return select(select(y, -y, x < 0.0), x, is_nan(x));
}

// ln x = e ln 2 + 2 artanh(s), s = (m − 1)/(m + 1), m in [√½, √2).
fn logarithm(x: f32) -> f32 {
    // Numbers below the smallest normal one are brought up by 2²⁴.
    let small = x < 1.1754944e-38;
    let bits = bitcast<u32>(select(x, x * 16777216.0, small));
    let shifted = bits - 0x3f3504f3u;
    let e = bitcast<i32>(shifted) >> 23u;
    let m = bitcast<f32>(bits - (bitcast<u32>(e) << 23u));
    let f = m - 1.0;
    let s = f / (m + 1.0);
    let z = s * s;
    // (artanh(s)/s − 1)/z, Taylor's series: z is below 0.03.
    let p = fma(fma(fma(0.11111111, z, 0.14285715), z, 0.2), z, 0.33333334);
    let exponent = f32(select(e, e - 24, small));
    // 2 s = f − s f, of which f is exact.
    let series = f - s * (f - 2.0 * (z * p));
    let value = fma(exponent, 0.693359375, fma(exponent, -2.1219444e-4, series));
    let zero = (bitcast<u32>(x) & 0x7fffffffu) == 0u;
    let infinite = select(value, x, bitcast<u32>(x) >= 0x7f800000u);
    // −∞ at 0, a NaN below.
    let negative = bitcast<f32>(bitcast<u32>(beyond(0.0)) | 0x80000000u);
    let invalid = bitcast<f32>(bitcast<u32>(beyond(0.0)) | 0x00400000u);
    return select(select(infinite, invalid, x < 0.0), negative, zero);
}

// x = n π/2 + r, |r| ≤ π/4, π/2 in three parts that n multiplies exactly: r to 1e-7 for |x| below 10⁴.
fn quarter_turns(x: f32) -> f32 {
    return round(x * 0.63661975);
}

fn rest_of_turn(x: f32, n: f32) -> f32 {
    return fma(n, -7.5497899e-8, fma(n, -4.8375129e-4, fma(n, -1.5703125, x)));
}

fn sine_near(r: f32) -> f32 {
    let z = r * r;
    let p = fma(fma(fma(2.7557319e-6, z, -1.984127e-4), z, 8.333334e-3), z, -0.16666667);
    return fma(r * z, p, r);
}

fn cosine_near(r: f32) -> f32 {
    let z = r * r;
    let p = fma(fma(fma(2.4433157e-5, z, -1.3887316e-3), z, 4.1666646e-2), z, -0.5);
    return fma(z, p, 1.0);
}

// sin(n π/2 + r) for n quarter turns, an integer; an angle that is not finite has none.
fn turned(x: f32, r: f32, n: i32) -> f32 {
    let value = select(sine_near(r), cosine_near(r), (n & 1) == 1);
    return select(beyond(bitcast<f32>(bitcast<u32>(x) | 0x00400000u)), select(value, -value, (n & 2) == 2), is_finite(x));
}

fn sine(x: f32) -> f32 {
    let n = quarter_turns(x);
    return turned(x, rest_of_turn(x, n), i32(n));
}

fn cosine(x: f32) -> f32 {
    let n = quarter_turns(x);
    return turned(x, rest_of_turn(x, n), i32(n) + 1);
}
