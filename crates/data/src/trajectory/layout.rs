//! The shape of a trajectory store and how it is cut into chunks and blocks.

use serde::{Deserialize, Serialize};

/// Bytes of a chunk, the least that is read: some windows' worth of a field, a whole trajectory of a small system.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes and trajectories of a block, the least that is written: one file, or a few when a trajectory is longer.
const BLOCK_BYTES: usize = 8 << 20;
const BLOCK_TRAJECTORIES: usize = 64;
/// Bytes of one file, of which several make a block when trajectories are very long.
const FILE_BYTES: usize = 64 << 20;

/// An axis of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// As `component`, `x`, `y`, `channel`.
    pub name: String,
    /// Number of entries.
    pub len: usize,
    /// What the entries stand for, where known.
    pub coordinate: Option<Coordinate>,
}

/// What the entries along an axis stand for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Coordinate {
    /// Names of components.
    Names(Vec<String>),
    /// Positions on a grid.
    Positions {
        /// One for each entry.
        values: Vec<f64>,
        /// Their unit; "1" where they have none.
        units: String,
    },
}

impl Dimension {
    /// An axis of `len` entries without a coordinate.
    pub fn new(name: &str, len: usize) -> Self {
        Self { name: name.into(), len, coordinate: None }
    }

    /// An axis of named components.
    pub fn named(name: &str, components: &[&str]) -> Self {
        let names = components.iter().map(ToString::to_string).collect();
        Self { name: name.into(), len: components.len(), coordinate: Some(Coordinate::Names(names)) }
    }

    /// An axis of grid positions.
    pub fn grid(name: &str, values: Vec<f64>, units: &str) -> Self {
        let coordinate = Some(Coordinate::Positions { values, units: units.into() });
        let len = match &coordinate {
            Some(Coordinate::Positions { values, .. }) => values.len(),
            _ => 0,
        };
        Self { name: name.into(), len, coordinate }
    }
}

/// The array [N, L, D…] of a store: N trajectories of L states, each state of the given dimensions.
///
/// A **chunk** holds some steps of one trajectory and is what is read; a **block** holds some trajectories, whole,
/// and is what is written and resumed at. A block is one file (a Zarr shard) unless its trajectories are very long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// N.
    pub trajectories: usize,
    /// L, states of each trajectory.
    pub length: usize,
    /// D…, the axes of one state.
    pub dims: Vec<Dimension>,
    /// Trajectories of a block; the last block may have fewer.
    pub block: usize,
    /// Steps of a chunk; the last chunk of a trajectory may have fewer.
    pub chunk_steps: usize,
}

impl Layout {
    /// Chunks of about 256 KiB, blocks of about 8 MiB and at most 64 trajectories.
    pub fn new(trajectories: usize, length: usize, dims: Vec<Dimension>) -> Self {
        let state_bytes = dims.iter().fold(4usize, |bytes, d| bytes.saturating_mul(d.len.max(1)));
        let trajectory_bytes = state_bytes.saturating_mul(length.max(1));
        let chunks = length.div_ceil((CHUNK_BYTES / state_bytes).max(1)).max(1);
        Self {
            trajectories,
            length,
            dims,
            block: (BLOCK_BYTES / trajectory_bytes).clamp(1, BLOCK_TRAJECTORIES).min(trajectories.max(1)),
            chunk_steps: length.div_ceil(chunks).max(1),
        }
    }

    /// The same layout with blocks of `block` trajectories.
    pub fn with_block(mut self, block: usize) -> Self {
        self.block = block;
        self
    }

    /// The same layout with chunks of `chunk_steps` steps.
    pub fn with_chunk_steps(mut self, chunk_steps: usize) -> Self {
        self.chunk_steps = chunk_steps;
        self
    }

    /// D, the numbers of one state.
    pub fn state_len(&self) -> usize {
        self.dims.iter().map(|d| d.len).product()
    }

    /// [N, L, D…].
    pub fn shape(&self) -> Vec<usize> {
        self.with_dims(self.trajectories, self.length)
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.trajectories.div_ceil(self.block)
    }

    /// The trajectories of block `b`.
    pub fn block_range(&self, b: usize) -> std::ops::Range<usize> {
        b * self.block..((b + 1) * self.block).min(self.trajectories)
    }

    /// Number of chunks of one trajectory.
    pub(super) fn chunks(&self) -> usize {
        self.length.div_ceil(self.chunk_steps)
    }

    /// Steps of one file: whole chunks.
    pub(super) fn file_steps(&self) -> usize {
        let chunk_bytes = 4 * self.state_len() * self.chunk_steps * self.block;
        self.chunk_steps * (FILE_BYTES / chunk_bytes).clamp(1, self.chunks())
    }

    /// Number of files of one block.
    pub(super) fn block_files(&self) -> usize {
        self.length.div_ceil(self.file_steps())
    }

    /// [first, second, D…].
    pub(super) fn with_dims(&self, first: usize, second: usize) -> Vec<usize> {
        [first, second].into_iter().chain(self.dims.iter().map(|d| d.len)).collect()
    }

    /// What is wrong with the layout, as (field, detail).
    pub(super) fn problem(&self) -> Option<(String, String)> {
        let positive = [
            ("trajectories", self.trajectories),
            ("length", self.length),
            ("block", self.block),
            ("chunk_steps", self.chunk_steps),
        ];
        let zero = positive.iter().find(|(_, n)| *n == 0).map(|(name, _)| (*name).to_string());
        if let Some(name) = zero.or_else(|| self.dims.iter().find(|d| d.len == 0).map(|d| d.name.clone())) {
            return Some((name, "it is 0, expected at least 1".into()));
        }
        let sizes = self.dims.iter().map(|d| d.len).chain([self.trajectories, self.length, self.block, 4]);
        if sizes
            .into_iter()
            .try_fold(1usize, usize::checked_mul)
            .is_none_or(|bytes| bytes > isize::MAX as usize)
        {
            return Some(("trajectories".into(), "the array is larger than any disk".into()));
        }
        let mut seen = vec!["trajectory", "step", "time", super::ARRAY];
        for d in &self.dims {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if seen.contains(&d.name.as_str()) || d.name.is_empty() || !d.name.chars().all(plain) {
                let detail = "its name is taken, empty or not made of letters, digits and _; choose another";
                return Some((format!("dimension `{}`", d.name), detail.into()));
            }
            seen.push(&d.name);
            let entries = match &d.coordinate {
                None => d.len,
                Some(Coordinate::Names(names)) => names.len(),
                Some(Coordinate::Positions { values, .. }) => values.len(),
            };
            if entries != d.len {
                let detail = format!("its coordinate has {entries} entries, the axis {}", d.len);
                return Some((format!("dimension `{}`", d.name), detail));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_blocks_of_the_systems_we_have() {
        let lorenz = Layout::new(1024, 1024, vec![Dimension::named("component", &["x", "y", "z"])]);
        assert_eq!(
            (lorenz.chunk_steps, lorenz.block, lorenz.blocks(), lorenz.block_files()),
            (1024, 64, 16, 1)
        );
        let grid = |n| vec![Dimension::new("y", n), Dimension::new("x", n), Dimension::new("channel", 2)];
        let kolmogorov = Layout::new(1024, 64, grid(64));
        assert_eq!((kolmogorov.chunk_steps, kolmogorov.block, kolmogorov.block_files()), (8, 4, 1));
        let long = Layout::new(2, 10_000, grid(128));
        assert_eq!((long.chunk_steps, long.block), (2, 1));
        assert!(long.block_files() > 10 && long.file_steps().is_multiple_of(long.chunk_steps));
    }

    #[test]
    fn blocks_partition_the_trajectories() {
        for (n, block) in [(1, 1), (7, 3), (64, 64), (65, 64), (5, 9)] {
            let layout = Layout::new(n, 2, vec![]).with_block(block);
            let all: Vec<usize> = (0..layout.blocks()).flat_map(|b| layout.block_range(b)).collect();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
        }
    }
}
