//! Deterministic data for cases.

use sda_core::random::Sequence;
use sda_core::{Real, Stream};

/// What the numbers of an input are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Normal, but at least 0.05 from 0, where |x| and sign x bend.
    Real,
    /// Uniform on [½, 2).
    Positive,
    /// 0 or 1.
    Flag,
    /// −2 … 2, so that ties occur.
    Integer,
}

impl Domain {
    /// Whether a function of it has a derivative.
    pub fn is_continuous(self) -> bool {
        matches!(self, Self::Real | Self::Positive)
    }

    fn draw(self, sequence: &mut Sequence) -> f32 {
        match self {
            Self::Real => {
                let z = sequence.normal() as f32;
                z + 0.05f32.copysign(z)
            }
            Self::Positive => (0.5 + 1.5 * sequence.uniform()) as f32,
            Self::Flag => sequence.below(2) as f32,
            Self::Integer => sequence.below(5) as f32 - 2.0,
        }
    }

    /// `len` numbers, exact in f32, of (seed, row).
    pub(super) fn numbers<T: Real>(self, seed: u64, row: u32, len: usize) -> Vec<T> {
        let mut sequence = Stream::new(seed, 0).sequence(0, row);
        (0..len).map(|_| T::from_f64(f64::from(self.draw(&mut sequence)))).collect()
    }
}
