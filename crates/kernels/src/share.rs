//! Work shared among the threads of rayon's current pool.

use rayon::prelude::*;

/// Addresses that threads share. Each user says why its threads do not meet.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) T);

// SAFETY: an address is no access; see the uses.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// The whole of it, so that a closure takes the wrapper and not what is in it.
    #[inline(always)]
    pub(crate) fn get(&self) -> T {
        self.0
    }
}

/// `work` on 0 … `items`, in order on this thread unless `parallel`.
pub(crate) fn share(items: usize, parallel: bool, work: impl Fn(usize) + Sync + Send) {
    if parallel && items > 1 {
        (0..items).into_par_iter().for_each(work);
    } else {
        (0..items).for_each(work);
    }
}
