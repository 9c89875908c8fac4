//! What can be wrong with a figure's numbers.

/// Why a figure could not be drawn or saved; each message continues "failed to draw the figure: …".
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// Nothing to draw.
    #[error("{what} is empty")]
    Empty {
        /// The input.
        what: String,
    },
    /// Two inputs disagree.
    #[error("{what} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The input.
        what: String,
        /// Shape that the other inputs ask for.
        expected: Vec<usize>,
        /// Shape given.
        found: Vec<usize>,
    },
    /// A NaN or an infinity.
    #[error("{what} is {value} at {index:?}; only finite numbers can be drawn")]
    NotFinite {
        /// The input.
        what: String,
        /// Position within it.
        index: Vec<usize>,
        /// The number found.
        value: f64,
    },
    /// A number outside what its axis can show.
    #[error("{what} is {value} at {index}, expected {expected}")]
    OutOfRange {
        /// The input.
        what: String,
        /// Position within it.
        index: usize,
        /// The number found.
        value: f64,
        /// The range.
        expected: &'static str,
    },
    /// kuva refused to rasterise.
    #[error("cannot rasterise {title:?}: {reason}")]
    Raster {
        /// The figure's title.
        title: String,
        /// kuva's message.
        reason: String,
    },
    /// The file system refused.
    #[error(transparent)]
    Write(#[from] sda_data::DataError),
}

/// Refuses an empty or non-finite sequence.
pub(super) fn finite(what: &str, values: &[f64]) -> Result<(), FigureError> {
    if values.is_empty() {
        return Err(FigureError::Empty { what: what.to_owned() });
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(FigureError::NotFinite { what: what.to_owned(), index: vec![i], value: values[i] }),
        None => Ok(()),
    }
}

/// Refuses an empty or non-finite array.
pub(super) fn finite_array<D: ndarray::Dimension>(
    what: &str,
    values: &ndarray::ArrayView<'_, f64, D>,
) -> Result<(), FigureError> {
    if values.is_empty() {
        return Err(FigureError::Empty { what: what.to_owned() });
    }
    // ndarray has no indexed iterator whose index is a slice in every dimension; the logical order gives it.
    let Some(at) = values.iter().position(|v| !v.is_finite()) else { return Ok(()) };
    let mut index = vec![0; values.ndim()];
    let mut rest = at;
    for (axis, &n) in values.shape().iter().enumerate().rev() {
        index[axis] = rest % n;
        rest /= n;
    }
    let value = values.iter().nth(at).copied().unwrap_or(f64::NAN);
    Err(FigureError::NotFinite { what: what.to_owned(), index, value })
}

/// Refuses another shape than the expected.
pub(super) fn shape(what: &str, expected: &[usize], found: &[usize]) -> Result<(), FigureError> {
    if expected == found {
        return Ok(());
    }
    Err(FigureError::Shape { what: what.to_owned(), expected: expected.to_vec(), found: found.to_vec() })
}

/// Refuses a number that fails `holds`, which `expected` describes.
pub(super) fn range(
    what: &str,
    values: &[f64],
    expected: &'static str,
    holds: impl Fn(f64) -> bool,
) -> Result<(), FigureError> {
    match values.iter().position(|&v| !holds(v)) {
        Some(index) => {
            Err(FigureError::OutOfRange { what: what.to_owned(), index, value: values[index], expected })
        }
        None => Ok(()),
    }
}
