//! What a dynamical system is to the rest of the workspace.

use std::fmt::Debug;

use sda_core::Stream;

use crate::ensemble::{LANES, Lanes};
use crate::initial::InitialLaw;
use crate::linear_gaussian::LinearGaussian;
use crate::normal::add_normals;
use crate::normalisation::Normalisation;

/// A first-order Markov chain with additive Gaussian noise, independent by component.
///
///   x_1 ~ initial law, x_{i+1} = m(x_i) + std ⊙ z, z ~ N(0, I)
///
/// Blocks of members are [D, LANES]: one vector per component (see [`crate::Ensemble`]).
pub trait System: Debug + Send + Sync {
    /// The system's name in recipes and reports.
    fn name(&self) -> &'static str;

    /// D, the number of components of a state.
    fn state_dim(&self) -> usize;

    /// Model time of one transition.
    fn dt(&self) -> f64;

    /// A label for each component.
    fn component_names(&self) -> Vec<String>;

    /// The map to states of about zero mean and unit variance.
    fn normalisation(&self) -> Normalisation;

    /// The law that members start from, before burn-in.
    fn initial_law(&self) -> InitialLaw;

    /// x ← m(x) for a block of members.
    ///
    /// Shapes: `states` [D, LANES]; `scratch` is the caller's, resized here as needed and reused.
    fn advance(&self, states: &mut [Lanes], scratch: &mut Vec<Lanes>);

    /// Standard deviation of the noise by component [D]; `None` where the transition is deterministic.
    fn noise_std(&self) -> Option<&[f64]>;

    /// The chain's matrices, where it is linear and Gaussian.
    fn linear_gaussian(&self) -> Option<LinearGaussian> {
        None
    }

    /// Draws the first states of a block; member i has the stream's row `first_row + i`.
    fn draw_initial(&self, stream: &Stream, step: u32, first_row: u32, states: &mut [Lanes]) {
        self.initial_law().draw(stream, step, first_row, states);
    }

    /// Draws the next states of a block: mean, then noise from the stream's (`step`, row).
    fn draw_transition(
        &self,
        stream: &Stream,
        step: u32,
        first_row: u32,
        states: &mut [Lanes],
        scratch: &mut Vec<Lanes>,
    ) {
        self.advance(states, scratch);
        if let Some(std) = self.noise_std() {
            add_normals(stream, step, first_row, std, states);
        }
    }

    /// m(x) of a single state. For many, see [`crate::transition_means`].
    ///
    /// Shapes: `state` [D], result [D].
    fn transition_mean(&self, state: &[f64]) -> Vec<f64> {
        let mut block: Vec<Lanes> = state.iter().map(|&x| [x; LANES]).collect();
        self.advance(&mut block, &mut Vec::new());
        block.iter().map(|lanes| lanes[0]).collect()
    }

    /// log p(x_{i+1} | x_i), with its constants; `None` where the transition is deterministic.
    ///
    /// Shapes: `from` [D], `to` [D].
    fn log_transition(&self, from: &[f64], to: &[f64]) -> Option<f64> {
        let std = self.noise_std()?;
        let mean = self.transition_mean(from);
        Some(crate::density::log_gaussian(to.iter().zip(&mean).map(|(x, m)| x - m), std))
    }
}
