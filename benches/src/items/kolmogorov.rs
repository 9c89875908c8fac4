//! Kolmogorov flow: U-Nets on windows of 5 states of 2 × 64 × 64.

use super::Item;
use super::programs::{PosteriorScore, Task, TrainingStep};
use sda_diffusion::{Guidance, Place};
use sda_nn::{Activation, Boundary, Context, Network, UNet};
use sda_observe::Operator;

const ORDER: usize = 2;
const WINDOW: usize = 2 * ORDER + 1;
/// Height, width, components of a state.
const STATE: [usize; 3] = [64, 64, 2];
/// Names and channels at each depth.
pub(crate) const NETWORKS: [(&str, [usize; 3]); 3] =
    [("paper", [96, 192, 384]), ("small", [32, 64, 128]), ("tiny", [16, 32, 64])];

pub(super) fn items() -> Vec<Item> {
    let train = NETWORKS.map(|(name, hidden)| {
        Item::new(format!("train_kolmogorov_{name}"), move |setting, work| train(hidden).with(setting, work))
    });
    let scores = NETWORKS.into_iter().flat_map(|(name, hidden)| {
        [8, 29].map(|length| {
            Item::new(format!("posterior_score_kolmogorov_{name}_{length}"), move |setting, work| {
                posterior_score(hidden, length).with(setting, work)
            })
        })
    });
    train.into_iter().chain(scores).collect()
}

/// An AdamW step of a network of these channels.
pub(crate) fn training(hidden: [usize; 3]) -> Task {
    Task::Training(train(hidden))
}

/// A guided predictor step over `length` states.
pub(crate) fn score(hidden: [usize; 3], length: usize) -> Task {
    Task::Posterior(posterior_score(hidden, length))
}

fn network(hidden: [usize; 3]) -> Network {
    Network::UNet(UNet {
        channels: WINDOW * STATE[2],
        embedding: 64,
        hidden_channels: hidden.to_vec(),
        hidden_blocks: vec![3; 3],
        kernel: 3,
        stride: 2,
        activation: Activation::SiLU,
        boundary: vec![Boundary::Circular; 2],
        context: Some(Context::Forcing { wavenumber: 4 }),
    })
}

/// On a batch of 8 windows.
fn train(hidden: [usize; 3]) -> TrainingStep {
    let window = [WINDOW].into_iter().chain(STATE).collect();
    TrainingStep { network: network(hidden), window, batch: 8, rate: 2e-4 }
}

/// One sample, seen through the mean of blocks of 8 × 8 points of every 4th state, σ 0.1.
pub(super) fn posterior_score(hidden: [usize; 3], length: usize) -> PosteriorScore {
    PosteriorScore {
        network: network(hidden),
        order: Some(ORDER),
        stride: 1,
        shape: [1, length].into_iter().chain(STATE).collect(),
        operator: Operator::Compose(vec![Operator::EveryNth(4), Operator::Coarsen(8)]),
        noise_std: 0.1,
        guidance: Guidance::Sda { gamma: 1e-2, detach: false },
        place: Place::Composed,
    }
}
