//! Layers, score networks, time embedding, optimiser, weights by name.
