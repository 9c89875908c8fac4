//! What was seen, how, and how well; and how likely it is.

use crate::error::ObserveError;
use crate::operator::Operator;
use ndarray::{Array1, ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};
use std::f64::consts::TAU;

/// An observation y = A(x) + noise of one trajectory, with independent noise N(0, σ²) on every number.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// A.
    pub operator: Operator,
    /// y, in the shape of the operator's result without its axis of samples.
    pub values: ArrayD<f64>,
    /// σ, in the observation's unit; 0 is an exact observation, which has no density.
    pub noise_std: f64,
}

impl Observation {
    /// Errors: `noise_std` is negative or not finite, or a value is not finite.
    pub fn new(operator: Operator, values: ArrayD<f64>, noise_std: f64) -> Result<Self, ObserveError> {
        if !(noise_std >= 0.0 && noise_std.is_finite()) {
            return Err(ObserveError::Noise(noise_std));
        }
        let bad = values.indexed_iter().find(|(_, v)| !v.is_finite());
        if let Some((index, &value)) = bad {
            return Err(ObserveError::Value { index: ndarray::Dimension::slice(&index).to_vec(), value });
        }
        Ok(Self { operator, values, noise_std })
    }

    /// Checks that the operator's result on trajectories of this shape is what was observed.
    ///
    /// Shapes: `shape` [B, L, …].
    ///
    /// Errors: the operator does not apply, or gives another shape.
    pub fn check(&self, shape: &[usize]) -> Result<(), ObserveError> {
        let predicted = self.operator.output_shape(shape)?.split_off(1);
        if predicted == self.values.shape() {
            return Ok(());
        }
        let (operator, observed) = (format!("{:?}", self.operator), self.values.shape().to_vec());
        Err(ObserveError::Observed { operator, predicted, observed })
    }

    /// Log likelihood of each of B trajectories, with its constants, on the host.
    ///
    ///   log p(y | x) = −½ Σ ((y − A(x))/σ)² − P ln(σ √(2π))
    ///
    /// Shapes: `x` [B, L, …], result [B].
    ///
    /// Errors: as [`Observation::check`]; an observation without noise.
    pub fn log_likelihood(&self, x: ArrayViewD<'_, f64>) -> Result<Array1<f64>, ObserveError> {
        self.check(x.shape())?;
        if self.noise_std == 0.0 {
            return Err(ObserveError::Noise(0.0));
        }
        let predicted = self.operator.apply(x)?;
        let constant = constant(self.values.len(), self.noise_std);
        let of_sample = |sample: ArrayViewD<'_, f64>| {
            let square = |(a, y): (&f64, &f64)| ((y - a) / self.noise_std).powi(2);
            -0.5 * sample.iter().zip(&self.values).map(square).sum::<f64>() - constant
        };
        Ok(predicted.outer_iter().map(of_sample).collect())
    }

    /// Log likelihood of each of B trajectories as nodes; the values are a constant of the graph.
    ///
    /// Shapes: `x` [B, L, …], result [B, 1].
    ///
    /// Panics: [`Observation::check`] would fail.
    #[track_caller]
    pub fn emit_log_likelihood(&self, g: &mut Graph, x: NodeId) -> NodeId {
        let shape = g.shape(x).to_vec();
        if let Err(e) = self.check(&shape) {
            panic!("failed to {e}");
        }
        let predicted = self.operator.emit(g, x);
        let observed = g.constant(self.values.clone());
        emit_log_likelihood(g, predicted, observed, self.noise_std)
    }
}

/// Log likelihood of observed values under Gaussian noise, with its constants.
///
/// Shapes: `predicted` [B, …]; `observed` the same without B, or with a leading 1 or B; result [B, 1].
///
/// Panics: the numbers of values differ.
#[track_caller]
pub fn emit_log_likelihood(g: &mut Graph, predicted: NodeId, observed: NodeId, noise_std: f64) -> NodeId {
    let samples = g.shape(predicted)[0];
    let p = g.len(predicted) / samples;
    let rows = g.len(observed) / p.max(1);
    let flat = g.reshape(predicted, &[samples, p]);
    let observed = g.reshape(observed, &[rows, p]);
    let residual = g.sub(observed, flat);
    let scaled = g.scale(residual, 1.0 / noise_std);
    let square = g.square(scaled);
    let sum = g.sum(square, &[1]);
    let half = g.scale(sum, -0.5);
    g.offset(half, -constant(p, noise_std))
}

/// P ln(σ √(2π))
fn constant(p: usize, noise_std: f64) -> f64 {
    p as f64 * (noise_std.ln() + 0.5 * TAU.ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{evaluate, wave};
    use sda_core::Stream;

    fn operator() -> Operator {
        Operator::Compose(vec![Operator::EveryNth(4), Operator::Components(vec![0]), Operator::Saturate])
    }

    #[test]
    fn graph_and_host_and_closed_form_agree() {
        let x = wave(&[3, 9, 2], 0.7);
        let observation = Observation::new(operator(), wave(&[3, 1], 1.9), 0.25).unwrap();
        let host = observation.log_likelihood(x.view()).unwrap();
        let mut g = Graph::new();
        let node = g.constant(x.clone());
        let emitted = observation.emit_log_likelihood(&mut g, node);
        let emitted = evaluate(g, &[emitted]).remove(0);
        assert_eq!(emitted.shape(), [3, 1]);
        for b in 0..3 {
            let density = |k: usize| {
                let state = x[[b, 4 * k, 0]];
                let residual = observation.values[[k, 0]] - state / (1.0 + state.abs());
                (-residual * residual / (2.0 * 0.25 * 0.25)).exp() / (0.25 * TAU.sqrt())
            };
            let want = (0..3).map(density).product::<f64>().ln();
            assert!((host[b] - want).abs() < 1e-10, "{} and {want}", host[b]);
            assert!((emitted[[b, 0]] - want).abs() < 1e-10, "{} and {want}", emitted[[b, 0]]);
        }
    }

    /// E log p(y | x) over y ~ p(y | x) is −P (½ + ln(σ √(2π))): method.md's 14.19 (lo) and −2.12 (hi).
    #[test]
    fn expectation_is_minus_the_noise_entropy() {
        for (every, p, noise_std, want) in [(8, 9, 0.05, 14.19), (1, 65, 0.25, -2.12)] {
            let operator = Operator::Compose(vec![Operator::Components(vec![0]), Operator::EveryNth(every)]);
            let x = wave(&[1, 65, 3], 0.31);
            let clean = operator.apply(x.view()).unwrap();
            let stream = Stream::new(11, 0);
            let n = 4000;
            let draw = |row: u32| {
                let mut noise = vec![0.0; p];
                stream.fill_normal(0, row, p, &mut noise);
                let values = clean.iter().zip(&noise).map(|(y, z): (&f64, &f64)| y + noise_std * z).collect();
                let values = ArrayD::from_shape_vec(clean.shape()[1..].to_vec(), values).unwrap();
                let observation = Observation::new(operator.clone(), values, noise_std).unwrap();
                observation.log_likelihood(x.view()).unwrap()[0]
            };
            let mean = (0..n).map(draw).sum::<f64>() / f64::from(n);
            let closed = -(p as f64) * (0.5 + noise_std.ln() + 0.5 * TAU.ln());
            assert!((closed - want).abs() < 5e-3, "{closed}");
            let error = (p as f64 / 2.0 / f64::from(n)).sqrt();
            assert!((mean - closed).abs() < 4.0 * error, "{mean} and {closed} ± {error}");
        }
    }

    #[test]
    fn refuses_noise_that_is_no_standard_deviation_and_values_that_are_not_finite() {
        for noise_std in [-0.1, f64::NAN, f64::INFINITY] {
            let error = Observation::new(operator(), wave(&[3, 1], 1.0), noise_std).unwrap_err().to_string();
            assert!(
                error.starts_with("use an observation: `noise_std` must be finite and not negative"),
                "{error}"
            );
        }
        let mut values = wave(&[3, 1], 1.0);
        values[[2, 0]] = f64::NAN;
        let error = Observation::new(operator(), values, 0.1).unwrap_err().to_string();
        assert_eq!(error, "use an observation: value [2, 0] is NaN, which is not finite");
    }

    #[test]
    fn refuses_values_of_another_shape() {
        let observation = Observation::new(operator(), wave(&[3], 1.0), 0.1).unwrap();
        let error = observation.log_likelihood(wave(&[2, 9, 2], 1.0).view()).unwrap_err().to_string();
        assert!(error.ends_with("the operator gives [3, 1], and [3] was observed"), "{error}");
    }
}
