//! Histograms of ranks beside each other, against the uniform law.

use kuva::plot::{Histogram, LineStyle};

use super::error::{finite, range};
use super::header::{Entry, Header, Swatch};
use super::lines::DASHES;
use super::palette::{MUTED, series, tint};
use super::panel::{Cell, axes, grid, line};
use super::{Drawing, FigureError};

/// Panels in a row.
const COLUMNS: usize = 4;
/// Least top of the ordinate, so that scatter about the uniform law does not fill a panel.
const TOP: f64 = 2.0;

/// One set's ranks.
///
/// Shapes: `counts` `[B]`, of bins that are equally wide.
#[derive(Clone, Copy, Debug)]
pub struct RankPanel<'a> {
    /// Title above it.
    pub title: &'a str,
    /// Ranks in each bin.
    pub counts: &'a [u64],
}

/// A panel a set of samples, all with the same ordinate: counts over what uniform ranks would count.
#[derive(Clone, Copy, Debug)]
pub struct RankHistograms<'a> {
    /// Title.
    pub title: &'a str,
    /// Second line; may be empty.
    pub subtitle: &'a str,
    /// Panels, four of them in a row; the first is the reference.
    pub panels: &'a [RankPanel<'a>],
}

impl RankHistograms<'_> {
    /// Draws the panels.
    ///
    /// Errors: no panels, a panel without bins or without ranks.
    pub fn draw(&self) -> Result<Drawing, FigureError> {
        if self.panels.is_empty() {
            return Err(FigureError::Empty { what: format!("{:?}: panels", self.title) });
        }
        let densities: Vec<Vec<f64>> =
            self.panels.iter().map(RankPanel::density).collect::<Result<_, _>>()?;
        let top = densities.iter().flatten().fold(TOP, |top, &density| top.max(1.05 * density));
        let cells =
            self.panels.iter().zip(densities).enumerate().map(|(i, (p, density))| p.cell(i, density, top));
        let columns = self.panels.len().min(COLUMNS);
        let (width, height) = if columns == 1 { (520.0, 340.0) } else { (330.0, 280.0) };
        let (widths, heights) = (vec![width; columns], vec![height; self.panels.len().div_ceil(columns)]);
        let uniform = Swatch::Line { color: MUTED.to_owned(), width: 2.0, dashed: true };
        let legend = vec![Entry { label: "uniform ranks".into(), swatch: uniform }];
        let header = Header { title: self.title, subtitle: self.subtitle, legend };
        Ok(Drawing::new(self.title, header.above(grid(cells.collect(), &widths, &heights))))
    }
}

impl RankPanel<'_> {
    /// Counts over their mean.
    fn density(&self) -> Result<Vec<f64>, FigureError> {
        let what = format!("ranks of {:?}", self.title);
        let counts: Vec<f64> = self.counts.iter().map(|&count| count as f64).collect();
        finite(&what, &counts)?;
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        range(&format!("mean of the {what}"), &[mean], "above 0", |mean| mean > 0.0)?;
        Ok(counts.iter().map(|count| count / mean).collect())
    }

    fn cell(&self, panel: usize, density: Vec<f64>, top: f64) -> Cell {
        let bins = density.len();
        let edges = (0..=bins).map(|edge| edge as f64 / bins as f64).collect();
        let color = tint(series(usize::from(panel == 0)), 0.6);
        let uniform = line([(0.0, 1.0), (1.0, 1.0)], MUTED, 2.0);
        let plots = vec![
            Histogram::from_bins(edges, density).with_color(color).into(),
            uniform.with_line_style(LineStyle::Custom(DASHES.to_owned())).into(),
        ];
        let layout = axes((0.0, 1.0), (0.0, top)).with_title(self.title);
        Cell { plots, layout: layout.with_x_label("rank / N").with_y_label("density") }
    }
}
