//! What a result depends on, as a hash: a result with the same key is reused, any other is made again.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The version of what the stages compute; it changes when a stage's numbers do.
const RESULTS: u32 = 1;

/// Hash of a stage's name and of everything that it depends on, as text.
pub(crate) fn key(stage: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in [&format!("{stage}/{RESULTS}")].into_iter().map(String::as_str).chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A seed of its own for one use of the experiment's seed.
pub(crate) fn seed(experiment: u64, use_of: [u32; 3]) -> u64 {
    let counter = [use_of[0], use_of[1], use_of[2], u32::from_le_bytes(*b"seed")];
    let words = sda_core::random::philox4x32_10(counter, [experiment as u32, (experiment >> 32) as u32]);
    u64::from(words[0]) | u64::from(words[1]) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(key("train", &["ab", "c"]), key("train", &["a", "bc"]));
        assert_ne!(key("train", &["a"]), key("observe", &["a"]));
        assert_eq!(key("train", &["a"]), key("train", &["a"]));
        assert_eq!(key("train", &[]).len(), 64);
    }

    #[test]
    fn seeds_differ_by_use() {
        let seeds = [seed(1, [0, 0, 0]), seed(1, [0, 0, 1]), seed(1, [1, 0, 0]), seed(2, [0, 0, 0])];
        for (i, a) in seeds.iter().enumerate() {
            assert!(seeds[..i].iter().all(|b| a != b));
        }
    }
}
