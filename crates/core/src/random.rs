//! Counter-based random numbers: a function of (seed, stream, step, row, element), never of call order.
//!
//!   words = Philox4x32-10(counter = (block, row, step, stream), key = (seed low, seed high))
//!
//! One block holds four words, hence four uniforms or four normals. `row` is the *global* index of a sample
//! (particle, trajectory), so that any split into blocks or threads draws the same bits.
//!
//! Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", with its known answers.

use crate::Real;

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32 with ten rounds.
#[inline]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut c = counter;
    let mut k = key;
    for _ in 0..10 {
        let p0 = u64::from(MULTIPLIER[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIER[1]) * u64::from(c[2]);
        c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// Uniform on [0, 1) with 24 bits: (x ≫ 8)·2⁻²⁴, exact in f32 on every device.
#[inline]
pub fn uniform<T: Real>(word: u32) -> T {
    T::from_f64(f64::from(word >> 8) * (1.0 / 16_777_216.0))
}

/// Four standard normals from four words by Box–Muller:
///
///   r = √(−2 ln((w₀ ≫ 8 + 1)·2⁻²⁴)), z₀ = r cos(2π u₁), z₁ = r sin(2π u₁), and the same of (w₂, w₃).
#[inline]
pub fn normals<T: Real>(words: [u32; 4]) -> [T; 4] {
    let pair = |a: u32, b: u32| {
        let u = T::from_f64((f64::from(a >> 8) + 1.0) * (1.0 / 16_777_216.0));
        let angle = T::from_f64(std::f64::consts::TAU) * uniform::<T>(b);
        let r = (T::from_f64(-2.0) * u.ln()).sqrt();
        (r * angle.cos(), r * angle.sin())
    };
    let (z0, z1) = pair(words[0], words[1]);
    let (z2, z3) = pair(words[2], words[3]);
    [z0, z1, z2, z3]
}

/// A family of independent random numbers, one for each (step, row, element).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    seed: u64,
    id: u32,
}

impl Stream {
    /// Streams of one seed and different `id` are independent.
    pub fn new(seed: u64, id: u32) -> Self {
        Self { seed, id }
    }

    /// The four words of one block.
    #[inline]
    pub fn words(&self, step: u32, row: u32, block: u32) -> [u32; 4] {
        philox4x32_10([block, row, step, self.id], [self.seed as u32, (self.seed >> 32) as u32])
    }

    /// Four standard normals of one block.
    #[inline]
    pub fn normals<T: Real>(&self, step: u32, row: u32, block: u32) -> [T; 4] {
        normals(self.words(step, row, block))
    }

    /// Fills rows `first_row`, `first_row + 1`, … of `row_len` standard normals each.
    ///
    /// Panics: `out` is not a whole number of rows.
    pub fn fill_normal<T: Real>(&self, step: u32, first_row: u32, row_len: usize, out: &mut [T]) {
        self.fill(step, first_row, row_len, out, normals);
    }

    /// Fills rows of uniforms on [0, 1), as [`Stream::fill_normal`].
    pub fn fill_uniform<T: Real>(&self, step: u32, first_row: u32, row_len: usize, out: &mut [T]) {
        self.fill(step, first_row, row_len, out, |w| w.map(uniform));
    }

    fn fill<T: Real>(
        &self,
        step: u32,
        first_row: u32,
        row_len: usize,
        out: &mut [T],
        draw: impl Fn([u32; 4]) -> [T; 4],
    ) {
        if row_len == 0 {
            return;
        }
        assert!(out.len().is_multiple_of(row_len), "{} numbers are not whole rows of {row_len}", out.len());
        for (r, row) in out.chunks_exact_mut(row_len).enumerate() {
            for (b, block) in row.chunks_mut(4).enumerate() {
                let values = draw(self.words(step, first_row + r as u32, b as u32));
                block.copy_from_slice(&values[..block.len()]);
            }
        }
    }

    /// Draws one after another, for host code that needs a generator: initial laws, shuffles.
    pub fn sequence(&self, step: u32, row: u32) -> Sequence {
        Sequence { stream: *self, step, row, block: 0, words: [0; 4], used: 4, spare: None }
    }
}

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
    fn philox_known_answers() {
        assert_eq!(philox4x32_10([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox4x32_10([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32_10([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn rows_do_not_depend_on_the_split() {
        let stream = Stream::new(7, 3);
        let mut whole = vec![0f32; 10 * 13];
        stream.fill_normal(5, 2, 13, &mut whole);
        for split in 1..10 {
            let (mut a, mut b) = (vec![0f32; split * 13], vec![0f32; (10 - split) * 13]);
            stream.fill_normal(5, 2, 13, &mut a);
            stream.fill_normal(5, 2 + split as u32, 13, &mut b);
            a.extend(b);
            assert_eq!(a, whole);
        }
    }

    #[test]
    fn moments_are_those_of_the_law() {
        let stream = Stream::new(1, 0);
        let mut z = vec![0f64; 1 << 16];
        stream.fill_normal(0, 0, 64, &mut z);
        let n = z.len() as f64;
        let moment = |p: i32| z.iter().map(|x| x.powi(p)).sum::<f64>() / n;
        // Standard errors: 1/√n, √2/√n, √15/√n, √96/√n.
        for (p, want, sd) in
            [(1, 0.0, 1.0), (2, 1.0, 2f64.sqrt()), (3, 0.0, 15f64.sqrt()), (4, 3.0, 96f64.sqrt())]
        {
            assert!((moment(p) - want).abs() < 5.0 * sd / n.sqrt(), "moment {p} is {}", moment(p));
        }
        let mut u = vec![0f32; 1 << 16];
        stream.fill_uniform(1, 0, 64, &mut u);
        assert!(u.iter().all(|&u| (0.0..1.0).contains(&u)));
        let mean = u.iter().sum::<f32>() / u.len() as f32;
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 12f32).sqrt() / 256.0);
    }

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
