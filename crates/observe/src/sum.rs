//! A sum of what several operators see, each times a number.

use crate::error::ObserveError;
use crate::operator::Operator;
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};

pub(crate) fn output_shape(parts: &[(Operator, f64)], shape: &[usize]) -> Result<Vec<usize>, String> {
    let mut seen: Option<Vec<usize>> = None;
    for (part, scale) in parts {
        if !scale.is_finite() {
            return Err(format!("the scale {scale} of {part:?} must be finite"));
        }
        let of_part = part.output_shape(shape).map_err(|e: ObserveError| e.to_string())?;
        match &seen {
            Some(first) if *first != of_part => {
                return Err(format!(
                    "{part:?} sees {of_part:?} and the first part {first:?}: nothing to add"
                ));
            }
            _ => seen = Some(of_part),
        }
    }
    seen.ok_or_else(|| "a sum of nothing sees nothing".into())
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, parts: &[(Operator, f64)]) -> NodeId {
    let scaled: Vec<NodeId> = parts
        .iter()
        .map(|(part, scale)| {
            let seen = part.emit(g, x);
            g.scale(seen, *scale)
        })
        .collect();
    scaled[1..].iter().fold(scaled[0], |sum, &part| g.add(sum, part))
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, parts: &[(Operator, f64)]) -> Result<ArrayD<f64>, ObserveError> {
    let mut sum: Option<ArrayD<f64>> = None;
    for (part, scale) in parts {
        let seen = part.apply(x.view())? * *scale;
        sum = Some(match sum {
            Some(sum) => sum + seen,
            None => seen,
        });
    }
    Ok(sum.expect("a sum of something: checked"))
}
