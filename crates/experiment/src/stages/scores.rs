//! Scores on disk: JSON with the key of what they depend on, so that a finished run is read back in seconds.

use crate::error::ExperimentError;
use crate::run::Run;
use serde::{Deserialize, Serialize};
use std::path::Path;

const STAGE: &str = "evaluate";

/// Names and numbers, in the order of metrics.csv.
pub(crate) type Values = Vec<(String, f64)>;

#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    values: Values,
}

/// The scores under this key, or else `make`'s, and whether they were made now. What is no finite number is left out.
///
/// Errors: a file that can't be read or written; `make`'s.
pub(crate) fn reuse_or(
    run: &Run,
    stem: &str,
    key: &str,
    make: impl FnOnce() -> Result<Vec<(&'static str, f64)>, ExperimentError>,
) -> Result<(Values, bool), ExperimentError> {
    let name = format!("scores/{stem}.json");
    if let Some(stored) = load(&run.folder.join(&name))?.filter(|stored| stored.key == key) {
        return Ok((stored.values, false));
    }
    let finite = make()?.into_iter().filter(|(_, value)| value.is_finite());
    let stored = Stored { key: key.into(), values: finite.map(|(n, v)| (n.to_owned(), v)).collect() };
    let text = serde_json::to_vec_pretty(&stored).map_err(ExperimentError::stage(STAGE))?;
    run.write(&name, &text)?;
    Ok((stored.values, true))
}

/// The scores under this key, if they are there.
///
/// Errors: a file that can't be read.
pub(crate) fn stored(run: &Run, stem: &str, key: &str) -> Result<Option<Values>, ExperimentError> {
    let stored = load(&run.folder.join(format!("scores/{stem}.json")))?;
    Ok(stored.filter(|stored| stored.key == key).map(|stored| stored.values))
}

fn load(path: &Path) -> Result<Option<Stored>, ExperimentError> {
    let text = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ExperimentError::io("read the scores in", path, e)),
        Ok(text) => text,
    };
    let stored = serde_json::from_slice(&text).map_err(|e| ExperimentError::Stage {
        stage: STAGE,
        reason: format!("read {}: {e}; delete the file to score again", path.display()),
    })?;
    Ok(Some(stored))
}
