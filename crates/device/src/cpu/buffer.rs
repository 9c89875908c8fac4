//! Memory for slots.

use std::ops::{Deref, DerefMut};

/// Numbers of a cache line, which is also the widest vector register.
const LINE: usize = 16;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Zeros at first; starts on a cache line.
pub(super) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

/// A length rounded up to whole cache lines.
pub(super) fn aligned(n: usize) -> usize {
    n.next_multiple_of(LINE)
}

impl Buffer {
    pub(super) fn new(len: usize) -> Self {
        Self { lines: vec![Line([0.0; LINE]); len.div_ceil(LINE)], len }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: lines are arrays of numbers without padding between them, and there are enough for the length.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above; the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, aligned};

    #[test]
    fn starts_on_a_cache_line_at_any_length() {
        for n in [0, 1, 15, 16, 17, 1000] {
            let mut buffer = Buffer::new(n);
            assert_eq!((buffer.len(), buffer.as_ptr() as usize % 64), (n, 0));
            buffer.fill(1.0);
            assert!(aligned(n) >= n && aligned(n) < n + 16 && aligned(n).is_multiple_of(16));
        }
    }
}
