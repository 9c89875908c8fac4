//! What this machine can do, measured: the rates that an item's rates are held against.

use crate::items::{MATMULS, Matmul, Setting};
use crate::measure::seconds;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

/// Numbers of an array far beyond any cache's share of one process: 1 GiB.
const FAR: usize = 1 << 28;
/// Numbers of an array that fits a second-level cache twice: 256 KiB.
const NEAR: usize = 1 << 16;
/// Numbers that one thread copies at a time.
const CHUNK: usize = 1 << 18;

/// Rates of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Threads, and operations per second of our fastest f32 product with them.
    pub(crate) products: Vec<(usize, f64)>,
    /// Bytes per second, read and written, of a parallel copy from and to memory.
    pub(crate) far: f64,
    /// The same between arrays of the second-level cache, each thread its own.
    pub(crate) near: f64,
}

impl Machine {
    pub(crate) fn measure(setting: Setting) -> anyhow::Result<Self> {
        let mut products = Vec::new();
        for threads in if setting.threads == 1 { vec![1] } else { vec![1, setting.threads] } {
            products.push((threads, product_rate(Setting { threads, ..setting })?));
        }
        Ok(Self { products, far: far_copy(), near: near_copy(setting.threads) })
    }

    /// The larger of two measurements of each rate: a neighbour on the machine makes all of them smaller.
    pub(crate) fn best(self, other: &Self) -> Self {
        let products = self.products.iter().zip(&other.products).map(|(&(t, a), &(_, b))| (t, a.max(b)));
        Self { products: products.collect(), far: self.far.max(other.far), near: self.near.max(other.near) }
    }

    /// Operations per second of products with all threads: what shares are shares of.
    pub(crate) fn product_rate(&self) -> f64 {
        self.products.last().map_or(f64::NAN, |(_, rate)| *rate)
    }

    /// The same with one thread.
    pub(crate) fn one_thread_rate(&self) -> f64 {
        self.products.first().map_or(f64::NAN, |(_, rate)| *rate)
    }

    pub(crate) fn json(&self) -> Value {
        let products: Vec<Value> =
            self.products.iter().map(|(t, r)| json!({ "threads": t, "flops_per_second": r })).collect();
        json!({
            "products": products,
            "copy_memory_bytes_per_second": self.far,
            "copy_cache_bytes_per_second": self.near,
        })
    }
}

/// The largest rate of the products of the table, of ten short turns each.
fn product_rate(setting: Setting) -> anyhow::Result<f64> {
    let mut best = 0f64;
    for lengths in MATMULS {
        let mut work = Matmul::new(setting, lengths)?;
        let flops = 2.0 * lengths.iter().product::<usize>() as f64;
        let repeats = (1e9 / flops).ceil() as usize;
        seconds(&mut work, repeats)?;
        for _ in 0..10 {
            best = best.max(flops / seconds(&mut work, repeats)?);
        }
    }
    Ok(best)
}

fn far_copy() -> f64 {
    let (mut to, from) = (vec![0f32; FAR], vec![1f32; FAR]);
    let copy = |to: &mut Vec<f32>| {
        let start = Instant::now();
        let chunks = to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK));
        chunks.for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&to);
        start.elapsed().as_secs_f64()
    };
    copy(&mut to);
    let best = (0..5).map(|_| copy(&mut to)).fold(f64::INFINITY, f64::min);
    (2 * 4 * FAR) as f64 / best
}

fn near_copy(threads: usize) -> f64 {
    const REPEATS: usize = 2000;
    let copy = || {
        let start = Instant::now();
        rayon::broadcast(|_| {
            let (mut to, from) = (vec![0f32; NEAR], vec![1f32; NEAR]);
            for _ in 0..REPEATS {
                black_box(&mut to).copy_from_slice(black_box(&from));
            }
        });
        start.elapsed().as_secs_f64()
    };
    let best = (0..5).map(|_| copy()).fold(f64::INFINITY, f64::min);
    (2 * 4 * NEAR * REPEATS * threads) as f64 / best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_each_rate_is_kept() {
        let machine = |one, two, far, near| Machine { products: vec![(1, one), (2, two)], far, near };
        let best = machine(3.0, 4.0, 5.0, 8.0).best(&machine(2.0, 6.0, 7.0, 1.0));
        assert_eq!((best.products.as_slice(), best.far, best.near), (&[(1, 3.0), (2, 6.0)][..], 7.0, 8.0));
        assert_eq!(best.product_rate(), 6.0);
    }
}
