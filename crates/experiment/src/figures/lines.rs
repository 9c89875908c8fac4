//! Curves with error bars and reference levels, in one or more panels: scores against a setting.

use kuva::plot::{LineStyle, ScatterPlot};
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;

use super::error::{finite, range, shape};
use super::header::{Entry, Header, Swatch};
use super::palette::{MUTED, series};
use super::panel::{Cell, axes, grid, limits, line, log_limits};
use super::{Drawing, FigureError};

/// Dash pattern of reference levels.
pub(super) const DASHES: &str = "7 5";

/// One curve of a panel.
///
/// Shapes: `values` `[points]`, `errors` empty or `[points]`.
#[derive(Clone, Copy, Debug)]
pub struct Curve<'a> {
    /// Its name in the legend; the same name has the same colour in every panel.
    pub name: &'a str,
    /// Ordinates, one per position; NaN where it has no point.
    pub values: &'a [f64],
    /// Half lengths of the error bars; empty for none. Where there is no point they mean nothing.
    pub errors: &'a [f64],
}

/// A horizontal reference: a floor, a published number, an exact value.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Ordinate.
    pub value: f64,
    /// The curve whose colour it takes; grey if none has this name.
    pub of: Option<&'a str>,
}

/// One panel.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// Title above it; may be empty.
    pub title: &'a str,
    /// Label of the ordinate.
    pub y_label: &'a str,
    /// Whether the ordinate is logarithmic.
    pub log: bool,
    /// Curves.
    pub curves: &'a [Curve<'a>],
    /// Reference levels.
    pub levels: &'a [Level<'a>],
}

/// Where the points of every curve stand.
#[derive(Clone, Copy, Debug)]
pub enum Positions<'a> {
    /// On a linear axis.
    Numbers(&'a [f64]),
    /// Evenly spaced under these labels, for settings such as 0, 1, 2, 4, 8, 16.
    Labels(&'a [&'a str]),
}

/// Panels side by side over the same positions, with one legend.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// Title.
    pub title: &'a str,
    /// Second line; may be empty.
    pub subtitle: &'a str,
    /// Label of the abscissa.
    pub x_label: &'a str,
    /// Abscissae.
    pub positions: Positions<'a>,
    /// Panels, at most three of them in a row.
    pub panels: &'a [Panel<'a>],
}

/// W1 to the reference posterior against the number of corrections, a curve per regime, with the distance between
/// two runs of the reference as each one's floor.
///
/// Shapes: `corrections` `[points]`; each regime's values, NaN where it has no such number, and errors `[points]`.
/// Units: those of the distance, given in `unit_note` (may be empty).
/// Errors: as [`Lines::draw`].
pub fn w1_against_corrections(
    title: &str,
    unit_note: &str,
    corrections: &[usize],
    regimes: &[Curve<'_>],
    floors: &[Level<'_>],
) -> Result<Drawing, FigureError> {
    let labels: Vec<String> = corrections.iter().map(usize::to_string).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    Lines {
        title,
        subtitle: unit_note,
        x_label: "Langevin corrections per step",
        positions: Positions::Labels(&labels),
        panels: &[Panel {
            title: "",
            y_label: "W₁ to the particle filter",
            log: false,
            curves: regimes,
            levels: floors,
        }],
    }
    .draw()
}

impl Lines<'_> {
    /// Draws the panels.
    ///
    /// Errors: an empty, infinite or mismatched input, a curve without a point; on a logarithmic axis, a number not above
    /// zero.
    pub fn draw(&self) -> Result<Drawing, FigureError> {
        self.check()?;
        let abscissae = self.abscissae();
        let cells = self.panels.iter().map(|panel| self.cell(panel, &abscissae)).collect();
        let columns = self.panels.len().min(3);
        let (width, height) = if columns == 1 { (720.0, 400.0) } else { (430.0, 360.0) };
        let (widths, heights) = (vec![width; columns], vec![height; self.panels.len().div_ceil(columns)]);
        let header = Header { title: self.title, subtitle: self.subtitle, legend: self.legend() };
        Ok(Drawing::new(self.title, header.above(grid(cells, &widths, &heights))))
    }

    fn abscissae(&self) -> Vec<f64> {
        match self.positions {
            Positions::Numbers(x) => x.to_vec(),
            Positions::Labels(labels) => (0..labels.len()).map(|i| i as f64).collect(),
        }
    }

    fn cell(&self, panel: &Panel<'_>, x: &[f64]) -> Cell {
        let x_limits = limits(x.iter().copied());
        let mut plots: Vec<Plot> = Vec::new();
        for level in panel.levels {
            let ends = [(x_limits.0, level.value), (x_limits.1, level.value)];
            let dashes = LineStyle::Custom(DASHES.to_owned());
            plots.push(line(ends, self.level_color(level), 2.0).with_line_style(dashes).into());
        }
        for curve in panel.curves {
            plots.extend(curve_plots(curve, x, self.color(curve.name), panel.log));
        }
        let mut layout = self.layout(x_limits, panel.y_limits()).with_y_label(panel.y_label);
        if panel.log {
            layout = layout.with_log_y();
        }
        if !panel.title.is_empty() {
            layout = layout.with_title(panel.title);
        }
        Cell { plots, layout }
    }

    fn layout(&self, x: (f64, f64), y: (f64, f64)) -> Layout {
        let layout = axes(x, y).with_x_label(self.x_label);
        let Positions::Labels(labels) = self.positions else { return layout };
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let label = move |v: f64| {
            let at = (v - v.round()).abs() < 1e-6 && v.round() >= 0.0;
            labels.get(v.round() as usize).filter(|_| at).cloned().unwrap_or_default()
        };
        layout.with_x_tick_step(1.0).with_x_tick_format(TickFormat::Custom(std::sync::Arc::new(label)))
    }

    /// Curves' names in order of appearance over all panels.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for curve in self.panels.iter().flat_map(|panel| panel.curves) {
            if !names.contains(&curve.name) {
                names.push(curve.name);
            }
        }
        names
    }

    fn color(&self, name: &str) -> &'static str {
        self.names().iter().position(|&known| known == name).map_or(MUTED, series)
    }

    fn level_color(&self, level: &Level<'_>) -> &'static str {
        level.of.map_or(MUTED, |name| self.color(name))
    }

    fn legend(&self) -> Vec<Entry> {
        let entry = |label: &str, color: &str, dashed| Entry {
            label: label.to_owned(),
            swatch: Swatch::Line { color: color.to_owned(), width: 2.2, dashed },
        };
        let mut entries: Vec<Entry> =
            self.names().iter().map(|name| entry(name, self.color(name), false)).collect();
        for level in self.panels.iter().flat_map(|panel| panel.levels) {
            let color = self.level_color(level);
            if !entries.iter().any(|known| known.label == level.name) {
                entries.push(entry(level.name, color, true));
            }
        }
        entries
    }

    fn check(&self) -> Result<(), FigureError> {
        if self.panels.is_empty() || self.panels.iter().all(|panel| panel.curves.is_empty()) {
            return Err(FigureError::Empty { what: format!("{:?}: curves", self.title) });
        }
        let abscissae = self.abscissae();
        finite("positions", &abscissae)?;
        self.panels.iter().try_for_each(|panel| panel.check(abscissae.len()))
    }
}

impl Curve<'_> {
    /// Position, ordinate and half length of the error bar of each of its points.
    fn points(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        let error = |i| self.errors.get(i).copied().unwrap_or(0.0);
        let all = self.values.iter().enumerate().map(move |(i, &value)| (i, value, error(i)));
        all.filter(|(_, value, _)| !value.is_nan())
    }
}

impl Panel<'_> {
    fn y_limits(&self) -> (f64, f64) {
        let ends = self.curves.iter().flat_map(|curve| {
            curve.points().flat_map(|(_, value, error)| {
                let (low, high) = bar(value, error, self.log);
                [low, high]
            })
        });
        let values = ends.chain(self.levels.iter().map(|level| level.value));
        if self.log { log_limits(values) } else { limits(values) }
    }

    fn check(&self, points: usize) -> Result<(), FigureError> {
        for curve in self.curves {
            let what = format!("curve {:?}", curve.name);
            shape(&what, &[points], &[curve.values.len()])?;
            let (values, errors): (Vec<f64>, Vec<f64>) =
                curve.points().map(|(_, value, error)| (value, error)).unzip();
            finite(&what, &values)?;
            if !curve.errors.is_empty() {
                let what = format!("errors of curve {:?}", curve.name);
                shape(&what, &[points], &[curve.errors.len()])?;
                finite(&what, &errors)?;
                range(&what, &errors, "0 or more", |v| v >= 0.0)?;
            }
            if self.log {
                range(&what, &values, "above 0 on a logarithmic axis", |v| v > 0.0)?;
            }
        }
        for level in self.levels {
            let what = format!("level {:?}", level.name);
            finite(&what, &[level.value])?;
            if self.log {
                range(&what, &[level.value], "above 0 on a logarithmic axis", |v| v > 0.0)?;
            }
        }
        Ok(())
    }
}

/// Ends of an error bar; on a logarithmic axis the lower stays above a tenth of the value.
fn bar(value: f64, error: f64, log: bool) -> (f64, f64) {
    let low = if log { (value - error).max(0.1 * value) } else { value - error };
    (low, value + error)
}

fn curve_plots(curve: &Curve<'_>, x: &[f64], color: &str, log: bool) -> Vec<Plot> {
    let at: Vec<(f64, f64)> = curve.points().map(|(i, value, _)| (x[i], value)).collect();
    let mut plots = vec![line(at.clone(), color, 2.0).into()];
    for (i, value, error) in curve.points().filter(|_| !curve.errors.is_empty()) {
        let (low, high) = bar(value, error, log);
        plots.push(line([(x[i], low), (x[i], high)], color, 1.4).into());
    }
    plots.push(ScatterPlot::new().with_data(at).with_color(color).with_size(3.6).into());
    plots
}
