//! When to write down where a long stage is.

use std::time::{Duration, Instant};

/// Time between two checkpoints; a kill loses at most that much work.
const INTERVAL: Duration = Duration::from_secs(15);

/// Says now and then that a checkpoint is due. Checkpoints hold the exact state, so when they are taken changes no bits.
#[derive(Debug)]
pub(crate) struct Clock {
    last: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: Instant::now() }
    }
}

impl Clock {
    /// Whether the interval is over; it then begins anew.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= INTERVAL;
        if due {
            self.last = Instant::now();
        }
        due
    }
}
