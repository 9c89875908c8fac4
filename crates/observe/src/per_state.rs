//! Operators as the filters see them: the same matrix on single states.

use crate::operator::Operator;
use ndarray::{Array1, Array2, Axis};

/// An operator that sees some states, each in the same way: y = f(H x + c), f on each number.
#[derive(Clone, Debug, PartialEq)]
pub struct PerState {
    /// States observed, counted from 0, ascending.
    pub steps: Vec<usize>,
    /// H [P, D].
    pub matrix: Array2<f64>,
    /// c [P].
    pub offset: Array1<f64>,
    /// f, one function after another; none is the identity.
    pub pointwise: Vec<Pointwise>,
}

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pointwise {
    /// x/(1 + |x|)
    Saturate,
    /// arctan x
    Arctan,
    /// scale x + offset
    Affine {
        /// Times this.
        scale: f64,
        /// Plus this.
        offset: f64,
    },
}

impl Pointwise {
    /// Its value.
    pub fn of(self, x: f64) -> f64 {
        match self {
            Self::Saturate => x / (1.0 + x.abs()),
            Self::Arctan => x.atan(),
            Self::Affine { scale, offset } => scale * x + offset,
        }
    }
}

impl PerState {
    /// f(v).
    pub fn bend(&self, value: f64) -> f64 {
        self.pointwise.iter().fold(value, |value, f| f.of(value))
    }

    fn then(mut self, f: Pointwise) -> Self {
        match f {
            // Before anything is bent, another unit is a part of the matrix.
            Pointwise::Affine { scale, offset } if self.pointwise.is_empty() => {
                self.matrix *= scale;
                self.offset = self.offset * scale + offset;
            }
            _ => self.pointwise.push(f),
        }
        self
    }
}

impl Operator {
    /// The operator on trajectories of `length` states of `dim` numbers as a function of single states, if it is one.
    ///
    /// Operators on fields are none here, since their states are not vectors.
    pub fn per_state(&self, length: usize, dim: usize) -> Option<PerState> {
        self.output_shape(&[1, length, dim]).ok()?;
        let steps = (0..length).collect();
        self.after(PerState {
            steps,
            matrix: Array2::eye(dim),
            offset: Array1::zeros(dim),
            pointwise: Vec::new(),
        })
    }

    fn after(&self, seen: PerState) -> Option<PerState> {
        match self {
            Self::Identity => Some(seen),
            Self::Components(indices) => Some(PerState {
                matrix: seen.matrix.select(Axis(0), indices),
                offset: seen.offset.select(Axis(0), indices),
                ..seen
            }),
            Self::EveryNth(n) => {
                Some(PerState { steps: seen.steps.into_iter().step_by(*n).collect(), ..seen })
            }
            &Self::States { start, count } => {
                Some(PerState { steps: seen.steps.into_iter().skip(start).take(count).collect(), ..seen })
            }
            Self::Compose(operators) => operators.iter().try_fold(seen, |seen, o| o.after(seen)),
            Self::Saturate => Some(seen.then(Pointwise::Saturate)),
            Self::Arctan => Some(seen.then(Pointwise::Arctan)),
            &Self::Affine { scale, offset } => Some(seen.then(Pointwise::Affine { scale, offset })),
            Self::Coarsen(_)
            | Self::Subsample(_)
            | Self::Crop { .. }
            | Self::Upsample { .. }
            | Self::Mask(_)
            | Self::Vorticity
            | Self::Divergence
            | Self::Spectrum
            | Self::Difference { .. }
            | Self::Sum(_)
            | Self::Stack(_) => None,
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
        let bent = Operator::Compose(vec![
            Operator::Affine { scale: 8.0, offset: -0.5 },
            Operator::Components(vec![2, 1]),
            Operator::Arctan,
            Operator::States { start: 1, count: 7 },
            Operator::Affine { scale: 0.5, offset: 0.1 },
            Operator::EveryNth(4),
            Operator::Saturate,
        ]);
        for operator in
            [Operator::Identity, Operator::EveryNth(8), Operator::Components(vec![0]), compose, bent]
        {
            let part = operator.per_state(9, 4).unwrap();
            let PerState { steps, matrix, offset, .. } = &part;
            let y = operator.apply(x.view()).unwrap().into_dimensionality::<Ix3>().unwrap();
            assert_eq!(y.dim(), (1, steps.len(), matrix.nrows()));
            for (row, &step) in y.index_axis(Axis(0), 0).rows().into_iter().zip(steps) {
                let want = (matrix.dot(&states.row(step)) + offset).mapv(|v| part.bend(v));
                assert!((&want - &row).iter().all(|d| d.abs() < 1e-12), "{want} {row}");
            }
        }
    }

    #[test]
    fn is_none_for_others_and_for_shapes_that_do_not_fit() {
        for operator in [Operator::Coarsen(1), Operator::Vorticity, Operator::Components(vec![4])] {
            assert_eq!(operator.per_state(9, 4), None, "{operator:?}");
        }
    }
}
