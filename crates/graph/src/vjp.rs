//! Reverse-mode differentiation, graph to graph: the VJP table and the sweep over it.

use crate::graph::{Graph, NodeId};
use crate::op::{Binary, Face, Op, Unary};

impl Graph {
    /// Σ over `ends` of ⟨cotangent, ∂ node / ∂ wrt⟩, as new nodes; zero where nothing depends on `wrt`.
    ///
    /// Shapes: each cotangent has its node's shape, each result the shape of its `wrt`.
    ///
    /// Panics: a cotangent's shape differs from its node's; `wrt` is a reshape or a permutation, which what was made of
    /// it may pass by, since two of them are one: mark it with [`Graph::rows`] where it is made.
    #[track_caller]
    pub fn vjp(&mut self, ends: &[(NodeId, NodeId)], wrt: &[NodeId]) -> Vec<NodeId> {
        for &node in wrt {
            let op = &self.node(node).op;
            let may_be_passed_by = matches!(op, Op::Reshape | Op::Permute { .. });
            assert!(!may_be_passed_by, "vjp: by a node that others may have passed by, a {op:?}");
        }
        let needed = self.depends_on(wrt);
        let mut cotangents: Vec<Option<NodeId>> = vec![None; needed.len()];
        for &(node, cotangent) in ends {
            let (a, b) = (self.shape(node).to_vec(), self.shape(cotangent).to_vec());
            assert_eq!(a, b, "vjp: a node and its cotangent");
            self.accumulate(&mut cotangents, node, cotangent);
        }
        let stop = wrt.iter().map(|n| n.index()).min().unwrap_or(0);
        for i in (stop..needed.len()).rev() {
            let Some(c) = cotangents[i] else { continue };
            let node = self.id(i);
            if !needed[i] || wrt.contains(&node) && self.node(node).inputs.is_empty() {
                continue;
            }
            for (input, contribution) in self.rule(node, c, &needed) {
                self.accumulate(&mut cotangents, input, contribution);
            }
        }
        wrt.iter()
            .map(|n| {
                cotangents[n.index()].unwrap_or_else(|| {
                    let shape = self.shape(*n).to_vec();
                    let zero = self.scalar(0.0);
                    self.broadcast(zero, &shape)
                })
            })
            .collect()
    }

    /// The gradient of a scalar.
    #[track_caller]
    pub fn gradient(&mut self, of: NodeId, wrt: &[NodeId]) -> Vec<NodeId> {
        assert!(self.shape(of).is_empty(), "gradient: {:?} is not a scalar", self.shape(of));
        let one = self.scalar(1.0);
        self.vjp(&[(of, one)], wrt)
    }

    fn depends_on(&self, wrt: &[NodeId]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes().len()];
        wrt.iter().for_each(|n| needed[n.index()] = true);
        for i in 0..needed.len() {
            needed[i] |= self.nodes()[i].inputs.iter().any(|n| needed[n.index()]);
        }
        needed
    }

    fn accumulate(&mut self, cotangents: &mut [Option<NodeId>], node: NodeId, c: NodeId) {
        let sum = match cotangents[node.index()] {
            Some(old) => self.add(old, c),
            None => c,
        };
        cotangents[node.index()] = Some(sum);
    }

    /// The VJP table: what each input of `node` receives from the cotangent `c`.
    fn rule(&mut self, node: NodeId, c: NodeId, needed: &[bool]) -> Vec<(NodeId, NodeId)> {
        let inputs = self.node(node).inputs.clone();
        let op = self.node(node).op.clone();
        let mut out = Vec::with_capacity(inputs.len());
        for (k, &x) in inputs.iter().enumerate() {
            if needed[x.index()]
                && let Some(d) = self.rule_for(&op, node, &inputs, k, c)
            {
                out.push((x, d));
            }
        }
        out
    }

    fn rule_for(&mut self, op: &Op, node: NodeId, inputs: &[NodeId], k: usize, c: NodeId) -> Option<NodeId> {
        let x = inputs[k];
        let shape = self.shape(x).to_vec();
        Some(match op {
            Op::Input(_) | Op::State(_) | Op::Constant(_) | Op::Noise { .. } | Op::Detach => return None,
            Op::Unary(u) => return self.unary_rule(*u, x, node, c),
            Op::Binary(b) => return self.binary_rule(*b, inputs, node, k, c),
            Op::Select => {
                let zero = self.scalar(0.0);
                match k {
                    1 => self.select(inputs[0], c, zero),
                    2 => self.select(inputs[0], zero, c),
                    _ => return None,
                }
            }
            Op::Broadcast => {
                let to = self.shape(c).to_vec();
                let axes: Vec<usize> = (0..to.len()).filter(|&a| shape[a] != to[a]).collect();
                self.sum(c, &axes)
            }
            Op::Sum { .. } => self.broadcast(c, &shape),
            Op::Reshape => self.reshape(c, &shape),
            Op::Rows => self.rows(c),
            Op::Permute { axes } => {
                let mut inverse = vec![0; axes.len()];
                axes.iter().enumerate().for_each(|(i, &a)| inverse[a] = i);
                self.permute(c, &inverse)
            }
            Op::Slice { axis, start, step } => self.pad(c, *axis, *start, shape[*axis], *step),
            Op::Pad { axis, before, step } => self.slice(c, *axis, *before, shape[*axis], *step),
            Op::Gather { axis, indices } => self.scatter(c, *axis, indices, shape[*axis]),
            Op::Scatter { axis, indices } => self.gather(c, *axis, indices),
            Op::Concat { axis } => {
                let start = inputs[..k].iter().map(|&i| self.shape(i)[*axis]).sum();
                self.slice(c, *axis, start, shape[*axis], 1)
            }
            Op::MatMul { ta, tb } => match (k, ta, tb) {
                (0, false, _) => self.matmul(c, inputs[1], false, !tb),
                (0, true, _) => self.matmul(inputs[1], c, *tb, true),
                (_, _, false) => self.matmul(inputs[0], c, !ta, false),
                (_, _, true) => self.matmul(c, inputs[0], true, *ta),
            },
            Op::Conv(face, g) => match (face, k) {
                (Face::Forward, 0) => self.conv(Face::Input, *g, c, inputs[1]),
                (Face::Forward, _) => self.conv(Face::Filter, *g, inputs[0], c),
                (Face::Input, 0) => self.conv(Face::Forward, *g, c, inputs[1]),
                (Face::Input, _) => self.conv(Face::Filter, *g, c, inputs[0]),
                (Face::Filter, 0) => self.conv(Face::Input, *g, inputs[1], c),
                (Face::Filter, _) => self.conv(Face::Forward, *g, inputs[0], c),
            },
        })
    }

    fn unary_rule(&mut self, op: Unary, x: NodeId, y: NodeId, c: NodeId) -> Option<NodeId> {
        let derivative = match op {
            Unary::Neg => return Some(self.neg(c)),
            Unary::Sign | Unary::Finite => return None,
            Unary::Abs => self.sign(x),
            Unary::Exp => y,
            Unary::Ln => self.recip(x),
            Unary::Sqrt => {
                let half = self.recip(y);
                self.scale(half, 0.5)
            }
            Unary::Recip => {
                let square = self.square(y);
                self.neg(square)
            }
            Unary::Sin => self.cos(x),
            Unary::Cos => {
                let sine = self.sin(x);
                self.neg(sine)
            }
            Unary::Tanh => {
                let square = self.square(y);
                let negative = self.neg(square);
                self.offset(negative, 1.0)
            }
            Unary::Sigmoid => {
                let square = self.square(y);
                self.sub(y, square)
            }
            Unary::Erf => {
                let square = self.square(x);
                let negative = self.neg(square);
                let bell = self.exp(negative);
                self.scale(bell, std::f64::consts::FRAC_2_SQRT_PI)
            }
        };
        Some(self.mul(c, derivative))
    }

    /// At a tie of max and min the cotangent goes to the first input.
    fn binary_rule(
        &mut self,
        op: Binary,
        inputs: &[NodeId],
        y: NodeId,
        k: usize,
        c: NodeId,
    ) -> Option<NodeId> {
        let (a, b) = (inputs[0], inputs[1]);
        Some(match (op, k) {
            (Binary::Less, _) => return None,
            (Binary::Add, _) | (Binary::Sub, 0) => c,
            (Binary::Sub, _) => self.neg(c),
            (Binary::Mul, 0) => self.mul(c, b),
            (Binary::Mul, _) => self.mul(c, a),
            (Binary::Div, 0) => self.div(c, b),
            (Binary::Div, _) => {
                let ratio = self.div(y, b);
                let product = self.mul(c, ratio);
                self.neg(product)
            }
            (Binary::Max | Binary::Min, _) => {
                let second = if op == Binary::Max { self.less(a, b) } else { self.less(b, a) };
                let zero = self.scalar(0.0);
                if k == 0 { self.select(second, zero, c) } else { self.select(second, c, zero) }
            }
        })
    }
}
