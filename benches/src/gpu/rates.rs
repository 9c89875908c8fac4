//! What the adapter can do with our kernels at their best: the rates that shares are shares of.

use super::arguments::Sizes;
use super::cases::{copy, product};
use super::kernel::{self, Line};
use super::setting::{self, Setting};
use sda_kernels::gpu::Precision;
use serde_json::{Value, json};

/// Bytes of an array far beyond any cache.
const FAR: u64 = 256 << 20;

/// Measured rates.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    /// Bytes per second, read and written, of y = x + 1.
    pub(super) copy: f64,
    /// Bytes of each of its arrays.
    pub(super) copied: f64,
    /// Operations per second of the best large product of each precision, and its name.
    pub(super) products: Vec<(Precision, f64, String)>,
}

impl Rates {
    pub(super) fn measure(setting: &Setting, precisions: &[Precision]) -> anyhow::Result<Self> {
        let bytes = FAR.min(setting.largest_array);
        let far = copy("copy".into(), &[bytes as usize / 4]);
        let far = kernel::measure(&far, setting, Precision::F32)?;
        let large: &[usize] = if setting.sizes == Sizes::Full { &[2048, 4096] } else { &[512, 1024] };
        let mut products = Vec::new();
        for &precision in precisions {
            let lines: Vec<Line> = large
                .iter()
                .map(|&n| kernel::measure(&product([n; 3], [false; 2]), setting, precision))
                .collect::<anyhow::Result<_>>()?;
            let rates = lines.into_iter().map(|line| (precision, line.flops / line.best(), line.name));
            products.extend(rates.max_by(|a, b| a.1.total_cmp(&b.1)));
        }
        Ok(Self { copy: far.bytes / far.best(), copied: bytes as f64, products })
    }

    /// The larger of two measurements of each rate: a neighbour on the machine makes all of them smaller.
    pub(super) fn best(mut self, other: &Self) -> Self {
        self.copy = self.copy.max(other.copy);
        for (mine, theirs) in self.products.iter_mut().zip(&other.products) {
            if theirs.1 > mine.1 {
                *mine = theirs.clone();
            }
        }
        self
    }

    /// Operations per second of products.
    pub(super) fn product(&self, precision: Precision) -> Option<f64> {
        self.products.iter().find(|(p, ..)| *p == precision).map(|(_, rate, _)| *rate)
    }

    /// The least time that the rates allow: memory and arithmetic side by side, the slower of both.
    ///
    ///   max(bytes / copy, flops / products)
    pub(super) fn least_seconds(&self, precision: Precision, flops: f64, bytes: f64) -> f64 {
        let compute = self.product(precision).map_or(0.0, |rate| flops / rate);
        compute.max(bytes / self.copy)
    }

    pub(super) fn json(&self) -> Value {
        let of = |(p, rate, case): &(Precision, f64, String)| json!({ "precision": setting::name(*p), "flops_per_second": rate, "case": case });
        json!({
            "copy_bytes_per_second": self.copy,
            "copied_bytes": self.copied,
            "products": self.products.iter().map(of).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_memory_and_arithmetic_bounds_a_launch() {
        let products = vec![(Precision::F32, 100.0, "a".into()), (Precision::Mixed, 400.0, "b".into())];
        let rates = Rates { copy: 10.0, copied: 1.0, products };
        assert_eq!(rates.least_seconds(Precision::F32, 200.0, 10.0), 2.0);
        assert_eq!(rates.least_seconds(Precision::F32, 200.0, 30.0), 3.0);
        assert_eq!(rates.least_seconds(Precision::Mixed, 2000.0, 30.0), 5.0);
        let quieter =
            Rates { copy: 8.0, products: vec![(Precision::F32, 120.0, "c".into())], ..rates.clone() };
        let best = rates.clone().best(&quieter);
        assert_eq!((best.copy, best.product(Precision::F32)), (10.0, Some(120.0)));
        assert_eq!(best.product(Precision::Mixed), Some(400.0));
        assert_eq!(Rates { products: vec![], ..rates }.least_seconds(Precision::F32, 1e9, 5.0), 0.5);
    }
}
