//! Buffers shared by values that are never alive together. A slot is one whole buffer.

/// Hands out slots and takes them back.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    sizes: Vec<usize>,
    free: Vec<usize>,
}

impl Slots {
    /// A slot of at least `size`: the smallest free one that fits, else the largest free one grown, else a new one.
    pub(crate) fn take(&mut self, size: usize) -> usize {
        let fitting =
            self.free.iter().copied().filter(|&s| self.sizes[s] >= size).min_by_key(|&s| self.sizes[s]);
        let slot = fitting.or_else(|| self.free.iter().copied().max_by_key(|&s| self.sizes[s]));
        match slot {
            Some(s) => {
                self.free.retain(|&f| f != s);
                self.sizes[s] = self.sizes[s].max(size);
                s
            }
            None => {
                self.sizes.push(size);
                self.sizes.len() - 1
            }
        }
    }

    /// Makes a slot free for later values.
    pub(crate) fn give_back(&mut self, slot: usize) {
        debug_assert!(!self.free.contains(&slot), "slot {slot} is free twice");
        self.free.push(slot);
    }

    /// Sizes of all slots.
    pub(crate) fn into_sizes(self) -> Vec<usize> {
        self.sizes
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn a_free_slot_is_reused_and_a_small_one_grows() {
        let mut slots = Slots::default();
        let (a, b) = (slots.take(10), slots.take(4));
        slots.give_back(a);
        slots.give_back(b);
        assert_eq!(slots.take(3), b);
        assert_eq!(slots.take(12), a);
        assert_eq!(slots.into_sizes(), [12, 4]);
    }
}
