use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, Axis, IxDyn, Slice};
use proptest::prelude::*;
use sda_core::Stream;
use serde_json::json;

use super::*;

mod faults;

fn description(trajectories: usize) -> Description {
    Description {
        system: "lorenz63".into(),
        description: "a test".into(),
        long_name: "state of the Lorenz-63 system".into(),
        units: "1".into(),
        dt: 0.025,
        seed: u64::MAX - 3,
        split: Split::of_counts(trajectories - trajectories / 2, trajectories / 4, 0),
        recipe: json!({"system": {"lorenz63": {"rho": 28.0}}, "beta": 8.0 / 3.0}),
    }
}

/// Normals, which do not compress: the worst case for a shard's size.
fn states(layout: &Layout) -> ArrayD<f32> {
    let shape = layout.shape();
    let mut values = vec![0f32; shape.iter().product()];
    Stream::new(1, 0).fill_normal(0, 0, layout.length * layout.state_len(), &mut values);
    ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap()
}

fn rows(states: &ArrayD<f32>, range: std::ops::Range<usize>) -> ndarray::ArrayViewD<'_, f32> {
    states.slice_axis(Axis(0), Slice::from(range))
}

fn window(states: &ArrayD<f32>, i: usize, start: usize, len: usize) -> ArrayD<f32> {
    states.index_axis(Axis(0), i).slice_axis(Axis(0), Slice::from(start..start + len)).to_owned()
}

fn write_blocks(writer: &mut TrajectoryWriter, states: &ArrayD<f32>, until: usize) {
    for b in writer.blocks_written()..until {
        let range = writer.layout().block_range(b);
        writer.write_block(range.start, &rows(states, range.clone())).unwrap();
    }
}

fn write_store(path: &Path, layout: &Layout) -> TrajectoryStore {
    let mut writer = TrajectoryStore::create(path, layout.clone(), description(layout.trajectories)).unwrap();
    write_blocks(&mut writer, &states(layout), layout.blocks());
    writer.finish().unwrap()
}

/// Every file below `root` with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().into(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn lorenz(trajectories: usize, length: usize) -> Layout {
    Layout::new(trajectories, length, vec![Dimension::named("component", &["x", "y", "z"])])
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lorenz63.zarr");
    (folder, path)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_shape_survives(
        n in 1usize..8, length in 1usize..12, dims in prop::collection::vec(1usize..5, 0..4),
        block in 1usize..5, chunk_steps in 1usize..6, pick in any::<u32>(),
    ) {
        let dims = dims.iter().enumerate().map(|(i, &d)| Dimension::new(&format!("axis{i}"), d)).collect();
        let layout = Layout::new(n, length, dims).with_block(block).with_chunk_steps(chunk_steps);
        let (_folder, path) = folder();
        let store = write_store(&path, &layout);
        prop_assert_eq!(store.layout(), &layout);
        prop_assert_eq!(store.description(), &description(n));
        let truth = states(&layout);
        for i in 0..n {
            let read = store.read_trajectory(i).unwrap();
            prop_assert_eq!(read.view(), truth.index_axis(Axis(0), i));
        }
        let pick = pick as usize;
        let (i, start) = (pick % n, pick / 7 % length);
        let len = pick / 97 % (length - start + 1);
        prop_assert_eq!(store.read_window(i, start, len).unwrap(), window(&truth, i, start, len));
    }
}

#[test]
fn long_trajectories_are_several_files_of_a_block() {
    // 17 chunks of 4 MiB: one more than fits a file of 64 MiB.
    let layout = Layout::new(2, 17, vec![Dimension::new("x", 1 << 20)]).with_block(1);
    assert_eq!((layout.chunk_steps, layout.block_files()), (1, 2));
    let (_folder, path) = folder();
    let mut writer = TrajectoryStore::create(&path, layout.clone(), description(2)).unwrap();
    let row = |i: usize| ArrayD::from_shape_fn(IxDyn(&[1, 17, 1 << 20]), |at| (i * 1000 + at[1]) as f32);
    writer.write_block(0, &row(0)).unwrap();
    writer.write_block(1, &row(1)).unwrap();
    let store = writer.finish().unwrap();
    assert_eq!(files(&path.join(ARRAY).join("c")).len(), 4);
    let window = store.read_window(1, 15, 2).unwrap();
    assert!(window.indexed_iter().all(|(at, &v)| v == (1015 + at[0]) as f32));
    assert!(store.cached_bytes() <= 64 << 20);
}

#[test]
fn axes_attributes_and_coordinates_come_back() {
    let dims = vec![Dimension::grid("y", vec![0.0, 0.1, 0.2], "m"), Dimension::named("channel", &["u", "v"])];
    let layout = Layout::new(3, 4, dims);
    let (_folder, path) = folder();
    write_store(&path, &layout);
    let store = TrajectoryStore::open(&path).unwrap();
    assert_eq!(store.layout(), &layout);
    assert_eq!(store.description(), &description(3));
    assert!(TrajectoryStore::is_complete(&path));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside the store");
}

#[test]
fn batches_of_windows_under_any_cache() {
    let layout = lorenz(10, 50).with_block(4).with_chunk_steps(7);
    let (_folder, path) = folder();
    write_store(&path, &layout);
    let truth = states(&layout);
    let starts: Vec<(usize, usize)> = (0..200).map(|k| (k * 7 % 10, k * 13 % 42)).collect();
    let expected: Vec<f32> = starts
        .iter()
        .flat_map(|&(i, start)| window(&truth, i, start, 9).iter().copied().collect::<Vec<_>>())
        .collect();
    for bytes in [0, 100, 1000, 1 << 20] {
        let store = TrajectoryStore::open_with_cache(&path, bytes).unwrap();
        let mut out = vec![0.0; 200 * 27];
        store.windows(&starts, 9, &mut out).unwrap();
        assert!(out == expected, "cache of {bytes}");
        assert!(store.cached_bytes() <= bytes);
    }
}

#[test]
fn threads_share_a_store() {
    let layout = lorenz(16, 40).with_chunk_steps(8);
    let (_folder, path) = folder();
    let store = Arc::new(write_store(&path, &layout));
    let threads: Vec<_> = (0..4)
        .map(|t| {
            let store = store.clone();
            std::thread::spawn(move || {
                let starts: Vec<(usize, usize)> =
                    (0..500).map(|k| ((k * 5 + t) % 16, (k * 3 + t) % 32)).collect();
                let mut out = vec![0.0; 500 * 27];
                store.windows(&starts, 9, &mut out).unwrap();
                (starts, out)
            })
        })
        .collect();
    let truth = states(&layout);
    for thread in threads {
        let (starts, out) = thread.join().unwrap();
        for (&(i, start), values) in starts.iter().zip(out.chunks(27)) {
            assert!(window(&truth, i, start, 9).iter().eq(values));
        }
    }
}

#[test]
fn killed_at_any_block_and_resumed_is_the_same_bytes() {
    let layout = lorenz(11, 6).with_block(3).with_chunk_steps(2);
    let (_a, whole) = folder();
    write_store(&whole, &layout);
    for killed_after in 0..=layout.blocks() {
        let (_folder, path) = folder();
        let mut writer = TrajectoryStore::resume(&path, layout.clone(), description(11)).unwrap();
        write_blocks(&mut writer, &states(&layout), killed_after);
        drop(writer);
        assert!(!TrajectoryStore::is_complete(&path), "a part looks whole");
        // The kill came in the middle of the next block: its file is there in part, its progress is not.
        let next = path.with_file_name(format!(".lorenz63.zarr.unfinished/{ARRAY}/c/{killed_after}/0/0"));
        fs::create_dir_all(next.parent().unwrap()).unwrap();
        if killed_after < layout.blocks() {
            fs::write(&next, b"half a shard").unwrap();
        }
        let mut writer = TrajectoryStore::resume(&path, layout.clone(), description(11)).unwrap();
        assert_eq!(writer.blocks_written(), killed_after);
        write_blocks(&mut writer, &states(&layout), layout.blocks());
        writer.finish().unwrap();
        assert!(files(&path) == files(&whole), "killed after block {killed_after}");
    }
}

#[test]
fn another_recipe_is_not_resumed() {
    let layout = lorenz(4, 3).with_block(2);
    let (_folder, path) = folder();
    drop(TrajectoryStore::create(&path, layout.clone(), description(4)).unwrap());
    let mut other = description(4);
    other.seed = 1;
    let message = TrajectoryStore::resume(&path, layout.clone(), other).err().unwrap().to_string();
    assert!(
        message.contains("`description`") && message.contains("progress.json") && message.contains("delete"),
        "{message}"
    );
    let message = TrajectoryStore::resume(&path, lorenz(4, 9), description(4)).err().unwrap().to_string();
    assert!(message.contains("`layout`"), "{message}");
    assert_eq!(TrajectoryStore::create(&path, layout, description(4)).unwrap().blocks_written(), 0);
}

#[test]
fn a_whole_store_stays_until_the_new_one_is_whole() {
    let (_folder, path) = folder();
    write_store(&path, &lorenz(2, 3));
    let mut writer = TrajectoryStore::create(&path, lorenz(5, 3), description(5)).unwrap();
    assert_eq!(TrajectoryStore::open(&path).unwrap().layout().trajectories, 2);
    write_blocks(&mut writer, &states(&lorenz(5, 3)), 1);
    assert_eq!(writer.finish().unwrap().layout().trajectories, 5);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

/// What one writes, another neither goes on with nor begins anew nor removes.
#[test]
fn a_store_has_one_writer_at_a_time() {
    let (_folder, path) = folder();
    write_store(&path, &lorenz(2, 3));
    let layout = lorenz(5, 3).with_block(3);
    let mut writer = TrajectoryStore::create(&path, layout.clone(), description(5)).unwrap();
    write_blocks(&mut writer, &states(&layout), 1);
    for second in [TrajectoryStore::create, TrajectoryStore::resume] {
        let error = second(&path, layout.clone(), description(5)).err().unwrap();
        assert!(matches!(error, crate::DataError::Busy { .. }), "{error}");
        assert!(error.to_string().contains(".lorenz63.zarr.lock"), "{error}");
    }
    TrajectoryStore::remove_leftovers(&path).unwrap();
    drop(writer);
    let mut writer = TrajectoryStore::resume(&path, layout.clone(), description(5)).unwrap();
    assert_eq!(writer.blocks_written(), 1);
    write_blocks(&mut writer, &states(&layout), 2);
    writer.finish().unwrap();
    drop(TrajectoryStore::resume(&path, layout, description(5)).unwrap());
    TrajectoryStore::remove_leftovers(&path).unwrap();
    assert!(!path.with_file_name(".lorenz63.zarr.unfinished").exists());
}

/// A kill between the store's last name and the lock's end leaves the lock alone.
#[cfg(unix)]
#[test]
fn a_lock_left_beside_a_whole_store_goes_unless_it_is_held() {
    let (_folder, path) = folder();
    write_store(&path, &lorenz(3, 20));
    let left = path.with_file_name(".lorenz63.zarr.lock");
    assert!(!left.exists());
    let held = crate::Lock::take(&left).unwrap();
    TrajectoryStore::remove_leftovers(&path).unwrap();
    assert!(left.exists());
    drop(held);
    std::fs::write(&left, b"").unwrap();
    TrajectoryStore::remove_leftovers(&path).unwrap();
    assert!(!left.exists());
}

/// Data sets share a folder: what a kill left of one goes with it, and what another is writing stays.
#[test]
fn what_is_unfinished_of_another_store_is_left_alone() {
    let (_folder, path) = folder();
    write_store(&path, &lorenz(3, 20));
    // The process that reads takes its own number for a dead one's.
    let named = |store: &str| {
        path.with_file_name(format!("..{store}.zarr.progress.json.unfinished-{}-0", std::process::id()))
    };
    let [own, other] = [named("lorenz63"), named("lorenz96")];
    for file in [&own, &other] {
        std::fs::write(file, b"half").unwrap();
    }
    TrajectoryStore::remove_leftovers(&path).unwrap();
    assert_eq!([own.exists(), other.exists()], [false, true]);
    let lock = path.with_file_name(".lorenz63.zarr.lock");
    std::fs::write(&own, b"half").unwrap();
    let held = crate::Lock::take(&lock).unwrap();
    TrajectoryStore::remove_leftovers(&path).unwrap();
    assert!(own.exists(), "its writer's");
    drop(held);
    // Who writes removes it too.
    for write in [TrajectoryStore::create, TrajectoryStore::resume] {
        std::fs::write(&own, b"half").unwrap();
        drop(write(&path, lorenz(3, 20), description(3)).unwrap());
        assert_eq!([own.exists(), other.exists()], [false, true]);
    }
}

/// 800 windows of 9 × 3 from 1024 trajectories of 1024 states, as in an epoch; generous, since CI shares its cores.
#[test]
fn a_warm_window_costs_microseconds() {
    let layout = lorenz(1024, 1024);
    let (_folder, path) = folder();
    let begun = std::time::Instant::now();
    let store = write_store(&path, &layout);
    println!("writing 12.6 MB: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let starts: Vec<(usize, usize)> = (0..800).map(|k| (k * 419 % 1024, k * 331 % 1016)).collect();
    let mut out = vec![0.0; 800 * 27];
    let mut best = f64::INFINITY;
    for round in 0..50 {
        let begun = std::time::Instant::now();
        store.windows(&starts, 9, &mut out).unwrap();
        let each = begun.elapsed().as_secs_f64() * 1e6 / 800.0;
        if round == 0 {
            println!("cold: {each:.1} µs per window");
        }
        best = best.min(each);
    }
    println!("warm: {best:.3} µs per window");
    assert!(best < 5.0, "{best} µs per window");
}
