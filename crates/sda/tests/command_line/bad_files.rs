//! Files of a run that are damaged: told with what to do, and nothing good is replaced.

use super::sandbox::{Contents, Sandbox, assert_same, fails, undisturbed};
use ndarray::Axis;
use sda::data::ModelFile;
use std::fs;
use std::path::{Path, PathBuf};

/// A sandbox with a finished small run, copied from the undisturbed one.
fn finished() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, bytes) in undisturbed() {
        let path = sandbox.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    sandbox
}

/// Damages a file: the run then fails with these words and touches nothing; without the file it comes to its old end.
#[track_caller]
fn check(name: &str, damage: impl Fn(&Path, &[u8]), words: &[&str]) {
    let sandbox = finished();
    let path = sandbox.path(name);
    damage(&path, &undisturbed()[name]);
    let before = sandbox.contents();
    assert_ne!(before[name], undisturbed()[name], "nothing was damaged");
    let words: Vec<&str> = words.iter().copied().chain([path.to_str().unwrap(), "delete"]).collect();
    fails(&mut sandbox.small(&[]), &words);
    assert_same(&sandbox.contents(), &before);
    fs::remove_file(&path).unwrap();
    sandbox.finish(&[]);
    assert_same(&sandbox.contents(), undisturbed());
}

fn truncate(path: &Path, bytes: &[u8]) {
    fs::write(path, &bytes[..bytes.len() - 5]).unwrap();
}

fn nothing_left(path: &Path, _: &[u8]) {
    fs::write(path, b"").unwrap();
}

fn nan_at_the_end(path: &Path, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let n = bytes.len();
    bytes[n - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

fn garbled_header(path: &Path, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    bytes[9..20].fill(b'#');
    fs::write(path, bytes).unwrap();
}

#[test]
fn truncated() {
    for name in [
        "model.safetensors",
        "observations/lo-0.safetensors",
        "reference/hi-1.safetensors",
        "samples/lo-1-c0.safetensors",
    ] {
        check(&format!("out/{name}"), truncate, &["truncated"]);
    }
    check("out/samples/hi-0-c2.safetensors", nothing_left, &["truncated"]);
    check("out/scores/hi-0-c2.json", truncate, &["hi-0-c2.json"]);
}

#[test]
fn corrupted() {
    check("out/model.safetensors", garbled_header, &["corrupted"]);
    check("out/samples/lo-0-c0.safetensors", nan_at_the_end, &["NaN"]);
    check("out/model.safetensors", nan_at_the_end, &["NaN"]);
}

/// The same key over another network's tensors.
#[test]
fn weights_of_another_architecture() {
    let another = |path: &Path, _: &[u8]| {
        let mut file = ModelFile::load(path).unwrap();
        let mut tensors = file.tensors.clone();
        for (name, tensor) in &file.tensors {
            if tensor.shape() == [24] {
                let shorter = tensor.slice_axis(Axis(0), (0..12).into()).to_owned();
                tensors.insert(name.clone(), shorter);
            }
        }
        file.tensors = tensors;
        file.save(path).unwrap();
    };
    check("out/model.safetensors", another, &["[12]", "[24]", "another shape", "architecture"]);
}

fn chunk_files(sandbox: &Sandbox) -> Vec<PathBuf> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let mut files = Vec::new();
    walk(&sandbox.store().unwrap(), &mut files);
    files.retain(|p| fs::metadata(p).unwrap().len() > 10_000);
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Damages every chunk file; a run that must read them fails with these words and replaces no result.
#[track_caller]
fn check_data(damage: fn(&Path), words: &[&str]) {
    let sandbox = finished();
    for path in chunk_files(&sandbox) {
        damage(&path);
    }
    let before = sandbox.contents();
    let store = sandbox.store().unwrap();
    let words: Vec<&str> =
        words.iter().copied().chain([store.to_str().unwrap(), "delete the whole store"]).collect();
    fails(&mut sandbox.small(&["--set", "training.epochs=25"]), &words);
    let described = ["out/resolved.ron", "out/experiment.ron"];
    let results = |c: Contents| -> Contents {
        c.into_iter().filter(|(n, _)| !described.contains(&n.as_str())).collect()
    };
    assert_same(&results(sandbox.contents()), &results(before));
    fs::remove_dir_all(&store).unwrap();
    sandbox.finish(&[]);
    assert_same(&sandbox.contents(), undisturbed());
}

#[test]
fn chunks_with_other_bytes() {
    check_data(
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let n = bytes.len();
            bytes[n / 8..n / 2].iter_mut().for_each(|b| *b ^= 0x55);
            fs::write(path, bytes).unwrap();
        },
        &["corrupted"],
    );
}

#[test]
fn chunks_cut_short() {
    check_data(|path| fs::write(path, &fs::read(path).unwrap()[..100]).unwrap(), &["read"]);
}

#[test]
fn chunks_that_are_gone() {
    check_data(|path| fs::remove_file(path).unwrap(), &["nothing is there"]);
}

#[test]
fn metadata_that_is_none() {
    let sandbox = finished();
    let path = sandbox.store().unwrap().join("zarr.json");
    fs::write(&path, "{}").unwrap();
    fails(&mut sandbox.small(&[]), &["zarr.json", "delete the whole store"]);
}

/// Losses that are no numbers are an error with its epoch; the model that was there stays.
#[test]
fn a_training_that_diverges() {
    let sandbox = finished();
    let settings =
        ["--set", "training.learning_rate=1e30", "--set", "training.optimiser.skip_non_finite=false"];
    fails(&mut sandbox.small(&settings), &["train", "epoch", "lower training.learning_rate"]);
    let model = "out/model.safetensors";
    assert_eq!(sandbox.contents()[model], undisturbed()[model]);
}
