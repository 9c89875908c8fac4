//! What a field's posterior has to beat: its climate, and the observations interpolated.

use crate::error::ExperimentError;
use crate::run::Run;
use crate::stages::observe::Observed;
use ndarray::{Array2, Array4, ArrayD, Axis, Ix4};
use sda_data::TrajectoryStore;
use sda_observe::Operator;

const STAGE: &str = "evaluate";
/// Validation trajectories and states that the climate is taken from; those for training need not be there.
const TRAJECTORIES: usize = 128;
const EVERY: usize = 16;

/// Mean field of the validation data.
///
/// Shapes: result [x y 2], laid out flat.
pub(crate) fn climate(run: &Run, store: &TrajectoryStore) -> Result<Vec<f64>, ExperimentError> {
    let mut sum = vec![0.0; run.system.state_dim()];
    let mut count = 0.0;
    for trajectory in store.description().split.validation.clone().take(TRAJECTORIES) {
        for state in (0..store.layout().length).step_by(EVERY) {
            let window = store.read_window(trajectory, state, 1).map_err(ExperimentError::stage(STAGE))?;
            sum.iter_mut().zip(&window).for_each(|(sum, &x)| *sum += f64::from(x));
            count += 1.0;
        }
    }
    sum.iter_mut().for_each(|sum| *sum /= count);
    Ok(sum)
}

/// RMSE of the climate's mean, and of the observations interpolated with the climate where there is nothing to
/// interpolate; the second of operators that show velocities alone.
pub(crate) fn floors(
    run: &Run,
    o: &Observed,
    climate: &[f64],
) -> Result<Vec<(&'static str, f64)>, ExperimentError> {
    let (length, dim) = o.truth.dim();
    let mean = Array2::from_shape_fn((length, dim), |(_, i)| climate[i]);
    let rmse = |field: &Array2<f64>| (field - &o.truth).mapv(|d| d * d).mean().unwrap_or(f64::NAN).sqrt();
    let mut out = vec![("rmse_climatology", rmse(&mean))];
    let points = run.shape(1, 1)[2];
    if let Some(field) = interpolated(&o.config.operator, &o.y, (length, points)) {
        let flat: Vec<f64> = field.iter().copied().collect();
        let field = Array2::from_shape_vec((length, dim), flat).map_err(ExperimentError::stage(STAGE))?;
        let filled =
            ndarray::Zip::from(&field).and(&mean).map_collect(|&x, &m| if x.is_nan() { m } else { x });
        out.push(("rmse_interpolation", rmse(&filled)));
    }
    Ok(out)
}

/// Velocities between those that were seen: bilinear in space, linear in time, the nearest state's before the first and
/// after the last; NaN where nothing is near.
///
/// Shapes: result [L, n, n, 2].
fn interpolated(operator: &Operator, y: &ArrayD<f64>, (length, n): (usize, usize)) -> Option<Array4<f64>> {
    let mut shape = vec![1, length, n, n, 2];
    let (mut steps, mut is_whole) = (Vec::new(), [true; 2]);
    for op in operator.chain() {
        steps.push((op, shape.clone(), is_whole));
        if let Operator::Crop { size, .. } = op {
            is_whole = [0, 1].map(|axis| is_whole[axis] && size[axis] == shape[2 + axis]);
        }
        shape = op.output_shape(&shape).ok()?;
    }
    if y.ndim() != 4 || y.shape() != &shape[1..] || y.shape()[3] != 2 {
        return None;
    }
    let mut fields = y.clone().into_dimensionality::<Ix4>().ok()?;
    for (op, before, is_whole) in steps.iter().rev() {
        fields = match op {
            Operator::Coarsen(factor) => refined(&fields, *factor, *is_whole),
            Operator::Subsample(factor) => between(&fields, *factor, [before[2], before[3]], *is_whole),
            Operator::Crop { start, .. } => embedded(&fields, *start, [before[2], before[3]]),
            Operator::Identity | Operator::EveryNth(_) | Operator::States { .. } => fields,
            _ => return None,
        };
    }
    Some(in_time(&fields, &operator.states(length), length))
}

/// Bilinear between the blocks' centres, across the period where an axis is whole; where a neighbour is not there, the
/// block's own value.
fn refined(fields: &Array4<f64>, factor: usize, is_whole: [bool; 2]) -> Array4<f64> {
    let (states, rows, columns, components) = fields.dim();
    // The block of a fine point, its neighbour on the point's side, and the neighbour's share.
    let part = |i: usize, blocks: usize, is_whole: bool| {
        let (at, offset) = (i / factor, (i % factor) as f64 + 0.5 - 0.5 * factor as f64);
        let is_last = if offset < 0.0 { at == 0 } else { at + 1 == blocks };
        let across = (if offset < 0.0 { at + blocks - 1 } else { at + 1 }) % blocks;
        let beside = if is_last && !is_whole { at } else { across };
        (at, beside, offset.abs() / factor as f64)
    };
    Array4::from_shape_fn((states, rows * factor, columns * factor, components), |(l, x, y, c)| {
        let ((i, next_i, a), (j, next_j, b)) = (part(x, rows, is_whole[0]), part(y, columns, is_whole[1]));
        let value = |i, j| fields[[l, i, j, c]];
        let along = |i: usize| (1.0 - b) * value(i, j) + b * value(i, next_j);
        let mixed = (1.0 - a) * along(i) + a * along(next_i);
        if mixed.is_nan() { value(i, j) } else { mixed }
    })
}

/// Bilinear between every n-th point, across the period where an axis is whole, and the last point's value where not.
fn between(fields: &Array4<f64>, factor: usize, [h, w]: [usize; 2], is_whole: [bool; 2]) -> Array4<f64> {
    let (states, rows, columns, components) = fields.dim();
    let part = |i: usize, points: usize| {
        let (at, rest) = (i / factor, i % factor);
        // The last stretch ends at the period, which may be shorter than the others.
        let length = factor.min(points - at * factor);
        (at, rest as f64 / length as f64)
    };
    Array4::from_shape_fn((states, h, w, components), |(l, x, y, c)| {
        let ((i, a), (j, b)) = (part(x, h), part(y, w));
        let next = |i: usize, points: usize, is_whole: bool| {
            if i + 1 == points && !is_whole { i } else { (i + 1) % points }
        };
        let (next_i, next_j) = (next(i, rows, is_whole[0]), next(j, columns, is_whole[1]));
        let value = |i, j| fields[[l, i, j, c]];
        let along =
            |i: usize| if b > 0.0 { (1.0 - b) * value(i, j) + b * value(i, next_j) } else { value(i, j) };
        if a > 0.0 { (1.0 - a) * along(i) + a * along(next_i) } else { along(i) }
    })
}

fn embedded(fields: &Array4<f64>, start: [usize; 2], [h, w]: [usize; 2]) -> Array4<f64> {
    let (states, .., components) = fields.dim();
    Array4::from_shape_fn((states, h, w, components), |(l, x, y, c)| {
        let at = x.checked_sub(start[0]).zip(y.checked_sub(start[1]));
        at.and_then(|(x, y)| fields.get([l, x, y, c])).copied().unwrap_or(f64::NAN)
    })
}

/// Shapes: `fields` [K, n, n, 2] of the states [K], ascending; result [L, n, n, 2].
fn in_time(fields: &Array4<f64>, states: &[usize], length: usize) -> Array4<f64> {
    let (_, h, w, components) = fields.dim();
    let mut out = Array4::zeros((length, h, w, components));
    for (state, mut field) in out.outer_iter_mut().enumerate() {
        let after = states.partition_point(|&s| s < state).min(states.len() - 1);
        let before = if states[after] > state { after.saturating_sub(1) } else { after };
        let share = match states[after] - states[before] {
            0 => 0.0,
            between => (state - states[before]) as f64 / between as f64,
        };
        let (a, b) = (fields.index_axis(Axis(0), before), fields.index_axis(Axis(0), after));
        field.assign(&(&a * (1.0 - share) + &b * share));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// u = sin x + t, v = cos y − t on n × n points.
    fn field(length: usize, n: usize) -> ArrayD<f64> {
        let at = |i: usize| TAU * i as f64 / n as f64;
        ArrayD::from_shape_fn(vec![1, length, n, n, 2], |i| {
            let t = 0.1 * i[1] as f64;
            if i[4] == 0 { at(i[2]).sin() + t } else { at(i[3]).cos() - t }
        })
    }

    /// The largest error of the interpolation where there is one, and how many points have none.
    fn error(operator: &Operator, (length, n): (usize, usize)) -> (f64, usize) {
        let x = field(length, n);
        let y = operator.apply(x.view()).unwrap().index_axis_move(Axis(0), 0);
        let got = interpolated(operator, &y, (length, n)).unwrap();
        let x = x.index_axis_move(Axis(0), 0);
        assert_eq!(got.shape(), x.shape());
        let errors = got.iter().zip(&x).map(|(g, x)| (g - x).abs());
        (errors.clone().filter(|e| !e.is_nan()).fold(0.0, f64::max), errors.filter(|e| e.is_nan()).count())
    }

    #[test]
    fn smooth_fields_are_met_between_what_was_seen() {
        let compose = |ops: &[Operator]| Operator::Compose(ops.to_vec());
        assert_eq!(error(&Operator::Identity, (3, 16)), (0.0, 0));
        // Linear in time: exact between, and held after the last state seen, 2 of 3 on.
        let (every, missing) = error(&Operator::EveryNth(3), (6, 16));
        assert!((every - 0.2).abs() < 1e-12 && missing == 0, "{every}");
        let (between, _) = error(&compose(&[Operator::EveryNth(2)]), (5, 16));
        assert!(between < 1e-12);
        // Chords of a wave of 8 points miss it by 1 − cos(π/8) = 0.076, blocks of 4 points by as much again.
        let (sparse, missing) = error(&Operator::Subsample(4), (2, 32));
        assert!((0.05..0.08).contains(&sparse) && missing == 0, "{sparse}");
        let (coarse, missing) = error(&compose(&[Operator::EveryNth(2), Operator::Coarsen(4)]), (3, 32));
        assert!((0.05..0.16).contains(&coarse) && missing == 0, "{coarse}");
        // Points that do not divide the period: the last stretch, from 15 to 16, is shorter.
        let (uneven, missing) = error(&Operator::Subsample(5), (1, 16));
        assert!((0.2..0.5).contains(&uneven) && missing == 0, "{uneven}");
    }

    /// Where all neighbours are there it is the operator's upsampling.
    #[test]
    fn refining_is_bilinear_upsampling() {
        let coarse = field(2, 6);
        let fine = Operator::Upsample { factor: 4, mode: sda_observe::Interpolation::Bilinear };
        let want = fine.apply(coarse.view()).unwrap();
        let got = refined(&coarse.index_axis_move(Axis(0), 0).into_dimensionality().unwrap(), 4, [true; 2]);
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-14));
    }

    #[test]
    fn what_lies_outside_a_crop_is_left_to_the_climate() {
        let crop = Operator::Crop { start: [2, 2], size: [4, 4] };
        let (error, missing) = error(&Operator::Compose(vec![Operator::Coarsen(4), crop]), (1, 32));
        // At its edges a block is half a block off, 1.5 points of a slope of 1.
        assert!(error < 0.3, "{error}");
        // Blocks at 2 … 5 of 8, each of 4 × 4 points; operators act in their order, so that 4 × 4 blocks are cropped.
        assert_eq!(missing, 2 * (32 * 32 - 16 * 16));
    }

    /// A part of the field has no period: its last blocks are not the first ones' neighbours.
    #[test]
    fn a_crop_that_comes_first_is_not_wrapped_round() {
        let crop = Operator::Crop { start: [4, 6], size: [16, 16] };
        for (then, most) in [(Operator::Coarsen(4), 0.35), (Operator::Subsample(4), 0.6)] {
            let (error, missing) = error(&Operator::Compose(vec![crop.clone(), then.clone()]), (1, 32));
            assert!(error < most, "{then:?}: {error}");
            assert_eq!(missing, 2 * (32 * 32 - 16 * 16));
        }
    }

    #[test]
    fn what_shows_no_velocities_is_not_interpolated() {
        for operator in [Operator::Vorticity, Operator::Spectrum, Operator::Components(vec![0])] {
            let y = operator.apply(field(2, 8).view()).unwrap().index_axis_move(Axis(0), 0);
            assert!(interpolated(&operator, &y, (2, 8)).is_none(), "{operator:?}");
        }
    }
}
