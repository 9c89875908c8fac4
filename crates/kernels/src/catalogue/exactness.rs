//! How far a fast form may be from its reference.

/// Exactness class of a kernel's case, in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// The reference's number, rounded once.
    Exact,
    /// Units of the last place.
    Ulps(u32),
    /// A sum, or chain, of `length` rounded terms: length · ε of the terms' magnitude.
    Reduction {
        /// Number of terms.
        length: usize,
    },
}

impl Exactness {
    /// Largest distance from the exact result `want`; `magnitude` is Σ |terms|.
    ///
    ///   Exact: 0 · Ulps(n): n ε |want| · Reduction: (length + 4) ε magnitude
    ///
    /// The smallest normal number is added where a result may be flushed to zero.
    pub fn tolerance(self, want: f64, magnitude: f64) -> f64 {
        let epsilon = f64::from(f32::EPSILON);
        match self {
            Self::Exact => 0.0,
            Self::Ulps(n) => f64::from(n) * epsilon * want.abs() + f64::from(f32::MIN_POSITIVE),
            Self::Reduction { length } => {
                (length + 4) as f64 * epsilon * magnitude + f64::from(f32::MIN_POSITIVE)
            }
        }
    }

    /// Whether `got` is as near to the exact `want` as the class promises. A NaN is matched by any NaN.
    pub fn allows(self, got: f32, want: f64, magnitude: f64) -> bool {
        let rounded = want as f32;
        if want.is_nan() || got.is_nan() {
            return want.is_nan() && got.is_nan();
        }
        got == rounded || (f64::from(got) - want).abs() <= self.tolerance(want, magnitude)
    }
}
