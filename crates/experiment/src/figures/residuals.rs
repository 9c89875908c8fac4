//! Histograms of residuals over the noise, against the normal law.

use kuva::plot::Histogram;

use super::error::{finite, range};
use super::header::{Entry, Header, Swatch};
use super::palette::{MUTED, series, tint};
use super::panel::{Cell, axes, grid, line};
use super::{Drawing, FigureError};

/// Panels in a row.
const COLUMNS: usize = 3;
/// Deviations to either side; what is further off is counted in the outermost bins.
const REACH: f64 = 5.0;
/// Bins.
const BINS: usize = 50;
/// Points of the normal law's curve.
const POINTS: usize = 101;

/// One set's residuals.
///
/// Shapes: `values` `[M]`.
/// Units: the noise's standard deviation.
#[derive(Clone, Copy, Debug)]
pub struct ResidualPanel<'a> {
    /// Title above it.
    pub title: &'a str,
    /// (y − A(x))/σ of all samples and all numbers.
    pub values: &'a [f64],
}

/// A panel a set of samples: the density of its residuals beside N(0, 1), which samples of the posterior have as far as
/// the observation leaves the state free.
#[derive(Clone, Copy, Debug)]
pub struct ResidualHistograms<'a> {
    /// Title.
    pub title: &'a str,
    /// Second line; may be empty.
    pub subtitle: &'a str,
    /// Panels, three of them in a row.
    pub panels: &'a [ResidualPanel<'a>],
}

impl ResidualHistograms<'_> {
    /// Draws the panels, all with the same axes.
    ///
    /// Errors: no panels, a panel without values, a value that is not finite.
    pub fn draw(&self) -> Result<Drawing, FigureError> {
        if self.panels.is_empty() {
            return Err(FigureError::Empty { what: format!("{:?}: panels", self.title) });
        }
        let densities: Vec<Vec<f64>> =
            self.panels.iter().map(ResidualPanel::density).collect::<Result<_, _>>()?;
        let top = densities.iter().flatten().fold(0.45, |top: f64, &density| top.max(1.05 * density));
        let cells: Vec<Cell> =
            self.panels.iter().zip(densities).enumerate().map(|(i, (p, d))| p.cell(i, d, top)).collect();
        let columns = self.panels.len().min(COLUMNS);
        let (width, height) = if columns == 1 { (520.0, 340.0) } else { (360.0, 290.0) };
        let (widths, heights) = (vec![width; columns], vec![height; self.panels.len().div_ceil(columns)]);
        let normal = Swatch::Line { color: MUTED.to_owned(), width: 2.0, dashed: false };
        let legend = vec![Entry { label: "N(0, 1)".into(), swatch: normal }];
        let header = Header { title: self.title, subtitle: self.subtitle, legend };
        Ok(Drawing::new(self.title, header.above(grid(cells, &widths, &heights))))
    }
}

impl ResidualPanel<'_> {
    /// Of each bin; it has area one.
    fn density(&self) -> Result<Vec<f64>, FigureError> {
        let what = format!("residuals of {:?}", self.title);
        finite(&what, self.values)?;
        range(&format!("number of the {what}"), &[self.values.len() as f64], "above 0", |n| n > 0.0)?;
        let width = 2.0 * REACH / BINS as f64;
        let mut counts = vec![0.0; BINS];
        for x in self.values {
            let bin = ((x + REACH) / width).clamp(0.0, (BINS - 1) as f64) as usize;
            counts[bin] += 1.0 / (width * self.values.len() as f64);
        }
        Ok(counts)
    }

    fn cell(&self, panel: usize, density: Vec<f64>, top: f64) -> Cell {
        let edges = (0..=BINS).map(|edge| -REACH + 2.0 * REACH * edge as f64 / BINS as f64).collect();
        let normal = (0..POINTS).map(|i| {
            let x = -REACH + 2.0 * REACH * i as f64 / (POINTS - 1) as f64;
            (x, (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt())
        });
        let plots = vec![
            Histogram::from_bins(edges, density).with_color(tint(series(panel), 0.6)).into(),
            line(normal.collect::<Vec<_>>(), MUTED, 2.0).into(),
        ];
        let layout = axes((-REACH, REACH), (0.0, top)).with_title(self.title);
        Cell { plots, layout: layout.with_x_label("(y − A(x)) / σ").with_y_label("density") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_have_area_one_and_hold_what_is_far_off() {
        let values = [-1e9, -4.9, 0.05, 0.15, 0.15, 7.0];
        let density = ResidualPanel { title: "a", values: &values }.density().unwrap();
        let width = 2.0 * REACH / BINS as f64;
        assert!((density.iter().sum::<f64>() * width - 1.0).abs() < 1e-12);
        let count = |bin: usize| (density[bin] * width * 6.0).round() as u32;
        assert_eq!((count(0), count(BINS / 2), count(BINS - 1)), (2, 3, 1));
    }

    #[test]
    fn nothing_and_no_numbers_are_refused() {
        let panel = |values| {
            ResidualHistograms { title: "t", subtitle: "", panels: &[ResidualPanel { title: "p", values }] }
                .draw()
        };
        assert!(panel(&[]).is_err() && panel(&[f64::NAN]).is_err() && panel(&[0.0, 1.0]).is_ok());
        assert!(ResidualHistograms { title: "t", subtitle: "", panels: &[] }.draw().is_err());
    }
}
