//! The house style of one panel, and a grid of panels as one scene.

use std::sync::Arc;

use kuva::plot::{BandPlot, LinePlot};
use kuva::render::figure::Figure;
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::Scene;
use kuva::render::theme::Theme;

use super::palette::{AXIS, GRID};

/// One panel: what is drawn in it and its axes.
pub(super) struct Cell {
    pub(super) plots: Vec<Plot>,
    pub(super) layout: Layout,
}

/// Axes with these limits exactly, for data that lie within.
pub(super) fn axes(x: (f64, f64), y: (f64, f64)) -> Layout {
    let theme = Theme { axis_color: AXIS.into(), grid_color: GRID.into(), ..Theme::light() };
    let mut layout = Layout::new(x, y)
        .with_theme(theme)
        .with_x_axis_min(x.0)
        .with_x_axis_max(x.1)
        .with_y_axis_min(y.0)
        .with_y_axis_max(y.1)
        .with_title_size(14)
        .with_label_size(13)
        .with_tick_size(11)
        .with_tick_format(TickFormat::Custom(Arc::new(number)))
        .with_axis_line_width(1.0)
        .with_grid_line_width(0.8);
    layout.show_legend = false;
    layout
}

/// A tick's label: decimals where they are short, else a power of ten, with a true minus sign.
fn number(v: f64) -> String {
    let magnitude = v.abs();
    let label = if magnitude < 1e-12 {
        "0".to_owned()
    } else if (1e-3..1e5).contains(&magnitude) {
        // Ticks are 1, 2, 2.5 or 5 times a power of ten: three digits say them whole.
        let decimals = (2 - magnitude.log10().floor() as i32).clamp(0, 6) as usize;
        let text = format!("{magnitude:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        power_of_ten(magnitude)
    };
    if v < 0.0 && label != "0" { format!("−{label}") } else { label }
}

fn power_of_ten(magnitude: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let text = format!("{magnitude:.2e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    let raised: String =
        exponent.chars().map(|c| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize])).collect();
    if mantissa == "1" { format!("10{raised}") } else { format!("{mantissa}·10{raised}") }
}

/// Limits a margin of 5 % wider than the values; one wide where all are equal.
pub(super) fn limits(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let (low, high) = extent(values);
    let margin = if high > low { 0.05 * (high - low) } else { 0.5 };
    (low - margin, high + margin)
}

/// Limits on a logarithmic axis: 10 % of the decades wider, and at least half a decade wide.
pub(super) fn log_limits(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let (low, high) = extent(values.into_iter().map(f64::log10));
    let margin = (0.05 * (high - low)).max(0.25 - 0.5 * (high - low));
    (10f64.powf(low - margin), 10f64.powf(high + margin))
}

fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    values.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// A line through the points.
pub(super) fn line(points: impl IntoIterator<Item = (f64, f64)>, color: &str, width: f64) -> LinePlot {
    LinePlot::new().with_data(points).with_color(color).with_stroke_width(width)
}

/// A filled band between two curves.
pub(super) fn band(x: &[f64], lower: &[f64], upper: &[f64], color: &str) -> Plot {
    let copied = |v: &[f64]| v.to_vec();
    BandPlot::new(copied(x), copied(lower), copied(upper)).with_color(color).with_opacity(1.0).into()
}

/// All cells, row by row, with these widths of the columns and heights of the rows.
pub(super) fn grid(cells: Vec<Cell>, widths: &[f64], heights: &[f64]) -> Scene {
    let (plots, layouts) = cells.into_iter().map(|cell| (cell.plots, cell.layout)).unzip();
    let mut figure = Figure::new(heights.len(), widths.len())
        .with_spacing(6.0)
        .with_padding(8.0)
        .with_plots(plots)
        .with_layouts(layouts);
    for (row, &height) in heights.iter().enumerate() {
        figure = figure.with_row_height(row, height);
    }
    for (column, &width) in widths.iter().enumerate() {
        figure = figure.with_col_width(column, width);
    }
    figure.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tick_labels_are_short_and_exact() {
        for (v, label) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-10.0, "−10"),
            (12.5, "12.5"),
            (0.05, "0.05"),
            (1000.0, "1000"),
            (0.001, "0.001"),
            (2e-4, "2·10⁻⁴"),
            (1e6, "10⁶"),
            (-2.5e-12, "−2.5·10⁻¹²"),
            (1e-13, "0"),
        ] {
            assert_eq!(number(v), label);
        }
    }

    #[test]
    fn limits_hold_the_values_with_a_margin() {
        assert_eq!(limits([1.0, 3.0, 2.0]), (0.9, 3.1));
        assert_eq!(limits([2.0]), (1.5, 2.5));
        let (low, high) = log_limits([1e-3, 1e-1]);
        assert!(low < 1e-3 && low > 5e-4 && high > 1e-1 && high < 2e-1);
        let (low, high) = log_limits([0.1]);
        assert!((high / low).log10() > 0.499);
    }
}
