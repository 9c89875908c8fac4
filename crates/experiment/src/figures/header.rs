//! Title, subtitle and one legend shared by all panels, set above a grid of them.

use kuva::render::color::Color;
use kuva::render::render::{Primitive, Scene, TextAnchor};

use super::palette::MUTED;

const TITLE_SIZE: u32 = 17;
const SUBTITLE_SIZE: u32 = 13;
const LEGEND_SIZE: u32 = 13;
const MARGIN: f64 = 18.0;
const ROW: f64 = 22.0;
const SWATCH: f64 = 28.0;

/// What a legend's entry shows beside its label.
pub(super) enum Swatch {
    Line {
        color: String,
        width: f64,
        dashed: bool,
    },
    /// Outer band, inner band and median of a fan.
    Fan {
        outer: String,
        inner: String,
        median: String,
    },
    /// Two thin curves around nothing.
    Outline {
        color: String,
    },
    Dot {
        color: String,
    },
}

/// One entry of the legend.
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) swatch: Swatch,
}

/// Title, subtitle (may be empty) and legend of a figure.
pub(super) struct Header<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    pub(super) legend: Vec<Entry>,
}

impl Header<'_> {
    /// The grid moved down to make room, and the header drawn above it.
    pub(super) fn above(self, grid: Scene) -> Scene {
        let rows = self.legend_rows(grid.width);
        let mut y = 14.0 + f64::from(TITLE_SIZE);
        let mut items = vec![text(MARGIN, y, self.title, TITLE_SIZE, true, None)];
        for line in wrap(self.subtitle, grid.width, SUBTITLE_SIZE) {
            y += f64::from(SUBTITLE_SIZE) * 1.5;
            items.push(text(MARGIN, y, &line, SUBTITLE_SIZE, false, Some(MUTED)));
        }
        y += 10.0;
        for row in rows {
            y += ROW * 0.5;
            let mut x = MARGIN;
            for entry in row {
                items.extend(entry.swatch.draw(x, y));
                let baseline = y + f64::from(LEGEND_SIZE) * 0.36;
                items.push(text(x + SWATCH + 7.0, baseline, &entry.label, LEGEND_SIZE, false, None));
                x += entry.width();
            }
            y += ROW * 0.5;
        }
        compose(grid, y + 2.0, items)
    }

    fn legend_rows(&self, width: f64) -> Vec<Vec<&Entry>> {
        let mut rows: Vec<Vec<&Entry>> = Vec::new();
        let mut x = f64::INFINITY;
        for entry in &self.legend {
            if x + entry.width() > width - MARGIN {
                rows.push(Vec::new());
                x = MARGIN;
            }
            x += entry.width();
            if let Some(row) = rows.last_mut() {
                row.push(entry);
            }
        }
        rows
    }
}

impl Entry {
    fn width(&self) -> f64 {
        SWATCH + 7.0 + text_width(&self.label, LEGEND_SIZE) + 18.0
    }
}

impl Swatch {
    fn draw(&self, x: f64, y: f64) -> Vec<Primitive> {
        match self {
            Self::Line { color, width, dashed } => vec![Primitive::Line {
                x1: x,
                y1: y,
                x2: x + SWATCH,
                y2: y,
                stroke: Color::from(color),
                stroke_width: *width,
                stroke_dasharray: dashed.then(|| super::lines::DASHES.to_owned()),
            }],
            Self::Fan { outer, inner, median } => {
                vec![bar(x, y, 16.0, outer), bar(x, y, 8.0, inner), bar(x, y, 2.0, median)]
            }
            Self::Outline { color } => vec![bar(x, y - 6.0, 1.3, color), bar(x, y + 6.0, 1.3, color)],
            Self::Dot { color } => vec![
                Primitive::Line {
                    x1: x + SWATCH * 0.5,
                    y1: y - 8.0,
                    x2: x + SWATCH * 0.5,
                    y2: y + 8.0,
                    stroke: Color::from(color),
                    stroke_width: 1.2,
                    stroke_dasharray: None,
                },
                Primitive::Circle {
                    cx: x + SWATCH * 0.5,
                    cy: y,
                    r: 3.2,
                    fill: Color::from(color),
                    fill_opacity: None,
                    stroke: None,
                    stroke_width: None,
                },
            ],
        }
    }
}

/// A horizontal bar of the swatch's width about y.
fn bar(x: f64, y: f64, height: f64, color: &str) -> Primitive {
    Primitive::Rect {
        x,
        y: y - 0.5 * height,
        width: SWATCH,
        height,
        fill: Color::from(color),
        stroke: None,
        stroke_width: None,
        opacity: None,
    }
}

/// Width of a text in DejaVu Sans, to a few per cent: advances of its characters by class, in units of the size.
fn text_width(content: &str, size: u32) -> f64 {
    let advance = |c: char| match c {
        'i' | 'j' | 'l' | '\'' => 0.28,
        ' ' | '.' | ',' | ':' | ';' | '|' => 0.33,
        'f' | 't' | 'r' | '(' | ')' | '-' => 0.41,
        'm' | 'M' | 'W' | '%' | '→' => 0.98,
        'w' | '±' | '=' | '×' | '−' => 0.84,
        c if c.is_uppercase() => 0.74,
        _ => 0.63,
    };
    content.chars().map(advance).sum::<f64>() * f64::from(size)
}

fn text(x: f64, y: f64, content: &str, size: u32, bold: bool, color: Option<&str>) -> Primitive {
    Primitive::Text {
        x,
        y,
        content: content.to_owned(),
        size,
        anchor: TextAnchor::Start,
        rotate: None,
        bold,
        color: color.map(Color::from),
    }
}

/// Lines of whole words that fit the width; none for an empty text.
fn wrap(content: &str, width: f64, size: u32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in content.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(word, size) < width - 2.0 * MARGIN => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn compose(grid: Scene, header_height: f64, header: Vec<Primitive>) -> Scene {
    let mut scene = Scene::new(grid.width, grid.height + header_height);
    scene.background_color = grid.background_color;
    scene.text_color = grid.text_color;
    scene.font_family = grid.font_family;
    scene.defs = grid.defs;
    scene.add(Primitive::GroupStart {
        transform: Some(format!("translate(0,{header_height})")),
        title: None,
        extra_attrs: None,
    });
    scene.elements.extend(grid.elements);
    scene.add(Primitive::GroupEnd);
    scene.elements.extend(header);
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_text_keeps_every_word_within_the_width() {
        let content = "a posterior whose prior is climatological, learned from long runs ".repeat(5);
        let lines = wrap(&content, 400.0, 13);
        assert!(lines.len() > 5 && lines.iter().all(|line| text_width(line, 13) <= 400.0));
        assert_eq!(lines.join(" "), content.trim());
        assert!(wrap("  ", 400.0, 13).is_empty());
    }

    #[test]
    fn a_legend_too_wide_takes_more_rows_and_moves_the_grid() {
        let legend = |n: usize| -> Vec<Entry> {
            (0..n)
                .map(|i| Entry {
                    label: format!("posterior number {i}"),
                    swatch: Swatch::Outline { color: "#0072b2".into() },
                })
                .collect()
        };
        let height =
            |n| Header { title: "t", subtitle: "", legend: legend(n) }.above(Scene::new(500.0, 100.0)).height;
        assert_eq!(height(2), height(1));
        assert!(height(9) > height(2));
    }
}
