//! The report's figures of trajectories, residuals, distances and losses.

use super::assimilate::PosteriorSamples;
use super::evaluate::predicted;
use super::observe::Observed;
use super::reference::{Reference, per_state};
use super::report::{posterior_note, score_name};
use super::train::Model;
use crate::error::ExperimentError;
use crate::figures::{
    Curve, Drawing, FigureError, LearningRate, Level, ObservedComponent, Posterior, PosteriorFan,
    ResidualHistograms, ResidualPanel, TrainingCurve, w1_against_corrections,
};
use crate::run::{Part, Run};
use std::collections::BTreeSet;

const STAGE: &str = "report";

pub(super) fn fan(
    run: &Run,
    o: &Observed,
    reference: &Reference,
    best: &PosteriorSamples,
) -> Result<Drawing, ExperimentError> {
    let e = &run.loaded.experiment.of(&o.config);
    let names = run.system.component_names();
    let components: Vec<&str> = names.iter().map(String::as_str).collect();
    let times: Vec<f64> = (0..e.assimilation.length).map(|i| i as f64 * run.system.dt()).collect();
    let (observations, operator) = per_state(run, o)?;
    // Each observed quantity that is one component alone is drawn in that component's unit.
    let mut drawn = Vec::new();
    let is_linear = o.config.operator.is_linear();
    let linear = &operator.linear;
    for (row, (h, c)) in linear.matrix.outer_iter().zip(&linear.offset).enumerate().filter(|_| is_linear) {
        let used: Vec<usize> = (0..h.len()).filter(|&i| h[i] != 0.0).collect();
        if let [component] = used[..] {
            let values: Vec<f64> =
                observations.values().column(row).iter().map(|y| (y - c) / h[component]).collect();
            drawn.push((component, values, o.config.noise_std / h[component].abs()));
        }
    }
    let observations: Vec<ObservedComponent<'_>> = drawn
        .iter()
        .map(|(component, values, noise_std)| ObservedComponent {
            component: *component,
            states: observations.steps(),
            values,
            noise_std: *noise_std,
        })
        .collect();
    let name = format!("{}, {} correction(s)", score_name(&e.score), best.corrections);
    PosteriorFan {
        title: &format!("{}: «{}»", e.title, o.config.name),
        subtitle: &posterior_note(run),
        model_times: &times,
        model_time_label: "model time",
        components: &components,
        truth: &o.truth,
        posteriors: &[
            Posterior { name: &name, samples: &best.values },
            Posterior { name: "particle filter", samples: &reference.runs[0] },
        ],
        observations: &observations,
    }
    .draw()
    .map_err(ExperimentError::stage(STAGE))
}

/// Residuals of all samples of an observation, a panel for each set of samples; none where there is no sample.
pub(super) fn residuals(
    run: &Run,
    name: &str,
    observed: &[Observed],
    parts: &[Part<'_>],
) -> Result<Option<Drawing>, ExperimentError> {
    let mut sets: Vec<(String, Vec<f64>)> = Vec::new();
    for part in parts {
        for &corrections in part.corrections(name) {
            let mut values = Vec::new();
            let of_set = part.samples.iter().filter(|p| p.corrections == corrections && p.count() > 0);
            for (o, p) in of_set.map(|p| (&observed[p.observed], p)).filter(|(o, _)| o.config.name == name) {
                let predicted = predicted(part.run, o, &p.values)?;
                let of_sample = |a: ndarray::ArrayView1<'_, f64>| {
                    let left = a.iter().zip(&o.y).map(|(a, y)| (y - a) / o.config.noise_std);
                    left.collect::<Vec<_>>()
                };
                values.extend(predicted.outer_iter().flat_map(of_sample));
            }
            sets.push((format!("{}, C = {corrections}", part.name()), values));
        }
    }
    sets.retain(|(_, values)| !values.is_empty());
    if sets.is_empty() {
        return Ok(None);
    }
    let panels: Vec<ResidualPanel<'_>> =
        sets.iter().map(|(title, values)| ResidualPanel { title, values }).collect();
    ResidualHistograms {
        title: &format!("{}: residuals of «{name}»", run.loaded.experiment.title),
        subtitle: "Of all samples and all numbers observed; what is further off is in the outermost bins.",
        panels: &panels,
    }
    .draw()
    .map(Some)
    .map_err(ExperimentError::stage(STAGE))
}

/// W₁ against corrections: a figure with a curve for each observation, or, of variants, a figure for each observation
/// with a curve for each variant; none where no samples are left to have a distance.
pub(super) fn distances(run: &Run, parts: &[Part<'_>]) -> Result<Vec<(String, Drawing)>, FigureError> {
    let e = &run.loaded.experiment;
    let names: Vec<&str> = e.observations.iter().map(|o| o.name.as_str()).collect();
    if let [part] = parts
        && part.run.variant.is_none()
    {
        let curves: Vec<_> = names.iter().map(|name| (*name, *name, part)).collect();
        let drawing = against_corrections(run, &e.title, &curves)?;
        return Ok(drawing.map(|drawing| ("w1-against-corrections".into(), drawing)).into_iter().collect());
    }
    let of = |name: &&str| {
        let variant = |part| (Part::name(part), *name, part);
        let curves: Vec<_> = parts.iter().map(variant).collect();
        let title = format!("{}: «{name}»", e.title);
        let drawing = against_corrections(run, &title, &curves)?;
        Ok(drawing.map(|drawing| (format!("w1-against-corrections-{name}"), drawing)))
    };
    names.iter().filter_map(|name| of(name).transpose()).collect()
}

/// One figure; a curve has a name and is of an observation of a part.
fn against_corrections(
    run: &Run,
    title: &str,
    curves: &[(&str, &str, &Part<'_>)],
) -> Result<Option<Drawing>, FigureError> {
    let e = &run.loaded.experiment;
    let numbers = curves.iter().flat_map(|(_, observation, part)| part.corrections(observation));
    let positions: Vec<u32> = numbers.copied().collect::<BTreeSet<u32>>().into_iter().collect();
    let values: Vec<(Vec<f64>, Vec<f64>)> = curves
        .iter()
        .map(|(_, observation, part)| {
            let of = |c: &u32| part.scores.mean(observation, Some(*c), "w1").unwrap_or((f64::NAN, 0.0));
            positions.iter().map(of).unzip()
        })
        .collect();
    let drawn: Vec<Curve<'_>> = curves
        .iter()
        .zip(&values)
        .filter(|(_, (values, _))| values.iter().any(|x| x.is_finite()))
        .map(|((name, ..), (values, errors))| Curve { name, values, errors })
        .collect();
    if drawn.is_empty() {
        return Ok(None);
    }
    let mut floors: Vec<(&str, &str, f64)> = Vec::new();
    for (name, observation, part) in curves {
        let known = floors.iter().any(|(_, of, _)| of == observation);
        if let (false, Some((floor, _))) = (known, part.scores.mean(observation, None, "w1")) {
            floors.push((name, observation, floor));
        }
    }
    let labels: Vec<String> =
        floors.iter().map(|(_, observation, _)| format!("{observation}: two runs of the filter")).collect();
    let levels: Vec<Level<'_>> = floors
        .iter()
        .zip(&labels)
        .map(|((name, observation, value), label)| {
            // A level that is all variants' has no curve's colour.
            Level { name: label, value: *value, of: (name == observation).then_some(*name) }
        })
        .collect();
    let note = format!("{} samples, Euclidean distance of physical trajectories", e.assimilation.samples);
    let positions: Vec<usize> = positions.iter().map(|&c| c as usize).collect();
    w1_against_corrections(title, &note, &positions, &drawn, &levels).map(Some)
}

pub(super) fn training(run: &Run, model: &Model) -> Result<Drawing, FigureError> {
    let reals = |v: &[f32]| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let epochs: Vec<f64> = (1..=model.curve.training.len()).map(|e| e as f64).collect();
    let validated: Vec<f64> = model.validated().into_iter().map(|e| e as f64).collect();
    let rates: Option<Vec<f64>> = model
        .training
        .as_ref()
        .map(|t| (0..epochs.len()).map(|e| t.decay.at(e, epochs.len(), t.learning_rate)).collect());
    let parameters: usize = model.weights.values().map(ndarray::ArrayBase::len).sum();
    TrainingCurve {
        title: &format!("{}: training{}", run.loaded.experiment.title, run.of_variant()),
        subtitle: &format!("{parameters} parameters"),
        epochs: &epochs,
        training: &reals(&model.curve.training),
        validation_epochs: &validated,
        validation: &reals(&model.curve.validation),
        learning_rate: rates.as_deref().map(|values| LearningRate { values }),
    }
    .draw()
}
