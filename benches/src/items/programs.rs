//! A training step and a posterior score of any network.

use super::{Setting, Use, Work};
use anyhow::Context;
use ndarray::ArrayD;
use sda_core::Stream;
use sda_device::Cpu;
use sda_diffusion::{
    GlobalScore, Guidance, NoisePredictor, NoiseSource, Place, Posterior, Sampler, SamplerRun, Trainer,
    Training,
};
use sda_graph::{Executor, Handle};
use sda_nn::{Network, Weights};
use sda_observe::{Observation, Operator};

/// Predictor steps of the sampler.
const STEPS: u32 = 256;

/// A network from its configuration.
pub(super) fn network(text: &str) -> anyhow::Result<Network> {
    serde_json::from_str(text).context("read a network")
}

/// An AdamW step on a batch of windows, draws of t and ε included.
pub(crate) struct TrainingStep {
    pub(super) network: Network,
    /// [L, D] or [L, H, W, C].
    pub(super) window: Vec<usize>,
    pub(super) batch: usize,
    pub(super) rate: f64,
}

impl TrainingStep {
    pub(super) fn with(&self, setting: Setting, work: Use<'_>) -> anyhow::Result<()> {
        let mut cpu = setting.cpu()?;
        let (trainer, windows) = self.begin(&mut cpu)?;
        work(&mut Step { trainer, windows, rate: self.rate, done: 0 })
    }

    /// A training that has begun, and a batch of random windows.
    fn begin<'e, E: Executor<Real = f32>>(
        &self,
        executor: &'e mut E,
    ) -> anyhow::Result<(Trainer<'e, E>, Vec<f32>)> {
        let network = &self.network;
        let mut trainer = Trainer::new(executor, network.clone(), &self.window, Training::default(), 1)?;
        trainer.begin(&network.initialise(1))?;
        let mut windows = vec![0f32; self.batch * self.window.iter().product::<usize>()];
        Stream::new(1, 1).fill_normal(0, 0, windows.len(), &mut windows);
        Ok((trainer, windows))
    }
}

/// Either, for an executor of any kind.
pub(crate) enum Task {
    Training(TrainingStep),
    Posterior(PosteriorScore),
}

impl Task {
    /// Prepares the work on an executor and does it once: what is compiled and run last is the program itself.
    pub(crate) fn once<E: Executor<Real = f32>>(&self, executor: &mut E) -> anyhow::Result<()> {
        match self {
            Self::Training(step) => {
                let (mut trainer, windows) = step.begin(executor)?;
                trainer.step(0, step.rate, &windows)?;
            }
            // The last step changes the samples least: repeated a thousand times it leaves them finite.
            Self::Posterior(score) => score.begin(executor)?.predict(executor, 1, STEPS - 1)?,
        }
        Ok(())
    }
}

struct Step<'e> {
    trainer: Trainer<'e, Cpu>,
    windows: Vec<f32>,
    rate: f64,
    done: u32,
}

impl Work for Step<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        self.trainer.advance(self.done, self.rate, &self.windows)?;
        self.done += 1;
        Ok(())
    }

    fn program(&mut self) -> Option<(&mut Cpu, Handle)> {
        // An executor counts its programs from 0, and this one has the training step alone.
        Some((self.trainer.executor(), Handle(0)))
    }
}

/// A predictor step of the guided sampler, differentiated through the network.
pub(crate) struct PosteriorScore {
    pub(super) network: Network,
    /// k of a network slid over the trajectory; `None` sees it whole.
    pub(super) order: Option<usize>,
    /// States between the starts of two windows.
    pub(super) stride: usize,
    /// [N, L, D] or [N, L, H, W, C].
    pub(super) shape: Vec<usize>,
    pub(super) operator: Operator,
    pub(super) noise_std: f64,
    pub(super) guidance: Guidance,
    pub(super) place: Place,
}

impl PosteriorScore {
    pub(super) fn with(&self, setting: Setting, work: Use<'_>) -> anyhow::Result<()> {
        let mut cpu = setting.cpu()?;
        let run = self.begin(&mut cpu)?;
        work(&mut Score { cpu, run })
    }

    /// A sampler at its start.
    fn begin<E: Executor<Real = f32>>(&self, executor: &mut E) -> anyhow::Result<SamplerRun> {
        for (name, values) in self.network.initialise(1) {
            executor.write(&Weights::Trained.state(&name), values.view())?;
        }
        let values = ArrayD::zeros(&self.operator.output_shape(&self.shape)?[1..]);
        let observation = Observation::new(self.operator.clone(), values, self.noise_std)?;
        let whole = GlobalScore::new(self.network.clone());
        let slid = self.order.map(|order| whole.clone().local(order, self.stride));
        let prior: &dyn NoisePredictor = slid.as_ref().map_or(&whole, |slid| slid);
        let guidance = self.guidance.clone();
        let predictor = Posterior { place: self.place, ..Posterior::new(prior, observation, guidance) };
        let sampler: Sampler =
            serde_json::from_str(&format!(r#"{{"steps": {STEPS}}}"#)).context("read the sampler")?;
        let run = sampler.compile(executor, &predictor, &self.shape, NoiseSource::Drawn)?;
        let samples = self.shape[0];
        let mut start = vec![0f32; self.shape.iter().product()];
        Stream::new(1, 2).fill_normal(0, 0, start.len() / samples, &mut start);
        run.start_from(executor, &start)?;
        Ok(run)
    }
}

struct Score {
    cpu: Cpu,
    run: SamplerRun,
}

impl Work for Score {
    fn run(&mut self) -> anyhow::Result<()> {
        Ok(self.run.predict(&mut self.cpu, 1, 0)?)
    }

    fn program(&mut self) -> Option<(&mut Cpu, Handle)> {
        // The sampler's first program draws the start, its second is the predictor's step.
        Some((&mut self.cpu, Handle(1)))
    }
}
