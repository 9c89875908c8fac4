//! Observation operators emitted as graphs, noise, likelihood.
