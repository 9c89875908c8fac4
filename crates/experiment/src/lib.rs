//! From a RON file to a run directory: stages, resume, report.
#![forbid(unsafe_code)]

pub mod figures;
pub mod progress;
pub mod report;
