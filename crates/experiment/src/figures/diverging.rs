//! A diverging map of colours: blue below zero, near white at it, red above, lightness falling evenly on both sides.
//!
//! Colours are mixed in Oklab, where equal steps look equal.
//!
//! Source: Ottosson 2020, "A perceptual color space for image processing".

/// Ends and middle as Oklab (L, a, b): the ends are equally dark.
const BLUE: [f64; 3] = [0.36, -0.03, -0.16];
const WHITE: [f64; 3] = [0.97, 0.0, 0.0];
const RED: [f64; 3] = [0.36, 0.14, 0.07];

/// The sRGB colour of a number; −1 and 1 are the ends, what is beyond them takes the ends' colours.
pub(super) fn diverging(value: f64) -> [u8; 3] {
    let end = if value < 0.0 { BLUE } else { RED };
    let share = value.abs().min(1.0);
    srgb(std::array::from_fn(|i| WHITE[i] + share * (end[i] - WHITE[i])))
}

fn srgb([l, a, b]: [f64; 3]) -> [u8; 3] {
    let lms = [
        l + 0.3963377774 * a + 0.2158037573 * b,
        l - 0.1055613458 * a - 0.0638541728 * b,
        l - 0.0894841775 * a - 1.2914855480 * b,
    ]
    .map(|x| x * x * x);
    let rows = [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ];
    rows.map(|row| {
        let linear: f64 = row.iter().zip(lms).map(|(m, x)| m * x).sum();
        let linear = linear.clamp(0.0, 1.0);
        let encoded =
            if linear <= 0.0031308 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
        (255.0 * encoded).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of an sRGB colour.
    fn luminance(rgb: [u8; 3]) -> f64 {
        let linear = rgb.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn both_sides_grow_darker_and_apart() {
        for sign in [-1.0, 1.0] {
            let steps: Vec<f64> =
                (0..=20).map(|i| luminance(diverging(sign * f64::from(i) / 20.0))).collect();
            assert!(steps.windows(2).all(|w| w[1] < w[0]), "{steps:?}");
        }
        let (blue, red) = (diverging(-1.0), diverging(1.0));
        assert!(blue[2] > 2 * blue[0] && red[0] > 2 * red[2], "{blue:?} {red:?}");
        assert!((luminance(blue) / luminance(red) - 1.0).abs() < 0.5);
        assert_eq!(diverging(7.0), red);
        assert!(diverging(0.0).iter().all(|&c| c > 240));
    }
}
