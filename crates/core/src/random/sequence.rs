//! Draws one after another, for host code that needs a generator.

use super::Stream;

/// Successive draws of one (stream, step, row).
#[derive(Clone, Debug)]
pub struct Sequence {
    stream: Stream,
    step: u32,
    row: u32,
    block: u32,
    words: [u32; 4],
    used: usize,
    spare: Option<f64>,
}

impl Sequence {
    pub(super) fn new(stream: Stream, step: u32, row: u32) -> Self {
        Self { stream, step, row, block: 0, words: [0; 4], used: 4, spare: None }
    }

    /// The next 32 random bits.
    pub fn word(&mut self) -> u32 {
        if self.used == 4 {
            self.words = self.stream.words(self.step, self.row, self.block);
            self.block = self.block.checked_add(1).expect("fewer than 2³⁴ draws from one sequence");
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Uniform on [0, 1) with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        let (a, b) = (u64::from(self.word()), u64::from(self.word()));
        ((a << 21) ^ (b >> 11)) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare.take() {
            return z;
        }
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        let (r, angle) = ((-2.0 * u.ln()).sqrt(), std::f64::consts::TAU * v);
        self.spare = Some(r * angle.sin());
        r * angle.cos()
    }

    /// Uniform integer in 0 … n − 1, without bias (Lemire's multiply and reject).
    ///
    /// Panics: `n` is zero.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "an integer below 0 does not exist");
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.word()) * u64::from(n);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_uniform_and_shuffle_a_permutation() {
        let mut sequence = Stream::new(3, 9).sequence(0, 0);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[sequence.below(7) as usize] += 1;
        }
        // χ² with 6 degrees of freedom: 30 is beyond the 1 − 4e-5 quantile.
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi2 < 30.0, "χ² = {chi2}");
        let mut items: Vec<usize> = (0..100).collect();
        sequence.shuffle(&mut items);
        let mut sorted = items.clone();
        sorted.sort_unstable();
        assert!(items != sorted && sorted == (0..100).collect::<Vec<_>>());
    }
}
