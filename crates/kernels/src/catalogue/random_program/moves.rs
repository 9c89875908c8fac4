//! Sums, broadcasts and movement.

use super::{Generator, Value};

impl Generator {
    pub(super) fn sum(&mut self) {
        let x = self.any();
        let shape = self.shape(x);
        let axes: Vec<usize> = (0..shape.len()).filter(|_| self.draw.below(2) == 0).collect();
        let n: usize = axes.iter().map(|&a| shape[a]).product();
        let y = self.g.sum(x.node, &axes);
        self.keep(y, x.bound * n as f64, false);
    }

    /// Repeats axes of length 1 by the program's sizes, or adds a leading axis.
    pub(super) fn broadcast(&mut self) {
        let x = self.any();
        let mut shape = self.shape(x);
        if self.chance(40) {
            shape.insert(0, 1);
        }
        for n in &mut shape {
            if *n == 1 && self.draw.below(2) == 0 {
                *n = self.sizes[self.draw.below(3) as usize];
            }
        }
        // A square sum of all pairs: one array read by its rows and by its columns.
        if shape.len() == 2 && shape[1] == 1 && self.chance(50) {
            let row = self.g.reshape(x.node, &[1, self.g.len(x.node)]);
            let column = self.g.reshape(x.node, &[self.g.len(x.node), 1]);
            let y = self.g.sub(column, row);
            return self.keep(y, 2.0 * x.bound, false);
        }
        if shape.len() <= 4 && shape.iter().product::<usize>() <= super::MAX_LEN {
            let y = self.g.broadcast(x.node, &shape);
            self.keep(y, x.bound, x.exact);
        }
    }

    /// Merges two axes, splits one, or adds or drops one of length 1.
    pub(super) fn reshape(&mut self) {
        let x = self.any();
        let mut shape = self.shape(x);
        let at = self.below(shape.len().max(1));
        match self.below(4) {
            0 if shape.len() > at + 1 => {
                let n = shape.remove(at + 1);
                shape[at] *= n;
            }
            1 if shape.len() < 4 && at < shape.len() => {
                let n = shape[at];
                let divisor = [self.sizes[0], self.sizes[1], self.sizes[2], 2, 3][self.below(5)];
                if n.is_multiple_of(divisor) {
                    shape[at] = divisor;
                    shape.insert(at + 1, n / divisor);
                }
            }
            2 => shape.retain(|&n| n != 1),
            _ if shape.len() < 4 => shape.insert(self.below(shape.len() + 1), 1),
            _ => {}
        }
        let mut y = self.g.reshape(x.node, &shape);
        if !shape.is_empty() && self.chance(40) {
            y = self.g.rows(y);
        }
        self.keep(y, x.bound, x.exact);
    }

    pub(super) fn movement(&mut self) {
        let x = self.any();
        let shape = self.shape(x);
        if shape.is_empty() {
            return;
        }
        let axis = self.below(shape.len());
        let n = shape[axis];
        let y = match self.below(6) {
            0 => {
                let mut axes: Vec<usize> = (0..shape.len()).collect();
                self.draw.shuffle(&mut axes);
                self.g.permute(x.node, &axes)
            }
            1 => {
                let (start, step) = (self.below(n), 1 + self.below(3));
                let len = 1 + self.below((n - start).div_ceil(step));
                self.g.slice(x.node, axis, start, len, step)
            }
            2 => {
                let (before, step, after) = (self.below(3), 1 + self.below(2), self.below(2));
                self.g.pad(x.node, axis, before, before + (n - 1) * step + 1 + after, step)
            }
            3 => {
                let indices: Vec<usize> = (0..=self.below(2 * n)).map(|_| self.below(n)).collect();
                self.g.gather(x.node, axis, &indices)
            }
            4 => {
                let len = 1 + self.below(2 * n);
                let indices: Vec<usize> = (0..n).map(|_| self.below(len)).collect();
                let y = self.g.scatter(x.node, axis, &indices, len);
                return self.keep(y, x.bound * n as f64, false);
            }
            _ => return self.concat(x, axis),
        };
        self.keep(y, x.bound, x.exact);
    }

    fn concat(&mut self, x: Value, axis: usize) {
        let shape = self.shape(x);
        let other = self.find(|g, v| {
            let s = g.shape(v.node);
            s.len() == shape.len() && (0..s.len()).all(|i| i == axis || s[i] == shape[i])
        });
        let other = other.unwrap_or(x);
        let y = self.g.concat(&[x.node, other.node, x.node], axis);
        self.keep(y, x.bound.max(other.bound), x.exact && other.exact);
    }
}
