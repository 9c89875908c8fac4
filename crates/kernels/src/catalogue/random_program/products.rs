//! Matrix products and convolutions.

use super::Generator;
use sda_graph::{ConvGeometry, Face, Law, Padding, PaddingMode};

impl Generator {
    /// Any two matrices, or batches of matrices, that fit with some transposition.
    pub(super) fn matmul(&mut self) {
        let (ta, tb) = (self.chance(40), self.chance(30));
        let Some(a) = self.find(|g, v| matches!(g.shape(v.node).len(), 2 | 3)) else { return };
        let sa = self.shape(a);
        let rank = sa.len();
        let k = sa[rank - if ta { 2 } else { 1 }];
        let b = self.find(|g, v| {
            let s = g.shape(v.node);
            s.len() == rank && s[..rank - 2] == sa[..rank - 2] && s[rank - if tb { 1 } else { 2 }] == k
        });
        if let Some(b) = b {
            let y = self.g.matmul(a.node, b.node, ta, tb);
            return self.keep(y, a.bound * b.bound * k as f64, false);
        }
        let c = sa[rank - 1];
        if let Some(w) = self.find(|g, v| g.shape(v.node).len() == 2 && g.shape(v.node)[0] == c) {
            let y = self.g.linear(a.node, w.node);
            self.keep(y, a.bound * w.bound * c as f64, false);
        }
    }

    /// Three taps along the middle axis of an array of rank 3, by a state, a drawn kernel, or another such array.
    pub(super) fn conv(&mut self) {
        let Some(x) = self.find(|g, v| g.shape(v.node).len() == 3) else { return };
        let shape = self.shape(x);
        let (n, l, c) = (shape[0], shape[1], shape[2]);
        let mode = if self.chance(50) { PaddingMode::Zero } else { PaddingMode::Circular };
        let padding = [Padding { before: 0, after: 0, mode }, Padding { before: 1, after: 1, mode }];
        let stride = [1, 1 + self.below(2)];
        let geometry = ConvGeometry { input: [1, l], kernel: [1, 3], stride, padding };
        let image = self.g.reshape(x.node, &[n, 1, l, c]);
        let own = self.find(|g, v| g.shape(v.node) == [1, 3, c, c]);
        let kernel = match own {
            Some(k) if self.chance(50) => k.node,
            _ => self.g.noise(&[1, 3, c, c], 77, Law::Uniform),
        };
        let y = self.g.conv(Face::Forward, geometry, image, kernel);
        let bound = own.map_or(1.0, |k| k.bound).max(1.0);
        match self.below(3) {
            0 => {
                let back = self.g.conv(Face::Input, geometry, y, kernel);
                let back = self.g.reshape(back, &shape);
                self.keep(back, x.bound * (3.0 * c as f64 * bound).powi(2), false);
            }
            1 => {
                let filter = self.g.conv(Face::Filter, geometry, image, y);
                let terms = 3.0 * c as f64 * (n * l) as f64;
                self.keep(filter, x.bound * x.bound * bound * terms, false);
            }
            _ => {
                let to = [n, self.g.shape(y)[2], c];
                let y = self.g.reshape(y, &to);
                self.keep(y, x.bound * bound * 3.0 * c as f64, false);
            }
        }
    }
}
