//! Strips of fields: a row for what is shown, a column for each state, one scale of colours.

use super::diverging::diverging;
use super::drawing::Pixels;
use super::error::{finite, shape};
use super::header::Header;
use super::{Drawing, FigureError};
use crate::report::significant;
use kuva::render::render::{Primitive, Scene, TextAnchor};
use ndarray::Array2;

/// Side of a field, and what lies between two.
const SIDE: f64 = 96.0;
const GAP: f64 = 6.0;
/// Room of the rows' labels, of the columns', and of the scale.
const LEFT: f64 = 118.0;
const TOP: f64 = 20.0;
const RIGHT: f64 = 84.0;
const TEXT: u32 = 12;

/// The colour of points that are not seen.
pub(super) const UNSEEN: [u8; 3] = [196, 196, 196];

/// One row.
#[derive(Clone, Debug)]
pub struct Strip {
    /// Beside it.
    pub label: String,
    /// A field for each column, or none where there is nothing to show; each [x, y], NaN where nothing is seen.
    pub fields: Vec<Option<Array2<f64>>>,
}

/// Rows of fields in one scale of colours.
#[derive(Clone, Copy, Debug)]
pub struct FieldStrips<'a> {
    /// Title.
    pub title: &'a str,
    /// Second line; may be empty.
    pub subtitle: &'a str,
    /// Above each column.
    pub columns: &'a [String],
    /// Rows.
    pub strips: &'a [Strip],
    /// The largest |value| in colours; what is beyond takes the end's colour.
    pub range: f64,
    /// Of the scale.
    pub quantity: &'a str,
}

impl FieldStrips<'_> {
    /// Draws the rows; x to the right, y up.
    ///
    /// Errors: no rows or columns, rows of another length, an infinite number, a range that is not positive.
    pub fn draw(&self) -> Result<Drawing, FigureError> {
        super::error::range("the colours' range", &[self.range], "positive and finite", |r| {
            r > 0.0 && r.is_finite()
        })?;
        if self.strips.is_empty() || self.columns.is_empty() {
            return Err(FigureError::Empty { what: format!("{:?}: fields", self.title) });
        }
        let (rows, columns) = (self.strips.len() as f64, self.columns.len() as f64);
        let (width, height) = (LEFT + columns * (SIDE + GAP) + RIGHT, TOP + rows * (SIDE + GAP) + GAP);
        let mut scene = Scene::new(width, height);
        scene.background_color = Some("white".into());
        scene.font_family = Some("DejaVu Sans, sans-serif".into());
        for (column, name) in self.columns.iter().enumerate() {
            scene.add(label(left(column) + 0.5 * SIDE, TOP - 6.0, name, TextAnchor::Middle));
        }
        let mut pixels = Vec::new();
        for (row, strip) in self.strips.iter().enumerate() {
            shape(&format!("row {:?}", strip.label), &[self.columns.len()], &[strip.fields.len()])?;
            scene.add(label(
                LEFT - 8.0,
                top(row) + 0.5 * SIDE + 0.36 * f64::from(TEXT),
                &strip.label,
                TextAnchor::End,
            ));
            for (column, field) in strip.fields.iter().enumerate() {
                if let Some(field) = field {
                    let numbers: Vec<f64> = field.iter().map(|&v| if v.is_nan() { 0.0 } else { v }).collect();
                    finite(&format!("row {:?}, column {column}", strip.label), &numbers)?;
                    pixels.push(painted(field, self.range, (left(column), top(row))));
                }
            }
        }
        let x = left(self.columns.len()) + 8.0;
        pixels.push(scale(x));
        for (share, value) in [(0.0, self.range), (0.5, 0.0), (1.0, -self.range)] {
            let y = TOP + share * SIDE + 0.36 * f64::from(TEXT);
            scene.add(label(x + 18.0, y, &significant(value), TextAnchor::Start));
        }
        scene.add(label(x, TOP + SIDE + 2.0 * f64::from(TEXT), self.quantity, TextAnchor::Start));
        let header = Header { title: self.title, subtitle: self.subtitle, legend: Vec::new() };
        let before = scene.height;
        let scene = header.above(scene);
        let down = scene.height - before;
        pixels.iter_mut().for_each(|p| p.y += down);
        Ok(Drawing::with_pixels(self.title, scene, pixels))
    }
}

/// The scale of colours, the largest above.
fn scale(x: f64) -> Pixels {
    let n = 128;
    let rgb = (0..n).flat_map(|i| diverging(1.0 - 2.0 * f64::from(i) / f64::from(n - 1))).collect();
    Pixels { x, y: TOP, width: 12.0, height: SIDE, columns: 1, rows: n as usize, rgb }
}

fn left(column: usize) -> f64 {
    LEFT + column as f64 * (SIDE + GAP)
}

fn top(row: usize) -> f64 {
    TOP + row as f64 * (SIDE + GAP)
}

fn painted(field: &Array2<f64>, range: f64, (x, y): (f64, f64)) -> Pixels {
    let (columns, rows) = field.dim();
    let rgb = (0..rows * columns).flat_map(|i| {
        let (row, column) = (i / columns, i % columns);
        let value = field[[column, rows - 1 - row]];
        if value.is_nan() { UNSEEN } else { diverging(value / range) }
    });
    Pixels { x, y, width: SIDE, height: SIDE, columns, rows, rgb: rgb.collect() }
}

fn label(x: f64, y: f64, content: &str, anchor: TextAnchor) -> Primitive {
    Primitive::Text {
        x,
        y,
        content: content.to_owned(),
        size: TEXT,
        anchor,
        rotate: None,
        bold: false,
        color: None,
    }
}
