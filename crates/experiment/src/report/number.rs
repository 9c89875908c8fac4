//! Numbers as a report shows them.

/// Four significant digits, a true minus sign, a power of ten where decimals would be long; "—" for NaN.
pub fn significant(value: f64) -> String {
    digits(value, 4)
}

/// As [`significant`], with `count` digits.
pub(super) fn digits(value: f64, count: usize) -> String {
    if value.is_nan() {
        return "—".to_owned();
    }
    let sign = if value.is_sign_negative() && value != 0.0 { "−" } else { "" };
    let magnitude = value.abs();
    if magnitude.is_infinite() {
        return format!("{sign}∞");
    }
    // Rounding first decides the exponent: 9.9996 has five digits before it has four.
    let scientific = format!("{magnitude:.*e}", count - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if magnitude == 0.0 {
        "0".to_owned()
    } else if (-4..6).contains(&exponent) {
        let decimals = (count as i32 - 1 - exponent).max(0) as usize;
        format!("{sign}{magnitude:.decimals$}")
    } else {
        format!("{sign}{mantissa}e{exponent}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_whatever_the_size() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (81.7, "81.70"),
            (-2.1234, "−2.123"),
            (9.99996, "10.00"),
            (0.000123456, "0.0001235"),
            (1.5e-7, "1.500e-7"),
            (123456.7, "123457"),
            (-2.5e9, "−2.500e9"),
            (f64::NAN, "—"),
            (f64::NEG_INFINITY, "−∞"),
        ] {
            assert_eq!(significant(value), text);
        }
        assert_eq!(digits(0.0449, 2), "0.045");
    }
}
