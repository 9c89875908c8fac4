//! Members side by side: one contiguous vector per component, in blocks of [`LANES`] members.

use ndarray::Array2;
use rayon::prelude::*;

/// Members of one block. A constant of the layout, never of the thread count.
pub const LANES: usize = 64;

/// One component of one block's members.
pub type Lanes = [f64; LANES];

/// N states as structure of arrays: [N/LANES blocks, D, LANES], the last block filled up with spare members.
///
/// A block is `&[Lanes]` of length D, so that loops over members have a constant length and vectorise.
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble {
    members: usize,
    state_dim: usize,
    lanes: Vec<Lanes>,
}

impl Ensemble {
    /// All zeros.
    ///
    /// Panics: `state_dim` is zero.
    pub fn zeros(members: usize, state_dim: usize) -> Self {
        assert!(state_dim > 0, "an ensemble of states without components");
        Self { members, state_dim, lanes: vec![[0.0; LANES]; members.div_ceil(LANES) * state_dim] }
    }

    /// N.
    pub fn members(&self) -> usize {
        self.members
    }

    /// D.
    pub fn state_dim(&self) -> usize {
        self.state_dim
    }

    /// All blocks [N/LANES, D, LANES].
    pub fn lanes(&self) -> &[Lanes] {
        &self.lanes
    }

    /// The blocks, each D vectors of [`LANES`] members.
    pub fn blocks(&self) -> std::slice::ChunksExact<'_, Lanes> {
        self.lanes.chunks_exact(self.state_dim)
    }

    /// The blocks in parallel.
    pub fn par_blocks(&self) -> rayon::slice::ChunksExact<'_, Lanes> {
        self.lanes.par_chunks_exact(self.state_dim)
    }

    /// The blocks in parallel, to be written.
    pub fn par_blocks_mut(&mut self) -> rayon::slice::ChunksExactMut<'_, Lanes> {
        self.lanes.par_chunks_exact_mut(self.state_dim)
    }

    /// One component of one member.
    #[inline]
    pub fn get(&self, member: usize, component: usize) -> f64 {
        self.lanes[member / LANES * self.state_dim + component][member % LANES]
    }

    /// Writes one member's state.
    ///
    /// Shapes: `state` [D].
    pub fn copy_state(&self, member: usize, state: &mut [f64]) {
        for (c, value) in state.iter_mut().enumerate() {
            *value = self.get(member, c);
        }
    }

    /// The states as rows [N, D].
    pub fn to_rows(&self) -> Array2<f64> {
        Array2::from_shape_fn((self.members, self.state_dim), |(m, c)| self.get(m, c))
    }
}
