//! One case of a kernel: a small program, its data, its exactness and its cost.

use super::{Domain, Exactness};
use crate::{Call, reference};
use sda_core::Real;
use sda_graph::{Binary, Declaration, Face, Graph, Node, NodeId, Op, Program, RunKey, Unary};

/// A kernel at one choice of shapes and attributes.
#[derive(Clone, Debug)]
pub struct Case {
    /// What distinguishes it: op, attributes, shapes.
    pub name: String,
    /// Inputs in the order of declaration, all shared; every result is an output.
    pub program: Program,
    /// What each input's numbers are drawn from.
    pub domains: Vec<Domain>,
    /// How exact the fast form is.
    pub exactness: Exactness,
}

impl Case {
    /// A case of one op: `build` makes its node from the inputs.
    pub(crate) fn op(
        inputs: &[(&[usize], Domain)],
        exactness: Exactness,
        build: impl FnOnce(&mut Graph, &[NodeId]) -> NodeId,
    ) -> Self {
        let case = Self::fused("", inputs, exactness, |g, x| vec![build(g, x)]);
        let node = case.result();
        assert_eq!(node.inputs.len(), inputs.len(), "a case of {} is one op on its inputs", node.op.name());
        let name = format!("{} {} → {:?}", node.op.name(), shapes(inputs), node.shape);
        Self { name, ..case }
    }

    /// A case of a composed graph.
    pub(crate) fn fused(
        name: &str,
        inputs: &[(&[usize], Domain)],
        exactness: Exactness,
        build: impl FnOnce(&mut Graph, &[NodeId]) -> Vec<NodeId>,
    ) -> Self {
        let mut graph = Graph::new();
        let declared = inputs.iter().enumerate();
        let nodes: Vec<NodeId> = declared
            .map(|(i, (shape, _))| graph.input(Declaration::shared(format!("x{i}"), shape)))
            .collect();
        let results = build(&mut graph, &nodes);
        let program = results
            .iter()
            .enumerate()
            .fold(Program::new(graph), |program, (i, node)| program.output(format!("y{i}"), *node));
        let domains = inputs.iter().map(|(_, domain)| *domain).collect();
        Self { name: format!("{name} {}", shapes(inputs)), program, domains, exactness }
    }

    /// How exact it is on a GPU: Vulkan, Metal and DX12 let a division and a square root be 2.5 units of the last place
    /// off, and the logarithm of ours divides once.
    ///
    /// Source: WebGPU Shading Language, "Accuracy of floating-point expressions"; Vulkan, "Precision of Individual
    /// Operations".
    pub fn exactness_on_gpu(&self) -> Exactness {
        match self.result().op {
            Op::Unary(Unary::Recip | Unary::Sqrt) | Op::Binary(Binary::Div) => Exactness::Ulps(4),
            Op::Unary(Unary::Ln) => Exactness::Ulps(2),
            _ => self.exactness,
        }
    }

    /// The node of the first result.
    pub fn result(&self) -> &Node {
        self.program.graph.node(self.program.outputs[0].1)
    }

    /// Its inputs' shapes.
    pub fn shapes(&self) -> Vec<&[usize]> {
        self.program.graph.inputs().iter().map(|d| &d.shape[..]).collect()
    }

    /// Numbers for each input, exact in f32, the same for the same seed.
    pub fn inputs<T: Real>(&self, seed: u64) -> Vec<Vec<T>> {
        let lengths = self.shapes().into_iter().map(|s| s.iter().product());
        lengths.zip(&self.domains).enumerate().map(|(i, (n, d))| d.numbers(seed, i as u32, n)).collect()
    }

    /// Σ |terms| behind each number of the first result: what a reduction's rounding is measured by. Where there is
    /// no sum of products to follow, the largest |result|.
    pub fn magnitude(&self, inputs: &[Vec<f64>], result: &[f64]) -> Vec<f64> {
        let node = self.result();
        if !matches!(node.op, Op::Sum { .. } | Op::MatMul { .. } | Op::Conv(..)) {
            let largest = result.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            return vec![largest; result.len()];
        }
        let sizes: Vec<Vec<f64>> = inputs.iter().map(|x| x.iter().map(|v| v.abs()).collect()).collect();
        let sizes: Vec<&[f64]> = sizes.iter().map(Vec::as_slice).collect();
        let mut output = vec![0.0; result.len()];
        let key = RunKey { seed: 0, step: 0 };
        let (shapes, shape) = (self.shapes(), &node.shape);
        reference(
            &node.op,
            Call {
                inputs: &sizes,
                shapes: &shapes,
                output: &mut output,
                shape,
                key,
                first_row: 0,
                adds: false,
            },
        );
        output
    }

    /// Floating-point operations: one a function's value, two a product that is summed.
    pub fn flops(&self) -> usize {
        let graph = &self.program.graph;
        let live = self.program.live();
        graph.nodes().iter().zip(live).filter(|(_, live)| *live).map(|(n, _)| flops(graph, n)).sum()
    }

    /// Bytes that must cross memory: every input and every result once, in f32.
    pub fn bytes(&self) -> usize {
        let graph = &self.program.graph;
        let inputs: usize = self.shapes().iter().map(|s| s.iter().product::<usize>()).sum();
        let outputs: usize = self.program.outputs.iter().map(|(_, n)| graph.len(*n)).sum();
        4 * (inputs + outputs)
    }
}

fn shapes(inputs: &[(&[usize], Domain)]) -> String {
    inputs.iter().map(|(s, _)| format!("{s:?}")).collect::<Vec<_>>().join(" ")
}

fn flops(graph: &Graph, node: &Node) -> usize {
    let points: usize = node.shape.iter().product();
    let input = |k: usize| graph.shape(node.inputs[k]);
    match &node.op {
        Op::Unary(_) | Op::Binary(_) | Op::Select => points,
        Op::Sum { .. } => graph.len(node.inputs[0]),
        Op::MatMul { ta, .. } => {
            let a = input(0);
            2 * points * a[a.len() - if *ta { 2 } else { 1 }]
        }
        Op::Conv(face, g) => {
            let form = g.output().iter().chain(&g.kernel).product::<usize>();
            let (batch, ci, co) = match face {
                Face::Forward => (input(0)[0], input(0)[3], node.shape[3]),
                Face::Input => (input(0)[0], node.shape[3], input(0)[3]),
                Face::Filter => (input(0)[0], input(0)[3], input(1)[3]),
            };
            2 * batch * form * ci * co
        }
        _ => 0,
    }
}
