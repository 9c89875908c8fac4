//! What is kept of a file, and names of files.

use super::{SMALL, Written, experiments, root};
use crate::config::{find, load, load_recipe};
use std::path::Path;

#[test]
fn the_file_is_kept_as_written() {
    for text in
        [SMALL.to_owned(), SMALL.replace('\n', "\r\n"), SMALL.replace("seed: 1,", "seed: 1 ,  // äöü\t")]
    {
        assert_eq!(Written::new(&text).load(Some("smoke"), &[]).unwrap().written, text);
    }
}

#[test]
fn the_resolved_text_resolves_to_itself() {
    for tier in ["smoke", "quick"] {
        let settings = ["seed=7", "training.average=0.99", "evaluation.modes=(component: 0, mirror: true)"];
        let loaded = Written::new(SMALL).load(Some(tier), &settings).unwrap();
        let again = Written::new(&loaded.resolved);
        for tier in [None, Some(tier)] {
            let resolved = again.load(tier, &[]).unwrap();
            assert_eq!(resolved.resolved, loaded.resolved);
            assert_eq!(resolved.experiment, loaded.experiment);
        }
        let other = again.load(Some("paper"), &[]).unwrap_err().to_string();
        assert!(other.contains("«paper»") && other.contains(tier), "{other}");
    }
}

#[test]
fn every_default_is_written_out() {
    let resolved = Written::new(SMALL).load(None, &[]).unwrap().resolved;
    for field in [
        "stride: 1",
        "precision: F32",
        "eta:",
        "betas:",
        "weight_decay:",
        "tau:",
        "corrector_floor:",
        "backward:",
        "modes: None",
        "tier: \"quick\"",
    ] {
        assert!(resolved.contains(field), "{field} in\n{resolved}");
    }
}

#[test]
fn quick_is_the_default_tier_and_settings_come_last() {
    let file = Written::new(&SMALL.replace("\"quick\": []", "\"quick\": [\"training.epochs=3\"]"));
    let epochs = |tier, settings: &[&str]| file.load(tier, settings).unwrap().experiment.training.epochs;
    assert_eq!((epochs(None, &[]), epochs(Some("smoke"), &[])), (3, 2));
    assert_eq!(epochs(Some("smoke"), &["training.epochs=9", "training.epochs=11"]), 11);
}

#[test]
fn every_tier_of_every_experiment_fits_its_recipe() {
    for path in experiments() {
        let tiers: Vec<String> = super::super::load::parse::<crate::config::Experiment>(
            &std::fs::read_to_string(&path).unwrap(),
            &path,
        )
        .unwrap()
        .tiers
        .into_keys()
        .collect();
        for tier in ["smoke", "quick", "paper"] {
            assert!(tiers.iter().any(|t| t == tier), "{}: no tier {tier}", path.display());
        }
        for tier in &tiers {
            let loaded = load(&path, Some(tier), &[]).unwrap_or_else(|e| panic!("{tier}: failed to {e}"));
            let mut recipe = load_recipe(&root().join("datasets"), &loaded.experiment.dataset).unwrap();
            recipe.split = loaded.experiment.data.split.unwrap_or(recipe.split);
            recipe.steps = loaded.experiment.data.steps.unwrap_or(recipe.steps);
            loaded.validate_with(&recipe).unwrap_or_else(|e| panic!("{tier}: failed to {e}"));
        }
    }
}

/// Recipes that shipped weights were, or are, trained by.
#[test]
fn every_training_recipe_fits_its_data() {
    let files = std::fs::read_dir(root().join("models/training")).unwrap().flatten();
    let paths: Vec<_> =
        files.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "ron")).collect();
    assert!(paths.len() > 1);
    for path in paths {
        let loaded = load(&path, None, &[]).unwrap_or_else(|e| panic!("failed to {e}"));
        let recipe = load_recipe(&root().join("datasets"), &loaded.experiment.dataset).unwrap();
        loaded.experiment.validate_with(&recipe, &path).unwrap_or_else(|e| panic!("failed to {e}"));
    }
}

fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::write(folder.path().join(name), SMALL).unwrap();
    }
    folder
}

#[test]
fn experiments_are_found_by_name_or_unique_prefix() {
    let folder = folder(&["lorenz.ron", "lorenz_b.ron", "kolmogorov_a.ron", "lotka.txt"]);
    let found =
        |name: &str| find(folder.path(), name).map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned());
    assert_eq!(found("lorenz").unwrap(), "lorenz", "the exact name wins over the longer one");
    assert_eq!(found("lorenz_").unwrap(), "lorenz_b");
    assert_eq!(found("k").unwrap(), "kolmogorov_a");
    let path = folder.path().join("lorenz_b.ron");
    assert_eq!(find(Path::new("/nowhere"), path.to_str().unwrap()).unwrap(), path);

    let ambiguous = found("lo").unwrap_err().to_string();
    assert!(ambiguous.contains("lorenz or lorenz_b"), "{ambiguous}");
    let near = found("lorentz").unwrap_err().to_string();
    let of_near = near.split("near are ").nth(1).unwrap();
    assert!(near.contains("«lorentz»") && of_near.starts_with("lorenz"), "{near}");
    let near = found("komogorov").unwrap_err().to_string();
    assert!(near.contains("near are kolmogorov_a"), "{near}");
}

#[test]
fn an_empty_or_missing_folder_is_told() {
    let empty = folder(&[]);
    let message = find(empty.path(), "lorenz").unwrap_err().to_string();
    assert!(
        message.contains("no .ron file") && message.contains(empty.path().to_str().unwrap()),
        "{message}"
    );
    let message = find(&empty.path().join("nowhere"), "lorenz").unwrap_err().to_string();
    assert!(message.contains("nowhere"), "{message}");
    let message = load_recipe(empty.path(), "lorenz63").unwrap_err().to_string();
    assert!(message.contains("lorenz63.ron") && message.contains("recipe"), "{message}");
}
