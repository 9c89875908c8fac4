//! Training curve: losses on a logarithmic axis, the learning rate below.

use kuva::render::plots::Plot;

use super::error::{finite, range, shape};
use super::header::{Entry, Header, Swatch};
use super::palette::{MUTED, series, tint};
use super::panel::{Cell, axes, grid, limits, line, log_limits};
use super::{Drawing, FigureError};

const WIDTH: f64 = 760.0;
/// Margins of both panels, the same so that their epochs stand under each other, and what a label adds.
const LEFT: f64 = 82.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
const LABEL: f64 = 22.0;
/// The running mean spans a fiftieth of the curve: enough to see the trend of a noisy loss, and its knees.
const SPAN: usize = 50;
/// A curve with fewer points than this is drawn with no running mean.
const FEW: usize = 200;

/// The rate that each epoch used.
///
/// Shapes: `values` `[epochs]`.
#[derive(Clone, Copy, Debug)]
pub struct LearningRate<'a> {
    /// Rates.
    pub values: &'a [f64],
}

/// Losses of a training run.
///
/// Shapes: `epochs`, `training` `[E]`; `validation_epochs`, `validation` `[V]`, V may be zero.
#[derive(Clone, Copy, Debug)]
pub struct TrainingCurve<'a> {
    /// Title.
    pub title: &'a str,
    /// Second line, such as the network and the number of parameters; may be empty.
    pub subtitle: &'a str,
    /// Number of each epoch.
    pub epochs: &'a [f64],
    /// Training loss of each epoch.
    pub training: &'a [f64],
    /// Epochs at which the validation loss was taken.
    pub validation_epochs: &'a [f64],
    /// Validation losses.
    pub validation: &'a [f64],
    /// Rates, drawn in a panel of their own.
    pub learning_rate: Option<LearningRate<'a>>,
}

impl TrainingCurve<'_> {
    /// Draws the curve.
    ///
    /// Errors: an empty, non-finite or mismatched input; a loss that is not above zero.
    pub fn draw(&self) -> Result<Drawing, FigureError> {
        self.check()?;
        let x = self.x_limits();
        let mut cells = vec![self.losses(x)];
        let mut heights = vec![BOTTOM + 330.0];
        if let Some(rate) = self.learning_rate {
            cells.push(self.rates(rate, x));
            heights.push(BOTTOM + LABEL + 130.0);
        } else {
            cells = cells.into_iter().map(Cell::with_epochs).collect();
            heights[0] += LABEL;
        }
        let header = Header { title: self.title, subtitle: self.subtitle, legend: self.legend() };
        Ok(Drawing::new(self.title, header.above(grid(cells, &[WIDTH], &heights))))
    }

    fn x_limits(&self) -> (f64, f64) {
        let (low, high) = limits(self.epochs.iter().chain(self.validation_epochs).copied());
        let margin = if self.epochs.len() > 1 { (high - low) / 22.0 } else { 0.0 };
        (low + margin, high - margin)
    }

    fn losses(&self, x: (f64, f64)) -> Cell {
        let y = log_limits(self.training.iter().chain(self.validation).copied());
        let mut plots = curve(self.epochs, self.training, series(0));
        if !self.validation.is_empty() {
            plots.extend(curve(self.validation_epochs, self.validation, series(1)));
        }
        let layout = axes(x, y).with_log_y().with_y_label("loss");
        Cell { plots, layout: layout.with_force_margins(LEFT, RIGHT).with_force_margins_y(TOP, BOTTOM) }
    }

    fn rates(&self, rate: LearningRate<'_>, x: (f64, f64)) -> Cell {
        let points = self.epochs.iter().copied().zip(rate.values.iter().copied());
        let top = rate.values.iter().copied().fold(0.0, f64::max);
        let top = if top > 0.0 { 1.08 * top } else { 1.0 };
        let layout = axes(x, (0.0, top)).with_y_label("learning rate").with_force_margins(LEFT, RIGHT);
        Cell { plots: vec![line(points, MUTED, 1.8).into()], layout }.with_epochs()
    }

    fn legend(&self) -> Vec<Entry> {
        let entry = |label: &str, color: &str| Entry {
            label: label.to_owned(),
            swatch: Swatch::Line { color: color.to_owned(), width: 2.2, dashed: false },
        };
        let mut entries = vec![entry("training", series(0))];
        if !self.validation.is_empty() {
            entries.push(entry("validation", series(1)));
        }
        if self.training.len() >= FEW {
            entries.push(Entry {
                label: "each epoch (pale); running mean (full)".into(),
                swatch: Swatch::Line { color: tint(series(0), 0.35), width: 2.2, dashed: false },
            });
        }
        entries
    }

    fn check(&self) -> Result<(), FigureError> {
        let positive = |what, values| range(what, values, "above 0 on a logarithmic axis", |v| v > 0.0);
        finite("epochs", self.epochs)?;
        shape("training loss", &[self.epochs.len()], &[self.training.len()])?;
        finite("training loss", self.training)?;
        positive("training loss", self.training)?;
        shape("validation loss", &[self.validation_epochs.len()], &[self.validation.len()])?;
        if !self.validation.is_empty() {
            finite("validation epochs", self.validation_epochs)?;
            finite("validation loss", self.validation)?;
            positive("validation loss", self.validation)?;
        }
        if let Some(rate) = self.learning_rate {
            shape("learning rate", &[self.epochs.len()], &[rate.values.len()])?;
            finite("learning rate", rate.values)?;
            range("learning rate", rate.values, "0 or more", |v| v >= 0.0)?;
        }
        Ok(())
    }
}

impl Cell {
    fn with_epochs(self) -> Self {
        let layout = self.layout.with_x_label("epoch").with_force_margins_y(TOP, BOTTOM + LABEL);
        Self { layout, ..self }
    }
}

/// A short curve as it is; a long one pale, with its running mean over it.
fn curve(epochs: &[f64], losses: &[f64], color: &str) -> Vec<Plot> {
    let points = |values: &[f64]| epochs.iter().copied().zip(values.to_vec()).collect::<Vec<_>>();
    if losses.len() < FEW {
        return vec![line(points(losses), color, 2.0).into()];
    }
    let smooth = running_mean(losses, losses.len() / SPAN);
    vec![line(points(losses), &tint(color, 0.35), 0.8).into(), line(points(&smooth), color, 2.0).into()]
}

/// Geometric mean over `half_width` points to each side, fewer at the ends.
fn running_mean(values: &[f64], half_width: usize) -> Vec<f64> {
    let mut sums = vec![0.0];
    for value in values {
        sums.push(sums[sums.len() - 1] + value.ln());
    }
    (0..values.len())
        .map(|i| {
            let (from, to) = (i.saturating_sub(half_width), (i + half_width + 1).min(values.len()));
            ((sums[to] - sums[from]) / (to - from) as f64).exp()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_mean_is_geometric_and_keeps_a_constant() {
        assert!(running_mean(&[2.0; 9], 3).iter().all(|m| (m - 2.0).abs() < 1e-12));
        let means = running_mean(&[1.0, 100.0, 1.0], 1);
        assert!((means[0] - 10.0).abs() < 1e-9 && (means[1] - 100f64.powf(1.0 / 3.0)).abs() < 1e-9);
    }
}
