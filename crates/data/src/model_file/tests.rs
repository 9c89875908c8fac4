use std::fs;

use ndarray::{ArrayD, IxDyn, array};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn example() -> ModelFile {
    let tensors = BTreeMap::from([
        ("net.0.weight".to_string(), array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]].into_dyn()),
        ("net.0.bias".to_string(), array![0.5f32, -0.25].into_dyn()),
    ]);
    let header = ModelHeader::new(
        &json!({"kind": "ResMLP", "width": 2}),
        &json!({"mean": [0.1, 1e-9]}),
        &json!({"seed": u64::MAX}),
    )
    .with_progress(&json!({"step": 12}));
    ModelFile::new(tensors, header)
}

fn saved() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    example().save(&path).unwrap();
    (folder, path)
}

fn load_error(path: &Path) -> String {
    let message = ModelFile::load(path).unwrap_err().to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    message
}

#[test]
fn round_trip_with_header() {
    let (_folder, path) = saved();
    let file = ModelFile::load(&path).unwrap();
    assert_eq!(file.tensors, example().tensors);
    assert_eq!(file.header, example().header);
    let seed: BTreeMap<String, u64> = file.field("training", &file.header.training).unwrap();
    assert_eq!(seed["seed"], u64::MAX);
    let wrong = file.field::<Vec<u64>>("training", &file.header.training).unwrap_err().to_string();
    assert!(wrong.contains("training") && wrong.contains("model.safetensors"), "{wrong}");
}

#[test]
fn equal_content_is_equal_bytes_and_valid_safetensors() {
    let (_folder, path) = saved();
    let bytes = fs::read(&path).unwrap();
    for _ in 0..8 {
        example().save(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    let peer = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(
        peer.tensor("net.0.bias").unwrap().data(),
        [0.5f32.to_le_bytes(), (-0.25f32).to_le_bytes()].concat()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_shape_survives(shapes in prop::collection::vec(prop::collection::vec(0usize..5, 0..4), 0..5), seed in any::<u32>()) {
        let tensors: BTreeMap<_, _> = shapes.iter().enumerate().map(|(i, shape)| {
            let mut k = seed.wrapping_add(i as u32);
            (format!("t{i}"), ArrayD::from_shape_simple_fn(IxDyn(shape), || {
                k = k.wrapping_mul(1664525).wrapping_add(1013904223);
                f32::from_bits(k & 0xbfff_ffff) // any sign, exponent below that of infinity
            }))
        }).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        ModelFile::new(tensors.clone(), ModelHeader::default()).save(&path).unwrap();
        prop_assert_eq!(ModelFile::load(&path).unwrap().tensors, tensors);
    }
}

#[test]
fn every_truncation_is_told() {
    let (_folder, path) = saved();
    let bytes = fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let message = load_error(&path);
        assert!(
            message.contains("truncated") && message.contains("copy the file anew"),
            "at {length}: {message}"
        );
    }
}

#[test]
fn a_corrupted_header_is_told() {
    let (_folder, path) = saved();
    let good = fs::read(&path).unwrap();
    for (place, value) in [(7, 0xff), (9, 0xff), (8, b'x')] {
        let mut bytes = good.clone();
        bytes[place] = value;
        fs::write(&path, bytes).unwrap();
        let message = load_error(&path);
        assert!(message.contains("corrupted") && message.contains("copy the file anew"), "{message}");
    }
    fs::write(&path, b"<!DOCTYPE html><html><body>404: no such model here, sorry</body></html>").unwrap();
    assert!(load_error(&path).contains("corrupted"));
    fs::write(&path, [good, vec![0; 4]].concat()).unwrap();
    assert!(load_error(&path).contains("corrupted"));
}

#[test]
fn not_there_is_not_truncated() {
    let folder = tempfile::tempdir().unwrap();
    let message = load_error(&folder.path().join("none.safetensors"));
    assert!(message.contains("nothing is there") && message.contains("copy the file anew"), "{message}");
    assert!(load_error(folder.path()).contains("a folder stands where a file is needed"));
}

/// A file of other number types, as another program writes it.
fn foreign(path: &Path, dtype: safetensors::Dtype, data: &[u8]) {
    let view = safetensors::tensor::TensorView::new(dtype, vec![2], data).unwrap();
    let metadata = std::collections::HashMap::from([("kind".to_string(), "plain words".to_string())]);
    fs::write(path, safetensors::serialize([("t", view)], Some(metadata)).unwrap()).unwrap();
}

#[test]
fn number_types_of_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.safetensors");
    foreign(&path, safetensors::Dtype::F64, &[1.5f64.to_le_bytes(), 0.1f64.to_le_bytes()].concat());
    let file = ModelFile::load(&path).unwrap();
    assert_eq!(file.tensors["t"], array![1.5f32, 0.1].into_dyn());
    assert_eq!(file.header.other["kind"], json!("plain words"));
    foreign(&path, safetensors::Dtype::F64, &[1.5f64.to_le_bytes(), 1e300f64.to_le_bytes()].concat());
    assert!(load_error(&path).contains("tensor `t` at [1]"));
    foreign(&path, safetensors::Dtype::I64, &[3i64.to_le_bytes(), (-4i64).to_le_bytes()].concat());
    let message = load_error(&path);
    assert!(message.contains("I64") && message.contains("expected F16, F32 or F64"), "{message}");
    assert_eq!(ModelFile::load_with_integers(&path).unwrap().tensors["t"], array![3f32, -4.0].into_dyn());
    // 1, and the least number of f16.
    foreign(&path, safetensors::Dtype::F16, &[0x00, 0x3c, 0x01, 0x00]);
    assert_eq!(ModelFile::load(&path).unwrap().tensors["t"], array![1.0f32, 2f32.powi(-24)].into_dyn());
    foreign(&path, safetensors::Dtype::F16, &[0x00, 0x3c, 0x00, 0x7c]);
    assert!(load_error(&path).contains("tensor `t` at [1]"));
    foreign(&path, safetensors::Dtype::BF16, &[0; 4]);
    assert!(load_error(&path).contains("its type is BF16"));
}

#[test]
fn halved_weights_are_half_the_bytes_and_rounded_to_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let weights = ArrayD::from_shape_fn(IxDyn(&[40, 50]), |i| 1.0 / (1.0 + (i[0] * 50 + i[1]) as f32));
    let curve = array![0.123_456_78f32, 65520.0].into_dyn();
    let mut file = example();
    file.tensors.insert("net.weight".into(), weights.clone());
    file.tensors.insert("curve.training".into(), curve.clone());
    file.save_halved(&path, "curve.").unwrap();
    let bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(bytes.len() - 8 - header, 2 * (2000 + 6 + 2) + 4 * 2);
    let read = ModelFile::load(&path).unwrap();
    assert_eq!(read.header, file.header);
    assert_eq!(read.tensors["curve.training"], curve);
    for (got, want) in read.tensors["net.weight"].iter().zip(&weights) {
        assert!((got / want - 1.0).abs() <= 2f32.powi(-11), "{got} for {want}");
    }
    // What was rounded once is not rounded again.
    read.save_halved(&path, "curve.").unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);

    for (value, word) in [(65520.0, "65504"), (f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        file.tensors.get_mut("net.0.bias").unwrap()[[1]] = value;
        let message = file.save_halved(&path, "curve.").unwrap_err().to_string();
        assert!(message.contains("`net.0.bias` at [1]") && message.contains(word), "{message}");
    }
    file.tensors.get_mut("net.0.bias").unwrap()[[1]] = -65519.0;
    file.save_halved(&path, "curve.").unwrap();
    assert_eq!(ModelFile::load(&path).unwrap().tensors["net.0.bias"][[1]], -65504.0);
    file.tensors.get_mut("curve.training").unwrap()[[0]] = f32::INFINITY;
    assert!(file.save_halved(&path, "curve.").unwrap_err().to_string().contains("`curve.training` at [0]"));
}

#[test]
fn nan_is_neither_read_nor_written() {
    let (_folder, path) = saved();
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let message = load_error(&path);
    assert!(message.contains("tensor `net.0.weight` at [1, 2]") && message.contains("NaN"), "{message}");

    example().save(&path).unwrap();
    let mut diverged = example();
    diverged.tensors.get_mut("net.0.bias").unwrap()[[1]] = f32::INFINITY;
    let message = diverged.save(&path).unwrap_err().to_string();
    assert!(message.contains("`net.0.bias` at [1]") && message.contains("inf"), "{message}");
    assert_eq!(ModelFile::load(&path).unwrap().tensors, example().tensors);
}

#[test]
fn another_architecture_is_named() {
    let (_folder, path) = saved();
    let file = ModelFile::load(&path).unwrap();
    file.expect_shapes(&[("net.0.weight", &[2, 3]), ("net.0.bias", &[2])]).unwrap();
    let layers: Vec<String> = (1..8).map(|i| format!("net.{i}.weight")).collect();
    let mut expected: Vec<(&str, &[usize])> = layers.iter().map(|n| (n.as_str(), &[1usize][..])).collect();
    expected.push(("net.0.weight", &[3, 2]));
    let message = file.expect_shapes(&expected).unwrap_err().to_string();
    for part in [
        "model.safetensors",
        "missing: net.1.weight",
        "and 3 more",
        "unexpected: net.0.bias",
        "net.0.weight is [2, 3], not [3, 2]",
        "ResMLP",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let (_folder, path) = saved();
    let text = fs::read(&path).unwrap();
    let at = text.windows(18).position(|w| w == b"\"format_version\":\"").unwrap() + 18;
    let mut bytes = text;
    bytes[at] = b'9';
    fs::write(&path, bytes).unwrap();
    let message = load_error(&path);
    assert!(message.contains("format_version") && message.contains("newer release"), "{message}");
}

#[test]
fn a_checkpoint_keeps_its_parts_apart() {
    let mut checkpoint = ModelFile::default();
    checkpoint.insert_under("parameter.", example().tensors);
    checkpoint.insert_under("average.", BTreeMap::new());
    checkpoint.insert_under("moment.first.", example().tensors);
    assert_eq!(checkpoint.tensors.len(), 4);
    assert_eq!(checkpoint.tensors_under("moment.first."), example().tensors);
    assert!(checkpoint.tensors_under("average.").is_empty());
}

#[test]
fn reads_the_reference_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
    let file = ModelFile::load(&folder.join("score_mlp_local.safetensors")).unwrap();
    assert_eq!(file.header.other["kind"], json!("mc_score_net"));
    assert_eq!(file.header.other["config"]["hidden_features"], json!([24, 24, 24]));
    assert!(file.tensors.len() > 10);
}
