//! From the prior's score to the posterior's: one paper per file.

mod conjugate;
mod dps;
mod jfps;
mod mmps;
mod pigdm;
mod problem;
mod sda;
mod tmpd;

pub use dps::DpsNorm;
pub use jfps::PriorCovariance;

use ndarray::{Array1, ArrayD, Axis};
use sda_graph::{Declaration, Graph, NodeId, Op};
use sda_observe::Observation;
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::predictor::{Estimate, Guided, NoisePredictor, TimeNodes, WindowRows, flat};
use problem::Problem;

/// How the likelihood of noisy trajectories is approximated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Guidance {
    /// A Gaussian whose variance grows with the diffusion's noise.
    Sda {
        /// γ.
        #[serde(default = "default_gamma")]
        gamma: f64,
        /// Whether the gradient takes the network's estimate as a constant.
        #[serde(default)]
        detach: bool,
    },
    /// The same with a γ for each observed variable, the last axis of the observation.
    SdaPerVariable {
        /// γ of each.
        gamma: Vec<f64>,
    },
    /// The same with a γ for each mode of the observations' course over the observed states; composed only.
    SdaSpectral {
        /// γ of each cosine mode, from the mean on: as many as there are observed states.
        gamma: Vec<f64>,
    },
    /// A step of a length of its own along the gradient of the misfit.
    Dps {
        /// ζ.
        #[serde(default = "default_zeta")]
        zeta: f64,
        /// Over what the misfit's norm is taken.
        #[serde(default)]
        norm: DpsNorm,
    },
    /// The denoised covariance of standard normal data.
    Pigdm {
        /// Conjugate-gradient iterations on A Aᵀ; they cost no network evaluation.
        #[serde(default = "one")]
        iterations: usize,
    },
    /// The diagonal of the denoised covariance by Tweedie's second formula.
    Tmpd,
    /// The denoised covariance by Tweedie's second formula.
    Mmps {
        /// Conjugate-gradient iterations, each a vector–Jacobian product of the network.
        #[serde(default = "two")]
        iterations: usize,
    },
    /// The denoised covariance of Gaussian data whose covariance is estimated beforehand.
    Jfps {
        /// What form the data's covariance is given.
        covariance: CovarianceForm,
        /// Conjugate-gradient iterations; they cost no network evaluation.
        #[serde(default = "eight")]
        iterations: usize,
    },
}

/// What of the data's covariance is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum CovarianceForm {
    /// The variances.
    Diagonal,
    /// Covariances of two states, a function of the lag between them.
    Stationary,
    /// The leading modes, and the mean variance of the others.
    LowRank {
        /// Modes kept.
        modes: usize,
    },
}

/// Where a likelihood is formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// In windows where the prior is made of windows and the operator acts on single states, else composed.
    #[default]
    Auto,
    /// On the trajectory put together, differentiated through all of the prior: the published way.
    Composed,
    /// Inside each window with the observations that fall in it, before they are put together.
    Windowed,
}

fn default_gamma() -> f64 {
    1e-2
}

fn default_zeta() -> f64 {
    1.0
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

fn eight() -> usize {
    8
}

impl Guidance {
    /// Errors: a parameter out of its range.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let accept = |x: f64| x >= 0.0 && x.is_finite();
        let expected = "finite and not negative";
        let count = |what, n: usize| check(what, "iterations", "at least 1", n, |n| n > 0);
        match self {
            Self::Sda { gamma, .. } => check("SDA guidance", "gamma", expected, *gamma, accept),
            Self::SdaPerVariable { gamma } | Self::SdaSpectral { gamma } => {
                gamma.iter().try_for_each(|&gamma| check("SDA guidance", "gamma", expected, gamma, accept))
            }
            Self::Dps { zeta, .. } => check("DPS guidance", "zeta", expected, *zeta, accept),
            Self::Pigdm { iterations } => count("ΠGDM guidance", *iterations),
            Self::Tmpd => Ok(()),
            Self::Mmps { iterations } => count("MMPS guidance", *iterations),
            Self::Jfps { iterations, covariance } => {
                count("JFPS guidance", *iterations)?;
                let modes = if let CovarianceForm::LowRank { modes } = covariance { *modes } else { 1 };
                check("JFPS guidance", "modes", "at least 1", modes, |n| n > 0)
            }
        }
    }

    /// Vector–Jacobian products of the network in one estimate.
    pub fn products(&self) -> usize {
        match self {
            Self::Sda { detach: true, .. } | Self::Jfps { .. } => 0,
            Self::Sda { .. }
            | Self::SdaPerVariable { .. }
            | Self::SdaSpectral { .. }
            | Self::Dps { .. }
            | Self::Pigdm { .. } => 1,
            Self::Tmpd => 2,
            Self::Mmps { iterations } => *iterations,
        }
    }

    /// Whether the network's Jacobian meets all states, or those alone that are observed.
    fn needs_all_states(&self) -> bool {
        matches!(self, Self::Mmps { .. } | Self::Tmpd)
    }
}

/// The state that holds what was observed.
pub const OBSERVATION: &str = "observation";
/// The state that says which of the observation's numbers were seen.
pub const SEEN: &str = "observation.seen";

/// The posterior's noise estimate ε − σ s, s = ∇ log p(y | x(t)).
///
/// It is a predictor itself, so that whatever samples a prior samples a posterior. What was observed is the state
/// [`OBSERVATION`]: another observation by the same operator and noise needs no other program.
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
        self.observation.check(shape)?;
        self.check_place(shape[1])?;
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
        // A reshape of a reshape is one: what is emitted might read what `x` was made of and pass `x` by, and have no
        // derivative by it.
        let x = if g.node(x).op == Op::Reshape { g.rows(x) } else { x };
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
            guidance if guidance.needs_all_states() => self.prior.estimate(g, x, time),
            _ => self.prior.estimate_at(g, x, time, &states),
        };
        let predicted = self.observation.operator.emit(g, estimate.denoised);
        let [predicted, observed] = self.of_seen(g, predicted, observed);
        let residual = residual(g, observed, predicted);
        let noise_std = self.observation.noise_std;
        let is_composed = self.prior.windows(length).is_some_and(|w| w.count() > 1);
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
        match self.place {
            Place::Composed => false,
            Place::Windowed => true,
            Place::Auto => {
                self.prior.windows(length).is_some()
                    && self.observation.operator.on_each_state().is_some()
                    && !matches!(self.guidance, Guidance::SdaSpectral { .. })
            }
        }
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
            Guidance::Mmps { iterations } => mmps::emit(g, problem, *iterations),
            Guidance::Jfps { iterations, .. } => {
                let covariance = self.covariance.as_ref().expect("JFPS guidance: checked");
                jfps::emit(g, problem, covariance, *iterations)
            }
        }
    }

    fn check_place(&self, length: usize) -> Result<(), DiffusionError> {
        let refuse = |reason: &'static str| Err(DiffusionError::Guidance { reason: reason.into() });
        match (self.place, &self.guidance) {
            (Place::Windowed, Guidance::SdaSpectral { .. }) => refuse(
                "spectral SDA guidance sees all observed states at once; choose `place: Composed`, or a γ per variable",
            ),
            (Place::Windowed, _) if self.observation.operator.on_each_state().is_none() => refuse(
                "the operator ties states together, which windows see one by one; choose `place: Composed`",
            ),
            _ => {
                let _ = length;
                Ok(())
            }
        }
    }

    fn check_guidance(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let refuse = |reason: String| Err(DiffusionError::Guidance { reason });
        let values = self.observation.values.shape();
        if let Some(each) = &self.each {
            let expected = self.observed_shape(shape[0]);
            if each.shape() != expected {
                let found = each.shape();
                return refuse(format!(
                    "observations of each sample have shape {found:?}, and {expected:?} belong"
                ));
            }
        }
        if let Some(seen) = self.seen.as_ref().filter(|seen| seen.shape() != values) {
            let found = seen.shape();
            return refuse(format!("what was seen is told in shape {found:?}, and {values:?} was observed"));
        }
        let ignores_jacobian =
            matches!(self.guidance, Guidance::Sda { detach: true, .. } | Guidance::Jfps { .. });
        if ignores_jacobian && !self.prior.known_states().is_empty() {
            return refuse(
                "detached SDA guidance and JFPS would move states that are known; choose MMPS, TMPD or SDA"
                    .into(),
            );
        }
        let is_noiseless = self.observation.noise_std == 0.0;
        match &self.guidance {
            Guidance::Sda { gamma, .. } if *gamma == 0.0 && is_noiseless => refuse(
                "SDA guidance with γ = 0 divides by the observation's noise, which is 0; choose γ > 0, or MMPS".into(),
            ),
            Guidance::SdaPerVariable { gamma } | Guidance::SdaSpectral { gamma }
                if is_noiseless && gamma.contains(&0.0) =>
            {
                refuse("SDA guidance with a γ of 0 divides by the observation's noise, which is 0; choose γ > 0, or MMPS".into())
            }
            Guidance::SdaPerVariable { gamma } => {
                let variables = values.last().copied().unwrap_or(1);
                if gamma.len() == variables {
                    return Ok(());
                }
                refuse(format!("SDA guidance has {} γ for {variables} observed variables; give one of each", gamma.len()))
            }
            Guidance::SdaSpectral { gamma } => {
                let states = self.observation.operator.states(shape[1]).len();
                if gamma.len() == states && values.first() == Some(&states) {
                    return Ok(());
                }
                refuse(format!(
                    "spectral SDA guidance has {} γ, and there are {states} observed states; give one of each cosine mode",
                    gamma.len()
                ))
            }
            Guidance::Jfps { .. } => self.check_covariance(shape),
            _ => Ok(()),
        }
    }

    fn check_covariance(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let refuse = |reason: String| Err(DiffusionError::Guidance { reason });
        let states = self.covariance_states(shape[1]);
        let numbers = states * shape[2..].iter().product::<usize>();
        let Some(covariance) = &self.covariance else {
            return refuse(format!(
                "JFPS guidance needs the data's covariance over {states} states; estimate it first"
            ));
        };
        let found = match &covariance.modes {
            None => covariance.variances.len(),
            Some((basis, _)) => basis.nrows(),
        };
        if found == numbers {
            return Ok(());
        }
        refuse(format!(
            "the data's covariance has {found} rows, and the {states} states have {numbers} numbers"
        ))
    }
}

/// y − A(x̂), [N, P].
fn residual(g: &mut Graph, observed: NodeId, predicted: NodeId) -> NodeId {
    let observed = flat(g, observed);
    let predicted = flat(g, predicted);
    g.sub(observed, predicted)
}

/// Which observed state stands where in some windows.
struct Places {
    /// For every state of every window, its position among the observed states.
    observed: Vec<Option<usize>>,
}

impl Places {
    fn new(rows: &WindowRows, states: &[usize]) -> Self {
        let of_window = |start: &usize| (*start..start + rows.width).map(|i| states.binary_search(&i).ok());
        Self { observed: rows.starts.iter().flat_map(of_window).collect() }
    }

    /// Predictions and observations of the windows, 0 where nothing was observed.
    ///
    /// Shapes: `predicted` [N · Q, W, …], `observed` [N, S, …], results as `predicted`.
    fn observed(&self, g: &mut Graph, predicted: NodeId, observed: NodeId) -> [NodeId; 2] {
        let shape = g.shape(predicted).to_vec();
        if self.observed.iter().all(Option::is_some) {
            return [predicted, self.unfolded(g, observed, &shape)];
        }
        // Made of what each sample saw rather than of a constant that all share: a window then has its own piece of the
        // mask, and its row of a stage needs no other.
        let mut seen = observed;
        (2..shape.len()).for_each(|axis| seen = g.slice(seen, axis, 0, 1, 1));
        let seen = g.finite(seen);
        let state = [&shape[..2], &vec![1; shape.len() - 2]].concat();
        let mask = self.unfolded(g, seen, &state);
        [g.mul(predicted, mask), self.unfolded(g, observed, &shape)]
    }

    /// What all samples share of the observed states, at their places in the windows.
    ///
    /// Shapes: `shared` [S, …], result as `like`, [N · Q, W, …].
    fn unfold_shared(&self, g: &mut Graph, shared: NodeId, like: NodeId) -> NodeId {
        let shape = g.shape(like).to_vec();
        let samples = shape[0] * shape[1] / self.observed.len();
        let one = [&[1], g.shape(shared)].concat();
        let all = [&[samples], g.shape(shared)].concat();
        let shared = g.reshape(shared, &one);
        let shared = g.broadcast(shared, &all);
        self.unfolded(g, shared, &shape)
    }

    /// The windows' own of what there is of each observed state, 0 where nothing was observed.
    ///
    /// Shapes: `x` [N, S, …], result `shape`, [N · Q, W, …].
    fn unfolded(&self, g: &mut Graph, x: NodeId, shape: &[usize]) -> NodeId {
        let states = g.shape(x)[1];
        let places: Vec<usize> = self.observed.iter().map(|place| place.unwrap_or(states)).collect();
        let x = if places.contains(&states) { g.pad(x, 1, 0, states + 1, 1) } else { x };
        let unfolded = g.gather(x, 1, &places);
        let unfolded = g.reshape(unfolded, shape);
        g.rows(unfolded)
    }
}

#[cfg(test)]
mod tests;
