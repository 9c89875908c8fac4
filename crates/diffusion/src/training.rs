//! The training step and the validation, each one program over shared states.

use std::collections::BTreeMap;

use ndarray::ArrayD;
use sda_core::{Real, Stream};
use sda_graph::{Declaration, Executor, Graph, Handle, Law, NodeId, Program, RunKey};
use sda_nn::{AdamW, Average, Network, Parameter, TIME_FEATURES, Weights, time_features};
use serde::{Deserialize, Serialize};

use crate::denoiser::{Denoiser, LossWeight, TrainingTimes};
use crate::error::DiffusionError;
use crate::global::GlobalScore;
use crate::levels::{self, Levels};
use crate::loss::{mean, perturb, squared_errors};
use crate::predictor::{NoisePredictor, TimeNodes, flat};
use crate::schedule::Schedule;
use crate::stream;

/// State: Σ B·loss over the steps since [`Trainer::mean_loss`].
const LOSS_SUM: &str = "loss.sum";
/// State: how many of these steps had come when the sum was finite last; once it is not, it never is again.
const LOSS_FINITE_STEPS: &str = "loss.finite_steps";

/// What a training step does, besides its learning rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// The diffusion whose noise is learnt.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimiser: AdamW,
    /// The moving average of the weights, where there is one.
    pub average: Option<Average>,
    /// What the network's output means.
    pub denoiser: Denoiser,
    /// The times drawn, in training and in validation.
    pub times: TrainingTimes,
    /// What errors count at different noise levels, in training and in validation.
    pub weight: LossWeight,
    /// Whether all states of a window stand at the time drawn.
    pub levels: Levels,
}

/// The loop's step: everything that it draws is a function of (seed, step, row), so that a training that goes on from
/// stored states ends in the same bits.
#[derive(Debug)]
pub struct Trainer<'e, E: Executor> {
    executor: &'e mut E,
    network: Network,
    parameters: Vec<Parameter>,
    window: Vec<usize>,
    training: Training,
    seed: u64,
    programs: BTreeMap<Kind, Handle>,
    since: Option<Since>,
}

/// The steps whose losses the executor has summed.
#[derive(Clone, Copy, Debug)]
struct Since {
    first: u32,
    steps: u32,
    windows: u64,
}

/// What tells programs of one trainer apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    batch: usize,
    /// Trained, drawing its noise; trained, given its noise; validated with one copy of the weights.
    task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Train,
    TrainOnGivenNoise,
    Validate { averaged: bool },
}

impl<'e, E: Executor> Trainer<'e, E> {
    /// For windows [L, D] or [L, H, W, C].
    ///
    /// Errors: a setting out of range, a network that does not read such windows.
    pub fn new(
        executor: &'e mut E,
        network: Network,
        window: &[usize],
        training: Training,
        seed: u64,
    ) -> Result<Self, DiffusionError> {
        training.schedule.check()?;
        training.optimiser.validate()?;
        if let Some(average) = training.average {
            average.validate()?;
        }
        training.times.check()?;
        training.levels.check()?;
        let batch: Vec<usize> = [1].into_iter().chain(window.iter().copied()).collect();
        let (denoiser, levels) = (training.denoiser, training.levels);
        let score = GlobalScore { denoiser, levels, ..GlobalScore::new(network.clone()) };
        score.check(&batch)?;
        let parameters = network.parameters();
        let programs = BTreeMap::new();
        let window = window.to_vec();
        Ok(Self { executor, network, parameters, window, training, seed, programs, since: None })
    }

    /// Begins a training: parameters and their average are these, moments are zero.
    ///
    /// Errors: weights of another network, or not finite.
    pub fn begin<T: Real>(&mut self, weights: &BTreeMap<String, ArrayD<T>>) -> Result<(), DiffusionError> {
        self.network.check(weights)?;
        for (name, array) in weights {
            let array = array.mapv(|x| E::Real::from_f64(x.to_f64()));
            let zeros = array.mapv(|_| E::Real::ZERO);
            self.executor.write(&Weights::Trained.state(name), array.view())?;
            for moment in AdamW::moments(name) {
                self.executor.write(&moment, zeros.view())?;
            }
            if self.training.average.is_some() {
                self.executor.write(&Weights::Averaged.state(name), array.view())?;
            }
        }
        Ok(())
    }

    /// States that a checkpoint holds; written back, and with the next step's number, they resume a training.
    pub fn state_names(&self) -> Vec<String> {
        let of = |p: &Parameter| {
            let average = self.training.average.map(|_| Weights::Averaged.state(&p.name));
            [Weights::Trained.state(&p.name)].into_iter().chain(AdamW::moments(&p.name)).chain(average)
        };
        self.parameters.iter().flat_map(of).collect()
    }

    /// The executor, to read and write states.
    pub fn executor(&mut self) -> &mut E {
        self.executor
    }

    /// A copy of the parameters or of their average.
    pub fn weights(&mut self, weights: Weights) -> Result<BTreeMap<String, ArrayD<E::Real>>, DiffusionError> {
        let mut arrays = BTreeMap::new();
        for p in &self.parameters {
            arrays.insert(p.name.clone(), self.executor.read(&weights.state(&p.name))?);
        }
        Ok(arrays)
    }

    /// One step on a batch of windows, with times and noise drawn for it. Its loss stays with the executor,
    /// so that nothing waits for the step's end: [`Trainer::mean_loss`] reads the mean over many.
    ///
    /// Shapes: `windows` [B, L, …], row-major; B may differ from step to step.
    /// Errors: no whole number of windows.
    pub fn advance(&mut self, step: u32, rate: f64, windows: &[E::Real]) -> Result<(), DiffusionError> {
        let batch = self.batch(windows)?;
        let times = self.times(stream::TRAINING_TIME, step, batch);
        self.train(Task::Train, step, rate, windows, &times, None)?;
        Ok(())
    }

    /// Mean loss, before each step, over the windows of all steps since the last call; they are numbered one after
    /// another. The sum is the executor's, in its precision.
    ///
    /// Errors: a loss that is not finite, with the first step that had one.
    /// Panics: there was no step.
    #[track_caller]
    pub fn mean_loss(&mut self) -> Result<f64, DiffusionError> {
        let Since { first, steps, windows } = self.since.take().expect("a step before its mean loss");
        let [sum, finite_steps] = [self.scalar(LOSS_SUM)?, self.scalar(LOSS_FINITE_STEPS)?];
        if finite_steps < f64::from(steps) {
            return Err(DiffusionError::NonFiniteLoss { step: first + finite_steps as u32, loss: sum });
        }
        Ok(sum / windows as f64)
    }

    /// As [`Trainer::advance`], and reads the loss before the step.
    ///
    /// Errors: no whole number of windows; a loss that is not finite.
    pub fn step(&mut self, step: u32, rate: f64, windows: &[E::Real]) -> Result<f64, DiffusionError> {
        let batch = self.batch(windows)?;
        let times = self.times(stream::TRAINING_TIME, step, batch);
        let program = self.train(Task::Train, step, rate, windows, &times, None)?;
        self.finite_loss(program, step)
    }

    /// As [`Trainer::step`], with times [B] and noise [B, L, …] given.
    pub fn step_on(
        &mut self,
        step: u32,
        rate: f64,
        windows: &[E::Real],
        times: &[f64],
        noise: &[E::Real],
    ) -> Result<f64, DiffusionError> {
        let batch = self.batch(windows)?;
        for (what, expected, found) in
            [("the times", batch, times.len()), ("the noise", windows.len(), noise.len())]
        {
            if expected != found {
                return Err(DiffusionError::Length { what, expected, found });
            }
        }
        let program = self.train(Task::TrainOnGivenNoise, step, rate, windows, times, Some(noise))?;
        self.finite_loss(program, step)
    }

    /// The loss of a batch of held-out windows. Times and noise are a function of (seed, `batch_index`): the same in
    /// every epoch, so that losses of two epochs differ by the weights alone.
    pub fn validate(
        &mut self,
        batch_index: u32,
        weights: Weights,
        windows: &[E::Real],
    ) -> Result<f64, DiffusionError> {
        let batch = self.batch(windows)?;
        let times = self.times(stream::VALIDATION_TIME, batch_index, batch);
        let task = Task::Validate { averaged: weights == Weights::Averaged };
        let program = self.program(Kind { batch, task })?;
        let time = time_rows::<E::Real>(&self.training.schedule, &times);
        let known = self.known(true, batch_index, batch);
        let mut inputs: Vec<&[E::Real]> = vec![windows, &time[0], &time[1], &time[2]];
        inputs.extend(known.as_deref());
        self.executor.run(program, RunKey { seed: self.seed, step: batch_index }, &inputs)?;
        match self.finite_loss(program, batch_index) {
            Err(DiffusionError::NonFiniteLoss { loss, .. }) => {
                Err(DiffusionError::NonFiniteValidation { batch: batch_index, loss })
            }
            result => result,
        }
    }

    fn train(
        &mut self,
        task: Task,
        step: u32,
        rate: f64,
        windows: &[E::Real],
        times: &[f64],
        noise: Option<&[E::Real]>,
    ) -> Result<Handle, DiffusionError> {
        let program = self.program(Kind { batch: times.len(), task })?;
        let time = time_rows::<E::Real>(&self.training.schedule, times);
        let [c1, c2] = self.training.optimiser.corrections(u64::from(step) + 1);
        let decay = self.training.average.map_or(0.0, |average| average.at(u64::from(step)));
        let scalars = [rate, c1, c2, decay].map(|x| [E::Real::from_f64(x)]);
        let known = self.known(false, step, times.len());
        let mut inputs: Vec<&[E::Real]> = vec![windows, &time[0], &time[1], &time[2]];
        inputs.extend(known.as_deref());
        inputs.extend(noise);
        inputs.extend(scalars.iter().map(<[_; 1]>::as_slice));
        let since = match self.since {
            Some(since) => since,
            None => self.begin_sum(step)?,
        };
        self.executor.run(program, RunKey { seed: self.seed, step }, &inputs)?;
        let windows = since.windows + times.len() as u64;
        self.since = Some(Since { steps: since.steps + 1, windows, ..since });
        Ok(program)
    }

    /// The sum of losses begins at a step.
    fn begin_sum(&mut self, first: u32) -> Result<Since, DiffusionError> {
        for name in [LOSS_SUM, LOSS_FINITE_STEPS] {
            self.executor.write(name, ArrayD::from_elem(vec![], E::Real::ZERO).view())?;
        }
        Ok(Since { first, steps: 0, windows: 0 })
    }

    fn scalar(&mut self, state: &str) -> Result<f64, DiffusionError> {
        Ok(self.executor.read(state)?.iter().map(|x| x.to_f64()).sum())
    }

    fn finite_loss(&mut self, program: Handle, step: u32) -> Result<f64, DiffusionError> {
        let loss = self.executor.output(program, 0)?[0].to_f64();
        if loss.is_finite() { Ok(loss) } else { Err(DiffusionError::NonFiniteLoss { step, loss }) }
    }

    fn batch(&self, windows: &[E::Real]) -> Result<usize, DiffusionError> {
        let window: usize = self.window.iter().product();
        let found = windows.len();
        if found == 0 || !found.is_multiple_of(window) {
            let expected = (found / window).max(1) * window;
            return Err(DiffusionError::Length { what: "a batch of windows", expected, found });
        }
        Ok(found / window)
    }

    fn times(&self, stream: u32, step: u32, batch: usize) -> Vec<f64> {
        let mut times = vec![0.0; batch];
        let stream = Stream::new(self.seed, stream);
        match self.training.times {
            TrainingTimes::Uniform => stream.fill_uniform(step, 0, 1, &mut times),
            TrainingTimes::LogNormal { mean, std } => {
                stream.fill_normal(step, 0, 1, &mut times);
                times.iter_mut().for_each(|t| *t = self.training.schedule.time_at(mean + std * *t));
            }
        }
        times
    }

    /// Which states of each window are known, [B, L]; none where all share their time.
    fn known(&self, validates: bool, step: u32, batch: usize) -> Option<Vec<E::Real>> {
        let (levels, states) = (self.training.levels, self.window[0]);
        if levels == Levels::Shared {
            return None;
        }
        let counts = levels.draw(self.seed, levels::stream_of(validates), step, batch, states);
        Some(levels::first_states(&counts, states).iter().map(|&x| E::Real::from_f64(x)).collect())
    }

    fn program(&mut self, kind: Kind) -> Result<Handle, DiffusionError> {
        if let Some(&program) = self.programs.get(&kind) {
            return Ok(program);
        }
        let program = self.build(kind);
        let handle = self.executor.compile(&program)?;
        self.programs.insert(kind, handle);
        Ok(handle)
    }

    fn build(&self, kind: Kind) -> Program {
        let mut g = Graph::new();
        let shape: Vec<usize> = [kind.batch].into_iter().chain(self.window.iter().copied()).collect();
        let windows = g.input(Declaration::rows("windows", &shape));
        let time = declare_time_rows(&mut g, kind.batch);
        let known = (self.training.levels != Levels::Shared)
            .then(|| g.input(Declaration::rows("known", &[kind.batch, self.window[0]])));
        let noise = match kind.task {
            Task::Train => g.noise(&shape, stream::TRAINING_NOISE, Law::Normal),
            Task::TrainOnGivenNoise => g.input(Declaration::rows("noise", &shape)),
            Task::Validate { .. } => g.noise(&shape, stream::VALIDATION_NOISE, Law::Normal),
        };
        let averaged = kind.task == Task::Validate { averaged: true };
        let weights = if averaged { Weights::Averaged } else { Weights::Trained };
        let denoiser = self.training.denoiser;
        let levels = self.training.levels;
        let predictor = GlobalScore { network: self.network.clone(), weights, denoiser, levels };
        let mut errors = match known {
            None => squared_errors(&mut g, &predictor, windows, noise, &time),
            Some(known) => errors_beside(&mut g, &predictor, windows, noise, &time, known),
        };
        if let Some(weight) = self.training.weight.emit(&mut g, denoiser, &time) {
            errors = g.mul(errors, weight);
        }
        let loss = mean(&mut g, errors);
        let updates = match kind.task {
            Task::Validate { .. } => Vec::new(),
            Task::Train | Task::TrainOnGivenNoise => {
                let mut updates = self.updates(&mut g, loss);
                updates.extend(sum_of_losses(&mut g, loss, kind.batch));
                updates
            }
        };
        let program = Program::new(g).output("loss", loss);
        updates.into_iter().fold(program, |program, (state, node)| program.update(&state, node))
    }

    /// New values of parameters, moments and averages.
    fn updates(&self, g: &mut Graph, loss: NodeId) -> Vec<(String, NodeId)> {
        let [rate, c1, c2, decay] = ["rate", "correction1", "correction2", "decay"]
            .map(|name| g.input(Declaration::shared(name, &[])));
        let wrt: Vec<NodeId> = self.parameters.iter().map(|p| Weights::Trained.read(g, p)).collect();
        let gradients = g.gradient(loss, &wrt);
        let named: Vec<(String, NodeId)> =
            self.parameters.iter().map(|p| p.name.clone()).zip(gradients).collect();
        let mut updates = self.training.optimiser.emit(g, rate, [c1, c2], &named);
        if self.training.average.is_some() {
            let new: BTreeMap<&str, NodeId> = updates.iter().map(|(s, n)| (s.as_str(), *n)).collect();
            let values: Vec<(String, NodeId)> = self
                .parameters
                .iter()
                .map(|p| (p.name.clone(), new[Weights::Trained.state(&p.name).as_str()]))
                .collect();
            updates.extend(Average::emit(g, decay, &values));
        }
        updates
    }
}

/// (ε_φ − ε)² of the states that are not known, given those that are, times L/(L − K): each window counts the same.
///
/// Shapes: `x`, `noise` [B, L, …], `known` [B, L], 1 where a state is known; result [B, L · …].
fn errors_beside(
    g: &mut Graph,
    predictor: &GlobalScore,
    x: NodeId,
    noise: NodeId,
    time: &TimeNodes,
    known: NodeId,
) -> NodeId {
    let shape = g.shape(x).to_vec();
    let numbers = levels::of_numbers(g, known, &shape);
    let (noisy, clean) = (perturb(g, x, noise, time), flat(g, x));
    let placed = g.select(numbers, clean, noisy);
    let placed = g.reshape(placed, &shape);
    let predicted = predictor.estimate_masked(g, placed, time, Some(known)).noise;
    let (predicted, noise) = (flat(g, predicted), flat(g, noise));
    let error = g.sub(predicted, noise);
    let squared = g.square(error);
    let negated = g.neg(numbers);
    let unknown = g.offset(negated, 1.0);
    let share = g.mean(unknown, &[1]);
    let weight = g.div(unknown, share);
    g.mul(squared, weight)
}

/// New values of the sum of losses and of the number of steps while it is finite.
fn sum_of_losses(g: &mut Graph, loss: NodeId, batch: usize) -> [(String, NodeId); 2] {
    let [sum, steps] = [LOSS_SUM, LOSS_FINITE_STEPS].map(|name| g.state(Declaration::shared(name, &[])));
    let loss = g.scale(loss, batch as f64);
    let sum = g.add(sum, loss);
    let finite = g.finite(sum);
    let steps = g.add(steps, finite);
    [(LOSS_SUM.to_owned(), sum), (LOSS_FINITE_STEPS.to_owned(), steps)]
}

/// Declares the inputs of one time for each sample.
fn declare_time_rows(g: &mut Graph, batch: usize) -> TimeNodes {
    TimeNodes {
        features: g.input(Declaration::rows("features", &[batch, TIME_FEATURES])),
        mu: g.input(Declaration::rows("mu", &[batch, 1])),
        sigma: g.input(Declaration::rows("sigma", &[batch, 1])),
    }
}

/// Features, μ and σ of many times, as a run's inputs.
fn time_rows<T: Real>(schedule: &Schedule, times: &[f64]) -> [Vec<T>; 3] {
    let features = times.iter().flat_map(|&t| time_features(t)).map(T::from_f64).collect();
    let of = |f: fn(&Schedule, f64) -> f64| times.iter().map(|&t| T::from_f64(f(schedule, t))).collect();
    [features, of(Schedule::mu), of(Schedule::sigma)]
}

#[cfg(test)]
mod tests;
