//! Exact W1, MMD, log densities.
