//! Several instruments on each state as one: what each of them sees, times a number, one after another.

use crate::error::ObserveError;
use crate::operator::Operator;
use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use sda_graph::{Graph, NodeId};

/// [B, L, P] with P the sum of what the parts see of a state.
pub(crate) fn output_shape(parts: &[(Operator, f64)], shape: &[usize]) -> Result<Vec<usize>, String> {
    if parts.is_empty() {
        return Err("a stack of nothing sees nothing".into());
    }
    let mut numbers = 0;
    for (part, scale) in parts {
        if !scale.is_finite() {
            return Err(format!("the scale {scale} of {part:?} must be finite"));
        }
        let seen = part.output_shape(shape).map_err(|e: ObserveError| e.to_string())?;
        if seen[..2] != shape[..2] {
            return Err(format!(
                "{part:?} leaves {} of {} states; put what chooses states before or after the stack",
                seen[1], shape[1]
            ));
        }
        numbers += seen[2..].iter().product::<usize>();
    }
    Ok(vec![shape[0], shape[1], numbers])
}

pub(crate) fn emit(g: &mut Graph, x: NodeId, parts: &[(Operator, f64)]) -> NodeId {
    let flat = parts.iter().map(|(part, scale)| {
        let seen = part.emit(g, x);
        let shape = g.shape(seen).to_vec();
        let numbers = shape[2..].iter().product();
        let seen = g.reshape(seen, &[shape[0], shape[1], numbers]);
        g.scale(seen, *scale)
    });
    let flat: Vec<NodeId> = flat.collect();
    g.concat(&flat, 2)
}

pub(crate) fn apply(x: &ArrayViewD<'_, f64>, parts: &[(Operator, f64)]) -> Result<ArrayD<f64>, ObserveError> {
    let mut flat = Vec::with_capacity(parts.len());
    for (part, scale) in parts {
        let seen = part.apply(x.view())? * *scale;
        let shape = seen.shape().to_vec();
        let numbers = shape[2..].iter().product();
        let seen = seen.as_standard_layout().into_owned();
        flat.push(seen.into_shape_with_order(vec![shape[0], shape[1], numbers]).expect("the same numbers"));
    }
    let views: Vec<ArrayViewD<'_, f64>> = flat.iter().map(|seen| seen.view()).collect();
    Ok(concatenate(Axis(2), &views).expect("the same samples and states: checked"))
}
