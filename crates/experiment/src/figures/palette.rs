//! Colours that stay apart with any colour vision.
//!
//! Source: Okabe & Ito 2008, "Color universal design", with black kept for the truth and yellow left out
//! (too light on white).

pub(super) const TRUTH: &str = "#000000";
pub(super) const OBSERVATION: &str = "#009e73";
pub(super) const MUTED: &str = "#666666";
pub(super) const GRID: &str = "#e6e6e6";
pub(super) const AXIS: &str = "#444444";

/// Series in the order they are taken; the first two are the pair furthest apart.
const SERIES: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// Colour of the i-th series, repeating after six.
pub(super) fn series(i: usize) -> &'static str {
    SERIES[i % SERIES.len()]
}

/// The colour mixed with white: `share` 0 is white, 1 the colour itself.
pub(super) fn tint(color: &str, share: f64) -> String {
    let channel = |i: usize| {
        let c = color.get(i..i + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
        (255.0 + (f64::from(c) - 255.0) * share).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", channel(1), channel(3), channel(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tint_runs_from_white_to_the_colour() {
        for i in 0..6 {
            assert_eq!(tint(series(i), 1.0), series(i));
            assert_eq!(tint(series(i), 0.0), "#ffffff");
        }
        assert_eq!(tint("#000000", 0.5), "#808080");
    }
}
