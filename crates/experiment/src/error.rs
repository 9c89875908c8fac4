//! The crate's errors.

use sda_diffusion::DiffusionError;
use sda_graph::ExecutorError;
use std::fmt;
use std::path::{Path, PathBuf};

/// What can go wrong with an experiment, worded to continue "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// A file or folder.
    #[error("{action} {}: {cause}; {}", path.display(), sda_data::remedy(cause))]
    Io {
        /// What was tried.
        action: String,
        /// On what.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// No experiment of this name.
    #[error("find experiment «{name}» in {}: no file begins with it; {}", folder.display(), near_matches(near))]
    Unknown {
        /// Name asked for.
        name: String,
        /// Where it was sought.
        folder: PathBuf,
        /// Near matches.
        near: Vec<String>,
    },
    /// Several experiments begin with the name.
    #[error("find experiment «{name}» in {}: it may be {}", folder.display(), near.join(" or "))]
    Ambiguous {
        /// Name asked for.
        name: String,
        /// Where it was sought.
        folder: PathBuf,
        /// What it may be.
        near: Vec<String>,
    },
    /// A RON file that is not what it should be.
    #[error("read {}:{line}:{column}: {field}: {reason}", path.display())]
    Ron {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// Path of the field.
        field: String,
        /// What was expected.
        reason: String,
    },
    /// A setting of a tier or of the command line.
    #[error("apply {from} to {}: {reason}", path.display())]
    Setting {
        /// The experiment file.
        path: PathBuf,
        /// Which setting.
        from: String,
        /// Why not.
        reason: String,
    },
    /// No such tier.
    #[error("choose tier «{tier}» of {}: it has {}", path.display(), if known.is_empty() { "no tiers".into() } else { known.join(", ") })]
    Tier {
        /// The experiment file.
        path: PathBuf,
        /// Tier asked for.
        tier: String,
        /// Tiers that it has.
        known: Vec<String>,
    },
    /// Values out of range or that do not fit together.
    #[error("use {}:{}", path.display(), list(problems))]
    Values {
        /// The experiment file.
        path: PathBuf,
        /// All of them.
        problems: Vec<Problem>,
    },
    /// A stage's own work.
    #[error("{stage}: {reason}")]
    Stage {
        /// `train`, `assimilate` …
        stage: &'static str,
        /// What happened, and the remedy.
        reason: String,
    },
    /// The device failed in the middle of a stage: it was lost, or its memory is full.
    #[error(
        "{stage}: {reason}; what is done up to the last checkpoint is kept, and the same command goes on from it, \
         as it does on another --device"
    )]
    Device {
        /// `train`, `assimilate`.
        stage: &'static str,
        /// What happened, and the remedy.
        reason: String,
    },
    /// Ctrl-C.
    #[error("finish {stage}: interrupted; the same command goes on from here")]
    Interrupted {
        /// Where.
        stage: &'static str,
    },
}

/// One field's problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field.
    pub field: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().flat_map(|p| ["\n  ".to_owned(), p.to_string()]).collect()
}

fn near_matches(near: &[String]) -> String {
    if near.is_empty() {
        "the folder holds no .ron file".into()
    } else {
        format!("near are {}", near.join(", "))
    }
}

impl ExperimentError {
    pub(crate) fn io(action: &str, path: &Path, cause: std::io::Error) -> Self {
        Self::Io { action: action.into(), path: path.into(), cause }
    }

    /// Wraps another crate's error into a stage's.
    pub(crate) fn stage<E: fmt::Display>(stage: &'static str) -> impl Fn(E) -> Self {
        move |e| Self::Stage { stage, reason: e.to_string() }
    }

    /// Wraps an executor's error: the device's own failure is told apart.
    pub(crate) fn executor(stage: &'static str) -> impl Fn(ExecutorError) -> Self {
        move |e| {
            let reason = e.to_string();
            match e {
                ExecutorError::Device(_) => Self::Device { stage, reason },
                _ => Self::Stage { stage, reason },
            }
        }
    }

    /// Wraps an error of training or sampling: the device's own failure is told apart.
    pub(crate) fn diffusion(stage: &'static str) -> impl Fn(DiffusionError) -> Self {
        move |e| match e {
            DiffusionError::Executor(e) => Self::executor(stage)(e),
            e => Self::stage(stage)(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_fails_keeps_the_checkpoint() {
        let lost = DiffusionError::Executor(ExecutorError::Device("the device is lost".into()));
        let error = ExperimentError::diffusion("train")(lost);
        assert!(matches!(error, ExperimentError::Device { stage: "train", .. }));
        let text = error.to_string();
        for word in ["train: ", "the device is lost", "last checkpoint is kept", "the same command goes on"] {
            assert!(text.contains(word), "«{word}» is not in: {text}");
        }
    }

    #[test]
    fn other_errors_are_the_stages() {
        let no_state = ExecutorError::NoState { name: "x".into(), known: Vec::new() };
        assert!(matches!(ExperimentError::executor("train")(no_state), ExperimentError::Stage { .. }));
        let loss = DiffusionError::NonFiniteLoss { step: 3, loss: f64::NAN };
        assert!(matches!(ExperimentError::diffusion("train")(loss), ExperimentError::Stage { .. }));
    }
}
