//! Reading a store: trajectories, windows, batches of windows, by way of a bounded cache of decoded chunks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};

use super::chunk_cache::ChunkCache;
use super::zarr::{ChunkReader, ZarrArray};
use super::{Description, Layout, REGENERATE, TrajectoryWriter};
use crate::DataError;

/// Bytes of decoded chunks that are kept by default.
const CACHE_BYTES: usize = 64 << 20;

/// A whole store, open for reading. It is shared between threads as it is.
pub struct TrajectoryStore {
    path: PathBuf,
    layout: Layout,
    description: Description,
    chunks: ChunkReader,
    cache: ChunkCache,
}

impl TrajectoryStore {
    /// Begins a new store; one that is whole at `path` stays there until [`TrajectoryWriter::finish`].
    ///
    /// Errors: a layout or split that cannot be; the folder cannot be written; another process writes the store
    /// ([`DataError::Busy`]).
    pub fn create(
        path: &Path,
        layout: Layout,
        description: Description,
    ) -> Result<TrajectoryWriter, DataError> {
        TrajectoryWriter::create(path, layout, description)
    }

    /// Goes on with what a killed process left, or begins where there is nothing; see [`TrajectoryWriter::blocks_written`].
    ///
    /// Errors: as [`TrajectoryStore::create`], or what was begun there has another layout or description.
    pub fn resume(
        path: &Path,
        layout: Layout,
        description: Description,
    ) -> Result<TrajectoryWriter, DataError> {
        TrajectoryWriter::resume(path, layout, description)
    }

    /// Removes what a process killed just after it finished the store at `path` left beside it; what another process is
    /// writing there stays.
    pub fn remove_leftovers(path: &Path) -> Result<(), DataError> {
        super::writer::remove_leftovers(path)
    }

    /// Whether a whole store is at `path`: metadata in order, no file missing.
    pub fn is_complete(path: &Path) -> bool {
        Self::open(path).is_ok()
    }

    /// Opens a whole store with 64 MiB of cache.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::open_with_cache(path, CACHE_BYTES)
    }

    /// Opens a whole store that keeps at most `cache_bytes` of decoded chunks.
    ///
    /// Errors: nothing there, metadata of another form, a missing file.
    pub fn open_with_cache(path: &Path, cache_bytes: usize) -> Result<Self, DataError> {
        if !path.join("zarr.json").exists() {
            return Err(DataError::NotFound {
                what: "trajectory store",
                path: path.to_path_buf(),
                remedy: "generate it (one left unfinished beside it is resumed)",
            });
        }
        let (zarr, layout, description) = ZarrArray::open(path)?;
        let files = (0..layout.blocks()).flat_map(|b| (0..layout.block_files()).map(move |f| (b, f)));
        if let Some(missing) = files.map(|(b, f)| zarr.file(b, f)).find(|file| !file.is_file()) {
            return Err(DataError::NotFound { what: "chunk file", path: missing, remedy: REGENERATE });
        }
        let (chunks, cache) = (ChunkReader::new(zarr)?, ChunkCache::new(cache_bytes));
        Ok(Self { path: path.to_path_buf(), layout, description, chunks, cache })
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Shape, axes, chunks.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// System, unit, step, seed, split, recipe.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Bytes of decoded chunks that are held now.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Trajectory `i`.
    ///
    /// Shapes: result [L, D…].
    pub fn read_trajectory(&self, i: usize) -> Result<ArrayD<f32>, DataError> {
        self.read_window(i, 0, self.layout.length)
    }

    /// States `start` … `start + len − 1` of a trajectory.
    ///
    /// Shapes: result [len, D…].
    /// Errors: beyond the end; NaN or ±∞ in the data; a truncated or corrupted chunk.
    pub fn read_window(&self, trajectory: usize, start: usize, len: usize) -> Result<ArrayD<f32>, DataError> {
        self.check_range(trajectory, start, len)?;
        let mut shape = self.layout.with_dims(len, 0);
        shape.remove(1);
        let mut window = ArrayD::zeros(IxDyn(&shape));
        if let Some(out) = window.as_slice_mut() {
            self.copy_window(trajectory, start, out)?;
        }
        Ok(window)
    }

    /// Fills a batch of windows of `len` states from (trajectory, first state) pairs.
    ///
    /// Shapes: `starts` `[B]`, `out` `[B, len·D]`.
    /// Errors: as [`TrajectoryStore::read_window`]; `out` is then filled in part.
    /// Panics: `out` has another length.
    #[track_caller]
    pub fn windows(&self, starts: &[(usize, usize)], len: usize, out: &mut [f32]) -> Result<(), DataError> {
        let window = len * self.layout.state_len();
        let (batch, found) = (starts.len(), out.len());
        assert!(found == batch * window, "a buffer of {found} numbers for {batch} windows of {window}");
        if window == 0 {
            return Ok(());
        }
        for (&(trajectory, start), out) in starts.iter().zip(out.chunks_exact_mut(window)) {
            self.check_range(trajectory, start, len)?;
            self.copy_window(trajectory, start, out)?;
        }
        Ok(())
    }

    fn check_range(&self, trajectory: usize, start: usize, len: usize) -> Result<(), DataError> {
        let Layout { trajectories, length, .. } = self.layout;
        if trajectory < trajectories && start.checked_add(len).is_some_and(|end| end <= length) {
            return Ok(());
        }
        Err(DataError::OutOfRange {
            path: self.path.clone(),
            request: format!("{len} states from step {start} of trajectory {trajectory}"),
            detail: format!(
                "it has {trajectories} trajectories of {length} states; shorten the window or lengthen them"
            ),
        })
    }

    /// Shapes: `out` [len, D], within the trajectory.
    fn copy_window(&self, trajectory: usize, start: usize, mut out: &mut [f32]) -> Result<(), DataError> {
        let (state, steps) = (self.layout.state_len(), self.layout.chunk_steps);
        let mut step = start;
        while !out.is_empty() {
            let (chunk, first) = (step / steps, step % steps);
            let values = self.chunk(trajectory, chunk)?;
            let values = &values[first * state..];
            let (head, rest) = out.split_at_mut(values.len().min(out.len()));
            head.copy_from_slice(&values[..head.len()]);
            step += head.len() / state;
            out = rest;
        }
        Ok(())
    }

    /// Steps `chunk · chunk_steps` … of a trajectory, those that exist.
    fn chunk(&self, trajectory: usize, chunk: usize) -> Result<Arc<[f32]>, DataError> {
        let key = (trajectory * self.layout.chunks() + chunk) as u64;
        if let Some(values) = self.cache.get(key) {
            return Ok(values);
        }
        let values = self.decode(trajectory, chunk)?;
        self.cache.insert(key, &values);
        Ok(values)
    }

    fn decode(&self, trajectory: usize, chunk: usize) -> Result<Arc<[f32]>, DataError> {
        let Layout { length, block, chunk_steps, .. } = self.layout;
        let (state, first) = (self.layout.state_len(), chunk * chunk_steps);
        let file = self.chunks.zarr.file(trajectory / block, first / self.layout.file_steps());
        let Some(values) = self.chunks.read(trajectory, chunk, &file)? else {
            let detail = format!("trajectory {trajectory} from step {first} is missing");
            return Err(DataError::Corrupted { path: file, detail, remedy: REGENERATE });
        };
        let values = &values[..chunk_steps.min(length - first) * state];
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values.into()),
            Some(at) => Err(DataError::NonFinite {
                path: file,
                place: format!("trajectory {trajectory}, step {}", first + at / state),
                value: f64::from(values[at]),
                remedy: REGENERATE,
            }),
        }
    }
}
