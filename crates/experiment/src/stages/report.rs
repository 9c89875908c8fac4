//! Figures and the report.

use super::drawn::{distances, fan, residuals, training};
use super::evaluate::Scores;
use super::observe::Observed;
use super::reference::Reference;
use super::rollout;
use super::train::Model;
use super::tune::Settled;
use super::{calibration, fields, modes};
use crate::config::{Assimilation, Experiment, ObservationConfig, ScoreConfig, Settings, to_line};
use crate::error::ExperimentError;
use crate::figures::{Drawing, FigureError};
use crate::report::{Cell, Facts, Image, Picture, Report, Table, significant};
use crate::run::{Part, Run};
use crate::versions::versions;

const STAGE: &str = "report";
/// Residual over noise above which samples are said not to explain what was observed; the published code's largest is 1.79.
const MISSED: f64 = 2.0;

/// Draws the figures and writes report.html, report.md and report.json: of one part, or of one for each variant.
pub(crate) fn report(
    run: &Run,
    observed: &[Observed],
    references: &[Option<Reference>],
    parts: &[Part<'_>],
) -> Result<Report, ExperimentError> {
    let wrap = ExperimentError::stage::<FigureError>(STAGE);
    let mut figures = Vec::new();
    for part in parts {
        for (o, reference) in observed.iter().zip(references).filter(|(o, _)| o.trajectory == 0) {
            let of_this =
                part.samples.iter().filter(|p| observed[p.observed].stem() == o.stem() && p.count() > 1);
            let Some(best) = of_this.max_by_key(|p| p.corrections) else { continue };
            if let Some(drawing) = fields::strips(part, o, best)? {
                let caption =
                    format!("Vorticity of samples of «{}»{}.", o.config.name, part.run.of_variant());
                let stem = named(part.run, &format!("strips-{}", o.config.name));
                figures.push(picture(run, &drawing, &stem, caption)?);
            }
            if let Some((reel, shown)) = fields::film(part, o, best)? {
                let stem = named(part.run, &format!("film-{}", o.config.name));
                reel.save(&run.folder.join("figures"), &stem).map_err(&wrap)?;
                let of = part.run.of_variant();
                let caption = format!("«{}»{of}, vorticity from left to right: {shown}.", o.config.name);
                let image = Image::Png(reel.apng().map_err(&wrap)?);
                figures.push(Picture { file: format!("figures/{stem}.gif"), caption, image });
            }
            if let Some(reference) = reference {
                let drawing = fan(part.run, o, reference, best)?;
                let caption = format!(
                    "Posterior of observation «{}» with {} correction(s) a step{}, beside the particle filter's.",
                    o.config.name,
                    best.corrections,
                    part.run.of_variant()
                );
                let stem = named(part.run, &format!("fan-{}", o.config.name));
                figures.push(picture(run, &drawing, &stem, caption)?);
            }
        }
    }
    for o in &run.loaded.experiment.observations {
        let Some(drawing) = residuals(run, &o.name, observed, parts)? else { continue };
        let caption = format!("What samples leave of observation «{}», over its noise.", o.name);
        figures.push(picture(run, &drawing, &format!("residuals-{}", o.name), caption)?);
    }
    for part in parts {
        let Some(prior) = &part.prior else { continue };
        for (stem, drawing) in prior.figures(part.run)? {
            let caption =
                format!("States of the prior alone{} beside the test data's.", part.run.of_variant());
            figures.push(picture(run, &drawing, &named(part.run, stem), caption)?);
        }
    }
    for part in parts {
        // Of a target there is no truth to rank.
        for name in run.loaded.experiment.observations.iter().filter(|o| o.target.is_none()).map(|o| &o.name)
        {
            let Some(drawing) = calibration::histograms(part, name, observed, references)? else { continue };
            let of = part.run.of_variant();
            let caption = format!(
                "Ranks of the truth among the samples, observation «{name}»{of}; flat if calibrated."
            );
            let stem = named(part.run, &format!("ranks-{name}"));
            figures.push(picture(run, &drawing, &stem, caption)?);
        }
    }
    // Tuned settings have one number of corrections for each observation: there is nothing to draw against.
    let e = &run.loaded.experiment;
    if e.reference.is_some() && e.assimilation.settings == Settings::Given {
        for (stem, drawing) in distances(run, parts).map_err(&wrap)? {
            let caption = format!(
                "W₁ to the particle filter against corrections{}; dashed: two runs of the filter.",
                fewer(&e.assimilation)
            );
            figures.push(picture(run, &drawing, &stem, caption)?);
        }
    }
    for part in parts.iter().filter(|part| !part.model.curve.training.is_empty()) {
        let curve = training(part.run, &part.model).map_err(&wrap)?;
        let stem = named(part.run, "training");
        let caption = format!("Denoising loss over the training{}.", part.run.of_variant());
        figures.push(picture(run, &curve, &stem, caption)?);
        write_curve(part.run, &part.model)?;
    }
    let tables = tables(run, observed, references, parts)?;
    let report = assemble(run, parts, tables, figures);
    report.save(&run.folder).map_err(ExperimentError::stage(STAGE))?;
    Ok(report)
}

/// The stem of a variant's file.
fn named(run: &Run, stem: &str) -> String {
    run.variant.as_ref().map_or_else(|| stem.to_owned(), |name| format!("{stem}-{name}"))
}

fn picture(run: &Run, drawing: &Drawing, stem: &str, caption: String) -> Result<Picture, ExperimentError> {
    drawing.save(&run.folder.join("figures"), stem).map_err(ExperimentError::stage(STAGE))?;
    Ok(Picture { file: format!("figures/{stem}.png"), caption, image: Image::Svg(drawing.svg()) })
}

pub(super) fn score_name(score: &ScoreConfig) -> String {
    match score {
        ScoreConfig::Local { order, .. } => format!("SDA, local score k = {order}"),
        ScoreConfig::Global { .. } => "SDA, global score".into(),
    }
}

pub(super) fn posterior_note(run: &Run) -> String {
    let from = match &run.loaded.experiment.weights {
        Some(file) => format!("trajectories (beforehand, {file})"),
        None => format!("{} trajectories", run.recipe.split.0),
    };
    let filter =
        run.loaded.experiment.reference.as_ref().map(|reference| {
            format!("; the filter's: {} transitions from the initial law", reference.burn_in)
        });
    format!(
        "Prior: learned from {from} of {} (its climate){}.",
        run.system.name(),
        filter.unwrap_or_default()
    )
}

fn write_curve(run: &Run, model: &Model) -> Result<(), ExperimentError> {
    let validated = model.validated();
    let mut text = String::from("epoch,training,validation\n");
    let mut validation = model.curve.validation.iter();
    for (e, loss) in model.curve.training.iter().enumerate() {
        let value =
            if validated.contains(&(e + 1)) { validation.next().map(ToString::to_string) } else { None };
        text.extend([(e + 1).to_string(), format!(",{loss},"), value.unwrap_or_default(), "\n".to_owned()]);
    }
    run.write("training.csv", text.as_bytes()).map(|_| ())
}

fn assemble(run: &Run, parts: &[Part<'_>], tables: Vec<Table>, figures: Vec<Picture>) -> Report {
    let e = &run.loaded.experiment;
    let scored = parts.iter().flat_map(|part| &part.scores.metrics);
    let diverged: f64 =
        scored.filter(|m| m.metric == "diverged" && m.trajectory.is_some()).map(|m| m.value).sum();
    let mut notes: Vec<String> =
        parts.iter().flat_map(|part| part.settled.tuned.notes.iter().cloned()).collect();
    if diverged > 0.0 {
        notes.push(format!("{diverged} samples left the real numbers and are left out of the scores."));
    }
    notes.extend(parts.iter().flat_map(missed));
    let tier = e.tier.clone().unwrap_or_default();
    let mut summary: Vec<String> = parts.iter().map(summary).collect();
    summary.push(format!("Source: {}", e.source));
    Report {
        title: format!("{}, tier {tier}", e.title),
        summary,
        posterior: posterior_note(run),
        checks: parts.iter().flat_map(|part| part.scores.checks.iter().cloned()).collect(),
        tables,
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
        configuration: match parts {
            [part] if part.run.variant.is_none() => part.settled.resolved.clone(),
            _ => run.loaded.resolved.clone(),
        },
    }
}

/// Notes on samples that do not explain what was observed: finite all the same, they may have no more to do with it.
fn missed(part: &Part<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for o in &part.run.loaded.experiment.observations {
        for &c in part.corrections(&o.name) {
            let mean = part.scores.mean(&o.name, Some(c), "residual_over_noise");
            let Some((ratio, _)) = mean.filter(|(ratio, _)| *ratio > MISSED) else { continue };
            notes.push(format!(
                "{}, C = {c}: samples of «{}» do not explain what was observed, of which {} times the noise is left; take \
                 more steps, corrections, a larger γ or another guidance (Mmps).",
                part.name(),
                o.name,
                significant(ratio)
            ));
        }
    }
    notes
}

/// Scores, calibration and modes of each observation, and how its settings were chosen where they were.
fn tables(
    run: &Run,
    observed: &[Observed],
    references: &[Option<Reference>],
    parts: &[Part<'_>],
) -> Result<Vec<Table>, ExperimentError> {
    let mut out = Vec::new();
    for o in &run.loaded.experiment.observations {
        out.push(table(run, &o.name, parts));
        for part in parts {
            // Of a target there is no truth to be held against.
            out.extend(o.target.is_none().then(|| calibration::table(part, &o.name)));
            out.extend(modes::table(part, &o.name, observed, references)?);
        }
    }
    out.extend(parts.iter().filter_map(|part| Some(part.prior.as_ref()?.table(part.run))));
    out.extend(parts.iter().flat_map(|part| part.rollouts.iter().map(|r| rollout::table(part.run, r))));
    out.extend(parts.iter().flat_map(|part| part.settled.tuned.tables.iter().cloned()));
    Ok(out)
}

/// The steps of a sample, one for all observations or each observation's own.
fn steps(e: &Experiment, settled: &Settled) -> String {
    if e.assimilation.settings == Settings::Given {
        let mut steps: Vec<u32> = e.observations.iter().map(|o| e.of(o).assimilation.sampler.steps).collect();
        steps.dedup();
        return format!("{} steps", steps.iter().map(u32::to_string).collect::<Vec<_>>().join(", "));
    }
    let of = |(o, e): (&ObservationConfig, &Experiment)| {
        let a = &e.assimilation;
        let correction = match a.corrections[..] {
            [] | [0] => String::new(),
            [c, ..] => format!(", C = {c}, τ = {}", a.sampler.tau),
        };
        format!("«{}» by {} in {} steps{correction}", o.name, to_line(&a.guidance), a.sampler.steps)
    };
    let all: Vec<String> = e.observations.iter().zip(&settled.experiments).map(of).collect();
    format!("tuned: {}", all.join("; "))
}

/// States of a sample, one number for all observations or each observation's own.
fn lengths(e: &Experiment) -> String {
    let mut lengths: Vec<usize> = e.observations.iter().map(|o| e.of(o).assimilation.length).collect();
    lengths.dedup();
    lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

/// What was trained and sampled, in one paragraph.
fn summary(part: &Part<'_>) -> String {
    let Part { run, model, settled, .. } = part;
    let e = &run.loaded.experiment;
    let parameters: usize = model.weights.values().map(ndarray::ArrayBase::len).sum();
    let last = model.curve.validation.last().copied().unwrap_or(f32::NAN);
    let trained = match &e.weights {
        Some(file) => format!("trained beforehand ({file}, validation loss {last:.4})"),
        None => format!(
            "trained for {} epochs on {} trajectories{} (validation loss {last:.4})",
            e.training.epochs,
            run.recipe.split.0,
            e.training.start.as_ref().map(|file| format!(" from {file} on")).unwrap_or_default()
        ),
    };
    let name = run.variant.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    format!(
        "{name}{} with {parameters} parameters, {trained}; {} samples of {} states for each of {} test trajectories{}, {}.",
        score_name(&e.score),
        e.assimilation.samples,
        lengths(e),
        e.assimilation.trajectories,
        fewer(&e.assimilation),
        steps(e, settled)
    )
}

/// ` (C = 16: 1)`, the trajectories of numbers of corrections that have fewer than the others.
pub(super) fn fewer(a: &Assimilation) -> String {
    let has_fewer = |(c, n): &(&u32, &usize)| **n < a.trajectories && a.corrections.contains(*c);
    let each: Vec<String> = a.fewer.iter().filter(has_fewer).map(|(c, n)| format!("C = {c}: {n}")).collect();
    if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) }
}

/// Scores of one observation: the filter first, then each number of corrections.
fn table(run: &Run, name: &str, parts: &[Part<'_>]) -> Table {
    let e = &run.loaded.experiment;
    let of_fields = run.system.flow().is_some();
    let mut columns = if of_fields {
        vec![
            ("log p(y | x)", "log_likelihood"),
            ("residual / noise", "residual_over_noise"),
            ("off the simulated state / persistence", "one_state_error"),
        ]
    } else {
        vec![
            ("log p(x₂:L | x₁)", "log_prior"),
            ("log p(y | x)", "log_likelihood"),
            ("residual / noise", "residual_over_noise"),
            ("W₁", "w1"),
            ("W₁ / filter's", "w1_ratio"),
            ("MMD²", "mmd2"),
        ]
    };
    if e.reference.as_ref().is_some_and(|reference| reference.bootstrap.is_some()) {
        columns.push(("W₁ to bootstrap", "w1_bootstrap"));
    }
    let row = |scores: &Scores, label: String, corrections: Option<u32>| {
        let cell = |metric: &str| match scores.mean(name, corrections, metric) {
            Some((value, error)) if error > 0.0 => Cell::Spread(value, error),
            Some((value, _)) => Cell::Number(value),
            None => Cell::Missing,
        };
        [Cell::Text(label)].into_iter().chain(columns.iter().map(|(_, m)| cell(m))).collect()
    };
    let filtered = parts.iter().take(usize::from(e.reference.is_some()));
    let mut rows: Vec<Vec<Cell>> =
        filtered.map(|part| row(&part.scores, "particle filter".into(), None)).collect();
    let observed = e.observations.iter().find(|o| o.name == name);
    let has_truth = of_fields && observed.is_some_and(|o| o.target.is_none());
    rows.extend(parts.first().filter(|_| has_truth).map(|part| row(&part.scores, "truth".into(), None)));
    for part in parts {
        let of = |&c: &u32| row(&part.scores, format!("{}, C = {c}", part.name()), Some(c));
        rows.extend(part.corrections(name).iter().map(of));
    }
    let o = observed.map_or(0.0, |o| o.noise_std);
    Table {
        title: format!("Observation «{name}», noise {o}"),
        note: format!(
            "{}{}.",
            match e.assimilation.trajectories {
                _ if observed.is_some_and(|o| o.target.is_some()) => "A target, sampled once".to_owned(),
                1 => "One trajectory".to_owned(),
                n => format!("Means over {n} trajectories{} ± standard error", fewer(&e.assimilation)),
            },
            if e.reference.is_some() {
                "; W₁ of the filter is between two of its runs"
            } else if of_fields {
                "; simulated: each state from the one before, by the physics"
            } else {
                ""
            }
        ),
        columns: [""].into_iter().chain(columns.iter().map(|(head, _)| *head)).map(str::to_owned).collect(),
        rows,
    }
}
