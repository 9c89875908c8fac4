//! What is shown of a flow's posterior, strips of vorticity and films, and what it has to beat.

mod floors;
mod law;
mod physics;
mod seen;

pub(crate) use floors::{climate, floors};
pub(crate) use law::{FieldLaw, LARGEST, LEVELS, quantiles};
pub(crate) use physics::one_state_error;

use super::assimilate::PosteriorSamples;
use super::observe::Observed;
use crate::error::ExperimentError;
use crate::figures::{Drawing, FieldStrips, Film, Reel, Strip};
use crate::run::{Part, Run};
use ndarray::{Array2, Array3, ArrayD, ArrayRef2, Axis, Ix2};
use sda_observe::Operator;

const STAGE: &str = "report";
/// States shown, at most, and samples.
const COLUMNS: usize = 8;
const SAMPLES: usize = 3;
/// Share of |ω| that the colours tell apart.
const SHOWN: f64 = 0.995;

/// Truth, observation, samples, their mean and spread, of one observation of the first trajectory; none of a chain.
pub(crate) fn strips(
    part: &Part<'_>,
    o: &Observed,
    samples: &PosteriorSamples,
) -> Result<Option<Drawing>, ExperimentError> {
    let run = part.run;
    if run.system.flow().is_none() {
        return Ok(None);
    }
    let (n, length, _) = samples.values.dim();
    let shown = evenly(length);
    let mut strips = given(run, o, &shown)?;
    let mut each = Vec::with_capacity(n);
    for sample in samples.values.outer_iter() {
        each.push(vorticities(run, &sample, &shown)?);
    }
    for (i, fields) in each.iter().take(SAMPLES).enumerate() {
        strips.push(strip(&format!("sample {}", i + 1), fields.clone()));
        let first = samples.values.index_axis(Axis(0), i);
        if let (0, Some(simulated)) = (i, physics::resimulated(&run.system, &first)) {
            strips.push(strip("simulated", vorticities(run, &simulated, &shown)?));
        }
    }
    let [mean, spread] = moments(&each);
    strips.push(strip("mean", mean));
    let range = range(o, &strips);
    strips.push(strip(&format!("spread of {n}"), spread));
    let times: Vec<String> =
        shown.iter().map(|&i| format!("t = {:.1}", i as f64 * run.system.dt())).collect();
    FieldStrips {
        title: &format!("{}: «{}»{}", run.loaded.experiment.title, o.config.name, run.of_variant()),
        subtitle: "Vorticity, x to the right, y up; grey is not observed; simulated: from sample 1's first state on; the spread in the same colours, from white on.",
        columns: &times,
        strips: &strips,
        range,
        quantity: "ω",
    }
    .draw()
    .map(Some)
    .map_err(ExperimentError::stage(STAGE))
}

/// Truth, observation and two samples beside each other, state by state, and what stands where; none of a chain.
pub(crate) fn film(
    part: &Part<'_>,
    o: &Observed,
    samples: &PosteriorSamples,
) -> Result<Option<(Reel, String)>, ExperimentError> {
    let run = part.run;
    if run.system.flow().is_none() {
        return Ok(None);
    }
    let (_, length, _) = samples.values.dim();
    let states: Vec<usize> = (0..length).collect();
    let mut strips = given(run, o, &states)?;
    for (i, sample) in samples.values.outer_iter().take(2).enumerate() {
        strips.push(strip(&format!("sample {}", i + 1), vorticities(run, &sample, &states)?));
    }
    let range = range(o, &strips);
    let (names, fields): (Vec<String>, Vec<_>) = strips.into_iter().map(|s| (s.label, s.fields)).unzip();
    let reel = Film { title: &o.config.name, fields: &fields, range }
        .paint()
        .map_err(ExperimentError::stage(STAGE))?;
    Ok(Some((reel, names.join(", "))))
}

fn strip(label: &str, fields: Vec<Array2<f64>>) -> Strip {
    Strip { label: label.to_owned(), fields: fields.into_iter().map(Some).collect() }
}

/// Of some states the truth, where there is one, and the observation, where it shows a field.
fn given(run: &Run, o: &Observed, states: &[usize]) -> Result<Vec<Strip>, ExperimentError> {
    let mut strips = Vec::new();
    if o.config.target.is_none() {
        strips.push(strip("truth", vorticities(run, &o.truth, states)?));
    }
    let (length, points) = (o.truth.dim().0, run.shape(1, 1)[2]);
    if let Some(observed) = seen::seen(&o.config.operator, &o.y, (length, points)) {
        let fields = states.iter().map(|&state| observed[state].clone()).collect();
        strips.push(Strip { label: "observation".into(), fields });
    }
    Ok(strips)
}

/// The largest |ω| in colours: the truth's, where there is one, since samples that are off are to look so.
fn range(o: &Observed, strips: &[Strip]) -> f64 {
    let scaled = if o.config.target.is_none() { &strips[..1] } else { strips };
    let fields = scaled.iter().filter(|strip| strip.label != "observation").flat_map(|strip| &strip.fields);
    quantile(fields.flatten().flatten())
}

/// States from the first to the last, as many as are shown.
fn evenly(length: usize) -> Vec<usize> {
    let columns = length.min(COLUMNS);
    (0..columns).map(|i| if columns > 1 { i * (length - 1) / (columns - 1) } else { 0 }).collect()
}

/// ω = ∂v/∂x − ∂u/∂y by central differences, in physical units: the operator's has unit spacing and the other sign.
///
/// Shapes: `fields` [N, L, x, y, 2], result [N, L, x, y, 1].
fn vorticity(fields: &ArrayD<f64>) -> Result<ArrayD<f64>, ExperimentError> {
    let scale = -(fields.shape()[2] as f64) / std::f64::consts::TAU;
    let seen = Operator::Vorticity.apply(fields.view()).map_err(ExperimentError::stage(STAGE))?;
    Ok(seen.mapv(|w| scale * w))
}

/// The vorticity of some states.
///
/// Shapes: `trajectory` [L, D], result each [x, y].
fn vorticities(
    run: &Run,
    trajectory: &ArrayRef2<f64>,
    states: &[usize],
) -> Result<Vec<Array2<f64>>, ExperimentError> {
    let fields = trajectory.select(Axis(0), states);
    let shape = run.shape(1, states.len());
    let fields: ArrayD<f64> = fields.into_shape_with_order(shape).map_err(ExperimentError::stage(STAGE))?;
    let seen = vorticity(&fields)?;
    let one = |field: ndarray::ArrayViewD<'_, f64>| {
        let field = field.index_axis_move(Axis(2), 0).to_owned();
        field.into_dimensionality::<Ix2>().map_err(ExperimentError::stage(STAGE))
    };
    seen.index_axis(Axis(0), 0).outer_iter().map(one).collect()
}

/// Mean and standard deviation over samples, state by state.
fn moments(samples: &[Vec<Array2<f64>>]) -> [Vec<Array2<f64>>; 2] {
    let states = samples.first().map_or(0, Vec::len);
    let of = |state: usize| {
        let views: Vec<_> = samples.iter().map(|fields| fields[state].view()).collect();
        let all: Array3<f64> = ndarray::stack(Axis(0), &views).expect("fields of one grid");
        let spread = if samples.len() > 1 { all.std_axis(Axis(0), 1.0) } else { all.sum_axis(Axis(0)) * 0.0 };
        (all.mean_axis(Axis(0)).expect("a sample at least"), spread)
    };
    let (mean, spread) = (0..states).map(of).unzip();
    [mean, spread]
}

/// The |value| that all but a few are below.
fn quantile<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    let mut sizes: Vec<f64> = values.map(|x| x.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let at = ((sizes.len() as f64 * SHOWN) as usize).min(sizes.len().saturating_sub(1));
    sizes.get(at).copied().unwrap_or(1.0).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_state_are_among_those_shown() {
        assert_eq!(evenly(1), [0]);
        assert_eq!(evenly(3), [0, 1, 2]);
        assert_eq!(evenly(8), (0..8).collect::<Vec<_>>());
        assert_eq!(evenly(29), [0, 4, 8, 12, 16, 20, 24, 28]);
        assert_eq!((evenly(127)[0], evenly(127)[7]), (0, 126));
    }

    #[test]
    fn moments_are_those_of_the_samples() {
        let field = |v: f64| vec![Array2::from_elem((2, 2), v)];
        let [mean, spread] = moments(&[field(1.0), field(3.0)]);
        assert_eq!((mean[0][[0, 0]], spread[0][[1, 1]]), (2.0, 2f64.sqrt()));
        let [_, none] = moments(&[field(1.0)]);
        assert_eq!(none[0][[0, 0]], 0.0);
    }

    #[test]
    fn a_few_large_values_do_not_set_the_colours() {
        let values: Vec<f64> = (0..1000).map(|i| if i < 3 { -1e6 } else { f64::from(i) / 1000.0 }).collect();
        assert!((0.9..1.0).contains(&quantile(values.iter())));
    }
}
