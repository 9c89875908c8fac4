//! The loop over the blocks of a rollout.

use std::ops::{ControlFlow, Range};

use ndarray::{ArrayD, ArrayViewD, Axis, Slice, concatenate};
use sda_core::{Real, Stream};
use sda_graph::Executor;
use sda_observe::{Observation, Operator};

use super::{Blocks, Conditioning, Rollout, refuse};
use crate::error::DiffusionError;
use crate::guidance::{OBSERVATION, SEEN};
use crate::known::KNOWN;
use crate::sampler::{Sampled, SamplerRun};
use crate::schedule::Schedule;
use crate::stream;

/// A rollout planned on one executor, for one shape, prior and observation.
#[derive(Clone, Debug)]
pub struct RolloutRun {
    pub(super) rollout: Rollout,
    pub(super) blocks: Blocks,
    pub(super) conditioning: Conditioning,
    pub(super) schedule: Schedule,
    /// [N, L, …].
    pub(super) shape: Vec<usize>,
    pub(super) tasks: Tasks<SamplerRun>,
    /// The analysis from the middle of its grid, of a cycle.
    pub(super) warm: Option<SamplerRun>,
    pub(super) seen: Option<Seen>,
}

/// What blocks are made of.
#[derive(Clone, Debug)]
pub(super) struct Tasks<T> {
    /// A window given what was seen in it.
    pub(super) analysis: Option<T>,
    /// The same, and given its first states.
    pub(super) continued: Option<T>,
    /// A window given its first states.
    pub(super) forecast: Option<T>,
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self { analysis: None, continued: None, forecast: None }
    }
}

/// What is known of a window's first states, and which of its observations are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Analysis,
    Continued,
    Forecast,
}

/// An observation of single states, state by state.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Of each state.
    pub(super) operator: Operator,
    /// σ_y.
    pub(super) noise_std: f64,
    /// y at its state, 0 elsewhere [L, …].
    values: ArrayD<f64>,
    /// Which states were observed [L].
    observed: Vec<bool>,
}

impl Seen {
    /// `None` where the operator ties states together. The observation fits the shape [N, L, …].
    pub(super) fn new(observation: &Observation, shape: &[usize]) -> Option<Self> {
        let operator = observation.operator.on_each_state()?;
        let each = operator.output_shape(shape).ok()?;
        let states = observation.operator.states(shape[1]);
        let mut values = ArrayD::zeros(each[1..].to_vec());
        let mut observed = vec![false; shape[1]];
        for (value, &i) in observation.values.outer_iter().zip(&states) {
            values.index_axis_mut(Axis(0), i).assign(&value);
            observed[i] = true;
        }
        Some(Self { operator, noise_std: observation.noise_std, values, observed })
    }

    /// An observation of every state of a window, of the shape [N, W, …].
    pub(super) fn of_window(&self, window: &[usize]) -> Observation {
        let mut shape = self.values.shape().to_vec();
        shape[0] = window[1];
        Observation {
            operator: self.operator.clone(),
            values: ArrayD::zeros(shape),
            noise_std: self.noise_std,
        }
    }

    /// y of the states of a block, and 1 where it is seen, both [W, …]; of known states it is left out.
    fn of_block(&self, states: Range<usize>, known: usize) -> [ArrayD<f64>; 2] {
        let mut shape = self.values.shape().to_vec();
        shape[0] = states.len();
        let (mut values, mut seen) = (ArrayD::zeros(shape.clone()), ArrayD::zeros(shape));
        for (local, i) in states.enumerate().skip(known) {
            if self.observed.get(i) == Some(&true) {
                values.index_axis_mut(Axis(0), local).assign(&self.values.index_axis(Axis(0), i));
                seen.index_axis_mut(Axis(0), local).fill(1.0);
            }
        }
        [values, seen]
    }
}

/// Where a rollout stands between two blocks: with it, it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutState<T> {
    /// Blocks done.
    pub blocks: usize,
    /// The trajectories as far as they are said [N, L, …], 0 beyond.
    pub values: ArrayD<T>,
    /// Of a cycle, the forecasts of the states that came new with a block, before their analysis [N, L, …]; 0 in the
    /// first window, which is not forecast.
    pub forecasts: Option<ArrayD<T>>,
    /// The last window [N, W, …].
    pub window: ArrayD<T>,
    /// Samples that left the real numbers in some block, ascending.
    pub diverged: Vec<usize>,
}

/// How far a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutProgress {
    /// Blocks done.
    pub blocks: usize,
    /// Of so many.
    pub of: usize,
    /// Evaluations of the predictor in this step.
    pub evaluations: u32,
}

impl RolloutRun {
    /// Blocks of the whole.
    pub fn blocks(&self) -> usize {
        self.blocks.count()
    }

    /// States of the trajectory that a block says.
    pub fn states(&self, block: usize) -> Range<usize> {
        self.blocks.said(block)
    }

    /// Evaluations of the predictor in all blocks, of a cycle those of the forecasts among them.
    pub fn evaluations(&self) -> u64 {
        (0..self.blocks()).flat_map(|b| self.runs(b)).map(|(_, run)| u64::from(run.evaluations())).sum()
    }

    /// Where a rollout begins. A forecast begins with the first states of each sample.
    ///
    /// Shapes: `first` [N, known, …].
    /// Errors: a forecast without first states, first states of anything else, or of another shape.
    pub fn begin<T: Real>(&self, first: Option<&ArrayD<T>>) -> Result<RolloutState<T>, DiffusionError> {
        let of = |states: usize| {
            let mut shape = self.shape.clone();
            shape[1] = states;
            shape
        };
        let zeros = |states: usize| ArrayD::from_elem(of(states), T::ZERO);
        let mut state = RolloutState {
            blocks: 0,
            values: zeros(self.blocks.length),
            forecasts: self.warm.as_ref().map(|_| zeros(self.blocks.length)),
            window: zeros(self.blocks.width),
            diverged: Vec::new(),
        };
        let is_forecast = matches!(self.rollout, Rollout::Forecast { .. });
        match first {
            None if is_forecast => refuse(format!(
                "a forecast starts from the first {} states of each sample; give them",
                self.blocks.known
            )),
            Some(_) if !is_forecast => refuse("first states are given, and only a forecast starts from them"),
            Some(first) if first.shape() != of(self.blocks.known) => refuse(format!(
                "the first states have shape {:?}, and {:?} belong",
                first.shape(),
                of(self.blocks.known)
            )),
            Some(first) => {
                // As if a block before had handed them on.
                assign(&mut state.window, self.blocks.handed_on(), &first.view());
                Ok(state)
            }
            None => Ok(state),
        }
    }

    /// Goes on to the end: the same seed gives the same bits, wherever it was stopped in between.
    ///
    /// `on_step` is called after each step of a sampler and may stop the rollout, which then stands where the block
    /// began, or where it ended if that was its last step.
    ///
    /// Errors: the executor's.
    pub fn run<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        state: &mut RolloutState<E::Real>,
        mut on_step: impl FnMut(RolloutProgress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, DiffusionError> {
        while state.blocks < self.blocks() {
            if self.advance(executor, seed, state, &mut on_step)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Programs of a block, in order.
    fn runs(&self, block: usize) -> Vec<(Task, &SamplerRun)> {
        let Tasks { analysis, continued, forecast } = &self.tasks;
        let runs = match self.rollout {
            Rollout::Smoothing => vec![(Task::Analysis, analysis)],
            Rollout::Forecast { .. } => vec![(Task::Forecast, forecast)],
            Rollout::FixedLag { .. } if block > 0 => vec![(Task::Continued, continued)],
            Rollout::Cycle { .. } if block > 0 => {
                vec![(Task::Forecast, forecast), (Task::Analysis, &self.warm)]
            }
            Rollout::FixedLag { .. } | Rollout::Cycle { .. } => vec![(Task::Analysis, analysis)],
        };
        runs.into_iter().filter_map(|(task, run)| Some((task, run.as_ref()?))).collect()
    }

    /// One block, as [`RolloutRun::run`].
    ///
    /// Errors: the executor's.
    /// Panics: all blocks are done.
    #[track_caller]
    pub fn advance<E: Executor>(
        &self,
        executor: &mut E,
        seed: u64,
        state: &mut RolloutState<E::Real>,
        mut on_step: impl FnMut(RolloutProgress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, DiffusionError> {
        let (block, of) = (state.blocks, self.blocks());
        assert!(block < of, "all {of} blocks are done");
        let handed = take(&state.window, self.blocks.handed_on());
        let mut window: Option<ArrayD<E::Real>> = None;
        let mut forecast = None;
        let mut diverged = Vec::new();
        let mut end = ControlFlow::Continue(());
        for (order, (task, run)) in (0..).zip(self.runs(block)) {
            if end.is_break() {
                return Ok(end);
            }
            let seed = seed_of(seed, block as u32, order);
            let known = (task != Task::Analysis).then_some(&handed);
            self.condition(executor, block, task, known)?;
            let mut step = run.first();
            let mut each = |done: u32| {
                let evaluations = run.evaluations_of(step);
                step = done;
                end = on_step(RolloutProgress { blocks: block, of, evaluations });
                end
            };
            let sampled = match window.take() {
                None => run.run(executor, seed, &mut each)?,
                // What was forecast is where the analysis starts from.
                Some(guess) => {
                    run.start_from(executor, &self.part_noised(seed, run, &guess))?;
                    forecast = Some(guess);
                    run.resume(executor, seed, run.first(), &mut each)?
                }
            };
            let Sampled::Finished(samples) = sampled else { return Ok(ControlFlow::Break(())) };
            diverged.extend(samples.diverged.iter().map(|d| d.sample));
            let mut values = samples.values;
            if let Some(known) = known {
                assign(&mut values, 0..self.blocks.known, &known.view());
            }
            window = Some(values);
        }
        let window = window.expect("a block has a program");
        let said = self.blocks.said(block);
        let start = self.blocks.start(block);
        let local = said.start - start..said.end - start;
        assign(&mut state.values, said.clone(), &take(&window, local.clone()).view());
        if let (Some(forecasts), Some(forecast)) = (&mut state.forecasts, forecast) {
            assign(forecasts, said, &take(&forecast, local).view());
        }
        state.diverged.extend(diverged);
        state.diverged.sort_unstable();
        state.diverged.dedup();
        state.window = window;
        state.blocks += 1;
        Ok(end)
    }

    /// Tells the programs of a block's known states and observations.
    fn condition<E: Executor>(
        &self,
        executor: &mut E,
        block: usize,
        task: Task,
        known: Option<&ArrayD<E::Real>>,
    ) -> Result<(), DiffusionError> {
        let start = self.blocks.start(block);
        let states = start..start + self.blocks.width;
        let count = known.map_or(0, |_| self.blocks.known);
        let samples = self.shape[0];
        let observed = match (&self.seen, task) {
            // A forecast sees nothing: all that is known is left out, and so is the rest.
            (Some(seen), Task::Forecast) => Some(seen.of_block(states.clone(), self.blocks.width)),
            (Some(seen), _) => Some(seen.of_block(states, count)),
            (None, _) => None,
        };
        match (self.conditioning, self.rollout) {
            (_, Rollout::Smoothing) => Ok(()),
            (Conditioning::Levels, _) => {
                if let Some(known) = known {
                    executor.write(KNOWN, known.view())?;
                }
                let Some([values, seen]) = observed.filter(|_| task != Task::Forecast) else { return Ok(()) };
                executor.write(OBSERVATION, for_each(samples, &values).view())?;
                Ok(executor.write(SEEN, values_of(&seen).view())?)
            }
            (Conditioning::Guided { noise_std }, _) => {
                let scale = self.seen.as_ref().map_or(1.0, |seen| seen.noise_std / noise_std);
                let (width, state_numbers) = (self.blocks.width, self.shape[2..].iter().product::<usize>());
                let mut held = ArrayD::from_elem(vec![samples, width, state_numbers], E::Real::ZERO);
                let mut is_held = ArrayD::zeros(vec![width, state_numbers]);
                if let Some(known) = known {
                    let scale = E::Real::from_f64(scale);
                    let scaled = known.mapv(|x| x * scale);
                    let flat = scaled.as_standard_layout().into_owned();
                    let flat = flat
                        .into_shape_with_order(vec![samples, count, state_numbers])
                        .expect("the same numbers");
                    assign(&mut held, 0..count, &flat.view());
                    is_held.slice_axis_mut(Axis(0), Slice::from(0..count)).fill(1.0);
                }
                if let Some([values, seen]) = observed {
                    let flat = |a: ArrayD<f64>| {
                        let numbers = a.len() / width;
                        a.into_shape_with_order(vec![width, numbers]).expect("the same numbers")
                    };
                    let values: ArrayD<E::Real> = for_each(samples, &flat(values));
                    held = concatenate(Axis(2), &[held.view(), values.view()]).expect("one for each state");
                    is_held = concatenate(Axis(1), &[is_held.view(), flat(seen).view()])
                        .expect("one for each state");
                }
                executor.write(OBSERVATION, held.view())?;
                Ok(executor.write(SEEN, values_of(&is_held).view())?)
            }
        }
    }

    /// μ x_f + σ ε at the time of a run's first step, ε a function of (seed, sample).
    fn part_noised<T: Real>(&self, seed: u64, run: &SamplerRun, forecast: &ArrayD<T>) -> Vec<T> {
        let t = run.times()[run.first() as usize];
        let [mu, sigma] = [self.schedule.mu(t), self.schedule.sigma(t)].map(T::from_f64);
        let mut noise = vec![T::ZERO; forecast.len()];
        let numbers = forecast.len() / self.shape[0].max(1);
        Stream::new(seed, stream::WARM_START).fill_normal(0, 0, numbers, &mut noise);
        forecast.iter().zip(&noise).map(|(&x, &z)| mu * x + sigma * z).collect()
    }
}

/// The seed of a block's program.
fn seed_of(seed: u64, block: u32, order: u32) -> u64 {
    let [low, high, ..] = Stream::new(seed, stream::BLOCK).words(block, order, 0);
    u64::from(high) << 32 | u64::from(low)
}

/// States of all samples, [N, L, …] → [N, states, …].
fn take<T: Clone>(x: &ArrayD<T>, states: Range<usize>) -> ArrayD<T> {
    x.slice_axis(Axis(1), Slice::from(states)).to_owned()
}

fn assign<T: Clone>(x: &mut ArrayD<T>, states: Range<usize>, values: &ArrayViewD<'_, T>) {
    x.slice_axis_mut(Axis(1), Slice::from(states)).assign(values);
}

/// The same for each sample, [W, …] → [N, W, …].
fn for_each<T: Real>(samples: usize, values: &ArrayD<f64>) -> ArrayD<T> {
    let shape: Vec<usize> = [samples].into_iter().chain(values.shape().iter().copied()).collect();
    let values: ArrayD<T> = values_of(values);
    values.broadcast(shape).expect("a further axis").to_owned()
}

fn values_of<T: Real>(values: &ArrayD<f64>) -> ArrayD<T> {
    values.mapv(T::from_f64)
}
