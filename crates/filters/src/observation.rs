//! Observations of a trajectory as plain data, and operators that predict them from a state.

use ndarray::{Array1, Array2};
use sda_systems::{LANES, Lanes, Normalisation};

use crate::error::FilterError;
use crate::weights::Misfit;

/// y_k = A(x_{steps_k}) + N(0, noise_std² I): the same operator at each of K steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Observations {
    steps: Vec<usize>,
    values: Array2<f64>,
    noise_std: f64,
}

impl Observations {
    /// Shapes: `steps` [K], rising, from 0; `values` [K, P].
    /// Errors: lengths differ, steps not rising, a value not finite, `noise_std` not positive.
    pub fn new(steps: Vec<usize>, values: Array2<f64>, noise_std: f64) -> Result<Self, FilterError> {
        let bad = |what: String| Err(FilterError::Observations(what));
        if steps.len() != values.nrows() {
            return bad(format!(
                "{} steps are named, but there are {} rows of values",
                steps.len(),
                values.nrows()
            ));
        }
        if let Some(k) = (1..steps.len()).find(|&k| steps[k] <= steps[k - 1]) {
            return bad(format!("step {} follows step {}; steps must rise", steps[k], steps[k - 1]));
        }
        if let Some(k) = values.outer_iter().position(|row| row.iter().any(|y| !y.is_finite())) {
            return bad(format!("the values at step {} are not finite", steps[k]));
        }
        if !(noise_std > 0.0 && noise_std.is_finite()) {
            return bad(format!("`noise_std` must be positive and finite, but it is {noise_std}"));
        }
        let values =
            if values.is_standard_layout() { values } else { values.as_standard_layout().into_owned() };
        Ok(Self { steps, values, noise_std })
    }

    /// Indices of the states observed [K].
    pub fn steps(&self) -> &[usize] {
        &self.steps
    }

    /// y [K, P].
    pub fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// Standard deviation of the noise.
    pub fn noise_std(&self) -> f64 {
        self.noise_std
    }

    /// The row of `values` that belongs to a step, if it is observed.
    pub(crate) fn at(&self, step: usize) -> Option<usize> {
        self.steps.binary_search(&step).ok()
    }

    /// The Gaussian likelihood of the k-th row of `values`.
    pub(crate) fn misfit(&self, k: usize) -> Misfit<'_> {
        let p = self.values.ncols();
        let values = self.values.as_slice().expect("standard layout is contiguous");
        Misfit {
            values: &values[k * p..(k + 1) * p],
            inverse_std: self.noise_std.recip(),
            constant: p as f64 * (self.noise_std.ln() + 0.5 * std::f64::consts::TAU.ln()),
        }
    }

    /// Panics: the operator predicts another number of values (a programmer's error).
    /// Errors: no states, or an observation after the last one.
    #[track_caller]
    pub(crate) fn check(&self, steps: usize, observed_dim: usize) -> Result<(), FilterError> {
        assert_eq!(
            self.values.ncols(),
            observed_dim,
            "an operator of {observed_dim} for values {:?}",
            self.values.shape()
        );
        match self.steps.last() {
            _ if steps == 0 => Err(FilterError::Observations("the trajectory has no states".into())),
            Some(&last) if last >= steps => Err(FilterError::Observations(format!(
                "step {last} is observed, but the trajectory has {steps} states"
            ))),
            _ => Ok(()),
        }
    }
}

/// Predicts an observation from a state, for a block of members at once.
pub trait StateOperator: Sync {
    /// P.
    fn observed_dim(&self) -> usize;

    /// A(x).
    ///
    /// Shapes: `states` [D, LANES], `predicted` [P, LANES].
    fn observe(&self, states: &[Lanes], predicted: &mut [Lanes]);
}

/// A(x) = H x + c.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearOperator {
    /// H [P, D].
    pub matrix: Array2<f64>,
    /// c [P].
    pub offset: Array1<f64>,
}

impl LinearOperator {
    /// One component of the normalised state: (x_c − offset_c) / scale_c.
    ///
    /// Panics: there is no such component.
    pub fn component(normalisation: &Normalisation, component: usize) -> Self {
        let d = normalisation.scale.len();
        assert!(component < d, "component {component} of states of {d}");
        let mut matrix = Array2::zeros((1, d));
        matrix[[0, component]] = 1.0 / normalisation.scale[component];
        let offset = -normalisation.offset[component] / normalisation.scale[component];
        Self { matrix, offset: Array1::from_elem(1, offset) }
    }
}

impl StateOperator for LinearOperator {
    fn observed_dim(&self) -> usize {
        self.offset.len()
    }

    fn observe(&self, states: &[Lanes], predicted: &mut [Lanes]) {
        for ((h, c), predicted) in self.matrix.outer_iter().zip(&self.offset).zip(predicted) {
            predicted.fill(*c);
            for (&h, state) in h.iter().zip(states).filter(|(h, _)| **h != 0.0) {
                for i in 0..LANES {
                    predicted[i] += h * state[i];
                }
            }
        }
    }
}

/// A(x) = f(H x + c), f on each number.
#[derive(Clone, Debug)]
pub struct BentOperator<F> {
    /// H x + c.
    pub linear: LinearOperator,
    /// f.
    pub function: F,
}

impl<F: Fn(f64) -> f64 + Sync> StateOperator for BentOperator<F> {
    fn observed_dim(&self) -> usize {
        self.linear.observed_dim()
    }

    fn observe(&self, states: &[Lanes], predicted: &mut [Lanes]) {
        self.linear.observe(states, predicted);
        predicted.iter_mut().flatten().for_each(|y| *y = (self.function)(*y));
    }
}

/// Any function of one state.
#[derive(Clone, Copy, Debug)]
pub struct FunctionOperator<F> {
    /// P.
    pub observed_dim: usize,
    /// Fills A(x) [P] from x [D].
    pub function: F,
}

impl<F: Fn(&[f64], &mut [f64]) + Sync> StateOperator for FunctionOperator<F> {
    fn observed_dim(&self) -> usize {
        self.observed_dim
    }

    fn observe(&self, states: &[Lanes], predicted: &mut [Lanes]) {
        let (mut state, mut value) = (vec![0.0; states.len()], vec![0.0; self.observed_dim]);
        for i in 0..LANES {
            state.iter_mut().zip(states).for_each(|(x, lanes)| *x = lanes[i]);
            (self.function)(&state, &mut value);
            predicted.iter_mut().zip(&value).for_each(|(lanes, y)| lanes[i] = *y);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn bad_observations_say_what_is_wrong() {
        let values = array![[0.0], [1.0]];
        for (steps, values, noise_std, says) in [
            (vec![0], values.clone(), 0.1, "1 steps"),
            (vec![3, 3], values.clone(), 0.1, "must rise"),
            (vec![0, 1], array![[0.0], [f64::NAN]], 0.1, "step 1 are not finite"),
            (vec![0, 1], values.clone(), -0.1, "noise_std"),
        ] {
            let error = Observations::new(steps, values, noise_std).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let late = Observations::new(vec![0, 9], values, 0.1).unwrap();
        assert!(late.check(9, 1).unwrap_err().to_string().contains("9 states"));
    }

    #[test]
    fn operators_agree() {
        let normalisation = Normalisation { offset: vec![1.0, 2.0, 25.0], scale: vec![8.0, 9.0, 8.6] };
        let linear = LinearOperator::component(&normalisation, 2);
        let function = FunctionOperator {
            observed_dim: 1,
            function: |x: &[f64], y: &mut [f64]| y[0] = (x[2] - 25.0) / 8.6,
        };
        let bent = BentOperator { linear: linear.clone(), function: f64::tanh };
        let states: Vec<Lanes> = (0..3).map(|c| std::array::from_fn(|i| (i * 3 + c) as f64)).collect();
        let (mut a, mut b) = ([[0.0; LANES]; 1], [[0.0; LANES]; 1]);
        linear.observe(&states, &mut a);
        function.observe(&states, &mut b);
        assert!(a[0].iter().zip(&b[0]).all(|(a, b)| (a - b).abs() < 1e-14));
        bent.observe(&states, &mut b);
        assert!(a[0].iter().zip(&b[0]).all(|(a, b)| (a.tanh() - b).abs() < 1e-14));
    }
}
