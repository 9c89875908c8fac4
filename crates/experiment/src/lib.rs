//! From a RON file to a run directory: stages, resume, report.
