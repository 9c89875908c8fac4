//! Writing a store block by block, so that a kill loses one block at most.
//!
//!   .{name}.unfinished/       the store, growing
//!   .{name}.progress.json     layout, description, number of blocks that are whole
//!   .{name}.lock              locked by who writes the two
//!   {name}/                   the store, after the last block, by one rename

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{ArrayBase, Data, Dimension};
use serde::{Deserialize, Serialize};

use super::zarr::ZarrArray;
use super::{Description, Layout, REGENERATE, TrajectoryStore};
use crate::{DataError, Lock, whole_file};

/// What a killed process left beside the store.
#[derive(Serialize, Deserialize)]
struct Progress {
    blocks: usize,
    layout: Layout,
    description: Description,
}

/// A store that is being written; dropped early, it can be resumed.
pub struct TrajectoryWriter {
    path: PathBuf,
    unfinished: PathBuf,
    progress_file: PathBuf,
    progress: Progress,
    zarr: ZarrArray,
    /// Until the store has its name, nobody else begins it.
    _lock: Lock,
}

impl TrajectoryWriter {
    /// Starts at block 0; what an earlier process left unfinished is removed, a whole store stays until `finish`.
    pub(super) fn create(path: &Path, layout: Layout, description: Description) -> Result<Self, DataError> {
        let lock = lock_to_write(path)?;
        Self::begin(path, layout, description, lock)
    }

    fn begin(path: &Path, layout: Layout, description: Description, lock: Lock) -> Result<Self, DataError> {
        if let Some((field, detail)) = layout.problem().or_else(|| description.problem(layout.trajectories)) {
            return Err(DataError::field(path, field, detail));
        }
        let (unfinished, progress_file) = names(path)?;
        whole_file::remove(&progress_file)?;
        remove_folder(&unfinished)?;
        fs::create_dir_all(&unfinished).map_err(DataError::io("create folder", &unfinished))?;
        let zarr = ZarrArray::create(&unfinished, &layout, &description)?;
        let progress = Progress { blocks: 0, layout, description };
        let writer =
            Self { path: path.to_path_buf(), unfinished, progress_file, progress, zarr, _lock: lock };
        writer.note_progress()?;
        Ok(writer)
    }

    /// Goes on after the last whole block, or starts where there is nothing to resume.
    pub(super) fn resume(path: &Path, layout: Layout, description: Description) -> Result<Self, DataError> {
        let lock = lock_to_write(path)?;
        let (unfinished, progress_file) = names(path)?;
        if !progress_file.exists() || !unfinished.exists() {
            return Self::begin(path, layout, description, lock);
        }
        let text = fs::read(&progress_file).map_err(DataError::io("read", &progress_file))?;
        let progress: Progress = serde_json::from_slice(&text).map_err(|e| DataError::Corrupted {
            path: progress_file.clone(),
            detail: e.to_string(),
            remedy: REGENERATE,
        })?;
        for (field, same) in
            [("layout", progress.layout == layout), ("description", progress.description == description)]
        {
            if !same {
                let detail = "what was begun there has another one; delete this file to begin anew";
                return Err(DataError::field(&progress_file, field, detail));
            }
        }
        let zarr = ZarrArray::reopen(&unfinished, &layout, &description)?;
        Ok(Self { path: path.to_path_buf(), unfinished, progress_file, progress, zarr, _lock: lock })
    }

    /// Number of blocks that are whole; the next one starts at trajectory `blocks_written() * layout().block`.
    pub fn blocks_written(&self) -> usize {
        self.progress.blocks
    }

    /// The store's layout.
    pub fn layout(&self) -> &Layout {
        &self.progress.layout
    }

    /// Writes the next block; when this returns it survives a kill.
    ///
    /// Shapes: `values` [n, L, D…] (or [n, L, D] with the state flattened), n = `layout().block`, fewer in the last block.
    /// Errors: a value is NaN or ±∞ (its trajectory and step are named); the disk is full.
    /// Panics: `first_trajectory` is not the next one, or the shape is another.
    #[track_caller]
    pub fn write_block<S: Data<Elem = f32>, D: Dimension>(
        &mut self,
        first_trajectory: usize,
        values: &ArrayBase<S, D>,
    ) -> Result<(), DataError> {
        let (b, layout) = (self.progress.blocks, &self.progress.layout);
        let range = layout.block_range(b);
        assert!(b < layout.blocks(), "all {b} blocks are written");
        assert!(
            first_trajectory == range.start,
            "the block starts at {first_trajectory}, expected {}",
            range.start
        );
        let (n, length, state) = (range.len(), layout.length, layout.state_len());
        let expected = layout.with_dims(n, length);
        let found = values.shape();
        assert!(
            found == expected || found == [n, length, state],
            "the block has shape {found:?}, expected {expected:?}"
        );
        let values = values.as_standard_layout();
        let Some(values) = values.as_slice() else { unreachable!("standard layout is contiguous") };
        self.refuse_non_finite(first_trajectory, values)?;
        let layout = &self.progress.layout;
        for file in 0..layout.block_files() {
            self.zarr.write_file(b, file, file_values(layout, file, values))?;
        }
        self.progress.blocks += 1;
        self.note_progress()
    }

    /// Gives the store its name, in place of any that had it, and opens it.
    ///
    /// Panics: blocks are missing.
    #[track_caller]
    pub fn finish(self) -> Result<TrajectoryStore, DataError> {
        let (written, all) = (self.progress.blocks, self.progress.layout.blocks());
        assert!(written == all, "{written} of {all} blocks are written");
        whole_file::sync_folder(&self.unfinished);
        let replaced = whole_file::sibling(&self.path, ".replaced")?;
        remove_folder(&replaced)?;
        if self.path.exists() {
            fs::rename(&self.path, &replaced).map_err(DataError::io("replace", &self.path))?;
        }
        fs::rename(&self.unfinished, &self.path).map_err(DataError::io("write", &self.path))?;
        whole_file::sync_folder(whole_file::folder_of(&self.path));
        whole_file::remove(&self.progress_file)?;
        remove_folder(&replaced)?;
        TrajectoryStore::open(&self.path)
    }

    fn note_progress(&self) -> Result<(), DataError> {
        let text = serde_json::to_vec_pretty(&self.progress)
            .map_err(|e| DataError::io("write", &self.progress_file)(e.into()))?;
        whole_file::write(&self.progress_file, &text)
    }

    /// Shapes: `values` [n, L, D].
    fn refuse_non_finite(&self, first_trajectory: usize, values: &[f32]) -> Result<(), DataError> {
        let Some(at) = values.iter().position(|v| !v.is_finite()) else { return Ok(()) };
        let (length, state) = (self.progress.layout.length, self.progress.layout.state_len());
        Err(DataError::NonFinite {
            path: self.path.clone(),
            place: format!(
                "trajectory {}, step {}",
                first_trajectory + at / (length * state),
                at / state % length
            ),
            value: f64::from(values[at]),
            remedy: "the simulation has diverged: lower its step; nothing of this block was written",
        })
    }
}

/// The part of a block that goes to one file, NaN where the array ends before the file does.
///
/// Shapes: `values` [n, L, D], result [block, file_steps, D].
fn file_values(layout: &Layout, file: usize, values: &[f32]) -> Vec<f32> {
    let (state, steps) = (layout.state_len(), layout.file_steps());
    let (start, end) = (file * steps, ((file + 1) * steps).min(layout.length));
    let mut padded = vec![f32::NAN; layout.block * steps * state];
    let rows = padded.chunks_exact_mut(steps * state).zip(values.chunks_exact(layout.length * state));
    for (row, trajectory) in rows {
        row[..(end - start) * state].copy_from_slice(&trajectory[start * state..end * state]);
    }
    padded
}

/// The unfinished store and the progress file.
fn names(path: &Path) -> Result<(PathBuf, PathBuf), DataError> {
    Ok((whole_file::sibling(path, ".unfinished")?, whole_file::sibling(path, ".progress.json")?))
}

fn lock_file(path: &Path) -> Result<PathBuf, DataError> {
    whole_file::sibling(path, ".lock")
}

fn lock(path: &Path) -> Result<Lock, DataError> {
    Lock::take(&lock_file(path)?)
}

/// The lock, and nothing left of a progress file that a kill kept from its name.
fn lock_to_write(path: &Path) -> Result<Lock, DataError> {
    let lock = lock(path)?;
    let (_, progress_file) = names(path)?;
    for torn in whole_file::left_of(&progress_file)? {
        whole_file::remove(&torn)?;
    }
    Ok(lock)
}

/// Removes the progress file, the old store, the unfinished store and the lock beside a whole one, unless they are being
/// written.
pub(super) fn remove_leftovers(path: &Path) -> Result<(), DataError> {
    let (unfinished, progress_file) = names(path)?;
    let replaced = whole_file::sibling(path, ".replaced")?;
    let torn = whole_file::left_of(&progress_file)?;
    // A folder of data that can be read alone has no room for a lock, and nothing to remove.
    if !torn.is_empty() || [&unfinished, &progress_file, &replaced].iter().any(|path| path.exists()) {
        match lock(path) {
            Err(DataError::Busy { .. }) => {}
            held => {
                let _held = held?;
                for torn in &torn {
                    whole_file::remove(torn)?;
                }
                whole_file::remove(&progress_file)?;
                remove_folder(&unfinished)?;
                remove_folder(&replaced)?;
            }
        }
    } else if lock_file(path)?.exists() {
        // Of a process killed just before it let go: whoever takes it removes it. One that can't be taken does no harm.
        drop(lock(path));
    }
    Ok(())
}

fn remove_folder(path: &Path) -> Result<(), DataError> {
    if path.exists() { fs::remove_dir_all(path).map_err(DataError::io("remove", path)) } else { Ok(()) }
}
