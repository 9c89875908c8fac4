//! Figures of a run, drawn with kuva and rendered to SVG and PNG from the same drawing.
//!
//! Numbers come in as plain arrays and leave as bytes; nothing here knows an experiment. Colours are those of
//! Okabe and Ito, told apart with any colour vision.

mod diverging;
mod drawing;
mod error;
mod fan;
mod film;
mod header;
mod lines;
mod palette;
mod panel;
mod quantiles;
mod ranks;
mod residuals;
mod strips;
mod training;

pub use drawing::Drawing;
pub use error::FigureError;
pub use fan::{ObservedComponent, Posterior, PosteriorFan};
pub use film::{Film, Reel};
pub use lines::{Curve, Level, Lines, Panel, Positions, w1_against_corrections};
pub use ranks::{RankHistograms, RankPanel};
pub use residuals::{ResidualHistograms, ResidualPanel};
pub use strips::{FieldStrips, Strip};
pub use training::{LearningRate, TrainingCurve};

#[cfg(test)]
mod tests;
