//! Counter-based random numbers: a function of (seed, stream, step, row, element), never of call order.
//!
//!   words = Philox4x32-10(counter = (block, row, step, stream), key = (seed low, seed high))
//!
//! One block holds four words, hence four uniforms or four normals. `row` is the *global* index of a sample
//! (particle, trajectory), so that any split into blocks or threads draws the same bits.
//!
//! Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", with its known answers.

use crate::{Real, Vectors};

pub mod normal;
pub mod philox;
mod sequence;

pub use philox::philox4x32_10;
pub use sequence::Sequence;

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
        philox4x32_10([block, row, step, self.id], self.key())
    }

    /// The words of one block of the rows `first_row` … `first_row + N − 1`, side by side.
    ///
    /// Shapes: result [4, N].
    #[inline(always)]
    #[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
    pub fn words_of_rows<const N: usize>(&self, step: u32, first_row: u32, block: u32) -> [[u32; N]; 4] {
        let rows = std::array::from_fn(|i| first_row.wrapping_add(i as u32));
        philox::philox_lanes(&[block; N], &rows, (step, self.id), self.key())
    }

    #[inline]
    fn key(&self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// Four standard normals of one block.
    #[inline]
    pub fn normals<T: Real>(&self, step: u32, row: u32, block: u32) -> [T; 4] {
        normals(self.words(step, row, block))
    }

    /// Fills rows `first_row`, `first_row + 1`, … of `row_len` standard normals each.
    ///
    /// These are the numbers of [`normals`] to rounding (1e-14 in f64, 1e-6 in f32), of vectorised polynomials: the same
    /// bits on every instruction set.
    ///
    /// Panics: `out` is not a whole number of rows.
    pub fn fill_normal<T: Real>(&self, step: u32, first_row: u32, row_len: usize, out: &mut [T]) {
        if row_len > 0 {
            assert_whole_rows(row_len, out);
            T::fill(Vectors::widest(), self, step, first_row, row_len, out);
        }
    }

    /// Fills rows of uniforms on [0, 1), as [`Stream::fill_normal`].
    pub fn fill_uniform<T: Real>(&self, step: u32, first_row: u32, row_len: usize, out: &mut [T]) {
        self.fill(step, first_row, row_len, out, |w| w.map(uniform));
    }

    /// The plain twin of [`Stream::fill_normal`]: block by block, by the library's ln, sin and cos.
    pub fn fill_normal_plainly<T: Real>(&self, step: u32, first_row: u32, row_len: usize, out: &mut [T]) {
        self.fill(step, first_row, row_len, out, normals);
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
        assert_whole_rows(row_len, out);
        for (r, row) in out.chunks_exact_mut(row_len).enumerate() {
            for (b, block) in row.chunks_mut(4).enumerate() {
                let values = draw(self.words(step, first_row.wrapping_add(r as u32), b as u32));
                block.copy_from_slice(&values[..block.len()]);
            }
        }
    }

    /// Draws one after another, for host code that needs a generator: initial laws, shuffles.
    pub fn sequence(&self, step: u32, row: u32) -> Sequence {
        Sequence::new(*self, step, row)
    }
}

#[track_caller]
fn assert_whole_rows<T>(row_len: usize, out: &[T]) {
    assert!(out.len().is_multiple_of(row_len), "{} numbers are not whole rows of {row_len}", out.len());
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
