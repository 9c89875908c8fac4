//! A finished figure: one scene, rendered to SVG and to PNG.

use std::path::{Path, PathBuf};

use kuva::backend::png::PngBackend;
use kuva::backend::svg::SvgBackend;
use kuva::render::render::Scene;
use sda_data::whole_file;

use super::FigureError;

/// Pixels of the PNG per unit of the SVG, so that a figure is sharp at 100 % on a dense screen.
const PNG_SCALE: f32 = 2.0;

/// A figure ready to be rendered; SVG and PNG show the same.
#[derive(Debug)]
pub struct Drawing {
    title: String,
    scene: Scene,
}

impl Drawing {
    pub(super) fn new(title: &str, scene: Scene) -> Self {
        Self { title: title.to_owned(), scene }
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
        renumber(&SvgBackend::new().render_scene(&self.scene).replacen(&fixed, &scalable, 1))
    }

    /// The figure as a PNG file's bytes.
    ///
    /// Errors: the size cannot be rasterised.
    pub fn png(&self) -> Result<Vec<u8>, FigureError> {
        PngBackend::new()
            .with_scale(PNG_SCALE)
            .render_scene(&self.scene)
            .map_err(|reason| FigureError::Raster { title: self.title.clone(), reason })
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
