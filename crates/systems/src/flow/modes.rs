//! The wavenumbers that a grid keeps.

/// Fourier modes of an n × n grid that the 2/3 rule keeps: |k_x|, |k_y| < n/3, so that the square of a field has no
/// alias among them.
///
/// Of a real field the half k_y ≥ 0 is stored: rows k_y = 0 … k, columns k_x = 0 … k, −k … −1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    grid: usize,
    largest: usize,
}

impl Modes {
    /// Of an n × n grid.
    ///
    /// Panics: n is below 4.
    pub fn new(grid: usize) -> Self {
        assert!(grid >= 4, "a grid of {grid} × {grid} points has no modes");
        Self { grid, largest: (grid - 1) / 3 }
    }

    /// All that the grid tells apart, aliases among them.
    #[cfg(test)]
    pub(super) fn without_rule(grid: usize) -> Self {
        Self { grid, largest: grid / 2 - 1 }
    }

    /// n.
    pub fn grid(self) -> usize {
        self.grid
    }

    /// k, the largest wavenumber kept.
    pub fn largest(self) -> usize {
        self.largest
    }

    /// Rows stored, k + 1.
    pub fn rows(self) -> usize {
        self.largest() + 1
    }

    /// Columns stored, 2 k + 1.
    pub fn columns(self) -> usize {
        2 * self.largest() + 1
    }

    /// k_x of a column.
    pub fn kx(self, column: usize) -> i32 {
        let column = column as i32;
        if column > self.largest() as i32 { column - self.columns() as i32 } else { column }
    }

    /// The column of k_x; `None` where it is not kept.
    pub fn column(self, kx: i32) -> Option<usize> {
        let inside = kx.unsigned_abs() as usize <= self.largest();
        inside.then(|| if kx < 0 { (kx + self.columns() as i32) as usize } else { kx as usize })
    }

    /// Every mode stored with how often it counts in a sum over the plane: ((row, column), (k_x, k_y), weight).
    pub fn iter(self) -> impl Iterator<Item = ((usize, usize), (i32, i32), f64)> {
        (0..self.rows()).flat_map(move |row| {
            let weight = if row == 0 { 1.0 } else { 2.0 };
            (0..self.columns()).map(move |column| ((row, column), (self.kx(column), row as i32), weight))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictly_below_a_third_is_kept() {
        for (grid, largest) in [(4, 1), (64, 21), (96, 31), (128, 42), (192, 63), (256, 85), (7, 2), (9, 2)] {
            let modes = Modes::new(grid);
            assert_eq!(modes.largest(), largest);
            assert!(3 * largest < grid && 3 * (largest + 1) >= grid);
            for column in 0..modes.columns() {
                assert_eq!(modes.column(modes.kx(column)), Some(column));
            }
            assert_eq!(modes.column(largest as i32 + 1), None);
            assert_eq!(modes.column(-(largest as i32) - 1), None);
            let counted: f64 = modes.iter().map(|(_, _, weight)| weight).sum();
            assert_eq!(counted as usize, modes.columns() * modes.columns());
        }
    }
}
