//! From a RON file to a run directory: stages, resume, report.
#![forbid(unsafe_code)]

pub mod config;
mod error;
pub mod figures;
mod key;
pub mod progress;
pub mod report;
mod run;
mod shipping;
mod stages;
pub mod tuning;
mod versions;

pub use error::{ExperimentError, Problem};
pub use run::{Options, Outcome, Run};
pub use shipping::halve;
