//! Builder methods: one for each op, and the few forms composed from them. A wrong shape is refused here.

use crate::graph::{Graph, NodeId};
use crate::op::{Binary, ConvGeometry, Face, Law, Op, Unary};
use ndarray::ArrayD;

/// Inputs of one concatenation; more are concatenated in parts, so that a kernel's argument list has a bound.
const MAX_CONCAT: usize = 32;

macro_rules! unary {
    ($($name:ident $variant:ident $doc:literal;)*) => { impl Graph { $(
        #[doc = $doc]
        pub fn $name(&mut self, x: NodeId) -> NodeId {
            self.unary(Unary::$variant, x)
        }
    )* } };
}

unary! {
    neg Neg "−x";
    abs Abs "|x|";
    sign Sign "−1, 0 or 1";
    exp Exp "eˣ";
    ln Ln "ln x";
    sqrt Sqrt "√x";
    recip Recip "1/x";
    sin Sin "sin x";
    cos Cos "cos x";
    tanh Tanh "tanh x";
    sigmoid Sigmoid "1/(1 + e⁻ˣ)";
    erf Erf "The error function";
    finite Finite "1 where x is finite, else 0";
}

macro_rules! binary {
    ($($name:ident $variant:ident $doc:literal;)*) => { impl Graph { $(
        #[doc = $doc]
        ///
        /// Shapes are broadcast as in NumPy.
        #[track_caller]
        pub fn $name(&mut self, a: NodeId, b: NodeId) -> NodeId {
            self.binary(Binary::$variant, a, b)
        }
    )* } };
}

binary! {
    add Add "a + b";
    sub Sub "a − b";
    mul Mul "a b";
    div Div "a / b";
    max Max "The larger";
    min Min "The smaller";
    less Less "1 where a < b, else 0";
}

impl Graph {
    /// Elementwise function of one array.
    pub fn unary(&mut self, op: Unary, x: NodeId) -> NodeId {
        let shape = self.shape(x).to_vec();
        self.push(Op::Unary(op), vec![x], shape)
    }

    /// Elementwise function of two arrays, broadcast to one shape.
    #[track_caller]
    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> NodeId {
        let shape = self.common_shape(&[a, b], &Op::Binary(op));
        if self.is_neutral(op, b) && self.shape(a) == shape {
            return a;
        }
        if self.is_neutral(op, a) && matches!(op, Binary::Add | Binary::Mul) && self.shape(b) == shape {
            return b;
        }
        let (a, b) = (self.broadcast(a, &shape), self.broadcast(b, &shape));
        self.push(Op::Binary(op), vec![a, b], shape)
    }

    /// (c, a, b) → a where c ≠ 0, else b; shapes are broadcast.
    #[track_caller]
    pub fn select(&mut self, c: NodeId, a: NodeId, b: NodeId) -> NodeId {
        let shape = self.common_shape(&[c, a, b], &Op::Select);
        let inputs = [c, a, b].map(|x| self.broadcast(x, &shape));
        self.push(Op::Select, inputs.to_vec(), shape)
    }

    /// A number.
    pub fn scalar(&mut self, x: f64) -> NodeId {
        self.constant(ArrayD::from_elem(vec![], x))
    }

    /// a x, for a number a.
    pub fn scale(&mut self, x: NodeId, a: f64) -> NodeId {
        let a = self.scalar(a);
        self.mul(x, a)
    }

    /// x + a, for a number a.
    pub fn offset(&mut self, x: NodeId, a: f64) -> NodeId {
        let a = self.scalar(a);
        self.add(x, a)
    }

    /// x².
    pub fn square(&mut self, x: NodeId) -> NodeId {
        self.mul(x, x)
    }

    /// The identity, with a gradient of zero.
    pub fn detach(&mut self, x: NodeId) -> NodeId {
        let shape = self.shape(x).to_vec();
        self.push(Op::Detach, vec![x], shape)
    }

    /// The identity; says that axis 0 holds independent rows: windows of one long trajectory, say. A plan of a program
    /// with few rows of its own, or large ones, then takes what follows block by block along these. Results do not
    /// depend on it.
    ///
    /// Panics: a scalar.
    #[track_caller]
    pub fn rows(&mut self, x: NodeId) -> NodeId {
        let shape = self.shape(x).to_vec();
        assert!(!shape.is_empty(), "rows: a scalar has no axis 0");
        self.push(Op::Rows, vec![x], shape)
    }

    /// NumPy's broadcast: axes are aligned at the end, axes of length 1 are repeated.
    #[track_caller]
    pub fn broadcast(&mut self, x: NodeId, shape: &[usize]) -> NodeId {
        let from = self.shape(x).to_vec();
        if from == shape {
            return x;
        }
        assert!(from.len() <= shape.len(), "broadcast: {from:?} to {shape:?}");
        let mut aligned = vec![1; shape.len() - from.len()];
        aligned.extend(&from);
        let fits = aligned.iter().zip(shape).all(|(a, s)| a == s || *a == 1);
        assert!(fits, "broadcast: {from:?} to {shape:?}");
        let x = self.reshape(x, &aligned);
        if aligned == shape { x } else { self.push(Op::Broadcast, vec![x], shape.to_vec()) }
    }

    /// Sum over axes, which stay with length 1.
    #[track_caller]
    pub fn sum(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        let mut shape = self.shape(x).to_vec();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        for &a in &axes {
            assert!(a < shape.len(), "sum: axis {a} of shape {shape:?}");
        }
        axes.retain(|&a| shape[a] != 1);
        if axes.is_empty() {
            return x;
        }
        axes.iter().for_each(|&a| shape[a] = 1);
        self.push(Op::Sum { axes }, vec![x], shape)
    }

    /// Mean over axes, which stay with length 1.
    #[track_caller]
    pub fn mean(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        let sum = self.sum(x, axes);
        let n = self.len(x) / self.len(sum).max(1);
        self.scale(sum, 1.0 / n as f64)
    }

    /// Sum over everything, a scalar.
    pub fn sum_all(&mut self, x: NodeId) -> NodeId {
        let axes: Vec<usize> = (0..self.shape(x).len()).collect();
        let sum = self.sum(x, &axes);
        self.reshape(sum, &[])
    }

    /// The same numbers under another shape.
    #[track_caller]
    pub fn reshape(&mut self, x: NodeId, shape: &[usize]) -> NodeId {
        let from = self.shape(x).to_vec();
        assert_eq!(from.iter().product::<usize>(), shape.iter().product(), "reshape: {from:?} to {shape:?}");
        if from == shape {
            return x;
        }
        let x = if self.node(x).op == Op::Reshape { self.node(x).inputs[0] } else { x };
        if self.shape(x) == shape { x } else { self.push(Op::Reshape, vec![x], shape.to_vec()) }
    }

    /// Output axis i is input axis `axes[i]`.
    #[track_caller]
    pub fn permute(&mut self, x: NodeId, axes: &[usize]) -> NodeId {
        let from = self.shape(x).to_vec();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..from.len()), "permute: axes {axes:?} of shape {from:?}");
        if axes.iter().copied().eq(0..from.len()) {
            return x;
        }
        if let Op::Permute { axes: inner } = self.node(x).op.clone() {
            let both: Vec<usize> = axes.iter().map(|&a| inner[a]).collect();
            return self.permute(self.node(x).inputs[0], &both);
        }
        let shape = axes.iter().map(|&a| from[a]).collect();
        self.push(Op::Permute { axes: axes.to_vec() }, vec![x], shape)
    }

    /// `len` elements of an axis from `start`, every `step`-th.
    #[track_caller]
    pub fn slice(&mut self, x: NodeId, axis: usize, start: usize, len: usize, step: usize) -> NodeId {
        let mut shape = self.shape(x).to_vec();
        let fits = axis < shape.len() && step > 0 && len > 0 && start + (len - 1) * step < shape[axis];
        assert!(fits, "slice: {len} elements from {start} by {step} of axis {axis} of {shape:?}");
        if start == 0 && len == shape[axis] {
            return x;
        }
        shape[axis] = len;
        let step = if len == 1 { 1 } else { step };
        self.push(Op::Slice { axis, start, step }, vec![x], shape)
    }

    /// Element i goes to `before + i·step` of an axis of `len`, zeros elsewhere.
    #[track_caller]
    pub fn pad(&mut self, x: NodeId, axis: usize, before: usize, len: usize, step: usize) -> NodeId {
        let mut shape = self.shape(x).to_vec();
        let fits = axis < shape.len() && step > 0 && before + (shape[axis].max(1) - 1) * step < len;
        assert!(fits, "pad: axis {axis} of {shape:?} at {before} by {step} into {len}");
        if before == 0 && len == shape[axis] {
            return x;
        }
        let step = if shape[axis] == 1 { 1 } else { step };
        shape[axis] = len;
        self.push(Op::Pad { axis, before, step }, vec![x], shape)
    }

    /// Elements `indices` of an axis, in this order.
    ///
    /// Panics: no index, or one beyond the axis.
    #[track_caller]
    pub fn gather(&mut self, x: NodeId, axis: usize, indices: &[usize]) -> NodeId {
        let mut shape = self.shape(x).to_vec();
        let fits = axis < shape.len() && !indices.is_empty() && indices.iter().all(|&i| i < shape[axis]);
        assert!(fits, "gather: {indices:?} of axis {axis} of {shape:?}");
        if indices.iter().copied().eq(0..shape[axis]) {
            return x;
        }
        shape[axis] = indices.len();
        self.push(Op::Gather { axis, indices: indices.into() }, vec![x], shape)
    }

    /// Element i is added to element `indices[i]` of an axis of `len`; zero where none is.
    ///
    /// Panics: not one index for each element, or one beyond the axis.
    #[track_caller]
    pub fn scatter(&mut self, x: NodeId, axis: usize, indices: &[usize], len: usize) -> NodeId {
        let mut shape = self.shape(x).to_vec();
        let fits = axis < shape.len() && indices.len() == shape[axis] && indices.iter().all(|&i| i < len);
        assert!(fits, "scatter: axis {axis} of {shape:?} to {indices:?} of {len}");
        if indices.iter().copied().eq(0..len) {
            return x;
        }
        shape[axis] = len;
        self.push(Op::Scatter { axis, indices: indices.into() }, vec![x], shape)
    }

    /// Arrays one after another along an axis.
    #[track_caller]
    pub fn concat(&mut self, xs: &[NodeId], axis: usize) -> NodeId {
        assert!(!xs.is_empty(), "concat of nothing");
        if xs.len() == 1 {
            return xs[0];
        }
        if xs.len() > MAX_CONCAT {
            let parts: Vec<NodeId> = xs.chunks(MAX_CONCAT).map(|part| self.concat(part, axis)).collect();
            return self.concat(&parts, axis);
        }
        let mut shape = self.shape(xs[0]).to_vec();
        assert!(axis < shape.len(), "concat: axis {axis} of {shape:?}");
        shape[axis] = 0;
        for &x in xs {
            let s = self.shape(x);
            let same = s.len() == shape.len()
                && s.iter().zip(&shape).enumerate().all(|(i, (a, b))| i == axis || a == b);
            assert!(same, "concat along axis {axis}: {:?} and {s:?}", self.shape(xs[0]));
            shape[axis] += s[axis];
        }
        self.push(Op::Concat { axis }, xs.to_vec(), shape)
    }

    /// op(a) op(b) with optional transposition of the last two axes; rank 2, or rank 3 with one batch axis.
    #[track_caller]
    pub fn matmul(&mut self, a: NodeId, b: NodeId, ta: bool, tb: bool) -> NodeId {
        let (sa, sb) = (self.shape(a).to_vec(), self.shape(b).to_vec());
        let rank = sa.len();
        let fits = (rank == 2 || rank == 3) && sb.len() == rank && sa[..rank - 2] == sb[..rank - 2];
        assert!(fits, "matmul: {sa:?} and {sb:?}");
        let (m, ka) = if ta { (sa[rank - 1], sa[rank - 2]) } else { (sa[rank - 2], sa[rank - 1]) };
        let (kb, n) = if tb { (sb[rank - 1], sb[rank - 2]) } else { (sb[rank - 2], sb[rank - 1]) };
        assert_eq!(
            ka, kb,
            "matmul: inner lengths of {sa:?} (transposed: {ta}) and {sb:?} (transposed: {tb})"
        );
        let mut shape = sa[..rank - 2].to_vec();
        shape.extend([m, n]);
        self.push(Op::MatMul { ta, tb }, vec![a, b], shape)
    }

    /// x w over the last axis, any leading axes: a 1×1 convolution.
    ///
    /// Shapes: `x` […, Ci], `w` [Ci, Co], result […, Co].
    #[track_caller]
    pub fn linear(&mut self, x: NodeId, w: NodeId) -> NodeId {
        let mut shape = self.shape(x).to_vec();
        let ci = *shape.last().expect("linear: a scalar has no channels");
        let rows = shape.iter().product::<usize>() / ci.max(1);
        let flat = self.reshape(x, &[rows, ci]);
        let y = self.matmul(flat, w, false, false);
        *shape.last_mut().expect("checked above") = self.shape(w)[1];
        self.reshape(y, &shape)
    }

    /// One face of the convolution's trilinear form; see [`Face`] for the shapes.
    #[track_caller]
    pub fn conv(&mut self, face: Face, geometry: ConvGeometry, a: NodeId, b: NodeId) -> NodeId {
        let (sa, sb) = (self.shape(a).to_vec(), self.shape(b).to_vec());
        let [h, w] = geometry.input;
        let [ho, wo] = geometry.output();
        let [kh, kw] = geometry.kernel;
        assert!(sa.len() == 4 && sb.len() == 4, "conv-{face:?}: {sa:?} and {sb:?} are not of rank 4");
        let (fits, shape) = match face {
            Face::Forward => (sa[1..3] == [h, w] && sb[..3] == [kh, kw, sa[3]], vec![sa[0], ho, wo, sb[3]]),
            Face::Input => {
                (sa[1..3] == [ho, wo] && sb[..2] == [kh, kw] && sb[3] == sa[3], vec![sa[0], h, w, sb[2]])
            }
            Face::Filter => (sa[1..3] == [h, w] && sb[..3] == [sa[0], ho, wo], vec![kh, kw, sa[3], sb[3]]),
        };
        assert!(fits, "conv-{face:?}: {sa:?} and {sb:?} with {geometry:?}");
        self.push(Op::Conv(face, geometry), vec![a, b], shape)
    }

    /// Random numbers; `stream` names the draw.
    pub fn noise(&mut self, shape: &[usize], stream: u32, law: Law) -> NodeId {
        self.push(Op::Noise { stream, law }, Vec::new(), shape.to_vec())
    }

    fn is_neutral(&self, op: Binary, x: NodeId) -> bool {
        let value = match op {
            Binary::Add | Binary::Sub => 0.0,
            Binary::Mul | Binary::Div => 1.0,
            Binary::Max | Binary::Min | Binary::Less => return false,
        };
        matches!(self.node(x).op, Op::Constant(i) if self.constants()[i].iter().all(|&c| c == value))
    }

    #[track_caller]
    fn common_shape(&self, xs: &[NodeId], op: &Op) -> Vec<usize> {
        let rank = xs.iter().map(|&x| self.shape(x).len()).max().unwrap_or(0);
        let mut shape = vec![1; rank];
        for &x in xs {
            let s = self.shape(x);
            for (i, &n) in s.iter().enumerate() {
                let at = i + rank - s.len();
                let fits = n == shape[at] || n == 1 || shape[at] == 1;
                assert!(fits, "{}: {:?} and {s:?} do not broadcast", op.name(), self.shape(xs[0]));
                if shape[at] == 1 {
                    shape[at] = n;
                }
            }
        }
        shape
    }
}
