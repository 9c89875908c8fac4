//! Operators as the filters see them: the same matrix on single states.

use crate::operator::Operator;
use ndarray::{Array2, Axis};

/// An operator that sees some states, each through the same matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct PerState {
    /// States observed, counted from 0, ascending.
    pub steps: Vec<usize>,
    /// H [P, D]: row p of the observation of state x is (H x)_p.
    pub matrix: Array2<f64>,
}

impl Operator {
    /// The operator on trajectories of `length` states of `dim` numbers as a matrix on single states, if it is one.
    ///
    /// Operators on fields are none here, since their states are not vectors.
    pub fn per_state(&self, length: usize, dim: usize) -> Option<PerState> {
        self.output_shape(&[1, length, dim]).ok()?;
        self.after(PerState { steps: (0..length).collect(), matrix: Array2::eye(dim) })
    }

    fn after(&self, seen: PerState) -> Option<PerState> {
        match self {
            Self::Identity => Some(seen),
            Self::Components(indices) => {
                Some(PerState { matrix: seen.matrix.select(Axis(0), indices), ..seen })
            }
            Self::EveryNth(n) => {
                Some(PerState { steps: seen.steps.into_iter().step_by(*n).collect(), ..seen })
            }
            Self::Compose(operators) => operators.iter().try_fold(seen, |seen, o| o.after(seen)),
            Self::Coarsen(_)
            | Self::Subsample(_)
            | Self::Crop { .. }
            | Self::Upsample { .. }
            | Self::Vorticity
            | Self::Saturate => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::wave;
    use ndarray::{Ix2, Ix3};

    #[test]
    fn is_the_operator_state_by_state() {
        let x = wave(&[1, 9, 4], 0.7);
        let states = x.index_axis(Axis(0), 0).into_dimensionality::<Ix2>().unwrap();
        let compose = Operator::Compose(vec![
            Operator::EveryNth(2),
            Operator::Components(vec![3, 0, 1]),
            Operator::Identity,
            Operator::EveryNth(3),
            Operator::Components(vec![2, 0]),
        ]);
        for operator in [Operator::Identity, Operator::EveryNth(8), Operator::Components(vec![0]), compose] {
            let PerState { steps, matrix } = operator.per_state(9, 4).unwrap();
            let y = operator.apply(x.view()).unwrap().into_dimensionality::<Ix3>().unwrap();
            assert_eq!(y.dim(), (1, steps.len(), matrix.nrows()));
            for (row, &step) in y.index_axis(Axis(0), 0).rows().into_iter().zip(&steps) {
                assert_eq!(matrix.dot(&states.row(step)), row);
            }
        }
    }

    #[test]
    fn is_none_for_others_and_for_shapes_that_do_not_fit() {
        let saturating = Operator::Compose(vec![Operator::Components(vec![0]), Operator::Saturate]);
        for operator in [saturating, Operator::Saturate, Operator::Vorticity, Operator::Components(vec![4])] {
            assert_eq!(operator.per_state(9, 4), None, "{operator:?}");
        }
    }
}
