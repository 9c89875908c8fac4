//! f32 functions of one number in straight-line code, so that a loop over them becomes vector instructions.
//!
//! `FMA` says whether the machine fuses a·b + c; without it the fused form would be a library call.

/// a b + c.
#[inline(always)]
fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Adding and subtracting 1.5·2²³ rounds to an integer, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;

/// eˣ = 2ⁿ eʳ, n = round(x / ln 2), |r| ≤ ln 2 / 2; a polynomial of degree 7. Results below the smallest normal
/// number are 0.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let y = if x < -87.336_54 { -87.336_54 } else { x };
    let y = if y > 88.722_83 { 88.722_83 } else { y };
    let shifted = fma::<FMA>(y, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN2_HIGH, y);
    let r = fma::<FMA>(n, -LN2_LOW, r);
    let p = fma::<FMA>(1.0 / 5040.0, r, 1.0 / 720.0);
    let p = fma::<FMA>(p, r, 1.0 / 120.0);
    let p = fma::<FMA>(p, r, 1.0 / 24.0);
    let p = fma::<FMA>(p, r, 1.0 / 6.0);
    let p = fma::<FMA>(p, r, 0.5);
    let p = fma::<FMA>(p * r, r, r) + 1.0;
    // n is added to p's exponent: 2ⁿ by itself is no f32 for n = 128, nor half of it for n = −126.
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()) << 23;
    let y = f32::from_bits(p.to_bits().wrapping_add(exponent));
    let y = if x < -87.336_54 { 0.0 } else { y };
    let y = if x > 88.722_83 { f32::INFINITY } else { y };
    if x.is_nan() { x } else { y }
}

/// 1/(1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

/// An odd polynomial near 0, 1 − 2/(e²ˣ + 1) beyond.
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let s = x * x;
    // Taylor's series to x¹³: below 2⁻²⁴ relative for |x| < 0.35.
    let p = fma::<FMA>(s, 21_844.0 / 6_081_075.0, -1_382.0 / 155_925.0);
    let p = fma::<FMA>(p, s, 62.0 / 2_835.0);
    let p = fma::<FMA>(p, s, -17.0 / 315.0);
    let p = fma::<FMA>(p, s, 2.0 / 15.0);
    let p = fma::<FMA>(p, s, -1.0 / 3.0);
    let near = fma::<FMA>(p * s, x, x);
    let far = 1.0 - 2.0 / (exp::<FMA>(2.0 * x.abs()) + 1.0);
    if x.abs() < 0.35 { near } else { far.copysign(x) }
}

/// Taylor's series near 0, 1 − t e^(−x² + P(t)) with t = 1/(1 + x/2) beyond (relative error of erfc 1.2e-7).
///
/// Source of P: Press et al., Numerical Recipes, section 6.2.
#[inline(always)]
pub(crate) fn erf<const FMA: bool>(x: f32) -> f32 {
    const NEAR: [f32; 10] = [
        1.0,
        -1.0 / 3.0,
        1.0 / 10.0,
        -1.0 / 42.0,
        1.0 / 216.0,
        -1.0 / 1_320.0,
        1.0 / 9_360.0,
        -1.0 / 75_600.0,
        1.0 / 685_440.0,
        -1.0 / 6_894_720.0,
    ];
    const FAR: [f32; 10] = [
        -1.265_512_2,
        1.000_023_7,
        0.374_091_97,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_204,
        1.488_515_9,
        -0.822_152_23,
        0.170_872_77,
    ];
    let a = x.abs();
    let s = a * a;
    let series = |c: &[f32; 10], z: f32| {
        let mut p = c[9];
        for i in (0..9).rev() {
            p = fma::<FMA>(p, z, c[i]);
        }
        p
    };
    let near = std::f32::consts::FRAC_2_SQRT_PI * a * series(&NEAR, s);
    let t = 1.0 / fma::<FMA>(0.5, a, 1.0);
    let far = 1.0 - t * exp::<FMA>(series(&FAR, t) - s);
    let y = if a < 0.9 { near } else { far };
    let y = if x < 0.0 { -y } else { y };
    if x.is_nan() { x } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64, range: f64, floor: f64) {
        let mut worst = (0.0, 0.0);
        for i in 0..=400_000 {
            let x = (range * (f64::from(i) / 200_000.0 - 1.0)) as f32;
            let want = exact(f64::from(x));
            let error = (f64::from(f(x)) - want).abs() / want.abs().max(floor) / f64::from(f32::EPSILON);
            if error > worst.0 {
                worst = (error, f64::from(x));
            }
        }
        assert!(worst.0 < 4.0, "{name}: {} ulp at {}", worst.0, worst.1);
        assert!(f(f32::NAN).is_nan(), "{name} of NaN");
    }

    #[test]
    fn functions_are_within_four_units_of_the_last_place() {
        let sigmoid64 = |x: f64| 1.0 / (1.0 + (-x).exp());
        check("exp", exp::<true>, f64::exp, 87.336, 1e-37);
        check("exp", exp::<false>, f64::exp, 87.336, 1e-37);
        check("sigmoid", sigmoid::<true>, sigmoid64, 20.0, 1e-20);
        check("sigmoid", sigmoid::<false>, sigmoid64, 20.0, 1e-20);
        check("tanh", tanh::<true>, f64::tanh, 10.0, 1e-30);
        check("tanh", tanh::<false>, f64::tanh, 10.0, 1e-30);
        check("erf", erf::<true>, libm::erf, 5.0, 1e-30);
        check("erf", erf::<false>, libm::erf, 5.0, 1e-30);
    }

    #[test]
    fn the_ends_of_the_range_saturate() {
        assert_eq!(exp::<true>(100.0), f32::INFINITY);
        assert!((exp::<true>(-87.336).ln() + 87.336).abs() < 1e-5);
        assert_eq!(exp::<true>(-200.0), 0.0);
        assert!((exp::<true>(88.7) / 88.7f32.exp() - 1.0).abs() < 1e-6);
        assert_eq!(exp::<true>(f32::NEG_INFINITY), 0.0);
        assert_eq!(sigmoid::<true>(200.0), 1.0);
        assert_eq!(sigmoid::<true>(-200.0), 0.0);
        assert_eq!((tanh::<true>(50.0), tanh::<true>(-50.0)), (1.0, -1.0));
        assert_eq!((erf::<true>(9.0), erf::<true>(-9.0)), (1.0, -1.0));
    }
}
