//! From the prior's score to the posterior's: one paper per file.

mod check;
mod choice;
mod conjugate;
mod dps;
mod jfps;
mod mmps;
mod pigdm;
mod places;
mod problem;
mod residuals;
mod sda;
mod tmpd;

pub use choice::{CovarianceForm, Guidance, Place, Solver};
pub use dps::DpsNorm;
pub use jfps::PriorCovariance;

use ndarray::{Array1, ArrayD, Axis};
use sda_graph::{Declaration, Graph, NodeId};
use sda_observe::Observation;

use crate::error::DiffusionError;
use crate::predictor::{Estimate, Guided, NoisePredictor, TimeNodes, WindowRows, flat};
use places::Places;
use problem::{Problem, anchored};

/// The state that holds what was observed.
pub const OBSERVATION: &str = "observation";
/// The state that says which of the observation's numbers were seen.
pub const SEEN: &str = "observation.seen";

/// The posterior's noise estimate ε − σ s, s = ∇ log p(y | x(t)).
///
/// It is a predictor itself, so that whatever samples a prior samples a posterior. What was observed is the state
/// [`OBSERVATION`]: another observation by the same operator and noise needs no other program. There is one such state, so
/// that a posterior is no prior of another: what several instruments see is one observation by
/// [`Operator::Stack`](sda_observe::Operator::Stack).
///
/// Shapes: `x` [N, L, …].
#[derive(Clone, Debug)]
pub struct Posterior<P> {
    /// Predicts the noise in trajectories.
    pub prior: P,
    /// What was seen, how, and how well.
    pub observation: Observation,
    /// What was seen of each sample, [N, …], where not all see the same.
    pub each: Option<ArrayD<f64>>,
    /// 1 where a number of the observation was seen, else 0, in the shape of its values; none where all were. It is the
    /// state [`SEEN`]: what falls into a window may differ from block to block of one program.
    pub seen: Option<ArrayD<f64>>,
    /// The approximation of the likelihood.
    pub guidance: Guidance,
    /// Where it is formed.
    pub place: Place,
    /// The data's covariance, for [`Guidance::Jfps`]: of a window, or of the trajectory where the guidance is composed.
    pub covariance: Option<PriorCovariance>,
}

impl<P: NoisePredictor> NoisePredictor for Posterior<P> {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        self.emit_both(g, x, time).noise
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        self.guidance.check()?;
        self.prior.check(shape)?;
        self.check_prior(shape)?;
        self.observation.check(shape)?;
        self.check_place()?;
        self.check_guidance(shape)
    }

    fn conditions(&self, shape: &[usize]) -> Vec<(String, ArrayD<f64>)> {
        let mut conditions = self.prior.conditions(shape);
        let values = &self.observation.values;
        let all = self.observed_shape(shape[0]);
        let each = self.each.clone().or_else(|| values.broadcast(all).map(|all| all.to_owned()));
        conditions.extend(each.map(|each| (OBSERVATION.into(), each)));
        conditions.extend(self.seen.clone().map(|seen| (SEEN.into(), seen)));
        conditions
    }

    fn known_states(&self) -> &[usize] {
        self.prior.known_states()
    }
}

impl<P> Posterior<P> {
    /// Guided where [`Place::Auto`] says, seeing the same of every sample.
    pub fn new(prior: P, observation: Observation, guidance: Guidance) -> Self {
        Self { prior, observation, each: None, seen: None, guidance, place: Place::Auto, covariance: None }
    }
}

impl<P: NoisePredictor> Posterior<P> {
    /// [N, …], the observation of each sample.
    fn observed_shape(&self, samples: usize) -> Vec<usize> {
        [samples].into_iter().chain(self.observation.values.shape().iter().copied()).collect()
    }

    /// The prior's estimate and the posterior's noise.
    ///
    /// Shapes: `x` [N, L, …].
    pub fn emit_both(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> Guided {
        let x = anchored(g, x);
        let observed = self.observed(g, x);
        let length = g.shape(x)[1];
        let states = self.observation.operator.states(length);
        if self.is_windowed(length) {
            let guide = |g: &mut Graph, x, estimate, time: &TimeNodes, rows: &WindowRows| {
                self.in_windows(g, observed, x, estimate, time, rows, &states)
            };
            return self.prior.guided(g, x, time, &states, &guide);
        }
        let estimate = match &self.guidance {
            Guidance::Sda { detach: true, .. } => {
                let noise = self.prior.emit(g, x, time);
                let noise = g.detach(noise);
                Estimate::of_noise(g, x, noise, time)
            }
            guidance => self.prior.estimate_at(g, x, time, &states, guidance.jacobian()),
        };
        let estimate = Estimate { denoised: anchored(g, estimate.denoised), ..estimate };
        let predicted = self.observation.operator.emit(g, estimate.denoised);
        let [predicted, observed] = self.of_seen(g, predicted, observed);
        let residual = residual(g, observed, predicted);
        let noise_std = self.observation.noise_std;
        let is_composed = self.is_composed(length);
        let problem = Problem { time, x, estimate, predicted, residual, noise_std, is_composed };
        Guided { prior: estimate, noise: self.emit_for(g, &problem) }
    }

    /// The state of what was observed of each sample, [N, …].
    fn observed(&self, g: &mut Graph, x: NodeId) -> NodeId {
        let shape = self.observed_shape(g.shape(x)[0]);
        g.state(Declaration::rows(OBSERVATION, &shape))
    }

    /// The state of which of the observation's numbers were seen, in the shape of its values.
    fn seen(&self, g: &mut Graph) -> Option<NodeId> {
        self.seen.as_ref().map(|seen| g.state(Declaration::shared(SEEN, seen.shape())))
    }

    /// Predictions and observations, 0 where nothing was seen.
    ///
    /// Shapes: both [N, S, …], results the same.
    fn of_seen(&self, g: &mut Graph, predicted: NodeId, observed: NodeId) -> [NodeId; 2] {
        match self.seen(g) {
            None => [predicted, observed],
            Some(seen) => [predicted, observed].map(|values| g.mul(values, seen)),
        }
    }

    /// log N(y | A(x̂), (σ_y² + γ σ²/μ²) I), up to a constant.
    ///
    /// Shapes: `denoised` x̂ [N, L, …], result [N, 1].
    pub(crate) fn emit_potential(
        &self,
        g: &mut Graph,
        denoised: NodeId,
        gamma: f64,
        time: &TimeNodes,
    ) -> NodeId {
        let observed = self.observed(g, denoised);
        let predicted = self.observation.operator.emit(g, denoised);
        let [predicted, observed] = self.of_seen(g, predicted, observed);
        let residual = residual(g, observed, predicted);
        let ratio = g.div(time.sigma, time.mu);
        let squared = g.square(ratio);
        let spread = g.scale(squared, gamma);
        let variance = g.offset(spread, self.observation.noise_std.powi(2));
        let misfit = g.square(residual);
        let misfit = g.sum(misfit, &[1]);
        let misfit = g.div(misfit, variance);
        let log_variance = g.ln(variance);
        let volume = g.scale(log_variance, self.observation.values.len() as f64);
        let total = g.add(misfit, volume);
        g.scale(total, -0.5)
    }

    /// Whether the likelihood is formed inside windows of trajectories of `length` states.
    pub fn is_windowed(&self, length: usize) -> bool {
        self.place.is_windowed(&self.guidance, &self.observation.operator, self.prior.windows(length))
    }

    /// Whether it is formed on trajectories of `length` states that are put together from windows.
    pub fn is_composed(&self, length: usize) -> bool {
        self.place.is_composed(&self.guidance, &self.observation.operator, self.prior.windows(length))
    }

    /// States of which a guidance takes the covariance.
    pub fn covariance_states(&self, length: usize) -> usize {
        match self.prior.windows(length) {
            Some(windows) if self.is_windowed(length) => windows.width(),
            _ => length,
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the observation and its states are the caller's captures")]
    fn in_windows(
        &self,
        g: &mut Graph,
        observed: NodeId,
        x: NodeId,
        estimate: Estimate,
        time: &TimeNodes,
        rows: &WindowRows,
        states: &[usize],
    ) -> NodeId {
        let estimate = match self.guidance {
            Guidance::Sda { detach: true, .. } => {
                let noise = g.detach(estimate.noise);
                Estimate::of_noise(g, x, noise, time)
            }
            _ => estimate,
        };
        let estimate = Estimate { denoised: anchored(g, estimate.denoised), ..estimate };
        let operator = self.observation.operator.on_each_state().expect("windowed: checked");
        let predicted = operator.emit(g, estimate.denoised);
        let places = Places::new(rows, states);
        let [mut predicted, mut observed] = places.observed(g, predicted, observed);
        if let Some(seen) = self.seen(g) {
            let mask = places.unfold_shared(g, seen, predicted);
            [predicted, observed] = [predicted, observed].map(|values| g.mul(values, mask));
        }
        let residual = residual(g, observed, predicted);
        let noise_std = self.observation.noise_std;
        let problem = Problem { time, x, estimate, predicted, residual, noise_std, is_composed: false };
        self.emit_for(g, &problem)
    }

    fn emit_for(&self, g: &mut Graph, problem: &Problem<'_>) -> NodeId {
        match &self.guidance {
            Guidance::Sda { gamma, .. } => sda::emit(g, problem, &ArrayD::from_elem(vec![1, 1], *gamma)),
            Guidance::SdaPerVariable { gamma } => {
                let observed = g.shape(problem.residual)[1];
                let tiled = (0..observed).map(|p| gamma[p % gamma.len()]).collect::<Array1<f64>>();
                sda::emit(g, problem, &tiled.insert_axis(Axis(0)).into_dyn())
            }
            Guidance::SdaSpectral { gamma } => sda::emit_spectral(g, problem, gamma),
            Guidance::Dps { zeta, norm } => dps::emit(g, problem, *zeta, *norm),
            Guidance::Pigdm { iterations } => pigdm::emit(g, problem, *iterations),
            Guidance::Tmpd => tmpd::emit(g, problem),
            Guidance::Mmps { iterations, solver, inflation } => {
                mmps::emit(g, problem, *iterations, *solver, *inflation)
            }
            Guidance::Jfps { iterations, .. } => {
                let covariance = self.covariance.as_ref().expect("JFPS guidance: checked");
                jfps::emit(g, problem, covariance, *iterations)
            }
        }
    }
}

/// y − A(x̂), [N, P].
fn residual(g: &mut Graph, observed: NodeId, predicted: NodeId) -> NodeId {
    let observed = flat(g, observed);
    let predicted = flat(g, predicted);
    g.sub(observed, predicted)
}

#[cfg(test)]
mod tests;
