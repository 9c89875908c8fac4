//! When to write down where a long stage is.

use std::time::{Duration, Instant};

/// Says now and then that a checkpoint is due. Checkpoints hold the exact state, so when they are taken changes no bits.
#[derive(Debug)]
pub(crate) struct Clock {
    interval: Duration,
    last: Instant,
}

impl Clock {
    /// A kill loses at most the work of an interval; zero is due at every opportunity.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, last: Instant::now() }
    }

    /// Whether the interval is over; it then begins anew.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= self.interval;
        if due {
            self.last = Instant::now();
        }
        due
    }
}
