//! A network that sees all states at once: a short trajectory, or one window of a long one.

use ndarray::ArrayD;
use sda_graph::{Graph, NodeId};
use sda_nn::{Network, UNet, Weights};

use crate::compose::LocalScore;
use crate::denoiser::Denoiser;
use crate::error::DiffusionError;
use crate::known::KnownStates;
use crate::levels::{self, Levels};
use crate::predictor::{Estimate, NoisePredictor, ONE_LEVEL, TimeNodes, flat};

/// The network's estimate for the whole of what it is given.
///
/// A ResMLP reads the states flattened, time-major. A U-Net with as many axes as states and space together reads
/// states as a further axis (the global network of Lorenz); with one axis less it reads them as channels, time-major.
///
/// Shapes: `x` [N, L, D] or [N, L, (H,) W, C], result the same.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalScore {
    /// The network.
    pub network: Network,
    /// Which copy of its weights.
    pub weights: Weights,
    /// What its output means.
    pub denoiser: Denoiser,
    /// Whether it is told of each state's noise level.
    pub levels: Levels,
}

/// How a network takes its states.
enum Arrangement {
    /// [N, L · D …]
    Flat,
    /// As they are.
    Kept,
    /// [N, space…, L · C]
    Channels,
}

impl GlobalScore {
    /// The trained weights of a network that predicts the noise itself.
    pub fn new(network: Network) -> Self {
        Self { network, weights: Weights::Trained, denoiser: Denoiser::Noise, levels: Levels::Shared }
    }

    /// This network slid over longer trajectories.
    pub fn local(self, order: usize, stride: usize) -> LocalScore<Self> {
        LocalScore { kernel: self, order, stride }
    }

    fn arrangement(&self, shape: &[usize]) -> Arrangement {
        match &self.network {
            Network::ResMlp(_) => Arrangement::Flat,
            Network::UNet(network) if network.boundary.len() + 2 == shape.len() => Arrangement::Kept,
            Network::UNet(_) => Arrangement::Channels,
        }
    }
}

impl NoisePredictor for GlobalScore {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        self.estimate(g, x, time).noise
    }

    fn estimate(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> Estimate {
        self.estimate_masked(g, x, time, None)
    }

    fn estimate_known(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, known: &KnownStates) -> Estimate {
        let states = g.shape(x)[1];
        let is_known = |i: usize| f64::from(u8::from(known.states.binary_search(&i).is_ok()));
        let mask = g.constant(ArrayD::from_shape_fn(vec![1, states], |i| is_known(i[1])));
        let placed = known.place(g, x);
        let estimate = self.estimate_masked(g, placed, time, Some(mask));
        known.hold(g, x, time, estimate)
    }

    fn check_known(&self, _: &[usize], _: &[usize]) -> Result<(), DiffusionError> {
        if self.levels != Levels::Shared {
            return Ok(());
        }
        Err(DiffusionError::Known { reason: ONE_LEVEL.into() })
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        self.network.validate()?;
        self.denoiser.check()?;
        self.levels.check()?;
        let mut shape = shape.to_vec();
        if let Some(last) = shape.last_mut() {
            *last += self.levels.components();
        }
        let shape = shape.as_slice();
        match (&self.network, self.arrangement(shape)) {
            (Network::ResMlp(network), _) => channels(network.features, shape[1..].iter().product(), shape),
            (Network::UNet(network), Arrangement::Kept) => unet(network, &shape[1..]),
            (Network::UNet(network), _) => {
                let mut window = shape[2..].to_vec();
                if let Some(last) = window.last_mut() {
                    *last *= shape[1];
                }
                unet(network, &window)
            }
        }
    }
}

impl GlobalScore {
    /// The estimate where some states stand at t = 0; what it says of these is of no meaning.
    ///
    /// Shapes: `x` [N, L, …], the known states at their values; `known` [1 or N, L], 1 where a state is known.
    pub(crate) fn estimate_masked(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        known: Option<NodeId>,
    ) -> Estimate {
        let shape = g.shape(x).to_vec();
        let scales = match known {
            None => [time.mu, time.sigma],
            Some(known) => {
                let numbers = levels::of_numbers(g, known, &shape);
                levels::scales(g, time, numbers)
            }
        };
        self.denoiser.emit_at(g, x, time, scales, |g, x, features| match self.levels {
            Levels::Shared => self.emit_network(g, x, features),
            Levels::PerState { .. } => {
                let told = levels::with_level(g, x, time, known);
                let output = self.emit_network(g, told, features);
                levels::without_level(g, output)
            }
        })
    }

    /// The network's output.
    ///
    /// Shapes: `x` [N, L, …], result the same.
    fn emit_network(&self, g: &mut Graph, x: NodeId, features: NodeId) -> NodeId {
        let shape = g.shape(x).to_vec();
        let emit = |g: &mut Graph, x| self.network.emit_with(g, self.weights, x, features);
        match self.arrangement(&shape) {
            Arrangement::Kept => emit(g, x),
            Arrangement::Flat => {
                let x = flat(g, x);
                let output = emit(g, x);
                g.reshape(output, &shape)
            }
            Arrangement::Channels => {
                let x = states_to_channels(g, x);
                let output = emit(g, x);
                channels_to_states(g, output, &shape)
            }
        }
    }
}

fn channels(network: usize, data: usize, shape: &[usize]) -> Result<(), DiffusionError> {
    if network == data {
        return Ok(());
    }
    Err(DiffusionError::Channels { network, data, shape: shape[1..].to_vec() })
}

/// `window` is [space…, C].
fn unet(network: &UNet, window: &[usize]) -> Result<(), DiffusionError> {
    let (last, size) = window.split_last().unwrap_or((&0, &[]));
    channels(network.channels, *last, window)?;
    Ok(network.check_size(size)?)
}

/// [N, L, space…, C] → [N, space…, L · C].
fn states_to_channels(g: &mut Graph, x: NodeId) -> NodeId {
    let rank = g.shape(x).len();
    let axes: Vec<usize> = [0].into_iter().chain(2..rank - 1).chain([1, rank - 1]).collect();
    let moved = g.permute(x, &axes);
    let split = g.shape(moved).to_vec();
    let mut merged = split[..rank - 2].to_vec();
    merged.push(split[rank - 2] * split[rank - 1]);
    g.reshape(moved, &merged)
}

/// [N, space…, L · C] → `shape`, [N, L, space…, C].
fn channels_to_states(g: &mut Graph, x: NodeId, shape: &[usize]) -> NodeId {
    let rank = shape.len();
    let mut split = g.shape(x)[..rank - 2].to_vec();
    split.extend([shape[1], shape[rank - 1]]);
    let x = g.reshape(x, &split);
    let axes: Vec<usize> = [0, rank - 2].into_iter().chain(1..rank - 2).chain([rank - 1]).collect();
    g.permute(x, &axes)
}
