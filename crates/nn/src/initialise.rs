//! The published initial weights.

use crate::network::Network;
use ndarray::ArrayD;
use sda_core::Stream;
use std::collections::BTreeMap;

/// Id of the stream that initial weights are drawn from; its rows are the parameters in order.
const STREAM: u32 = 0x4E4E_0001;

impl Network {
    /// Initial weights, uniform within ±1/√fan_in, biases too; a function of the seed alone.
    pub fn initialise(&self, seed: u64) -> BTreeMap<String, ArrayD<f32>> {
        let stream = Stream::new(seed, STREAM);
        let draw = |(row, p): (usize, crate::Parameter)| {
            let mut values = ArrayD::<f32>::zeros(p.shape.clone());
            let bound = 1.0 / (p.fan_in as f32).sqrt();
            let len = values.len();
            if let Some(slice) = values.as_slice_mut() {
                stream.fill_uniform(0, row as u32, len, slice);
            }
            values.mapv_inplace(|u| (2.0 * u - 1.0) * bound);
            (p.name, values)
        };
        self.parameters().into_iter().enumerate().map(draw).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Activation, Boundary, Network, ResMlp, UNet};

    fn networks() -> [Network; 2] {
        let activation = Activation::SiLU;
        let (hidden_channels, hidden_blocks) = (vec![32, 48], vec![1, 1]);
        [
            Network::ResMlp(ResMlp {
                features: 15,
                embedding: 32,
                hidden_features: vec![64, 64],
                activation,
            }),
            Network::UNet(UNet {
                channels: 3,
                embedding: 16,
                hidden_channels,
                hidden_blocks,
                kernel: 3,
                stride: 2,
                activation,
                boundary: vec![Boundary::Circular; 2],
                context: None,
            }),
        ]
    }

    #[test]
    fn is_uniform_within_the_bound_of_each_layer() {
        for network in networks() {
            let weights = network.initialise(7);
            network.check(&weights).unwrap();
            for p in network.parameters().iter().filter(|p| p.shape.iter().product::<usize>() > 2000) {
                let (w, n) = (weights[&p.name].mapv(f64::from), p.shape.iter().product::<usize>() as f64);
                let bound = 1.0 / (p.fan_in as f64).sqrt();
                let (mean, variance) = (w.sum() / n, w.mapv(|x| x * x).sum() / n);
                assert!(w.iter().all(|x| x.abs() <= bound), "{}", p.name);
                // Five standard errors: the variance of u² for u on ±1 is 4/45.
                assert!(mean.abs() < 5.0 * bound / (3.0 * n).sqrt(), "{}: mean {mean}", p.name);
                let error = (variance / (bound * bound) - 1.0 / 3.0).abs();
                assert!(error < 5.0 * (4.0 / 45.0 / n).sqrt(), "{}: variance {variance}", p.name);
            }
        }
    }

    #[test]
    fn fan_in_of_a_bias_is_its_layers() {
        for network in networks() {
            for pair in network.parameters().chunks(2) {
                let inputs: usize = pair[0].shape.split_last().unwrap().1.iter().product();
                assert_eq!([pair[0].fan_in, pair[1].fan_in], [inputs; 2], "{}", pair[0].name);
            }
        }
    }

    #[test]
    fn depends_on_the_seed_and_differs_between_layers() {
        for network in networks() {
            assert_eq!(network.initialise(1), network.initialise(1));
            assert_ne!(network.initialise(1), network.initialise(2));
            let weights = network.initialise(1);
            let firsts: std::collections::BTreeSet<u32> =
                weights.values().filter_map(|w| w.first()).map(|x| x.to_bits()).collect();
            assert_eq!(firsts.len(), weights.len());
        }
    }
}
