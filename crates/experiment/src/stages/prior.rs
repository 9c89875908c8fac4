//! Trajectories of the prior alone, and how near their states' law is to the test data's.

use super::assimilate::{Resumable, drive, finished, with_weights};
use super::evaluate::Metric;
use super::fields::{FieldLaw, LARGEST, LEVELS, one_state_error, quantiles};
use super::keys;
use super::samples::Keyed;
use super::train::Model;
use crate::error::ExperimentError;
use crate::figures::{Curve, Drawing, Lines, Panel, Positions};
use crate::key::seed;
use crate::report::{Cell, Table};
use crate::run::Run;
use ndarray::{Array1, Array3};
use sda_data::TrajectoryStore;
use sda_diffusion::NoiseSource;

const STAGE: &str = "prior";
/// Of its metrics, in place of an observation's name.
pub(crate) const NAME: &str = "prior";
/// States of the test data that are not read, between those that are: neighbours are alike.
const EVERY: usize = 8;
/// Test trajectories whose states are simulated from the ones before.
const WINDOWS: usize = 8;

/// The prior's law beside the data's.
#[derive(Clone, Debug)]
pub(crate) struct PriorLaw {
    corrections: u32,
    /// None where all diverged.
    samples: Option<FieldLaw>,
    /// Of the test data.
    data: FieldLaw,
    /// Of every second of its trajectories, from the first and from the second.
    halves: [FieldLaw; 2],
    /// Of the test data's trajectories and of the samples.
    one_state_error: [Option<f64>; 2],
    /// Points along an axis.
    points: usize,
    /// Trajectories.
    drawn: usize,
    diverged: usize,
}

/// Draws what the experiment asks for, where it asks.
pub(crate) fn prior(
    run: &Run,
    store: &TrajectoryStore,
    model: &Model,
) -> Result<Option<PriorLaw>, ExperimentError> {
    let e = &run.loaded.experiment;
    let Some(config) = &e.prior else { return Ok(None) };
    let (sampler, length) = e.drawn(config);
    let shape = run.shape(config.samples, length);
    let key = keys::prior(&model.key, e, &sampler, &shape);
    let path = run.folder.join("samples/prior.safetensors");
    let partial = run.folder.join("samples/prior.partial.safetensors");
    let file = if let Some(file) = Keyed::load(&path, &key, STAGE)? {
        run.reused(STAGE, &path);
        file
    } else {
        let mut executor = with_weights(run, model, STAGE)?;
        let wrap = ExperimentError::diffusion(STAGE);
        let planned: Box<dyn Resumable> =
            Box::new(sampler.compile(&mut executor, &*e.prior(), &shape, NoiseSource::Drawn).map_err(&wrap)?);
        let per_step = u64::from(1 + config.corrections);
        let progress = run.progress(STAGE, (sampler.steps * (1 + config.corrections)) as usize);
        let kept = (key.as_str(), partial.as_path());
        let seed = seed(e.seed, [0x0a00, 0, 0]);
        let samples = drive(run, STAGE, &mut executor, &*planned, seed, kept, (&progress, per_step))?;
        progress.finish();
        let file = finished(run, &key, &samples);
        file.clone().save(&path, STAGE)?;
        file
    };
    Run::remove(&partial)?;
    let values = file.trajectories("samples", &path, STAGE)?;
    let (left, length, dim) = values.dim();
    let one_state_error =
        [test_windows(run, store, length)?, values.clone()].map(|x| one_state_error(&run.system, &x));
    let states = values.into_shape_with_order((left * length, dim)).map_err(ExperimentError::stage(STAGE))?;
    let state_shape = run.shape(1, 1);
    let samples = (left > 0).then(|| FieldLaw::of(&state_shape, states.outer_iter())).transpose()?;
    let [even, odd] = [test_states(run, store, 0)?, test_states(run, store, 1)?];
    let of = |states: &[&[Array1<f64>]]| {
        FieldLaw::of(&state_shape, states.iter().flat_map(|half| half.iter().map(|state| state.view())))
    };
    Ok(Some(PriorLaw {
        corrections: config.corrections,
        samples,
        data: of(&[&even, &odd])?,
        halves: [of(&[&even])?, of(&[&odd])?],
        one_state_error,
        points: shape[2],
        drawn: config.samples,
        diverged: config.samples - left,
    }))
}

/// The first states of some test trajectories, in physical units [N, L, D].
fn test_windows(run: &Run, store: &TrajectoryStore, length: usize) -> Result<Array3<f64>, ExperimentError> {
    let (length, dim) = (length.min(store.layout().length), run.system.state_dim());
    let (mut values, mut count) = (Vec::new(), 0);
    for trajectory in store.description().split.test.clone().take(WINDOWS) {
        let window = store.read_window(trajectory, 0, length).map_err(ExperimentError::stage(STAGE))?;
        values.extend(window.iter().copied().map(f64::from));
        count += 1;
    }
    Array3::from_shape_vec((count, length, dim), values).map_err(ExperimentError::stage(STAGE))
}

/// States of every second test trajectory, in physical units.
fn test_states(run: &Run, store: &TrajectoryStore, half: usize) -> Result<Vec<Array1<f64>>, ExperimentError> {
    let mut out = Vec::new();
    for trajectory in store.description().split.test.clone().skip(half).step_by(2) {
        run.go_on(STAGE)?;
        for state in (0..store.layout().length).step_by(EVERY) {
            let window = store.read_window(trajectory, state, 1).map_err(ExperimentError::stage(STAGE))?;
            out.push(window.iter().copied().map(f64::from).collect());
        }
    }
    Ok(out)
}

impl PriorLaw {
    /// The samples' distance from the data, and that of one half of the data from the other.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let named = |corrections, values: Vec<(&'static str, f64)>| {
            values.into_iter().map(move |(metric, value)| Metric {
                observation: NAME.into(),
                corrections,
                trajectory: None,
                metric: metric.into(),
                value,
                standard_error: None,
            })
        };
        let mut own = vec![("diverged", self.diverged as f64)];
        own.extend(self.samples.iter().flat_map(|samples| samples.beside(&self.data, self.points)));
        let [even, odd] = &self.halves;
        // One test trajectory alone has no other half.
        let mut reference = if odd.energies.is_empty() { Vec::new() } else { even.beside(odd, self.points) };
        for (values, error) in [&mut reference, &mut own].into_iter().zip(self.one_state_error) {
            values.extend(error.map(|x| ("one_state_error", x)));
        }
        named(None, reference).chain(named(Some(self.corrections), own)).collect()
    }

    /// The table of the metrics.
    pub(crate) fn table(&self, run: &Run) -> Table {
        const COLUMNS: [(&str, &str); 8] = [
            ("spectrum, log₁₀", "spectrum_log10"),
            ("energy, W₁", "energy_w1"),
            ("energy / data's", "energy_ratio"),
            ("enstrophy, W₁", "enstrophy_w1"),
            ("enstrophy / data's", "enstrophy_ratio"),
            ("vorticity, quantiles", "vorticity_quantiles"),
            ("divergence", "divergence"),
            ("off the simulated state / persistence", "one_state_error"),
        ];
        let metrics = self.metrics();
        let row = |label: &str, corrections: Option<u32>| {
            let cell = |name: &str| {
                let found = metrics.iter().find(|m| m.corrections == corrections && m.metric == name);
                found.map_or(Cell::Missing, |m| Cell::Number(m.value))
            };
            [Cell::Text(label.into())].into_iter().chain(COLUMNS.iter().map(|(_, name)| cell(name))).collect()
        };
        Table {
            title: format!("The prior alone{}", run.of_variant()),
            note: format!(
                "States of {} trajectories drawn from the prior, beside the test data's. Spectrum: the largest \
                 difference, k = 1 … {}; W₁ over the data's standard deviation; vorticity: the largest difference of \
                 quantiles, 1 to 99 %, over its rms; divergence: its rms over the vorticity's, both by central \
                 differences.",
                self.drawn - self.diverged,
                LARGEST.min(self.points / 2),
            ),
            columns: [""]
                .into_iter()
                .chain(COLUMNS.iter().map(|(head, _)| *head))
                .map(str::to_owned)
                .collect(),
            rows: vec![
                row("half of the test data beside the other", None),
                row(&format!("samples, C = {}", self.corrections), Some(self.corrections)),
            ],
        }
    }

    /// Spectra, and quantiles of vorticity, energy and enstrophy; none where no sample is left.
    pub(crate) fn figures(&self, run: &Run) -> Result<Vec<(&'static str, Drawing)>, ExperimentError> {
        let Some(samples) = &self.samples else { return Ok(Vec::new()) };
        let title = format!("{}: the prior alone{}", run.loaded.experiment.title, run.of_variant());
        let laws = [&self.data, samples];
        // Beyond the largest wavenumber of both axes shells are not whole.
        let shells = 1..=self.points / 2;
        let wavenumbers: Vec<f64> = shells.clone().map(|k| k as f64).collect();
        let spectra = laws.map(|law| law.spectrum[shells.clone()].to_vec());
        let spectrum = Lines {
            title: &title,
            subtitle: "Energy by wavenumber, mean over states.",
            x_label: "k",
            positions: Positions::Numbers(&wavenumbers),
            panels: &[Panel {
                title: "",
                y_label: "E(k)",
                log: true,
                curves: &curves(&spectra),
                levels: &[],
            }],
        };
        let labels = LEVELS.map(|level| format!("{:.0}", 100.0 * level));
        let of = |values: fn(&FieldLaw) -> &[f64]| laws.map(|law| quantiles(values(law)));
        let all = [of(|law| &law.vorticities), of(|law| &law.energies), of(|law| &law.enstrophies)];
        let drawn = all.each_ref().map(curves);
        let panel = |y_label, curves| Panel { title: "", y_label, log: false, curves, levels: &[] };
        let laws_of_numbers = Lines {
            title: &title,
            subtitle: "Quantiles over all points of all states, and over all states.",
            x_label: "quantile, %",
            positions: Positions::Labels(&labels.each_ref().map(String::as_str)),
            panels: &[
                panel("vorticity ω", &drawn[0]),
                panel("energy ½⟨u² + v²⟩", &drawn[1]),
                panel("enstrophy ½⟨ω²⟩", &drawn[2]),
            ],
        };
        let draw = |lines: Lines<'_>| lines.draw().map_err(ExperimentError::stage(STAGE));
        Ok(vec![("prior-spectrum", draw(spectrum)?), ("prior-quantiles", draw(laws_of_numbers)?)])
    }
}

/// One of the data, one of the samples.
fn curves(values: &[Vec<f64>; 2]) -> Vec<Curve<'_>> {
    let named = ["test data", "samples of the prior"].into_iter().zip(values);
    named.map(|(name, values)| Curve { name, values, errors: &[] }).collect()
}
