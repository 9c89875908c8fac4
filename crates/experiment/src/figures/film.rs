//! Films of fields beside each other, one frame a state: GIF, and PNG with frames.

use super::FigureError;
use super::diverging::diverging;
use super::error::shape;
use ndarray::Array2;
use sda_data::whole_file;
use std::path::{Path, PathBuf};

/// Pixels of a point, and between two fields.
const SCALE: usize = 3;
const GAP: usize = 6;
/// Frames are shown for a fifth of a second: model time as it is, at states every 0.2.
const HUNDREDTHS: u16 = 20;
/// Entries of the palette: colours, then what is not seen and what is between.
const COLOURS: u8 = 254;
const UNSEEN: u8 = 254;
const BETWEEN: u8 = 255;

/// Fields side by side.
#[derive(Clone, Copy, Debug)]
pub struct Film<'a> {
    /// What it is, for messages.
    pub title: &'a str,
    /// Each from the first state to the last, [x, y]; NaN and none are not seen.
    pub fields: &'a [Vec<Option<Array2<f64>>>],
    /// The largest |value| in colours.
    pub range: f64,
}

/// A film ready to be written.
#[derive(Clone, Debug)]
pub struct Reel {
    width: u16,
    height: u16,
    /// Palette entries of each frame.
    frames: Vec<Vec<u8>>,
}

impl Film<'_> {
    /// Paints the frames; x to the right, y up.
    ///
    /// Errors: no fields or states, fields of different sizes or numbers of states, a range that is not positive.
    pub fn paint(&self) -> Result<Reel, FigureError> {
        super::error::range("the colours' range", &[self.range], "positive and finite", |r| {
            r > 0.0 && r.is_finite()
        })?;
        let empty = || FigureError::Empty { what: format!("{:?}: fields", self.title) };
        let states = self.fields.first().map(Vec::len).filter(|&n| n > 0).ok_or_else(empty)?;
        let first = self.fields.iter().flatten().flatten().next().ok_or_else(empty)?.dim();
        for (i, fields) in self.fields.iter().enumerate() {
            shape(&format!("the states of field {i}"), &[states], &[fields.len()])?;
            for field in fields.iter().flatten() {
                shape(&format!("field {i}"), &[first.0, first.1], field.shape())?;
            }
        }
        let (columns, rows) = first;
        let width = self.fields.len() * (columns * SCALE + GAP) + GAP;
        let height = rows * SCALE + 2 * GAP;
        let frames = (0..states).map(|state| {
            let mut frame = vec![BETWEEN; width * height];
            for (i, fields) in self.fields.iter().enumerate() {
                let left = GAP + i * (columns * SCALE + GAP);
                for y in 0..rows * SCALE {
                    for x in 0..columns * SCALE {
                        let at = [x / SCALE, rows - 1 - y / SCALE];
                        let value = fields[state].as_ref().map_or(f64::NAN, |field| field[at]);
                        frame[(GAP + y) * width + left + x] = self.entry(value);
                    }
                }
            }
            frame
        });
        let frames = frames.collect();
        Ok(Reel { width: width as u16, height: height as u16, frames })
    }

    fn entry(&self, value: f64) -> u8 {
        if value.is_nan() {
            return UNSEEN;
        }
        let share = (0.5 + 0.5 * value / self.range).clamp(0.0, 1.0);
        (share * f64::from(COLOURS - 1)).round() as u8
    }
}

/// The colours of all entries, RGB.
fn palette() -> Vec<u8> {
    let colours = (0..COLOURS).map(|i| diverging(2.0 * f64::from(i) / f64::from(COLOURS - 1) - 1.0));
    colours.chain([super::strips::UNSEEN, [255; 3]]).flatten().collect()
}

impl Reel {
    /// Frames.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// A GIF file that goes on for ever.
    ///
    /// Errors: it cannot be encoded.
    pub fn gif(&self) -> Result<Vec<u8>, FigureError> {
        let refused =
            |e: gif::EncodingError| FigureError::Raster { title: "a film".into(), reason: e.to_string() };
        let mut out = Vec::new();
        let mut encoder =
            gif::Encoder::new(&mut out, self.width, self.height, &palette()).map_err(refused)?;
        encoder.set_repeat(gif::Repeat::Infinite).map_err(refused)?;
        for pixels in &self.frames {
            let frame = gif::Frame {
                delay: HUNDREDTHS,
                width: self.width,
                height: self.height,
                buffer: pixels.into(),
                ..gif::Frame::default()
            };
            encoder.write_frame(&frame).map_err(refused)?;
        }
        drop(encoder);
        Ok(out)
    }

    /// A PNG file of the same frames, whose first one is what a viewer without films shows.
    ///
    /// Errors: it cannot be encoded.
    pub fn apng(&self) -> Result<Vec<u8>, FigureError> {
        let refused =
            |e: png::EncodingError| FigureError::Raster { title: "a film".into(), reason: e.to_string() };
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, u32::from(self.width), u32::from(self.height));
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette());
        encoder.set_animated(self.frames.len() as u32, 0).map_err(refused)?;
        encoder.set_frame_delay(HUNDREDTHS, 100).map_err(refused)?;
        let mut writer = encoder.write_header().map_err(refused)?;
        for pixels in &self.frames {
            writer.write_image_data(pixels).map_err(refused)?;
        }
        writer.finish().map_err(refused)?;
        Ok(out)
    }

    /// Writes `folder/stem.gif` and `folder/stem.apng`, each whole or not at all, and returns their paths.
    ///
    /// Errors: the folder cannot be made or written.
    pub fn save(&self, folder: &Path, stem: &str) -> Result<[PathBuf; 2], FigureError> {
        let [gif, apng] = ["gif", "apng"].map(|ending| folder.join(format!("{stem}.{ending}")));
        whole_file::write(&gif, &self.gif()?)?;
        whole_file::write(&apng, &self.apng()?)?;
        Ok([gif, apng])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reel() -> Reel {
        let state = |t: usize| Array2::from_shape_fn((4, 5), |(x, y)| (x + y + t) as f64 / 4.0 - 1.0);
        let mut half = state(1);
        half[[0, 0]] = f64::NAN;
        let fields = [(0..3).map(|t| Some(state(t))).collect(), vec![Some(half), None, Some(state(0))]];
        Film { title: "test", fields: &fields, range: 1.0 }.paint().unwrap()
    }

    #[test]
    fn both_files_hold_the_same_frames() {
        let reel = reel();
        let (gif_bytes, apng) = (reel.gif().unwrap(), reel.apng().unwrap());
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        let mut decoder = options.read_info(&gif_bytes[..]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(apng)).read_info().unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 3);
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        for frame in &reel.frames {
            let from_gif = decoder.read_next_frame().unwrap().unwrap();
            assert_eq!((&*from_gif.buffer, from_gif.delay), (&frame[..], HUNDREDTHS));
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels, *frame);
        }
        assert!(decoder.read_next_frame().unwrap().is_none());
        assert_eq!(palette().len(), 3 * 256);
    }

    #[test]
    fn fields_stand_beside_each_other_with_y_up() {
        let Reel { width, height, frames } = reel();
        let (width, height) = (usize::from(width), usize::from(height));
        assert_eq!((width, height), (2 * (12 + GAP) + GAP, 15 + 2 * GAP));
        let at = |frame: &[u8], x: usize, y: usize| frame[y * width + x];
        // The value −1 at the lower left, 3/4 at the upper right.
        assert_eq!(at(&frames[0], GAP, height - GAP - 1), 0);
        assert_eq!(at(&frames[0], GAP + 11, GAP), COLOURS - 1 - 32);
        let second = 2 * GAP + 12;
        assert_eq!(at(&frames[0], second, height - GAP - 1), UNSEEN);
        assert_eq!(at(&frames[1], second + 5, GAP + 5), UNSEEN);
        assert_eq!(at(&frames[0], 0, 0), BETWEEN);
    }

    #[test]
    fn fields_that_do_not_fit_are_refused() {
        let field = |n: usize| vec![Some(Array2::zeros((n, n)))];
        let of =
            |fields: &[Vec<Option<Array2<f64>>>], range| Film { title: "t", fields, range }.paint().is_err();
        assert!(of(&[], 1.0) && of(&[vec![None]], 1.0) && of(&[field(2)], 0.0));
        assert!(of(&[field(2), field(3)], 1.0) && of(&[field(2), [field(2), field(2)].concat()], 1.0));
        assert!(!of(&[field(2), field(2)], 1.0));
    }
}
