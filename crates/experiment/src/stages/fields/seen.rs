//! What an observation shows of the vorticity, laid over the field's own points.

use ndarray::{Array2, ArrayD, ArrayView3, Axis, Ix3};
use sda_observe::{Operator, Region};
use std::f64::consts::TAU;

/// The vorticity that an observation shows of each state: NaN at points that it does not see, none of states that it
/// does not see. None of any for an operator that shows no field.
///
/// Velocities give it by central differences on the points that were seen, which are NaN at the edge of a crop; a
/// saturated value is bent back.
///
/// Shapes: `y` of the operator's output, result [L], each [x, y] of n × n points.
pub(super) fn seen(
    operator: &Operator,
    y: &ArrayD<f64>,
    (length, n): (usize, usize),
) -> Option<Vec<Option<Array2<f64>>>> {
    let chain = operator.chain();
    let mut shape = vec![1, length, n, n, 2];
    let mut steps = Vec::new();
    for &op in &chain {
        steps.push((op, shape.clone()));
        shape = op.output_shape(&shape).ok()?;
    }
    let states: Vec<usize> = operator.states(length);
    if shape[1] != states.len() || y.shape() != &shape[1..] {
        return None;
    }
    let position = |wanted: &Operator| chain.iter().position(|op| *op == wanted);
    let (vorticity, bent) = (position(&Operator::Vorticity), position(&Operator::Saturate));
    // A curl of what is bent is no vorticity, and bends back to none.
    if bent.is_some_and(|bent| vorticity.is_none_or(|vorticity| bent < vorticity)) {
        return None;
    }
    let is_vorticity = vorticity.is_some();
    // Points between those that differences are taken of.
    let differenced = chain.iter().take_while(|op| !matches!(op, Operator::Vorticity));
    let spacing: usize = differenced
        .map(|op| match op {
            Operator::Coarsen(factor) | Operator::Subsample(factor) => *factor,
            _ => 1,
        })
        .product();
    let period = n as f64 / spacing as f64;
    let mut out = vec![None; length];
    for (values, &state) in y.outer_iter().zip(&states) {
        let mut field = match (values.ndim(), is_vorticity) {
            (3, false) => curl(&values.into_dimensionality::<Ix3>().ok()?, spacing, n)?,
            (3, true) => values.index_axis_move(Axis(2), 0).into_dimensionality().ok()?.to_owned(),
            (2, true) => values.into_dimensionality().ok()?.to_owned(),
            _ => return None,
        };
        if bent.is_some() {
            field.mapv_inplace(|s| if s.abs() < 1.0 { s / (1.0 - s.abs()) } else { f64::NAN });
        }
        field.mapv_inplace(|w| -w * period / TAU);
        for (op, before) in steps.iter().rev() {
            field = lifted(op, &field, [before[2], before[3]])?;
        }
        out[state] = Some(field);
    }
    Some(out)
}

/// ∂u/∂y − ∂v/∂x by central differences of points that are there: across the period where all of its points are, NaN at
/// the edges where not.
///
/// Shapes: `velocity` [h, w, 2], every `spacing`-th of n × n points or a part of these.
fn curl(velocity: &ArrayView3<'_, f64>, spacing: usize, n: usize) -> Option<Array2<f64>> {
    let (h, w, components) = velocity.dim();
    let is_whole = (h * spacing, w * spacing) == (n, n);
    (components == 2).then(|| {
        Array2::from_shape_fn((h, w), |(x, y)| {
            if !is_whole && (x == 0 || y == 0 || x + 1 == h || y + 1 == w) {
                return f64::NAN;
            }
            0.5 * (velocity[[x, (y + 1) % w, 0]] - velocity[[x, (y + w - 1) % w, 0]])
                - 0.5 * (velocity[[(x + 1) % h, y, 1]] - velocity[[(x + h - 1) % h, y, 1]])
        })
    })
}

/// A field laid over the points of what the operator acted on.
fn lifted(operator: &Operator, field: &Array2<f64>, [h, w]: [usize; 2]) -> Option<Array2<f64>> {
    let over = |of: &dyn Fn(usize, usize) -> Option<(usize, usize)>| {
        Array2::from_shape_fn((h, w), |(x, y)| {
            of(x, y).and_then(|at| field.get(at)).copied().unwrap_or(f64::NAN)
        })
    };
    Some(match operator {
        Operator::Coarsen(n) => over(&|x, y| Some((x / n, y / n))),
        Operator::Subsample(n) => {
            over(&|x, y| (x.is_multiple_of(*n) && y.is_multiple_of(*n)).then_some((x / n, y / n)))
        }
        Operator::Crop { start, .. } => {
            over(&|x, y| Some((x.checked_sub(start[0])?, y.checked_sub(start[1])?)))
        }
        Operator::Mask(region) => painted(region, field, [h, w]),
        Operator::Identity
        | Operator::EveryNth(_)
        | Operator::States { .. }
        | Operator::Vorticity
        | Operator::Saturate => field.clone(),
        _ => return None,
    })
}

/// Shapes: `field` [P, 1].
fn painted(region: &Region, field: &Array2<f64>, [h, w]: [usize; 2]) -> Array2<f64> {
    let mut out = Array2::from_elem((h, w), f64::NAN);
    for (i, point) in region.points([h, w]).into_iter().enumerate() {
        out[[point / w, point % w]] = field[[i, 0]];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// u = sin 2y, v = cos x on n × n points, the same at every state: ω = −sin x − 2 cos 2y.
    fn field(length: usize, n: usize) -> ArrayD<f64> {
        let at = |i: usize| TAU * (i as f64 + 0.5) / n as f64;
        ArrayD::from_shape_fn(vec![1, length, n, n, 2], |i| {
            if i[4] == 0 { (2.0 * at(i[3])).sin() } else { at(i[2]).cos() }
        })
    }

    fn omega(n: usize, (x, y): (usize, usize)) -> f64 {
        let at = |i: usize| TAU * (i as f64 + 0.5) / n as f64;
        -at(x).sin() - 2.0 * (2.0 * at(y)).cos()
    }

    fn shown(operator: &Operator, length: usize, n: usize) -> Vec<Option<Array2<f64>>> {
        let y = operator.apply(field(length, n).view()).unwrap().index_axis_move(Axis(0), 0);
        seen(operator, &y, (length, n)).unwrap()
    }

    #[test]
    fn what_is_seen_lies_where_it_was_seen() {
        let n = 32;
        let cases = [
            // Differences of a wave of 16 or 32 points are off by 3 %, of 8 points by 10 %, and a block by its half.
            (Operator::Identity, n * n, 0.1),
            (Operator::Compose(vec![Operator::EveryNth(2), Operator::Coarsen(2)]), n * n, 0.7),
            (Operator::Subsample(2), 16 * 16, 0.4),
            // 7 of 32 points, which no period is of.
            (Operator::Subsample(5), 5 * 5, 1.25),
            (
                Operator::Compose(vec![Operator::Coarsen(2), Operator::Crop { start: [3, 4], size: [8, 9] }]),
                4 * 6 * 7,
                0.7,
            ),
            (
                Operator::Compose(vec![
                    Operator::EveryNth(2),
                    Operator::Coarsen(2),
                    Operator::Vorticity,
                    Operator::Saturate,
                    Operator::Crop { start: [2, 3], size: [8, 9] },
                ]),
                4 * 8 * 9,
                0.7,
            ),
            (
                Operator::Compose(vec![
                    Operator::States { start: 2, count: 1 },
                    Operator::Vorticity,
                    Operator::Mask(Region::Ring { inner: 0.4, outer: 0.6 }),
                ]),
                Region::Ring { inner: 0.4, outer: 0.6 }.points([n, n]).len(),
                0.1,
            ),
        ];
        for (operator, points, tolerance) in cases {
            let fields = shown(&operator, 5, n);
            let states: Vec<usize> = (0..5).filter(|&i| fields[i].is_some()).collect();
            assert_eq!(states, operator.states(5), "{operator:?}");
            for field in fields.iter().flatten() {
                assert_eq!(field.dim(), (n, n));
                assert_eq!(field.iter().filter(|w| w.is_finite()).count(), points, "{operator:?}");
                for (at, &w) in field.indexed_iter().filter(|(_, w)| w.is_finite()) {
                    assert!(
                        (w - omega(n, at)).abs() < tolerance,
                        "{operator:?}, {at:?}: {w}, {}",
                        omega(n, at)
                    );
                }
            }
        }
        let every = shown(&Operator::Compose(vec![Operator::Vorticity, Operator::Subsample(8)]), 1, n);
        let every = every[0].as_ref().unwrap();
        assert!(
            every[[8, 16]].is_finite()
                && (1..8).all(|x| every[[x, 16]].is_nan() && every[[8, 16 + x]].is_nan())
        );
    }

    #[test]
    fn what_shows_no_field_is_left_out() {
        let y = |operator: &Operator| operator.apply(field(3, 8).view()).unwrap().index_axis_move(Axis(0), 0);
        for operator in [
            Operator::Spectrum,
            Operator::Divergence,
            Operator::Difference { first: 0, second: 2 },
            Operator::Components(vec![0]),
            // The curl of bent velocities is no vorticity.
            Operator::Compose(vec![Operator::Coarsen(2), Operator::Saturate]),
            Operator::Compose(vec![Operator::Saturate, Operator::Vorticity]),
        ] {
            assert!(seen(&operator, &y(&operator), (3, 8)).is_none(), "{operator:?}");
        }
    }
}
