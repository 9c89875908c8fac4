//! The closed set of operations. Every VJP is made of these again.

use std::sync::Arc;

/// An elementwise function of one array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// −x
    Neg,
    /// |x|
    Abs,
    /// −1, 0 or 1
    Sign,
    /// eˣ
    Exp,
    /// ln x
    Ln,
    /// √x
    Sqrt,
    /// 1/x
    Recip,
    /// sin x
    Sin,
    /// cos x
    Cos,
    /// tanh x
    Tanh,
    /// 1/(1 + e⁻ˣ)
    Sigmoid,
    /// 2/√π ∫₀ˣ e^(−u²) du
    Erf,
    /// 1 where x is finite, else 0
    Finite,
}

impl Unary {
    /// All members, for the catalogue and the law tests.
    pub const ALL: [Self; 13] = [
        Self::Neg,
        Self::Abs,
        Self::Sign,
        Self::Exp,
        Self::Ln,
        Self::Sqrt,
        Self::Recip,
        Self::Sin,
        Self::Cos,
        Self::Tanh,
        Self::Sigmoid,
        Self::Erf,
        Self::Finite,
    ];
}

/// An elementwise function of two arrays of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a b
    Mul,
    /// a / b
    Div,
    /// the larger
    Max,
    /// the smaller
    Min,
    /// 1 where a < b, else 0
    Less,
}

impl Binary {
    /// All members, for the catalogue and the law tests.
    pub const ALL: [Self; 7] = [Self::Add, Self::Sub, Self::Mul, Self::Div, Self::Max, Self::Min, Self::Less];
}

/// How a convolution continues an axis beyond its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaddingMode {
    /// With zeros.
    Zero,
    /// Periodically.
    Circular,
}

/// Padding of one spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Points before the first.
    pub before: usize,
    /// Points after the last.
    pub after: usize,
    /// What the added points hold.
    pub mode: PaddingMode,
}

/// A two-dimensional convolution's geometry; one dimension is height 1, kernel height 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step between output points, in input points.
    pub stride: [usize; 2],
    /// Padding of height and width.
    pub padding: [Padding; 2],
}

impl ConvGeometry {
    /// Height and width of the output: (input + before + after − kernel) / stride + 1.
    ///
    /// Panics: the kernel is wider than the padded input, or a circular padding wider than the input.
    #[track_caller]
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|i| {
            let p = self.padding[i];
            let padded = self.input[i] + p.before + p.after;
            assert!(
                padded >= self.kernel[i],
                "convolution: kernel {} is wider than padded input {padded}",
                self.kernel[i]
            );
            assert!(self.stride[i] > 0, "convolution: stride 0");
            assert!(
                p.mode == PaddingMode::Zero || (p.before <= self.input[i] && p.after <= self.input[i]),
                "convolution: circular padding {}+{} is wider than the input {}",
                p.before,
                p.after,
                self.input[i]
            );
            (padded - self.kernel[i]) / self.stride[i] + 1
        })
    }

    /// The input index that output point `o` sees through kernel tap `k` on axis `i`; `None` is a zero.
    pub fn source(&self, i: usize, o: usize, k: usize) -> Option<usize> {
        let p = self.padding[i];
        let n = self.input[i];
        let at = o * self.stride[i] + k;
        if at >= p.before && at < p.before + n {
            return Some(at - p.before);
        }
        match p.mode {
            PaddingMode::Zero => None,
            PaddingMode::Circular => Some((at + n - p.before) % n),
        }
    }
}

/// The three faces of the trilinear form ⟨dy, conv(x, w)⟩; the VJP of each is the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Face {
    /// (x [B,H,W,Ci], w [kh,kw,Ci,Co]) → y [B,Ho,Wo,Co]
    Forward,
    /// (dy [B,Ho,Wo,Co], w [kh,kw,Ci,Co]) → dx [B,H,W,Ci]
    Input,
    /// (x [B,H,W,Ci], dy [B,Ho,Wo,Co]) → dw [kh,kw,Ci,Co]
    Filter,
}

/// The law of a random array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// Standard normal.
    Normal,
    /// Uniform on [0, 1).
    Uniform,
}

/// What a node computes from its inputs. Arrays are row-major, channels last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A run's small input, by its index among the graph's inputs.
    Input(usize),
    /// The old value of a state, by its index among the graph's states.
    State(usize),
    /// An array fixed when the graph is built, by its index among the graph's constants.
    Constant(usize),
    /// Elementwise.
    Unary(Unary),
    /// Elementwise; both inputs have the output's shape.
    Binary(Binary),
    /// (c, a, b) → a where c ≠ 0, else b.
    Select,
    /// Repeats axes of length 1; the rank stays. Adjoint: [`Op::Sum`].
    Broadcast,
    /// Sum over the marked axes, which stay with length 1. Adjoint: [`Op::Broadcast`].
    Sum {
        /// Axes summed over, ascending.
        axes: Vec<usize>,
    },
    /// The same numbers in row-major order under another shape.
    Reshape,
    /// Output axis `i` is input axis `axes[i]`.
    Permute {
        /// A permutation of the axes.
        axes: Vec<usize>,
    },
    /// Elements `start`, `start + step`, … of one axis. Adjoint: [`Op::Pad`].
    Slice {
        /// The axis.
        axis: usize,
        /// The first element taken.
        start: usize,
        /// Distance between elements taken.
        step: usize,
    },
    /// Element `i` goes to `before + i·step` of one axis, zeros elsewhere. Adjoint: [`Op::Slice`].
    Pad {
        /// The axis.
        axis: usize,
        /// Where element 0 goes.
        before: usize,
        /// Distance between elements in the output.
        step: usize,
    },
    /// Inputs one after another along one axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Elements by a list of indices along one axis, in its order; an index may come again. Adjoint: [`Op::Scatter`].
    Gather {
        /// The axis.
        axis: usize,
        /// Which element each element of the output is.
        indices: Arc<[usize]>,
    },
    /// Element `i` is added to element `indices[i]` of one axis. Adjoint: [`Op::Gather`].
    Scatter {
        /// The axis.
        axis: usize,
        /// Where each element of the input goes.
        indices: Arc<[usize]>,
    },
    /// C = op(A) op(B) with optional transposition of the last two axes; rank 2, or rank 3 batched.
    MatMul {
        /// Transpose the last two axes of A.
        ta: bool,
        /// Transpose the last two axes of B.
        tb: bool,
    },
    /// One face of the convolution's trilinear form.
    Conv(Face, ConvGeometry),
    /// Random numbers of (run seed, stream, run step, index along axis 0, index in the row).
    Noise {
        /// Distinct draws have distinct streams, so that hash-consing never merges them.
        stream: u32,
        /// Normal or uniform.
        law: Law,
    },
    /// The identity, with a gradient of zero.
    Detach,
    /// The identity; says that axis 0 holds independent rows, which the plan may take block by block.
    Rows,
}

/// The first few of a list of indices.
fn listed(indices: &[usize]) -> String {
    let first: Vec<String> = indices.iter().take(8).map(usize::to_string).collect();
    let more = if indices.len() > first.len() { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}

impl Op {
    /// Name in dumps, errors and the catalogue.
    pub fn name(&self) -> String {
        match self {
            Self::Input(i) => format!("input[{i}]"),
            Self::State(i) => format!("state[{i}]"),
            Self::Constant(i) => format!("constant[{i}]"),
            Self::Unary(u) => format!("{u:?}").to_lowercase(),
            Self::Binary(b) => format!("{b:?}").to_lowercase(),
            Self::Select => "select".into(),
            Self::Broadcast => "broadcast".into(),
            Self::Sum { axes } => format!("sum{axes:?}"),
            Self::Reshape => "reshape".into(),
            Self::Permute { axes } => format!("permute{axes:?}"),
            Self::Slice { axis, start, step } => format!("slice[axis {axis}, {start}..;{step}]"),
            Self::Pad { axis, before, step } => format!("pad[axis {axis}, {before}+i·{step}]"),
            Self::Concat { axis } => format!("concat[axis {axis}]"),
            Self::Gather { axis, indices } => format!("gather[axis {axis}, {}]", listed(indices)),
            Self::Scatter { axis, indices } => format!("scatter[axis {axis}, {}]", listed(indices)),
            Self::MatMul { ta, tb } => {
                format!("matmul[{}{}]", if *ta { 'T' } else { 'N' }, if *tb { 'T' } else { 'N' })
            }
            Self::Conv(face, g) => format!(
                "conv-{}[{}×{} kernel {}×{} stride {}×{}]",
                format!("{face:?}").to_lowercase(),
                g.input[0],
                g.input[1],
                g.kernel[0],
                g.kernel[1],
                g.stride[0],
                g.stride[1]
            ),
            Self::Noise { stream, law } => format!("{}[stream {stream}]", format!("{law:?}").to_lowercase()),
            Self::Detach => "detach".into(),
            Self::Rows => "rows".into(),
        }
    }

    /// Whether element i of the output depends on element i of the inputs alone.
    pub fn is_elementwise(&self) -> bool {
        matches!(self, Self::Unary(_) | Self::Binary(_) | Self::Select)
    }

    /// Whether the output is the input's memory under another shape or name.
    pub fn is_alias(&self) -> bool {
        matches!(self, Self::Reshape | Self::Detach | Self::Rows)
    }
}
