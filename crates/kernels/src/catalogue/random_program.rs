//! Random programs, for laws that hold for every program: planned and unplanned, on any executor.
//!
//! All ops, all addressings of broadcasts, row and shared inputs and states, gradients, states that swap. Values are
//! kept within about ±10. Functions that jump or bend are applied to numbers that every executor has the same bits
//! of (leaves and what is moved from them), so that rounding cannot send two executors to different sides.

mod moves;
mod products;

use sda_core::Stream;
use sda_core::random::Sequence;
use sda_graph::{Binary, Declaration, Graph, Law, NodeId, Program, Unary};

/// Values larger than this are scaled down.
const BOUND: f64 = 10.0;

/// Numbers of one value at most.
const MAX_LEN: usize = 6000;

/// A node, a bound of its absolute value, and whether every executor has the same bits of it.
#[derive(Clone, Copy, Debug)]
struct Value {
    node: NodeId,
    bound: f64,
    exact: bool,
}

/// A program in the making.
struct Generator {
    g: Graph,
    draw: Sequence,
    values: Vec<Value>,
    /// Rows, inner length, channels.
    sizes: [usize; 3],
    streams: u32,
}

/// A program of at least `nodes` random ops, the same for the same arguments; fewer nodes are a prefix.
pub fn random_program(seed: u64, nodes: usize) -> Program {
    let mut draw = Stream::new(seed, 0x5eed).sequence(0, 0);
    let mut pick = |from: &[usize]| from[draw.below(from.len() as u32) as usize];
    let sizes = [pick(&[1, 2, 5, 12, 37]), pick(&[1, 2, 3]), pick(&[1, 2, 3, 8, 17])];
    let mut generator = Generator { g: Graph::new(), draw, values: Vec::new(), sizes, streams: 0 };
    generator.declare();
    for _ in 0..nodes {
        generator.grow();
    }
    generator.finish()
}

impl Generator {
    fn declare(&mut self) {
        let [r, l, c] = self.sizes;
        let inputs = [
            Declaration::rows("x", &[r, l, c]),
            Declaration::rows("u", &[r, 1, c]),
            Declaration::rows("v", &[r, 1, 1]),
            Declaration::rows("flat", &[r, c]),
            Declaration::shared("bias", &[c]),
            Declaration::shared("table", &[1, l, c]),
            Declaration::shared("as-many-rows", &[r, c]),
            Declaration::shared("number", &[]),
        ];
        let states = [
            Declaration::rows("s", &[r, l, c]),
            Declaration::rows("t", &[r, l, c]),
            Declaration::shared("w", &[c, c]),
            Declaration::shared("w2", &[c, 2 * c + 1]),
            Declaration::shared("k", &[1, 3, c, c]),
            Declaration::shared("p", &[c]),
            Declaration::shared("q", &[c]),
        ];
        for declaration in inputs {
            let node = self.g.input(declaration);
            self.values.push(Value { node, bound: 5.0, exact: true });
        }
        for declaration in states {
            let node = self.g.state(declaration);
            self.values.push(Value { node, bound: 5.0, exact: true });
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.draw.below(n as u32) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A value; recent ones more often.
    fn any(&mut self) -> Value {
        let n = self.values.len();
        let from = if self.chance(50) { n.saturating_sub(6) } else { 0 };
        let at = from + self.below(n - from);
        self.values[at]
    }

    fn shape(&self, value: Value) -> Vec<usize> {
        self.g.shape(value.node).to_vec()
    }

    /// A value for which `fits` holds, or `None`.
    fn find(&mut self, fits: impl Fn(&Graph, Value) -> bool) -> Option<Value> {
        let n = self.values.len();
        let start = self.below(n);
        (0..n).map(|i| self.values[(start + i) % n]).find(|v| fits(&self.g, *v))
    }

    /// Adds a value that is not too long, scaled down where it may be too large.
    fn keep(&mut self, node: NodeId, bound: f64, exact: bool) {
        if self.g.len(node) > MAX_LEN {
            return;
        }
        let value = if bound > BOUND {
            Value { node: self.g.scale(node, 1.0 / bound), bound: 1.0, exact: false }
        } else {
            Value { node, bound, exact }
        };
        self.values.push(value);
    }

    fn grow(&mut self) {
        match self.below(16) {
            0..=2 => self.unary(),
            3..=6 => self.binary(),
            7 => self.select(),
            8 => self.sum(),
            9 => self.broadcast(),
            10 => self.reshape(),
            11 => self.movement(),
            12 | 13 => self.matmul(),
            14 => self.conv(),
            _ => self.noise(),
        }
    }

    fn unary(&mut self) {
        let x = self.any();
        let (node, b) = (x.node, x.bound);
        let g = &mut self.g;
        if x.exact && self.draw.below(3) == 0 {
            let op = [Unary::Abs, Unary::Sign, Unary::Finite, Unary::Neg][self.draw.below(4) as usize];
            let y = g.unary(op, node);
            return self.keep(y, b.max(1.0), true);
        }
        let (y, bound) = match self.draw.below(12) {
            0 => (g.neg(node), b),
            1 => {
                let small = g.tanh(node);
                (g.exp(small), 3.0)
            }
            2 | 3 => {
                let square = g.square(node);
                let shifted = g.offset(square, 0.5);
                if b > 4.0 { (g.recip(shifted), 2.0) } else { (g.ln(shifted), 3.0) }
            }
            4 => {
                let square = g.square(node);
                let shifted = g.offset(square, 0.25);
                (g.sqrt(shifted), b + 0.5)
            }
            5 => (g.sin(node), 1.0),
            6 => (g.cos(node), 1.0),
            7 => (g.tanh(node), 1.0),
            8 => (g.erf(node), 1.0),
            9 => {
                let gate = g.sigmoid(node);
                (g.mul(node, gate), b)
            }
            10 => (g.detach(node), b),
            _ => (g.sigmoid(node), 1.0),
        };
        self.keep(y, bound, false);
    }

    fn binary(&mut self) {
        let a = self.any();
        let to = self.shape(a);
        let Some(b) = self.find(|g, v| broadcasts(g.shape(v.node), &to)) else { return };
        let (a, b) = if self.chance(50) { (a, b) } else { (b, a) };
        let exact = a.exact && b.exact;
        let largest = a.bound.max(b.bound);
        if exact && self.chance(30) {
            let op = [Binary::Max, Binary::Min, Binary::Less][self.below(3)];
            let y = self.g.binary(op, a.node, b.node);
            return self.keep(y, largest, true);
        }
        let g = &mut self.g;
        let (y, bound) = match self.draw.below(5) {
            0 => (g.add(a.node, b.node), a.bound + b.bound),
            1 => (g.sub(a.node, b.node), a.bound + b.bound),
            2 => {
                let square = g.square(b.node);
                let shifted = g.offset(square, 1.0);
                (g.div(a.node, shifted), a.bound)
            }
            _ => (g.mul(a.node, b.node), a.bound * b.bound),
        };
        self.keep(y, bound, false);
    }

    fn select(&mut self) {
        let a = self.any();
        let to = self.shape(a);
        let Some(b) = self.find(|g, v| broadcasts(g.shape(v.node), &to)) else { return };
        let Some(c) = self.find(|g, v| v.exact && broadcasts(g.shape(v.node), &to)) else { return };
        let zero = self.g.scalar(0.0);
        let flag = self.g.less(c.node, zero);
        let y = self.g.select(flag, a.node, b.node);
        self.keep(y, a.bound.max(b.bound), a.exact && b.exact);
    }

    fn noise(&mut self) {
        let like = self.any();
        let shape = self.shape(like);
        self.streams += self.draw.below(2);
        let law = if self.chance(50) { Law::Normal } else { Law::Uniform };
        let y = self.g.noise(&shape, self.streams, law);
        self.keep(y, 6.0, true);
    }

    /// Two outputs, perhaps a leaf and a gradient, and some updates.
    fn finish(mut self) -> Program {
        let mut outputs = vec![self.values[self.values.len() - 1].node, self.any().node];
        if self.chance(30) {
            outputs.push(self.values[self.draw.below(15) as usize].node);
        }
        if self.chance(60) {
            let end = self.any();
            let square = self.g.square(end.node);
            let total = self.g.sum_all(square);
            let mean = self.g.scale(total, 1.0 / self.g.len(end.node) as f64);
            let wrt: Vec<NodeId> = (0..3).map(|_| self.values[self.draw.below(15) as usize].node).collect();
            outputs.push(mean);
            outputs.extend(self.g.gradient(mean, &wrt));
        }
        let updates = self.updates(&outputs);
        let program = Program::new(self.g);
        let program = outputs.iter().enumerate().fold(program, |p, (i, n)| p.output(format!("y{i}"), *n));
        updates.into_iter().fold(program, |p, (state, node)| p.update(&state, node))
    }

    fn updates(&mut self, outputs: &[NodeId]) -> Vec<(String, NodeId)> {
        let states: Vec<Declaration> = self.g.states().to_vec();
        let mut updates: Vec<(String, NodeId)> = Vec::new();
        if self.chance(25) {
            for (name, from) in [("s", 1), ("t", 0)] {
                updates.push((name.into(), self.g.state(states[from].clone())));
            }
        }
        for d in &states {
            if updates.iter().any(|(name, _)| *name == d.name) || self.chance(40) {
                continue;
            }
            // The last of two finds, or a gradient among the outputs.
            let value = self.find(|g, v| g.shape(v.node) == d.shape).map(|v| v.node);
            let output = outputs.iter().copied().find(|n| self.g.shape(*n) == d.shape);
            let node = if self.chance(30) { output.or(value) } else { value };
            updates.extend(node.map(|n| (d.name.clone(), n)));
        }
        updates
    }
}

/// Whether NumPy's rules broadcast `from` to `to`.
fn broadcasts(from: &[usize], to: &[usize]) -> bool {
    from.len() <= to.len() && from.iter().rev().zip(to.iter().rev()).all(|(a, b)| a == b || *a == 1)
}
