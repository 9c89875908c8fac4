//! A finished figure: one scene, rendered to SVG and to PNG.

use std::path::{Path, PathBuf};

use kuva::backend::png::PngBackend;
use kuva::backend::svg::SvgBackend;
use kuva::render::render::Scene;
use sda_data::whole_file;

use super::FigureError;
use crate::report::base64;

/// Pixels of the PNG per unit of the SVG, so that a figure is sharp at 100 % on a dense screen.
const PNG_SCALE: f32 = 2.0;

/// A picture of few colours a point, painted over the scene.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pixels {
    /// Where, in the scene's units.
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// What.
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// [rows, columns, 3], from the upper left.
    pub(super) rgb: Vec<u8>,
}

/// A figure ready to be rendered; SVG and PNG show the same.
#[derive(Debug)]
pub struct Drawing {
    title: String,
    scene: Scene,
    pixels: Vec<Pixels>,
}

impl Drawing {
    pub(super) fn new(title: &str, scene: Scene) -> Self {
        Self::with_pixels(title, scene, Vec::new())
    }

    /// With pictures over the scene.
    pub(super) fn with_pixels(title: &str, scene: Scene, pixels: Vec<Pixels>) -> Self {
        Self { title: title.to_owned(), scene, pixels }
    }

    /// The figure's title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Width and height.
    ///
    /// Units: SVG units; the PNG has twice as many pixels.
    pub fn size(&self) -> (f64, f64) {
        (self.scene.width, self.scene.height)
    }

    /// The figure as an SVG element with its namespace, fit for a file and for inlining in HTML.
    pub fn svg(&self) -> String {
        let fixed = format!("width=\"{}\" height=\"{}\"", self.scene.width, self.scene.height);
        let scalable = format!("{fixed} viewBox=\"0 0 {} {}\"", self.scene.width, self.scene.height);
        let mut svg = renumber(&SvgBackend::new().render_scene(&self.scene).replacen(&fixed, &scalable, 1));
        if let Some(end) = svg.rfind("</svg>") {
            let images: String = self.pixels.iter().map(Pixels::svg).collect();
            svg.insert_str(end, &images);
        }
        svg
    }

    /// The figure as a PNG file's bytes.
    ///
    /// Errors: the size cannot be rasterised.
    pub fn png(&self) -> Result<Vec<u8>, FigureError> {
        let refused = |reason| FigureError::Raster { title: self.title.clone(), reason };
        let bytes = PngBackend::new().with_scale(PNG_SCALE).render_scene(&self.scene).map_err(refused)?;
        if self.pixels.is_empty() {
            return Ok(bytes);
        }
        let mut canvas = Canvas::decode(&bytes).map_err(refused)?;
        self.pixels.iter().for_each(|p| canvas.paste(p, f64::from(PNG_SCALE)));
        Ok(canvas.encode())
    }

    /// Writes `folder/stem.svg` and `folder/stem.png`, each whole or not at all, and returns their paths.
    ///
    /// Errors: the folder cannot be made or written.
    pub fn save(&self, folder: &Path, stem: &str) -> Result<[PathBuf; 2], FigureError> {
        let svg = folder.join(format!("{stem}.svg"));
        let png = folder.join(format!("{stem}.png"));
        let image = self.png()?;
        for (path, bytes) in [(&svg, self.svg().as_bytes()), (&png, &image)] {
            whole_file::write(path, bytes)?;
        }
        Ok([svg, png])
    }
}

impl Pixels {
    fn svg(&self) -> String {
        let Self { x, y, width, height, columns, rows, rgb } = self;
        let data = base64::encode(&encode_png(*columns, *rows, rgb));
        format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>"
        )
    }
}

/// A PNG of so many pixels in RGB.
pub(super) fn encode_png(columns: usize, rows: usize, rgb: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(rgb));
    written.expect("as many bytes as pixels, written to memory");
    out
}

/// An image that pictures are pasted onto.
struct Canvas {
    columns: usize,
    rows: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    /// Errors: what kuva made is no PNG of 8 bits in RGB or RGBA.
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut reader =
            png::Decoder::new(std::io::Cursor::new(bytes)).read_info().map_err(|e| e.to_string())?;
        let size = reader.output_buffer_size().ok_or("its size does not fit memory")?;
        let mut values = vec![0; size];
        let frame = reader.next_frame(&mut values).map_err(|e| e.to_string())?;
        let channels = match (frame.color_type, frame.bit_depth) {
            (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
            (png::ColorType::Rgba, png::BitDepth::Eight) => 4,
            other => return Err(format!("an image of {other:?}")),
        };
        let rgb = values.chunks_exact(channels).flat_map(|p| [p[0], p[1], p[2]]).collect();
        Ok(Self { columns: frame.width as usize, rows: frame.height as usize, rgb })
    }

    /// Nearest points, so that a field's points stay squares.
    fn paste(&mut self, p: &Pixels, scale: f64) {
        let edge = |x: f64| (x * scale).round().max(0.0) as usize;
        let (x, y) = (edge(p.x)..edge(p.x + p.width), edge(p.y)..edge(p.y + p.height));
        for row in y.clone().take_while(|&row| row < self.rows) {
            let from_row = (row - y.start) * p.rows / y.len();
            for column in x.clone().take_while(|&column| column < self.columns) {
                let from = 3 * (from_row * p.columns + (column - x.start) * p.columns / x.len());
                let to = 3 * (row * self.columns + column);
                self.rgb[to..to + 3].copy_from_slice(&p.rgb[from..from + 3]);
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        encode_png(self.columns, self.rows, &self.rgb)
    }
}

/// Clip regions numbered from zero within the figure: kuva counts them over the whole process, and the same
/// figure must be the same bytes however many were drawn before it.
fn renumber(svg: &str) -> String {
    const CLIP: &str = "kuva-clip-";
    let mut known: Vec<&str> = Vec::new();
    let mut result = String::with_capacity(svg.len());
    let mut parts = svg.split(CLIP);
    result.push_str(parts.next().unwrap_or(""));
    for part in parts {
        let (number, rest) = part.split_at(part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len()));
        let index = known.iter().position(|&n| n == number).unwrap_or_else(|| {
            known.push(number);
            known.len() - 1
        });
        result.extend(["clip-", index.to_string().as_str(), rest]);
    }
    result
}
