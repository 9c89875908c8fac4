//! The gamma function's logarithm and its incomplete ratio, for the tails of χ².

/// Where Stirling's series is exact to rounding.
const STIRLING_FROM: f64 = 10.0;

/// B_2k / (2k (2k − 1)), the coefficients of Stirling's series in 1/a, 1/a³, ….
const STIRLING: [f64; 7] =
    [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360360.0, 1.0 / 156.0];

/// Relative change at which a sum or a fraction has converged; a few roundings, so that it is always reached.
const CONVERGED: f64 = 1e-15;

/// ln Γ(a), by Stirling's series above 10 and the recurrence Γ(a + 1) = a Γ(a) below.
///
///   ln Γ(a) = (a − ½) ln a − a + ½ ln 2π + 1/(12 a) − 1/(360 a³) + …
///
/// Panics: `a` is not positive and finite.
/// Source: Abramowitz & Stegun 1964, 6.1.41.
pub fn ln_gamma(a: f64) -> f64 {
    assert!(a > 0.0 && a.is_finite(), "the logarithm of Γ({a})");
    let (mut shifted, mut product) = (a, 1.0);
    while shifted < STIRLING_FROM {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse_square = 1.0 / (shifted * shifted);
    let series = STIRLING.iter().rev().fold(0.0, |sum, c| sum * inverse_square + c) / shifted;
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

/// Regularised upper incomplete gamma function: the probability that χ² of 2a degrees of freedom exceeds 2x.
///
///   Q(a, x) = 1/Γ(a) ∫_x^∞ u^{a−1} e^{−u} du
///
/// Below x = a + 1 by the series of 1 − Q, above by a continued fraction, which keeps small tails to relative precision.
///
/// Panics: `a` is not positive and finite, or `x` is negative or NaN.
/// Source: Abramowitz & Stegun 1964, 6.5.29 and 6.5.31.
pub fn gamma_q(a: f64, x: f64) -> f64 {
    assert!(a > 0.0 && a.is_finite() && x >= 0.0, "the incomplete gamma function Q({a}, {x})");
    if x == 0.0 {
        return 1.0;
    }
    if x == f64::INFINITY {
        return 0.0;
    }
    let density = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 { 1.0 - density * lower_series(a, x) } else { density * upper_fraction(a, x) }
}

/// Σ_n x^n / (a (a + 1) … (a + n)).
fn lower_series(a: f64, x: f64) -> f64 {
    let mut term = 1.0 / a;
    let mut sum = term;
    let mut n = a;
    while term > CONVERGED * sum {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    sum
}

/// 1/(x + 1 − a − 1 (1 − a)/(x + 3 − a − 2 (2 − a)/(x + 5 − a − …))), by Lentz's products.
fn upper_fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (f64::INFINITY, 1.0 / b);
    let mut fraction = d;
    for i in 1u32.. {
        let i = f64::from(i);
        let numerator = -i * (i - a);
        b += 2.0;
        d = 1.0 / (numerator * d + b);
        c = b + numerator / c;
        fraction *= c * d;
        if (c * d - 1.0).abs() <= CONVERGED {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_relative(got: f64, want: f64, tolerance: f64) {
        assert!((got - want).abs() <= tolerance * want.abs(), "{got:e} is not {want:e}");
    }

    #[test]
    fn logarithms_by_factorials_and_tables() {
        let mut factorial = 1.0;
        for n in 1..60u32 {
            factorial *= f64::from(n);
            assert!((ln_gamma(f64::from(n) + 1.0) - f64::ln(factorial)).abs() < 1e-13 * f64::from(n));
        }
        assert_relative(ln_gamma(0.5), 0.5 * std::f64::consts::PI.ln(), 1e-14);
        let table = [
            (0.1, 2.252712651734206),
            (3.7, 1.428072326665388),
            (9.999, 12.799575780077413),
            (10.001, 12.804079285251861),
            (100.25, 360.28455963776423),
            (5000.0, 37582.62631568535),
        ];
        for (a, want) in table {
            assert_relative(ln_gamma(a), want, 1e-14);
        }
    }

    /// To 40 digits by arbitrary precision, on both sides of x = a + 1.
    #[test]
    fn tails_by_tables() {
        let table = [
            (0.5, 0.02, 0.8414805811217939),
            (0.5, 1.92, 0.050043521248705106),
            (0.5, 300.0, 1.674167984691788e-132),
            (1.5, 3.9, 0.05033109785985335),
            (2.5, 1.0, 0.8491450360846097),
            (4.5, 8.5, 0.04871597614764129),
            (9.5, 10.4, 0.3479564354782835),
            (9.5, 10.6, 0.3258558170509772),
            (31.5, 31.5, 0.47630238333813013),
            (31.5, 60.0, 2.010693881650069e-5),
            (49.5, 30.0, 0.9993199970498485),
            (511.5, 530.0, 0.20524594670146656),
            (511.5, 700.0, 3.1647198028030546e-14),
            (5000.0, 5100.0, 0.07932888107761897),
        ];
        for (a, x, want) in table {
            assert_relative(gamma_q(a, x), want, 1e-10);
        }
    }

    /// Q(n, x) = e^{−x} Σ_{j < n} x^j / j!, whatever branch it is.
    #[test]
    fn even_degrees_of_freedom_are_a_closed_form() {
        for n in [1u32, 2, 3, 7, 20, 50] {
            for x in [0.1, 1.0, 3.0, 7.9, 8.1, 21.0, 40.0, 90.0] {
                let mut term = 1.0;
                let mut sum = 0.0;
                for j in 0..n {
                    sum += term;
                    term *= x / f64::from(j + 1);
                }
                assert_relative(gamma_q(f64::from(n), x), f64::exp(-x) * sum, 1e-12);
            }
        }
    }

    /// Q(a + 1, x) − Q(a, x) = x^a e^{−x} / Γ(a + 1), across the change of branch too.
    #[test]
    fn the_recurrence_holds() {
        for a in [0.5, 1.5, 4.5, 17.25, 63.5] {
            for x in [0.3 * a, a, a + 0.99, a + 1.01, a + 2.5, 2.0 * a + 3.0] {
                let step = (a * f64::ln(x) - x - ln_gamma(a + 1.0)).exp();
                assert!((gamma_q(a + 1.0, x) - gamma_q(a, x) - step).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn the_ends_are_certain() {
        assert_eq!((gamma_q(2.5, 0.0), gamma_q(2.5, f64::INFINITY)), (1.0, 0.0));
    }
}
