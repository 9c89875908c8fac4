//! The two precisions, with what the routines need beyond faer's arithmetic.

use faer::Par;
use faer::traits::RealField;

/// Everything runs on the calling thread: the bits of a result must not depend on the number of threads.
pub(crate) const PAR: Par = Par::Seq;

/// f32 or f64.
pub(crate) trait Scalar: RealField + Copy {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Half the distance from 1 to the next number: LAPACK's `lamch('E')`.
    const UNIT_ROUNDOFF: Self;
    /// Below it a reciprocal may overflow: LAPACK's `lamch('S')`.
    const SMALLEST_NORMAL: Self;
    /// Nearest value.
    fn from_f64(x: f64) -> Self;
    /// |x|.
    fn magnitude(self) -> Self;
    /// √x.
    fn root(self) -> Self;
    /// False for NaN and ±∞.
    fn finite(self) -> bool;
    /// True for NaN.
    fn not_a_number(self) -> bool;
    /// The largest power of two that is at most |x|, for a finite x that is not 0.
    fn binade(self) -> Self;
}

macro_rules! scalar {
    ($t:ty) => {
        impl Scalar for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const UNIT_ROUNDOFF: Self = <$t>::EPSILON / 2.0;
            const SMALLEST_NORMAL: Self = <$t>::MIN_POSITIVE;
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            fn magnitude(self) -> Self {
                self.abs()
            }
            fn root(self) -> Self {
                self.sqrt()
            }
            fn finite(self) -> bool {
                self.is_finite()
            }
            fn not_a_number(self) -> bool {
                self.is_nan()
            }
            fn binade(self) -> Self {
                // The exponent field alone is 2ᵉ; a subnormal has none, and counts as the smallest normal number.
                <$t>::from_bits(self.to_bits() & <$t>::INFINITY.to_bits()).max(<$t>::MIN_POSITIVE)
            }
        }
    };
}

scalar!(f32);
scalar!(f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binade_is_the_power_of_two_below() {
        for (x, want) in [
            (1.0, 1.0),
            (-1.99, 1.0),
            (2.0, 2.0),
            (0.3, 0.25),
            (f64::MAX, 2f64.powi(1023)),
            (1e-310, f64::MIN_POSITIVE),
        ] {
            assert_eq!(x.binade(), want, "of {x}");
        }
        assert_eq!(3.0e38f32.binade(), 2f32.powi(127));
    }
}
