//! Figures and the report.

use super::assimilate::PosteriorSamples;
use super::evaluate::Scores;
use super::observe::Observed;
use super::reference::{Reference, per_state};
use super::rollout::{self, Rolled};
use super::train::Model;
use crate::config::ScoreConfig;
use crate::error::ExperimentError;
use crate::figures::{
    Curve, Drawing, FigureError, LearningRate, Level, ObservedComponent, Posterior, PosteriorFan,
    TrainingCurve, w1_against_corrections,
};
use crate::report::{Cell, Facts, Image, Picture, Report, Table};
use crate::run::Run;
use crate::versions::versions;

const STAGE: &str = "report";

/// Draws the figures and writes report.html, report.md and report.json.
pub(crate) fn report(
    run: &Run,
    model: &Model,
    observed: &[Observed],
    references: &[Reference],
    samples: &[PosteriorSamples],
    scores: &Scores,
    rollouts: &[Rolled],
) -> Result<Report, ExperimentError> {
    let wrap = ExperimentError::stage::<FigureError>(STAGE);
    let mut figures = Vec::new();
    for (o, reference) in observed.iter().zip(references).filter(|(o, _)| o.trajectory == 0) {
        let of_this = samples.iter().filter(|p| observed[p.observed].stem() == o.stem() && p.count() > 1);
        if let Some(best) = of_this.max_by_key(|p| p.corrections) {
            let drawing = fan(run, o, reference, best)?;
            let caption = format!(
                "Posterior of observation «{}» with {} correction(s) a step, beside the particle filter's.",
                o.config.name, best.corrections
            );
            figures.push(picture(run, &drawing, &format!("fan-{}", o.config.name), caption)?);
        }
    }
    let distances = distances(run, scores).map_err(&wrap)?;
    figures.push(picture(
        run,
        &distances,
        "w1-against-corrections",
        "W₁ to the particle filter against corrections; dashed: two runs of the filter.".into(),
    )?);
    let curve = training(run, model).map_err(&wrap)?;
    figures.push(picture(run, &curve, "training", "Denoising loss over the training.".into())?);
    write_curve(run, model)?;
    let mut report = assemble(run, model, samples, scores, figures);
    report.tables.extend(rollouts.iter().map(rollout::table));
    report.save(&run.folder).map_err(ExperimentError::stage(STAGE))?;
    Ok(report)
}

fn picture(run: &Run, drawing: &Drawing, stem: &str, caption: String) -> Result<Picture, ExperimentError> {
    drawing.save(&run.folder.join("figures"), stem).map_err(ExperimentError::stage(STAGE))?;
    Ok(Picture { file: format!("figures/{stem}.png"), caption, image: Image::Svg(drawing.svg()) })
}

fn fan(
    run: &Run,
    o: &Observed,
    reference: &Reference,
    best: &PosteriorSamples,
) -> Result<Drawing, ExperimentError> {
    let e = &run.loaded.experiment;
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

fn score_name(score: &ScoreConfig) -> String {
    match score {
        ScoreConfig::Local { order, .. } => format!("SDA, local score k = {order}"),
        ScoreConfig::Global { .. } => "SDA, global score".into(),
    }
}

fn posterior_note(run: &Run) -> String {
    format!(
        "Prior: learned from {} trajectories of {} (its climate); the filter's: {} transitions from the initial law.",
        run.recipe.split.0,
        run.system.name(),
        run.loaded.experiment.reference.burn_in
    )
}

fn distances(run: &Run, scores: &Scores) -> Result<Drawing, FigureError> {
    let e = &run.loaded.experiment;
    let mut corrections = e.assimilation.corrections.clone();
    corrections.sort_unstable();
    let names: Vec<&str> = e.observations.iter().map(|o| o.name.as_str()).collect();
    let of = |name: &str| -> (Vec<f64>, Vec<f64>) {
        corrections.iter().map(|&c| scores.mean(name, Some(c), "w1").unwrap_or((f64::NAN, 0.0))).unzip()
    };
    let values: Vec<(Vec<f64>, Vec<f64>)> = names.iter().map(|n| of(n)).collect();
    let curves: Vec<Curve<'_>> = names
        .iter()
        .zip(&values)
        .filter(|(_, (v, _))| v.iter().all(|x| x.is_finite()))
        .map(|(name, (values, errors))| Curve { name, values, errors })
        .collect();
    let floors: Vec<(String, f64)> = names
        .iter()
        .filter_map(|n| Some((format!("{n}: two runs of the filter"), scores.mean(n, None, "w1")?.0)))
        .collect();
    let levels: Vec<Level<'_>> = floors
        .iter()
        .zip(&names)
        .map(|((name, value), of)| Level { name, value: *value, of: Some(of) })
        .collect();
    let corrections: Vec<usize> = corrections.iter().map(|&c| c as usize).collect();
    let note = format!("{} samples, Euclidean distance of physical trajectories", e.assimilation.samples);
    w1_against_corrections(&e.title, &note, &corrections, &curves, &levels)
}

fn training(run: &Run, model: &Model) -> Result<Drawing, FigureError> {
    let t = &run.loaded.experiment.training;
    let reals = |v: &[f32]| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let epochs: Vec<f64> = (1..=model.curve.training.len()).map(|e| e as f64).collect();
    let total = t.epochs as usize;
    let mut validated: Vec<f64> = (1..=total)
        .filter(|e| e.is_multiple_of(t.validation_every) || *e == total)
        .map(|e| e as f64)
        .collect();
    validated.truncate(model.curve.validation.len());
    let rates: Vec<f64> = (0..epochs.len()).map(|e| t.decay.at(e, total, t.learning_rate)).collect();
    let parameters: usize = model.weights.values().map(ndarray::ArrayBase::len).sum();
    TrainingCurve {
        title: &format!("{}: training", run.loaded.experiment.title),
        subtitle: &format!("{parameters} parameters"),
        epochs: &epochs,
        training: &reals(&model.curve.training),
        validation_epochs: &validated,
        validation: &reals(&model.curve.validation),
        learning_rate: Some(LearningRate { values: &rates }),
    }
    .draw()
}

fn write_curve(run: &Run, model: &Model) -> Result<(), ExperimentError> {
    let t = &run.loaded.experiment.training;
    let mut text = String::from("epoch,training,validation\n");
    let mut validation = model.curve.validation.iter();
    for (e, loss) in model.curve.training.iter().enumerate() {
        let validated = (e + 1).is_multiple_of(t.validation_every) || e + 1 == t.epochs as usize;
        let value = if validated { validation.next().map(ToString::to_string) } else { None };
        text.extend([(e + 1).to_string(), format!(",{loss},"), value.unwrap_or_default(), "\n".to_owned()]);
    }
    run.write("training.csv", text.as_bytes()).map(|_| ())
}

fn assemble(
    run: &Run,
    model: &Model,
    samples: &[PosteriorSamples],
    scores: &Scores,
    figures: Vec<Picture>,
) -> Report {
    let e = &run.loaded.experiment;
    let diverged: usize = samples.iter().map(|p| p.diverged).sum();
    let mut notes = Vec::new();
    if diverged > 0 {
        notes.push(format!("{diverged} samples left the real numbers and are left out of the scores."));
    }
    let parameters: usize = model.weights.values().map(ndarray::ArrayBase::len).sum();
    let last = model.curve.validation.last().copied().unwrap_or(f32::NAN);
    let tier = e.tier.clone().unwrap_or_default();
    Report {
        title: format!("{}, tier {tier}", e.title),
        summary: vec![
            format!(
                "{} with {parameters} parameters, trained for {} epochs on {} trajectories (validation loss {last:.4}); \
                 {} samples of {} states for each of {} test trajectories, {} steps.",
                score_name(&e.score),
                e.training.epochs,
                run.recipe.split.0,
                e.assimilation.samples,
                e.assimilation.length,
                e.assimilation.trajectories,
                e.assimilation.sampler.steps
            ),
            format!("Source: {}", e.source),
        ],
        posterior: posterior_note(run),
        checks: scores.checks.clone(),
        tables: e.observations.iter().map(|o| table(run, &o.name, scores)).collect(),
        figures,
        notes,
        facts: vec![
            Facts { title: "versions and machine".into(), rows: versions(run) },
            Facts {
                title: "seeds".into(),
                rows: vec![
                    ("experiment".into(), e.seed.to_string()),
                    ("data".into(), run.recipe.seed.to_string()),
                ],
            },
        ],
        configuration: run.loaded.resolved.clone(),
    }
}

/// Scores of one observation: the filter first, then each number of corrections.
fn table(run: &Run, name: &str, scores: &Scores) -> Table {
    let e = &run.loaded.experiment;
    let mut columns = vec![
        ("log p(x₂:L | x₁)", "log_prior"),
        ("log p(y | x)", "log_likelihood"),
        ("residual / noise", "residual_over_noise"),
        ("W₁", "w1"),
        ("W₁ / filter's", "w1_ratio"),
        ("MMD²", "mmd2"),
    ];
    if e.reference.bootstrap.is_some() {
        columns.push(("W₁ to bootstrap", "w1_bootstrap"));
    }
    let row = |label: String, corrections: Option<u32>| {
        let cell = |metric: &str| match scores.mean(name, corrections, metric) {
            Some((value, error)) if error > 0.0 => Cell::Spread(value, error),
            Some((value, _)) => Cell::Number(value),
            None => Cell::Missing,
        };
        [Cell::Text(label)].into_iter().chain(columns.iter().map(|(_, m)| cell(m))).collect()
    };
    let mut rows = vec![row("particle filter".into(), None)];
    rows.extend(e.assimilation.corrections.iter().map(|&c| row(format!("SDA, C = {c}"), Some(c))));
    let o = e.observations.iter().find(|o| o.name == name).map_or(0.0, |o| o.noise_std);
    Table {
        title: format!("Observation «{name}», noise {o}"),
        note: match e.assimilation.trajectories {
            1 => "One trajectory; W₁ of the filter is between two of its runs.".into(),
            n => format!(
                "Means over {n} trajectories ± standard error; W₁ of the filter is between two of its runs."
            ),
        },
        columns: [""].into_iter().chain(columns.iter().map(|(head, _)| *head)).map(str::to_owned).collect(),
        rows,
    }
}
