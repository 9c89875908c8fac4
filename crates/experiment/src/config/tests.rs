//! Settings, names, errors, and every experiment of the workspace.

mod errors;
mod fields;
mod resolved;
mod settings;
mod tuning;

use super::{Loaded, Setting, load};
use crate::ExperimentError;
use std::path::{Path, PathBuf};

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every experiment of the workspace.
fn experiments() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("experiments")).unwrap().map(|e| e.unwrap().path());
    let mut paths: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "ron")).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// A file with this text.
struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Written {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small.ron");
        std::fs::write(&path, text).unwrap();
        Self { _folder: folder, path }
    }

    fn load(&self, tier: Option<&str>, settings: &[&str]) -> Result<Loaded, ExperimentError> {
        let settings: Vec<Setting> = settings.iter().map(|s| Setting::parse(s).unwrap()).collect();
        load(&self.path, tier, &settings)
    }
}

/// A whole experiment, one field a line.
const SMALL: &str = r#"// A comment before: (with, "brackets: and quotes.
(
    title: "small, (odd) [title] // no comment", /* a block, comment: ) */
    source: "nowhere",
    seed: 1,
    dataset: "lorenz63",
    score: Local(
        order: 2,
        network: ResMlp((features: 15, embedding: 8, hidden_features: [16, 16], activation: SiLU)),
    ),
    training: (
        epochs: 4,
        batch: 8,
        learning_rate: 1e-3, // the rate: (as a comment)
    ),
    observations: [
        (name: "lo", operator: Components([0]), noise_std: 0.05),
        (name: "hi", operator: Components([1]), noise_std: 0.25),
    ],
    assimilation: (
        length: 17,
        trajectories: 1,
        samples: 8,
        corrections: [0, 1],
        guidance: Sda(gamma: 3e-2),
        sampler: (steps: 8),
    ),
    reference: (particles: 64, burn_in: 4),
    tiers: {
        "smoke": ["training.epochs=2"],
        "quick": [],
        "wrong": ["training.epoch=2"],
    },
)
"#;

#[test]
fn the_small_experiment_is_sound() {
    Written::new(SMALL).load(None, &[]).unwrap();
}
