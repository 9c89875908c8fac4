//! The experiment file: sections mirror crates, variants mirror types, unknown fields are refused.

mod evaluation;
mod load;
mod prior;
mod recipe;
mod rollouts;
mod settings;
#[cfg(test)]
mod tests;
mod tuning;
mod validate;

pub use evaluation::{EvaluationConfig, ModesConfig, PriorConfig};
pub use load::{Loaded, find, load};
pub(crate) use load::{to_line, to_text};
pub use recipe::{Recipe, load_recipe};
pub use settings::Setting;
pub use tuning::{Candidate, Settings, Tuning};

use sda_diffusion::{
    Conditioning, Denoiser, Guidance, Integrator, LangevinStep, Levels, LossWeight, Place, Resampling,
    Rollout, Sampler, Schedule, TimeGrid, TrainingTimes,
};
use sda_nn::{AdamW, LearningRate, Network};
use sda_observe::Operator;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An experiment, as written or as resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What it is, in one line.
    pub title: String,
    /// What it reproduces.
    pub source: String,
    /// Everything random is a function of it.
    pub seed: u64,
    /// Name of the recipe in `datasets/`.
    pub dataset: String,
    /// Settings of the recipe that this experiment changes.
    #[serde(default)]
    pub data: DataSettings,
    /// What predicts the noise.
    pub score: ScoreConfig,
    /// What the network's output means.
    #[serde(default)]
    pub denoiser: Denoiser,
    /// File of trained weights, from the folder of `experiments/` on, in place of a training.
    #[serde(default)]
    pub weights: Option<String>,
    /// Noise levels.
    #[serde(default)]
    pub schedule: Schedule,
    /// How the network is trained.
    pub training: Training,
    /// How the device rounds products of matrices and convolutions, in training and in sampling.
    #[serde(default)]
    pub precision: Precision,
    /// What is observed, by name.
    pub observations: Vec<ObservationConfig>,
    /// Names of those that are made, for a tier that makes some; all where there are none. Empty once resolved.
    #[serde(default)]
    pub only: Vec<String>,
    /// How the posterior is sampled.
    pub assimilation: Assimilation,
    /// What `assimilation.settings: Tuned` chooses from; the default candidates where there is none.
    #[serde(default)]
    pub tuning: Option<Tuning>,
    /// Trajectories sampled window by window from the same network.
    #[serde(default)]
    pub rollouts: Vec<RolloutConfig>,
    /// What the truth is taken from; none leaves out what is compared with it.
    #[serde(default)]
    pub reference: Option<ParticleReference>,
    /// Variants that are run in place of the experiment as it stands, on the same observations.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// What is evaluated on demand.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
    /// What is drawn from the prior alone, to be held against the test data.
    #[serde(default)]
    pub prior: Option<PriorConfig>,
    /// Published or recorded numbers, checked by the evaluation.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// Which tier was resolved.
    #[serde(default)]
    pub tier: Option<String>,
    /// Named sets of settings, each `path = value`; empty once resolved.
    #[serde(default)]
    pub tiers: BTreeMap<String, Vec<String>>,
}

/// What an experiment changes in its dataset's recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// Trajectories of (training, validation, test).
    #[serde(default)]
    pub split: Option<(usize, usize, usize)>,
    /// States of each trajectory.
    #[serde(default)]
    pub steps: Option<usize>,
}

/// The score of a whole trajectory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ScoreConfig {
    /// One network on windows of 2·order + 1 states, composed.
    Local {
        /// k, the states on either side of a window's centre.
        order: usize,
        /// States between windows; 1 is the paper.
        #[serde(default = "one")]
        stride: usize,
        /// On windows flattened time-major.
        network: Network,
    },
    /// A network that sees a trajectory whole.
    Global {
        /// States of a training window.
        window: usize,
        /// On [L, D].
        network: Network,
    },
}

impl ScoreConfig {
    /// States of a training window.
    pub fn window(&self) -> usize {
        match self {
            Self::Local { order, .. } => order.saturating_mul(2).saturating_add(1),
            Self::Global { window, .. } => *window,
        }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        match self {
            Self::Local { network, .. } | Self::Global { network, .. } => network,
        }
    }
}

/// How products of matrices and convolutions are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// f32 throughout.
    #[default]
    F32,
    /// Where the device has f16, operands in f16 and sums in f32; elsewhere, as on the CPU, f32.
    Mixed,
}

impl From<Precision> for sda_kernels::gpu::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Mixed => Self::Mixed,
        }
    }
}

/// The training loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the training trajectories, one random window from each.
    pub epochs: u32,
    /// Windows in a step; an epoch's last, partial batch is kept.
    pub batch: usize,
    /// r₀.
    pub learning_rate: f64,
    /// Its course over the epochs.
    #[serde(default)]
    pub decay: LearningRate,
    /// AdamW's constants.
    #[serde(default)]
    pub optimiser: AdamW,
    /// Decay of the weights' running average that is used afterwards; none uses the weights themselves.
    #[serde(default)]
    pub average: Option<f64>,
    /// Diffusion times drawn.
    #[serde(default)]
    pub times: TrainingTimes,
    /// What errors count at different noise levels.
    #[serde(default)]
    pub weight: LossWeight,
    /// Whether the network learns windows of which some states are known.
    #[serde(default)]
    pub levels: Levels,
    /// Epochs between validations.
    #[serde(default = "one")]
    pub validation_every: usize,
    /// File of weights, from the folder of `experiments/` on, that the training begins with in place of random ones:
    /// of the same network, of another system or a shorter training.
    #[serde(default)]
    pub start: Option<String>,
}

/// One kind of observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservationConfig {
    /// `lo`, `hi`.
    pub name: String,
    /// Of a normalised trajectory.
    pub operator: Operator,
    /// In the operator's unit.
    pub noise_std: f64,
    /// What is observed in place of test trajectories, once: this number everywhere, without noise drawn. There is no
    /// truth then to hold samples against.
    #[serde(default)]
    pub target: Option<f64>,
    /// In place of `assimilation.length`.
    #[serde(default)]
    pub length: Option<usize>,
    /// In place of `assimilation.sampler.steps`.
    #[serde(default)]
    pub steps: Option<u32>,
    /// In place of all of `assimilation.corrections`.
    #[serde(default)]
    pub corrections: Option<u32>,
    /// In place of `assimilation.guidance`.
    #[serde(default)]
    pub guidance: Option<Guidance>,
    /// In place of `assimilation.place`.
    #[serde(default)]
    pub place: Option<Place>,
}

impl ObservationConfig {
    /// The noise in the state's unit: over the operator's gain, where it has one.
    pub fn noise_of_state(&self) -> f64 {
        let gain = self.operator.gain();
        if gain > 0.0 { self.noise_std / gain } else { self.noise_std }
    }
}

impl Experiment {
    /// The experiment as it is for one of its observations.
    pub fn of(&self, o: &ObservationConfig) -> Self {
        let mut e = self.clone();
        let a = &mut e.assimilation;
        a.length = o.length.unwrap_or(a.length);
        if a.settings == Settings::Given {
            a.place = o.place.unwrap_or(a.place);
            a.sampler.steps = o.steps.unwrap_or(a.sampler.steps);
            a.corrections =
                o.corrections.map_or_else(|| a.corrections.clone(), |corrections| vec![corrections]);
            a.guidance = o.guidance.clone().unwrap_or_else(|| a.guidance.clone());
        }
        e
    }

    /// Whether some guidance takes the data's covariance, which is estimated from training trajectories.
    pub fn estimates_covariances(&self) -> bool {
        let of_observations = self.observations.iter().filter_map(|o| o.guidance.as_ref());
        let of_rollouts = self.rollouts.iter().filter_map(|r| r.guidance.as_ref());
        let tuning = (self.assimilation.settings == Settings::Tuned)
            .then(|| self.tuning.clone().unwrap_or_default())
            .into_iter()
            .flat_map(|tuning| tuning.candidates.into_iter().chain(tuning.chosen.into_values()));
        let tuned: Vec<Guidance> = tuning.map(|candidate| candidate.guidance).collect();
        let mut all = of_observations.chain(of_rollouts).chain(&tuned).chain([&self.assimilation.guidance]);
        all.any(|guidance| matches!(guidance, Guidance::Jfps { .. }))
    }
}

/// Sampling the posterior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assimilation {
    /// L, states of a trajectory.
    pub length: usize,
    /// Test trajectories observed.
    pub trajectories: usize,
    /// Posterior samples of each.
    pub samples: usize,
    /// Numbers of Langevin corrections to compare.
    pub corrections: Vec<u32>,
    /// Fewer test trajectories for these numbers of corrections, which cost the most: `{16: 1}`.
    #[serde(default)]
    pub fewer: BTreeMap<u32, usize>,
    /// Whether samples stay on disk. Where not, those of a variant go once all of them are scored, and a run goes on from
    /// scores alone: a table of a hundred sets of samples is some kB then.
    #[serde(default = "yes")]
    pub keep_samples: bool,
    /// From prior to posterior.
    pub guidance: Guidance,
    /// Where the guidance is formed.
    #[serde(default)]
    pub place: Place,
    /// Steps, τ, time grid, corrector floor.
    pub sampler: SamplerConfig,
    /// Samples weighed and drawn anew on the way, so that a guidance that is not exact does not bias them;
    /// rollouts are not weighed.
    #[serde(default)]
    pub twisted: Option<Resampling>,
    /// Whether these are used, or a tuning's in place of corrections, guidance, place and sampler.
    #[serde(default)]
    pub settings: Settings,
}

/// A rollout on the assimilation's first test trajectories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutConfig {
    /// Letters and digits, for files.
    pub name: String,
    /// Name of the observation that it follows, or that its forecasts are held against.
    pub observation: String,
    /// Which windows, and what is known in each.
    pub rollout: Rollout,
    /// How the prior is told of known states.
    pub conditioning: Conditioning,
    /// From prior to posterior; none is the assimilation's.
    #[serde(default)]
    pub guidance: Option<Guidance>,
    /// Langevin corrections after each predictor step.
    #[serde(default)]
    pub corrections: u32,
}

/// What of the sampler is chosen beside the assimilation's corrections and the experiment's schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// Predictor steps.
    pub steps: u32,
    /// τ.
    #[serde(default = "quarter")]
    pub tau: f64,
    /// The times visited.
    #[serde(default)]
    pub grid: TimeGrid,
    /// No corrections where σ(s) is below this; 0 corrects always.
    #[serde(default)]
    pub corrector_floor: f64,
    /// Whether there are no corrections where σ(s) is below the observation's noise, over the operator's gain, either.
    #[serde(default)]
    pub gated: bool,
    /// How the predictor goes from one time to the next.
    #[serde(default)]
    pub integrator: Integrator,
    /// A stochastic integrator draws no noise where σ(s) is below this.
    #[serde(default)]
    pub noise_floor: f64,
    /// Over what the corrector's δ is taken.
    #[serde(default)]
    pub langevin: LangevinStep,
    /// The largest δ; none is none.
    #[serde(default)]
    pub largest_delta: Option<f64>,
}

impl SamplerConfig {
    /// The sampler with a number of corrections, for an observation with this noise in the state's unit.
    pub fn with(&self, schedule: Schedule, corrections: u32, noise_std: f64) -> Sampler {
        let settings = self.clone();
        let floor = settings.corrector_floor;
        Sampler {
            schedule,
            steps: settings.steps,
            corrections,
            tau: settings.tau,
            grid: settings.grid,
            corrector_floor: if settings.gated { floor.max(noise_std) } else { floor },
            integrator: settings.integrator,
            noise_floor: settings.noise_floor,
            langevin: settings.langevin,
            largest_delta: settings.largest_delta,
        }
    }
}

/// The particle filter that stands for the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticleReference {
    /// Particles.
    pub particles: usize,
    /// Transitions from the initial law to the prior.
    pub burn_in: u32,
    /// Whether samples are drawn by backward simulation instead of tracing the surviving paths.
    #[serde(default)]
    pub backward: bool,
    /// Particles of two bootstrap filters whose traced paths are scored beside it, as the published tables have them.
    #[serde(default)]
    pub bootstrap: Option<usize>,
}

/// An experiment that differs in its score, its training or its sampler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Of its folder in the run directory, and of its metrics: `NAME.lo.1.w1`.
    pub name: String,
    /// What differs, as `path=value`.
    pub settings: Vec<String>,
}

/// A number that the evaluation must find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// `NAME.corrections.METRIC` over all trajectories, as in metrics.csv: `lo.1.w1_ratio`, `lo.1.rank_p`, and
    /// `lo.tuned.w1_ratio` where settings are tuned; `lo.reference.METRIC` is the reference's own,
    /// `VARIANT.lo.1.METRIC` a variant's; `prior.0.METRIC` is of the samples of the prior alone,
    /// `prior.reference.METRIC` of one half of the test data against the other.
    pub metric: String,
    /// At least.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// At most.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// A published number, to be met within its reading error and two standard errors over trajectories.
    #[serde(default)]
    pub published: Option<Published>,
    /// Tiers in which it is checked; all of them where there is none.
    #[serde(default)]
    pub tiers: Vec<String>,
    /// Where the number is from.
    pub source: String,
}

/// A number read off a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The number.
    pub value: f64,
    /// How far the reading may be off.
    pub reading: f64,
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

fn quarter() -> f64 {
    0.25
}
