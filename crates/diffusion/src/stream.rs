//! Ids of this crate's random streams. Draws of one seed and different ids are independent.

/// Diffusion times of training windows: (step, row in the batch).
pub const TRAINING_TIME: u32 = 0x4430_0001;
/// Noise of training windows: (step, row in the batch, element).
pub const TRAINING_NOISE: u32 = 0x4430_0002;
/// Diffusion times of validation windows: (batch, row).
pub const VALIDATION_TIME: u32 = 0x4430_0003;
/// Noise of validation windows: (batch, row, element).
pub const VALIDATION_NOISE: u32 = 0x4430_0004;
/// The sampler's start at t = 1: (0, sample, element).
pub const START: u32 = 0x4430_0005;
/// The corrector's noise: (correction counted over the whole run, sample, element).
pub const CORRECTION: u32 = 0x4430_0006;
/// The noise of ancestral predictor steps: (step, sample, element).
pub const ANCESTRAL: u32 = 0x4430_0007;
/// The draws of a twisted sampler: (step, 0, 0).
pub const RESAMPLING: u32 = 0x4430_0008;
/// Known states of training windows: (step, row in the batch).
pub const TRAINING_LEVELS: u32 = 0x4430_0009;
/// Known states of validation windows: (batch, row).
pub const VALIDATION_LEVELS: u32 = 0x4430_000A;
/// Seeds of a rollout's blocks: (block, task).
pub const BLOCK: u32 = 0x4430_000B;
/// The noise that a forecast is warmed up with: (0, sample, element).
pub const WARM_START: u32 = 0x4430_000C;
