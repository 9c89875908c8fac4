//! Trajectory stores (Zarr), weights (safetensors), files written whole or not at all.
