//! Where the windows of a rollout lie.

use std::ops::Range;

use super::{Rollout, refuse};
use crate::error::DiffusionError;

/// Windows of `width` states every `advance`, of which the first `known` are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    /// L.
    pub(super) length: usize,
    /// W.
    pub(super) width: usize,
    /// States that a window takes from the one before.
    pub(super) known: usize,
    /// States between the starts of two windows.
    pub(super) advance: usize,
}

impl Blocks {
    /// Errors: windows that can't be, or longer than the trajectory.
    pub(super) fn new(rollout: &Rollout, length: usize) -> Result<Self, DiffusionError> {
        let (width, known, advance) = match *rollout {
            Rollout::Smoothing => (length, 0, length),
            Rollout::Forecast { window, known } => {
                if known == 0 || known >= window {
                    return refuse(format!(
                        "a forecast of windows of {window} states knows {known} of each, and needs 1 … {}; lower `known` or \
                         lengthen `window`",
                        window.saturating_sub(1)
                    ));
                }
                (window, known, window - known)
            }
            Rollout::FixedLag { lag, known, advance } => {
                if advance == 0 || lag < advance {
                    return refuse(format!(
                        "a lag of {lag} states is shorter than a block of {advance}, of which some would never be drawn; \
                         `advance` must be 1 … `lag`"
                    ));
                }
                if known == 0 {
                    return refuse(
                        "a fixed-lag window begins with no final state, and would forget the past; `known` must be at least 1",
                    );
                }
                (known.saturating_add(lag), known, advance)
            }
            Rollout::Cycle { window, advance, start } => {
                if advance == 0 || advance >= window {
                    return refuse(format!(
                        "a cycle of windows of {window} states advances by {advance}, and must by 1 … {}; the others are what a \
                         forecast starts from",
                        window.saturating_sub(1)
                    ));
                }
                if !(start > 0.0 && start <= 1.0) {
                    return refuse(format!(
                        "a cycle starts at a t above 0 and at most 1, and `start` is {start}"
                    ));
                }
                (window, window - advance, advance)
            }
        };
        if width > length || length == 0 {
            return refuse(format!(
                "a window of {width} states is longer than the trajectory of {length}; shorten it"
            ));
        }
        Ok(Self { length, width, known, advance })
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        1 + (self.length - self.width).div_ceil(self.advance)
    }

    /// First state of a window.
    pub(super) fn start(&self, block: usize) -> usize {
        block * self.advance
    }

    /// States of a window, counted from its start, that are handed on to the next.
    pub(super) fn handed_on(&self) -> Range<usize> {
        self.advance..self.advance + self.known
    }

    /// States of the trajectory that a block says: those that are not known, as far as there are any.
    pub(super) fn said(&self, block: usize) -> Range<usize> {
        let start = self.start(block);
        let first = if block == 0 { 0 } else { start + self.known };
        first..(start + self.width).min(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_said_and_known_states_were_said_before() {
        let rollouts = [
            Rollout::Smoothing,
            Rollout::Forecast { window: 7, known: 2 },
            Rollout::Forecast { window: 5, known: 4 },
            Rollout::FixedLag { lag: 6, known: 3, advance: 6 },
            Rollout::FixedLag { lag: 6, known: 1, advance: 2 },
            Rollout::Cycle { window: 9, advance: 4, start: 0.5 },
        ];
        for rollout in rollouts {
            for length in [9, 10, 23, 24] {
                let blocks = Blocks::new(&rollout, length).unwrap();
                let mut said = vec![false; length];
                for b in 0..blocks.count() {
                    let start = blocks.start(b);
                    let known = start..start + blocks.known;
                    assert!(b == 0 || known.clone().all(|i| said[i]), "{rollout:?} {length}: block {b}");
                    assert!(!blocks.said(b).is_empty(), "{rollout:?} {length}: block {b} says nothing");
                    blocks.said(b).for_each(|i| said[i] = true);
                }
                assert!(said.iter().all(|&s| s), "{rollout:?} {length}");
            }
        }
    }

    #[test]
    fn windows_that_cannot_be_are_refused_with_the_reason_and_the_remedy() {
        let cases = [
            (Rollout::Forecast { window: 5, known: 5 }, "needs 1 … 4; lower `known`"),
            (Rollout::Forecast { window: 5, known: 0 }, "knows 0 of each"),
            (Rollout::FixedLag { lag: 3, known: 1, advance: 4 }, "shorter than a block of 4"),
            (Rollout::FixedLag { lag: 3, known: 1, advance: 0 }, "`advance` must be 1 … `lag`"),
            (Rollout::FixedLag { lag: 3, known: 0, advance: 3 }, "`known` must be at least 1"),
            (Rollout::Cycle { window: 5, advance: 5, start: 0.5 }, "must by 1 … 4"),
            (Rollout::Cycle { window: 5, advance: 2, start: 0.0 }, "`start` is 0"),
            (Rollout::Cycle { window: 5, advance: 2, start: 1.1 }, "`start` is 1.1"),
            (Rollout::Cycle { window: 5, advance: 2, start: f64::NAN }, "`start` is NaN"),
            (Rollout::Forecast { window: 50, known: 5 }, "longer than the trajectory of 40; shorten it"),
        ];
        for (rollout, why) in cases {
            let error = rollout.check(40).unwrap_err().to_string();
            assert!(error.starts_with("roll out: ") && error.contains(why), "{error}");
        }
    }
}
