//! The posterior's fan: bands of pointwise quantiles around the truth, one row per component.

use kuva::plot::ScatterPlot;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use ndarray::{Array2, Array3, Axis};

use super::error::{finite, finite_array, shape};
use super::header::{Entry, Header, Swatch};
use super::palette::{OBSERVATION, TRUTH, series, tint};
use super::panel::{Cell, axes, band, grid, limits, line};

use super::quantiles::quantiles;
use super::{Drawing, FigureError};

/// Edges of the outer band, of the inner band, and the median.
const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// Height of every panel's area, and the margins around it.
const AREA: f64 = 160.0;
const LEFT: f64 = 66.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 26.0;
/// What an axis label and a panel's title add to them.
const LABEL: f64 = 22.0;
const TITLE: f64 = 24.0;
const OUTER: f64 = 0.28;
const INNER: f64 = 0.55;

/// Samples of one posterior.
///
/// Shapes: `samples` [N, L, D].
#[derive(Clone, Copy, Debug)]
pub struct Posterior<'a> {
    /// What the column and the legend call it, such as "SDA, k = 4" or "particle filter".
    pub name: &'a str,
    /// Its samples, in the unit of the axis.
    pub samples: &'a Array3<f64>,
}

/// Observations of one component, as points with a bar of one standard deviation of the noise to each side.
///
/// Shapes: `states` `[P]`, `values` `[P]`.
#[derive(Clone, Copy, Debug)]
pub struct ObservedComponent<'a> {
    /// Which component.
    pub component: usize,
    /// Indices of the observed states.
    pub states: &'a [usize],
    /// What was observed, in the unit of the axis.
    pub values: &'a [f64],
    /// Standard deviation of the noise, in the unit of the axis.
    pub noise_std: f64,
}

/// A row per component, a column per posterior: truth, observations, 5–95 % and 25–75 % bands, median.
///
/// The last posterior is the reference: its 5 % and 95 % curves are drawn over every other column's fan, so that
/// two fans can be compared where they should agree.
///
/// Shapes: `model_times` `[L]`, `truth` [L, D].
/// Units: components in whatever unit `components` names, the same for truth, samples and observations.
#[derive(Clone, Copy, Debug)]
pub struct PosteriorFan<'a> {
    /// Title, such as "Lorenz-63, lo: first component every 8th state, σ 0.05".
    pub title: &'a str,
    /// Which posterior this is: the prior it rests on and where that was learned.
    pub subtitle: &'a str,
    /// Model time of each state.
    pub model_times: &'a [f64],
    /// Label below the last row.
    pub model_time_label: &'a str,
    /// Label of each row, with its unit.
    pub components: &'a [&'a str],
    /// The trajectory that was observed.
    pub truth: &'a Array2<f64>,
    /// One column each; the last is the reference.
    pub posteriors: &'a [Posterior<'a>],
    /// What was observed; none for a prior's fan.
    pub observations: &'a [ObservedComponent<'a>],
}

impl PosteriorFan<'_> {
    /// Draws the fan.
    ///
    /// Errors: an empty, non-finite or mismatched input; an observation of a state or component that is not there.
    pub fn draw(&self) -> Result<Drawing, FigureError> {
        self.check()?;
        let times = self.model_times;
        let mut cells = Vec::new();
        for d in 0..self.components.len() {
            let fans: Vec<Array2<f64>> = self.posteriors.iter().map(|p| fan(p, d)).collect();
            let y = limits(self.values_of(d, &fans));
            for column in 0..fans.len() {
                cells.push(self.cell(d, column, times, &fans, y));
            }
        }
        let columns = self.posteriors.len();
        let width = if columns == 1 { 900.0 } else { 500.0 };
        let mut widths = vec![width - LABEL; columns];
        widths[0] = width;
        let mut heights = vec![AREA + TOP + BOTTOM; self.components.len()];
        heights[0] += if columns > 1 { TITLE } else { 0.0 };
        heights[self.components.len() - 1] += LABEL;
        let header = Header { title: self.title, subtitle: self.subtitle, legend: self.legend() };
        Ok(Drawing::new(self.title, header.above(grid(cells, &widths, &heights))))
    }

    fn cell(&self, d: usize, column: usize, times: &[f64], fans: &[Array2<f64>], y: (f64, f64)) -> Cell {
        let curve = |fan: &Array2<f64>, level: usize| fan.row(level).to_vec();
        let path = |values: Vec<f64>| times.iter().copied().zip(values).collect::<Vec<_>>();
        let (color, fan) = (series(column), &fans[column]);
        let mut plots = vec![
            band(times, &curve(fan, 0), &curve(fan, 4), &tint(color, OUTER)),
            band(times, &curve(fan, 1), &curve(fan, 3), &tint(color, INNER)),
        ];
        let last = fans.len() - 1;
        if column < last {
            for level in [0, 4] {
                plots.push(line(path(curve(&fans[last], level)), series(last), 1.1).into());
            }
        }
        plots.push(line(path(curve(fan, 2)), color, 2.4).into());
        plots.push(line(path(self.truth.column(d).to_vec()), TRUTH, 1.3).into());
        for observed in self.observations.iter().filter(|o| o.component == d) {
            plots.extend(points(observed, times));
        }
        Cell { plots, layout: self.layout(d, column, y) }
    }

    /// Labels on the outer edges only, and margins that leave every panel the same area.
    fn layout(&self, d: usize, column: usize, y: (f64, f64)) -> Layout {
        let (first, last) = (d == 0, d + 1 == self.components.len());
        let titled = first && self.posteriors.len() > 1;
        let mut layout = axes(limits_within(self.model_times), y)
            .with_force_margins(if column == 0 { LEFT } else { LEFT - LABEL }, 8.0)
            .with_force_margins_y(
                if titled { TOP + TITLE } else { TOP },
                if last { BOTTOM + LABEL } else { BOTTOM },
            );
        if column == 0 {
            layout = layout.with_y_label(self.components[d]);
        }
        if titled {
            layout = layout.with_title(self.posteriors[column].name);
        }
        if last {
            layout = layout.with_x_label(self.model_time_label);
        }
        layout
    }

    fn legend(&self) -> Vec<Entry> {
        let entry = |label: String, swatch| Entry { label, swatch };
        let mut entries =
            vec![entry("truth".into(), Swatch::Line { color: TRUTH.into(), width: 1.8, dashed: false })];
        if !self.observations.is_empty() {
            entries.push(entry("observation ± σ".into(), Swatch::Dot { color: OBSERVATION.into() }));
        }
        for (i, posterior) in self.posteriors.iter().enumerate() {
            let color = series(i);
            let (outer, inner) = (tint(color, OUTER), tint(color, INNER));
            let label = format!("{}: 5–95 %, 25–75 %, median", posterior.name);
            entries.push(entry(label, Swatch::Fan { outer, inner, median: color.into() }));
        }
        if let [_, .., reference] = self.posteriors {
            let color = series(self.posteriors.len() - 1).to_owned();
            entries.push(entry(format!("{}: 5–95 %, outlined", reference.name), Swatch::Outline { color }));
        }
        entries
    }

    fn values_of<'b>(&'b self, d: usize, fans: &'b [Array2<f64>]) -> impl Iterator<Item = f64> + 'b {
        let observed = self.observations.iter().filter(move |o| o.component == d);
        let bars = observed.flat_map(|o| o.values.iter().flat_map(|&v| [v - o.noise_std, v + o.noise_std]));
        self.truth.column(d).into_iter().copied().chain(fans.iter().flatten().copied()).chain(bars)
    }

    fn check(&self) -> Result<(), FigureError> {
        let (length, dim) = (self.model_times.len(), self.components.len());
        finite("model_times", self.model_times)?;
        finite_array("truth", &self.truth.view())?;
        shape("truth", &[length, dim], self.truth.shape())?;
        if self.posteriors.is_empty() {
            return Err(FigureError::Empty { what: "posteriors".into() });
        }
        for posterior in self.posteriors {
            let what = format!("posterior {:?}", posterior.name);
            finite_array(&what, &posterior.samples.view())?;
            shape(&what, &[posterior.samples.len_of(Axis(0)), length, dim], posterior.samples.shape())?;
        }
        self.observations.iter().try_for_each(|observed| observed.check(length, dim))
    }
}

impl ObservedComponent<'_> {
    fn check(&self, length: usize, dim: usize) -> Result<(), FigureError> {
        let what = format!("observation of component {}", self.component);
        finite(&what, self.values)?;
        finite(&format!("{what}: noise_std"), &[self.noise_std])?;
        shape(&format!("{what}: states"), &[self.values.len()], &[self.states.len()])?;
        super::error::range(&format!("{what}: noise_std"), &[self.noise_std], "0 or more", |v| v >= 0.0)?;
        super::error::range("observed component", &[self.component as f64], "below the state's size", |c| {
            c < dim as f64
        })?;
        let states: Vec<f64> = self.states.iter().map(|&i| i as f64).collect();
        super::error::range(&format!("{what}: states"), &states, "below the trajectory's length", |i| {
            i < length as f64
        })
    }
}

/// Quantiles of one component. Shapes: result [5, L].
fn fan(posterior: &Posterior<'_>, d: usize) -> Array2<f64> {
    quantiles(&posterior.samples.index_axis(Axis(2), d), &LEVELS)
}

/// Limits that leave the first and the last observation's point whole.
fn limits_within(model_times: &[f64]) -> (f64, f64) {
    let (low, high) = limits(model_times.iter().copied());
    let margin = 0.7 * (model_times[0] - low);
    (low + margin, high - margin)
}

/// A bar per observation without caps, which would touch where every state is observed, and the points over them.
fn points(observed: &ObservedComponent<'_>, times: &[f64]) -> Vec<Plot> {
    let at: Vec<(f64, f64)> =
        observed.states.iter().map(|&i| times[i]).zip(observed.values.iter().copied()).collect();
    let sd = observed.noise_std;
    let mut plots: Vec<_> =
        at.iter().map(|&(t, v)| line([(t, v - sd), (t, v + sd)], OBSERVATION, 1.2).into()).collect();
    plots.push(ScatterPlot::new().with_data(at).with_color(OBSERVATION).with_size(2.6).into());
    plots
}
