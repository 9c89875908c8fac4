//! Trajectories sampled window by window from one prior: forecasts, fixed-lag smoothing, cycling.

mod blocks;
mod run;

use std::ops::Range;

use ndarray::ArrayD;
use sda_graph::Executor;
use sda_observe::{Observation, Operator};
use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::guidance::{Guidance, Place, Posterior};
use crate::known::Known;
use crate::predictor::NoisePredictor;
use crate::sampler::{NoiseSource, Sampler, SamplerRun};
use blocks::Blocks;
pub use run::{RolloutProgress, RolloutRun, RolloutState};
use run::{Seen, Tasks};

/// How a trajectory is sampled window by window, each sample its own.
///
/// Windows begin every `advance` states; where the last one reaches past the trajectory's end, what lies beyond is left
/// out.
///
/// Source: Shysheya et al. 2024, arXiv 2410.16415 (all at once or autoregressive); Chen et al. 2024, arXiv 2407.01392
/// (a rollout from known states); Meng et al. 2022, arXiv 2108.01073 (samples from a part-noised guess).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Rollout {
    /// All states at once, given all observations.
    Smoothing,
    /// From known first states on: the rest of a window, then from its last states the next. Observations are not used.
    ///
    /// Good values: as many `known` as the process has memory, 1 of a Markov chain that is seen whole.
    Forecast {
        /// States of a window.
        window: usize,
        /// Its first states, which are known from before; it advances by the rest.
        known: usize,
    },
    /// As observations come: a state that is older than `lag` is final, the others are drawn anew with each block.
    ///
    ///   x_u ~ p(x_u | x_k, y in the window),  k the window's first states, final; u its last `lag`
    ///
    /// Each sample keeps its own final states, which later observations do not move.
    ///
    /// Good values: a lag that the observations' memory fits in, an `advance` below half of it.
    FixedLag {
        /// States that are not final.
        lag: usize,
        /// Final states that a window begins with.
        known: usize,
        /// States that come new with a block.
        advance: usize,
    },
    /// A filter: the last analysis is forecast by `advance` states, part-noised, and sampled from there given the
    /// window's observations.
    ///
    ///   x(t) = μ(t) x_f + σ(t) ε at t = `start`, then down to 0 guided by p(y in the window | x)
    ///
    /// The law that is sampled is p(x | y in the window), whatever the start: the forecast saves the steps above it. The
    /// window is to hold the observations that matter; the start, to be so noisy that what the new ones change is lost
    /// in it. A state's analysis is the one of the block that it came with.
    ///
    /// Good values: a `start` with σ/μ some times the forecast's error, 0.3 … 0.6 of the cosine schedule; 1 is no start.
    Cycle {
        /// States of a window.
        window: usize,
        /// States that come new with a block; the forecast knows the others.
        advance: usize,
        /// t that the forecast is noised to.
        start: f64,
    },
}

/// How a prior is told of known states.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Conditioning {
    /// They stand at t = 0 ([`Known`]): exact. The prior has to take levels for each state.
    Levels,
    /// They are observed with little noise, beside what was observed: any prior, as well as the guidance does it.
    ///
    /// Good values: [`Guidance::Mmps`] with a few iterations more than without; a noise of some hundredths of a state's
    /// deviation, below the noise that one step of the dynamics adds.
    Guided {
        /// σ of the known states' pseudo-observation.
        noise_std: f64,
    },
}

/// A rollout of a prior, with what it needs.
#[derive(Clone, Debug)]
pub struct Rolling<P> {
    /// Which windows, and what is known in each.
    pub rollout: Rollout,
    /// How the prior is told of known states.
    pub conditioning: Conditioning,
    /// How each window is sampled.
    pub sampler: Sampler,
    /// From prior to posterior.
    pub guidance: Guidance,
    /// Where it is formed.
    pub place: Place,
    /// Predicts the noise in windows.
    pub prior: P,
    /// What was seen of the whole trajectory.
    pub observation: Option<Observation>,
}

impl Rollout {
    /// Errors: windows that can't be; they are longer than the trajectory.
    pub fn check(&self, length: usize) -> Result<(), DiffusionError> {
        Blocks::new(self, length).map(|_| ())
    }

    /// States of a window, on trajectories of `length`.
    ///
    /// Errors: as [`Rollout::check`].
    pub fn width(&self, length: usize) -> Result<usize, DiffusionError> {
        Blocks::new(self, length).map(|blocks| blocks.width)
    }

    /// The sampler's step that a window which is warmed begins with: of a cycle the first whose time is at most the start.
    ///
    /// Errors: the start leaves no step; a time grid that can't be.
    pub fn first_step(&self, sampler: &Sampler) -> Result<u32, DiffusionError> {
        let Self::Cycle { start, .. } = *self else { return Ok(0) };
        let times = sampler.times()?;
        let steps = &times[..times.len() - 1];
        match steps.iter().position(|&t| t <= start) {
            Some(first) => Ok(first as u32),
            None => refuse(format!(
                "the start {start} is below the last step's time {}, and leaves no step; raise it, or take more steps",
                steps[steps.len() - 1]
            )),
        }
    }

    /// Whether it can follow what an operator shows.
    ///
    /// Errors: the operator ties states together, of which a window of a fixed lag or a cycle sees some.
    pub fn check_operator(&self, operator: &Operator) -> Result<(), DiffusionError> {
        let sees_some = matches!(self, Self::FixedLag { .. } | Self::Cycle { .. });
        if sees_some && operator.on_each_state().is_none() { refuse(tied(operator)) } else { Ok(()) }
    }

    /// Blocks of the whole, on trajectories of `length`.
    ///
    /// Errors: as [`Rollout::check`].
    pub fn blocks(&self, length: usize) -> Result<usize, DiffusionError> {
        Blocks::new(self, length).map(|blocks| blocks.count())
    }

    /// The states that are sampled, by blocks, of which some are taken together where there are more than `most`.
    ///
    /// Errors: as [`Rollout::check`].
    pub fn groups(&self, length: usize, most: usize) -> Result<Vec<Range<usize>>, DiffusionError> {
        let blocks = Blocks::new(self, length)?;
        let count = blocks.count();
        let together = count.div_ceil(most.max(1));
        let first = |block: usize| match block {
            0 => self.known_at_first().unwrap_or(0),
            _ if block >= count => length,
            _ => blocks.said(block).start,
        };
        Ok((0..count).step_by(together).map(|b| first(b)..first(b + together)).collect())
    }

    /// States that a forecast starts from; none where it is none.
    pub fn known_at_first(&self) -> Option<usize> {
        if let Self::Forecast { known, .. } = *self { Some(known) } else { None }
    }
}

impl Conditioning {
    /// Errors: a noise that is none.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let Self::Guided { noise_std } = *self else { return Ok(()) };
        check("conditioning", "noise_std", "positive and finite", noise_std, |s| s > 0.0 && s.is_finite())
    }
}

fn tied(operator: &Operator) -> String {
    format!(
        "{operator:?} ties states together, and a window sees some of them; smooth all at once, or observe single states"
    )
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, DiffusionError> {
    Err(DiffusionError::Rollout { reason: reason.into() })
}

impl<P: NoisePredictor> Rolling<P> {
    /// Plans the programs for trajectories of a shape [N, L, …]: once for all blocks.
    ///
    /// Errors: windows that do not fit; a prior that does not take known states; an observation that ties states
    /// together, which windows see some of; a start below the last step's time; the sampler's and the guidance's.
    pub fn compile<E: Executor>(
        &self,
        executor: &mut E,
        shape: &[usize],
    ) -> Result<RolloutRun, DiffusionError> {
        let (blocks, window, seen) = self.laid_out(shape)?;
        let compile = |predictor: &dyn NoisePredictor| {
            self.sampler.compile(executor, predictor, &window, NoiseSource::Drawn)
        };
        let tasks = self.tasks(&blocks, &window, seen.as_ref(), compile)?;
        let warm = match self.rollout {
            Rollout::Cycle { .. } => Some(self.warm(&tasks)?),
            _ => None,
        };
        Ok(RolloutRun {
            rollout: self.rollout,
            blocks,
            conditioning: self.conditioning,
            schedule: self.sampler.schedule,
            shape: shape.to_vec(),
            tasks,
            warm,
            seen,
        })
    }

    /// Whether it can be planned for trajectories of a shape [N, L, …], without an executor.
    ///
    /// Errors: as [`Rolling::compile`].
    pub fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let (blocks, window, seen) = self.laid_out(shape)?;
        self.sampler.check()?;
        self.tasks(&blocks, &window, seen.as_ref(), |predictor| predictor.check(&window))?;
        self.rollout.first_step(&self.sampler).map(|_| ())
    }

    /// Blocks, the shape of a window, and what was seen.
    fn laid_out(&self, shape: &[usize]) -> Result<(Blocks, Vec<usize>, Option<Seen>), DiffusionError> {
        self.conditioning.check()?;
        let blocks = Blocks::new(&self.rollout, shape[1])?;
        let mut window = shape.to_vec();
        window[1] = blocks.width;
        Ok((blocks, window, self.seen(shape)?))
    }

    /// The observation state by state; smoothing takes it as it is.
    fn seen(&self, shape: &[usize]) -> Result<Option<Seen>, DiffusionError> {
        let Some(observation) = &self.observation else {
            return match self.rollout {
                Rollout::FixedLag { .. } | Rollout::Cycle { .. } => refuse(
                    "fixed-lag smoothing and cycling follow observations, and there is none; give one, or forecast",
                ),
                Rollout::Smoothing | Rollout::Forecast { .. } => Ok(None),
            };
        };
        observation.check(shape)?;
        if matches!(self.rollout, Rollout::Smoothing | Rollout::Forecast { .. }) {
            return Ok(None);
        }
        if observation.noise_std == 0.0 && matches!(self.conditioning, Conditioning::Guided { .. }) {
            return refuse(
                "an exact observation and known states can't be guided as one; give it a noise, or `conditioning: Levels`",
            );
        }
        Seen::new(observation, shape)
            .map_or_else(|| refuse(tied(&observation.operator)), |seen| Ok(Some(seen)))
    }

    /// What blocks are made of: of each predictor of a window what `compile` makes of it.
    fn tasks<T: Clone>(
        &self,
        blocks: &Blocks,
        window: &[usize],
        seen: Option<&Seen>,
        mut compile: impl FnMut(&dyn NoisePredictor) -> Result<T, DiffusionError>,
    ) -> Result<Tasks<T>, DiffusionError> {
        if self.rollout == Rollout::Smoothing {
            let run = match &self.observation {
                None => compile(&self.prior)?,
                Some(observation) => compile(&self.posterior(&self.prior, observation.clone()))?,
            };
            return Ok(Tasks { analysis: Some(run), ..Tasks::default() });
        }
        if let Conditioning::Guided { noise_std } = self.conditioning {
            let run = compile(&self.guided(window, seen, noise_std)?)?;
            let all = Some(run);
            return Ok(Tasks { analysis: all.clone(), continued: all.clone(), forecast: all });
        }
        let mut held = window.to_vec();
        held[1] = blocks.known;
        let states = (0..blocks.known).collect();
        let known = Known { prior: &self.prior, states, values: ArrayD::zeros(held) };
        let mut tasks = Tasks::default();
        if !matches!(self.rollout, Rollout::FixedLag { .. }) {
            tasks.forecast = Some(compile(&known)?);
        }
        if let Some(seen) = seen {
            let observation = seen.of_window(window);
            tasks.analysis = Some(compile(&self.partly(&self.prior, observation.clone()))?);
            if matches!(self.rollout, Rollout::FixedLag { .. }) {
                tasks.continued = Some(compile(&self.partly(&known, observation))?);
            }
        }
        Ok(tasks)
    }

    fn posterior<Q: NoisePredictor>(&self, prior: Q, observation: Observation) -> Posterior<Q> {
        Posterior { place: self.place, ..Posterior::new(prior, observation, self.guidance.clone()) }
    }

    /// The same with a state for what of the observation is seen.
    fn partly<Q: NoisePredictor>(&self, prior: Q, observation: Observation) -> Posterior<Q> {
        let seen = Some(ArrayD::zeros(observation.values.shape()));
        Posterior { seen, ..self.posterior(prior, observation) }
    }

    /// Every state observed twice: with the noise of known states, and as the instrument does.
    fn guided(
        &self,
        window: &[usize],
        seen: Option<&Seen>,
        noise_std: f64,
    ) -> Result<Posterior<&P>, DiffusionError> {
        let mut parts = vec![(Operator::Identity, seen.map_or(1.0, |seen| seen.noise_std / noise_std))];
        parts.extend(seen.map(|seen| (seen.operator.clone(), 1.0)));
        let operator = Operator::Stack(parts);
        let values = ArrayD::zeros(operator.output_shape(window)?[1..].to_vec());
        let observation = Observation::new(operator, values, seen.map_or(noise_std, |seen| seen.noise_std))?;
        Ok(self.partly(&self.prior, observation))
    }

    /// The analysis begun where the grid first reaches the start.
    fn warm(&self, tasks: &Tasks<SamplerRun>) -> Result<SamplerRun, DiffusionError> {
        let first = self.rollout.first_step(&self.sampler)?;
        tasks.analysis.as_ref().expect("a cycle has an observation: checked").starting_at(first)
    }
}
