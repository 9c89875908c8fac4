//! The affine map between physical states and those that a network sees.

use ndarray::{Array, Axis, Dimension};

/// x ↦ (x − offset) / scale, by component.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    /// Subtracted first [D].
    pub offset: Vec<f64>,
    /// Divided by [D]; positive.
    pub scale: Vec<f64>,
}

impl Normalisation {
    /// The map that changes nothing.
    pub fn identity(state_dim: usize) -> Self {
        Self { offset: vec![0.0; state_dim], scale: vec![1.0; state_dim] }
    }

    /// (x − offset) / scale, in place.
    ///
    /// Shapes: `states` […, D], or […, n D] of states laid out flat.
    /// Panics: the last axis is not a multiple of D.
    pub fn normalise<S: Dimension>(&self, states: &mut Array<f64, S>) {
        self.map(states, |x, offset, scale| (x - offset) / scale);
    }

    /// offset + scale · x, in place; the inverse of [`Normalisation::normalise`].
    pub fn denormalise<S: Dimension>(&self, states: &mut Array<f64, S>) {
        self.map(states, |x, offset, scale| offset + scale * x);
    }

    #[track_caller]
    fn map<S: Dimension>(&self, states: &mut Array<f64, S>, f: impl Fn(f64, f64, f64) -> f64) {
        let last = states.ndim().checked_sub(1).expect("states have at least one axis");
        let d = states.shape()[last];
        assert!(
            d.is_multiple_of(self.offset.len()),
            "states of shape {:?}, normalisation of {}",
            states.shape(),
            self.offset.len()
        );
        for mut state in states.lanes_mut(Axis(last)) {
            for (x, (&offset, &scale)) in state.iter_mut().zip(self.offset.iter().zip(&self.scale).cycle()) {
                *x = f(*x, offset, scale);
            }
        }
    }
}
