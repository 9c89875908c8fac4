//! Broken, truncated, missing and wrong input; what the messages say.

use super::*;
use crate::DataError;

/// Opens the store and reads everything; the error's text.
fn error_of(path: &Path) -> String {
    let read = TrajectoryStore::open(path).and_then(|store| {
        (0..store.layout().trajectories).try_for_each(|i| store.read_trajectory(i).map(drop))
    });
    read.expect_err("an error").to_string()
}

#[test]
fn broken_chunk_files_are_named() {
    let layout = lorenz(6, 8).with_block(2).with_chunk_steps(3);
    let (_folder, path) = folder();
    write_store(&path, &layout);
    let file = path.join(ARRAY).join("c/1/0/0");
    let good = fs::read(&file).unwrap();
    let check = |bytes: &[u8], what: &str| {
        fs::write(&file, bytes).unwrap();
        let message = error_of(&path);
        assert!(
            message.contains(file.to_str().unwrap()) && message.contains(REGENERATE),
            "{what}: {message}"
        );
        message
    };
    for length in [0, 1, 50, good.len() / 2, good.len() - 1] {
        check(&good[..length], "truncated");
    }
    assert!(check(&good[..7], "truncated").contains("truncated"));
    for at in (0..good.len()).step_by(5) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        check(&bytes, "one bit flipped");
    }
    fs::remove_file(&file).unwrap();
    let message = error_of(&path);
    assert!(message.contains(file.to_str().unwrap()) && message.contains(REGENERATE), "{message}");
    assert!(!TrajectoryStore::is_complete(&path));
}

#[test]
fn broken_metadata_is_named() {
    let (_folder, path) = folder();
    assert!(error_of(&path).contains("nothing is there; generate it"));
    write_store(&path, &lorenz(3, 4));
    let array = path.join(ARRAY).join("zarr.json");
    let good = fs::read_to_string(&array).unwrap();
    for (from, to, words) in [
        ("\"float32\"", "\"float64\"", "data_type"),
        ("\"step\"", "\"pace\"", "dimension_names"),
        ("\"split_train\"", "\"split_trial\"", "split_train"),
        ("\"dt\": 0.025", "\"dt\": -1", "`dt`"),
        ("\"seed\": 18446744073709551612", "\"seed\": 1.5", "`seed`"),
        ("{", "", "zarr.json"),
    ] {
        assert!(good.contains(from), "{from} in {good}");
        fs::write(&array, good.replacen(from, to, 1)).unwrap();
        let message = error_of(&path);
        assert!(message.contains(words) && message.contains(path.to_str().unwrap()), "{message}");
    }
    fs::write(&array, good).unwrap();
    let group = path.join("zarr.json");
    let text = fs::read_to_string(&group).unwrap();
    fs::write(&group, text.replace("\"format_version\": 1", "\"format_version\": 2")).unwrap();
    assert!(error_of(&path).contains("newer release"));
    fs::write(&group, "{").unwrap();
    let message = error_of(&path);
    assert!(message.contains(group.to_str().unwrap()) && message.contains(REGENERATE), "{message}");
}

#[test]
fn nan_is_refused_on_the_way_in_and_out() {
    let layout = lorenz(6, 5).with_block(2).with_chunk_steps(2);
    let (_folder, path) = folder();
    let mut bad = states(&layout);
    bad[[3, 4, 1]] = f32::NEG_INFINITY;
    let mut writer = TrajectoryStore::create(&path, layout.clone(), description(6)).unwrap();
    write_blocks(&mut writer, &bad, 1);
    let message = writer.write_block(2, &rows(&bad, 2..4)).unwrap_err().to_string();
    assert!(
        message.contains("trajectory 3, step 4") && message.contains("-inf") && message.contains("diverged"),
        "{message}"
    );
    assert_eq!(writer.blocks_written(), 1, "the block can be tried again");

    // Another program's file, with right checksums and a wrong number.
    write_blocks(&mut writer, &states(&layout), 3);
    writer.finish().unwrap();
    let (zarr, _, _) = zarr::ZarrArray::open(&path).unwrap();
    let shape = layout.with_dims(2, layout.file_steps());
    let mut values = vec![1f32; shape.iter().product()];
    values[layout.file_steps() * 3 + 3 * 3] = f32::NAN;
    zarr.write_file(1, 0, values).unwrap();
    let store = TrajectoryStore::open(&path).unwrap();
    store.read_window(3, 0, 2).unwrap();
    let message = store.read_window(3, 1, 3).unwrap_err().to_string();
    for part in ["trajectory 3, step 3", "NaN", "c/1/0/0", REGENERATE] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn out_of_range_and_bad_layouts_are_errors() {
    let (_folder, path) = folder();
    let store = write_store(&path, &lorenz(3, 8));
    for (i, start, len) in [(3, 0, 1), (0, 0, 9), (0, 8, 1), (0, usize::MAX, 2)] {
        let message = store.read_window(i, start, len).unwrap_err().to_string();
        assert!(
            message.contains("3 trajectories of 8 states") && message.contains("lorenz63.zarr"),
            "{message}"
        );
    }
    assert_eq!(store.read_window(2, 8, 0).unwrap().shape(), [0, 3]);
    let bad_split =
        Description { split: Split { train: 0..2, validation: 1..3, test: 3..3 }, ..description(3) };
    for (layout, description, word) in [
        (lorenz(0, 8), description(1), "trajectories"),
        (lorenz(3, 8).with_block(0), description(3), "block"),
        (Layout::new(3, 8, vec![Dimension::new("step", 2)]), description(3), "dimension `step`"),
        (Layout::new(3, 8, vec![Dimension::new("a/b", 2)]), description(3), "dimension `a/b`"),
        (Layout::new(usize::MAX / 2, 8, vec![]), description(3), "larger than any disk"),
        (lorenz(3, 8), description(9), "split_train"),
        (lorenz(3, 8), bad_split, "split_validation"),
        (lorenz(3, 8), Description { dt: f64::NAN, ..description(3) }, "dt"),
    ] {
        let message = TrajectoryStore::create(&path, layout, description).err().unwrap().to_string();
        assert!(message.contains(word), "{word} in {message}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = TrajectoryStore::create(&file.join("a.zarr"), lorenz(1, 2), description(1)).err().unwrap();
    assert!(matches!(error, DataError::Io { .. }));
    assert!(error.to_string().contains("choose another folder"), "{error}");
}

#[test]
#[should_panic(expected = "the block has shape [2, 4, 3], expected [2, 5, 3]")]
fn a_wrong_shape_is_a_programmers_error() {
    let (_folder, path) = folder();
    let mut writer = TrajectoryStore::create(&path, lorenz(2, 5), description(2)).unwrap();
    let _ = writer.write_block(0, &ArrayD::zeros(IxDyn(&[2, 4, 3])));
}
