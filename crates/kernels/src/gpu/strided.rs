//! Axes merged until few are left: the constants of `strided.wgsl` and of the sum.

use super::Text;

/// Lengths and strides of the axes of a walk through an array.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Strided {
    axes: Vec<(usize, usize)>,
}

impl Strided {
    /// Axes of (length, stride), neighbours that are one walk merged, those of length 1 left out.
    pub(crate) fn new(axes: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (length, stride) in axes.into_iter().filter(|(length, _)| *length != 1) {
            match merged.last_mut() {
                Some(outer) if outer.1 == stride * length => *outer = (outer.0 * length, stride),
                _ => merged.push((length, stride)),
            }
        }
        Self { axes: merged }
    }

    /// Points of the walk.
    pub(crate) fn len(&self) -> usize {
        self.axes.iter().map(|(length, _)| length).product()
    }

    /// Stride of the last axis.
    pub(crate) fn last_stride(&self) -> usize {
        self.axes.last().map_or(0, |(_, stride)| *stride)
    }

    /// Constants `<lengths>1` … and `<strides>0` … of `rank` axes.
    ///
    /// Panics: more axes are left.
    pub(crate) fn constants(&self, mut text: Text, lengths: &str, strides: &str, rank: usize) -> Text {
        let n = self.axes.len();
        assert!(n <= rank, "{n} axes that are no fewer walks, at most {rank} are allowed: {:?}", self.axes);
        for axis in 0..rank {
            let (length, stride) = if axis + n < rank { (1, 0) } else { self.axes[axis + n - rank] };
            if axis > 0 {
                // An empty axis is never walked, and no index may be divided by 0.
                text = text.constant(&format!("{lengths}{axis}"), length.max(1));
            }
            text = text.constant(&format!("{strides}{axis}"), stride);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Strided;

    #[test]
    fn neighbours_that_are_one_walk_become_one_axis() {
        let walk = Strided::new([(2, 60), (1, 7), (3, 20), (4, 5), (5, 0)]);
        assert_eq!(walk.axes, [(24, 5), (5, 0)]);
        assert_eq!((walk.len(), walk.last_stride()), (120, 0));
        assert_eq!(Strided::new([(1, 3)]).len(), 1);
    }
}
