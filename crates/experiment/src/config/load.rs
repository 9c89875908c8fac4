//! From a name and a tier to a resolved experiment.

use super::{Experiment, Recipe, Setting, Settings, Variant};
use crate::error::{ExperimentError, Problem};
use ron::extensions::Extensions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// An experiment file, read and resolved.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Where it was.
    pub path: PathBuf,
    /// The file's name without its ending.
    pub name: String,
    /// Byte for byte as written.
    pub written: String,
    /// With the tier's and the command line's settings, every default explicit; itself a valid file.
    pub resolved: String,
    /// The same as values.
    pub experiment: Experiment,
    /// Each of the experiment's variants, by name.
    pub variants: Vec<(String, Experiment)>,
}

impl Loaded {
    /// Checks the experiment and each of its variants against the dataset.
    ///
    /// Errors: as [`Experiment::validate`].
    pub fn validate_with(&self, recipe: &Recipe) -> Result<(), ExperimentError> {
        self.experiment.validate_with(recipe, &self.path)?;
        let mut variants = self.variants.iter();
        variants.try_for_each(|(name, e)| e.validate_with(recipe, &self.path).map_err(of_variant(name)))
    }
}

pub(crate) fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// Names of the files in a folder that end in `.ron`, without that, in order.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, ExperimentError> {
    let entries = std::fs::read_dir(folder).map_err(|e| ExperimentError::io("list", folder, e))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|e| e.file_name().to_str().and_then(|n| n.strip_suffix(".ron")).map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// Finds an experiment by exact name, else by unique prefix, or takes a path that ends in `.ron`.
///
/// Errors: none or several match; the near ones are named.
pub fn find(folder: &Path, name: &str) -> Result<PathBuf, ExperimentError> {
    let direct = Path::new(name);
    if direct.extension().is_some_and(|e| e == "ron") {
        return Ok(direct.to_path_buf());
    }
    let names = names(folder)?;
    let path = |n: &str| folder.join(format!("{n}.ron"));
    if names.iter().any(|n| n == name) {
        return Ok(path(name));
    }
    let matching: Vec<&String> = names.iter().filter(|n| n.starts_with(name)).collect();
    match matching[..] {
        [only] => Ok(path(only)),
        [] => {
            let mut near: Vec<(usize, &String)> = names.iter().map(|n| (distance(name, n), n)).collect();
            near.sort();
            let near = near.into_iter().take(3).map(|(_, n)| n.clone()).collect();
            Err(ExperimentError::Unknown { name: name.into(), folder: folder.into(), near })
        }
        _ => {
            let near = matching.into_iter().cloned().collect();
            Err(ExperimentError::Ambiguous { name: name.into(), folder: folder.into(), near })
        }
    }
}

/// Edits that turn the shorter of two names, or its beginning, into the other (Levenshtein against prefixes).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.into_iter().min().unwrap_or(0)
}

/// Reads an experiment, applies the tier's and then the given settings, and checks the whole.
///
/// Errors: a file that can't be read; a field that is unknown, missing or of a wrong type (line, column, path); a value
/// out of range; an unknown tier.
pub fn load(path: &Path, tier: Option<&str>, settings: &[Setting]) -> Result<Loaded, ExperimentError> {
    let written = std::fs::read_to_string(path).map_err(|e| ExperimentError::io("read", path, e))?;
    let first: Experiment = parse(&written, path)?;
    let tier = tier.or(first.tier.as_deref()).or(if first.tiers.is_empty() { None } else { Some("quick") });
    let mut text = written.clone();
    if let Some(tier) = tier.filter(|t| !first.tiers.is_empty() || first.tier.as_deref() != Some(*t)) {
        let known: Vec<String> = first.tiers.keys().cloned().collect();
        let of_tier = first.tiers.get(tier).ok_or_else(|| ExperimentError::Tier {
            path: path.into(),
            tier: tier.into(),
            known: if known.is_empty() { first.tier.iter().cloned().collect() } else { known },
        })?;
        for setting in of_tier {
            text = apply(&text, path, &format!("tier {tier}"), setting)?;
        }
    }
    for setting in settings {
        text = apply(&text, path, "--set", &format!("{}={}", setting.path.join("."), setting.value))?;
    }
    let mut experiment: Experiment = parse(&text, path)?;
    experiment.tier = tier.map(str::to_owned);
    complete(&mut experiment, path)?;
    let variants = variants(&text, path, &experiment)?;
    let resolved = to_ron(&experiment).map_err(|e| ExperimentError::Setting {
        path: path.into(),
        from: "the resolved experiment".into(),
        reason: e.to_string(),
    })?;
    let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or("experiment").to_owned();
    Ok(Loaded { path: path.into(), name, written, resolved, experiment, variants })
}

/// Writes in the default candidates of a tuning, leaves out what is not made, and checks the rest.
///
/// Errors: an observation that is not there; as [`Experiment::validate`].
fn complete(experiment: &mut Experiment, path: &Path) -> Result<(), ExperimentError> {
    experiment.tiers.clear();
    if experiment.assimilation.settings == Settings::Tuned {
        experiment.tuning.get_or_insert_default();
    }
    keep_only(experiment, path)?;
    experiment.validate(path)
}

/// Leaves out the observations that `only` does not name, where it names some.
///
/// Errors: it names one that is not there.
fn keep_only(experiment: &mut Experiment, path: &Path) -> Result<(), ExperimentError> {
    let only = std::mem::take(&mut experiment.only);
    let names: Vec<&str> = experiment.observations.iter().map(|o| o.name.as_str()).collect();
    let unknown = |(i, name): (usize, &String)| {
        let reason = format!("there is no observation «{name}»; there are {}", names.join(", "));
        (!names.contains(&name.as_str())).then(|| Problem { field: format!("only.{i}"), reason })
    };
    let problems: Vec<Problem> = only.iter().enumerate().filter_map(unknown).collect();
    if !problems.is_empty() {
        return Err(ExperimentError::Values { path: path.into(), problems });
    }
    experiment.observations.retain(|o| only.is_empty() || only.contains(&o.name));
    Ok(())
}

/// The experiment with each variant's settings.
///
/// Errors: as [`load`]; a variant that changes what all of them share.
fn variants(
    text: &str,
    path: &Path,
    base: &Experiment,
) -> Result<Vec<(String, Experiment)>, ExperimentError> {
    let one = |variant: &Variant| {
        let from = format!("variant {}", variant.name);
        let mut text = text.to_owned();
        for setting in &variant.settings {
            text = apply(&text, path, &from, setting)?;
        }
        let mut experiment: Experiment = parse(&text, path)?;
        (experiment.tier, experiment.variants) = (base.tier.clone(), Vec::new());
        complete(&mut experiment, path).map_err(of_variant(&variant.name))?;
        if let Some(field) = experiment.differs_in_what_variants_share(base) {
            let reason = format!(
                "it changes {field}, which variants share, so that they are compared on the same observations; \
                 write another experiment"
            );
            return Err(ExperimentError::Setting { path: path.into(), from, reason });
        }
        Ok((variant.name.clone(), experiment))
    };
    base.variants.iter().map(one).collect()
}

/// Names the variant whose values are out of range.
fn of_variant(name: &str) -> impl Fn(ExperimentError) -> ExperimentError {
    move |e| match e {
        ExperimentError::Values { path, problems } => {
            let named = |p: Problem| Problem { field: format!("variant {name}: {}", p.field), ..p };
            ExperimentError::Values { path, problems: problems.into_iter().map(named).collect() }
        }
        other => other,
    }
}

fn apply(text: &str, path: &Path, from: &str, setting: &str) -> Result<String, ExperimentError> {
    let wrong =
        |reason| ExperimentError::Setting {
            path: path.into(), from: format!("{from} «{setting}»"), reason
        };
    let parsed = Setting::parse(setting).map_err(wrong)?;
    let text = parsed.apply(text).map_err(wrong)?;
    // A wrong value is reported with the setting, not with a line of a text that is in no file.
    parse::<Experiment>(&text, path).map_err(|e| match e {
        ExperimentError::Ron { field, reason, .. } => wrong(format!("{field}: {reason}")),
        other => other,
    })?;
    Ok(text)
}

/// Reads RON; an error names the file, line, column, field and what was expected.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ExperimentError> {
    let ron_error = |e: ron::error::SpannedError, field: String| ExperimentError::Ron {
        path: path.into(),
        line: e.span.start.line,
        column: e.span.start.col,
        field,
        reason: match e.code {
            ron::Error::IntegerOutOfBounds => {
                "expected a whole number, not negative and not that large".into()
            }
            code => code.to_string(),
        },
    };
    let options = options();
    let mut deserializer = ron::Deserializer::from_str_with_options(text, &options)
        .map_err(|e| ron_error(e, "the file".into()))?;
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|e| {
        let field = e.path().to_string();
        ron_error(deserializer.span_error(e.into_inner()), field)
    })?;
    deserializer.end().map_err(|e| ron_error(deserializer.span_error(e), "the end".into()))?;
    Ok(value)
}

/// Canonical RON: pretty, every field written.
pub(crate) fn to_ron<T: Serialize>(value: &T) -> Result<String, ron::Error> {
    let pretty = ron::ser::PrettyConfig::new().extensions(Extensions::IMPLICIT_SOME).struct_names(false);
    options().to_string_pretty(value, pretty)
}

/// Canonical text of a value, for keys. These types hold numbers, words, lists and structs, which RON can always write.
pub(crate) fn to_text<T: Serialize>(value: &T) -> String {
    to_ron(value).expect("a configuration is writable as RON")
}

/// The same on one line, as it may stand in an experiment file: `Mmps(iterations: 2)`.
pub(crate) fn to_line<T: Serialize>(value: &T) -> String {
    let pretty = ron::ser::PrettyConfig::new().depth_limit(0).extensions(Extensions::IMPLICIT_SOME);
    options().to_string_pretty(value, pretty.struct_names(false)).expect("a configuration is writable as RON")
}
