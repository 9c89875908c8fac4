//! Trained weights in half the bytes, as `models/` has the larger ones.

use crate::error::ExperimentError;
use crate::stages::CURVE;
use sda_data::ModelFile;
use std::path::Path;

const STAGE: &str = "halve the weights";

/// Writes a run's `model.safetensors` with its parameters in f16 and its losses as they are; what it is stays in its
/// header, and an experiment takes it as it takes the run's. Returns the bytes of both files.
///
/// Errors: a file that can't be read or written; a checkpoint, which goes on from f32 alone; a weight beyond f16.
pub fn halve(from: &Path, to: &Path) -> Result<[u64; 2], ExperimentError> {
    let wrap = ExperimentError::stage::<sda_data::DataError>(STAGE);
    let file = ModelFile::load(from).map_err(&wrap)?;
    if file.header.architecture.is_null() {
        let reason = format!(
            "{} does not say its network: name the model.safetensors of a finished training",
            from.display()
        );
        return Err(ExperimentError::Stage { stage: STAGE, reason });
    }
    file.save_halved(to, CURVE).map_err(&wrap)?;
    let bytes = |path: &Path| {
        std::fs::metadata(path).map(|m| m.len()).map_err(|e| ExperimentError::io("measure", path, e))
    };
    Ok([bytes(from)?, bytes(to)?])
}
