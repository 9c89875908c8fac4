//! What a run of a plan has to compute and to move, counted from its steps.

use crate::profile;
use sda_device::Cpu;
use sda_graph::{ConvGeometry, Face, Fused, Handle, Op, Operation, Plan, Register, Step, StepKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Sorts of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Matrix products.
    Products,
    /// Convolutions, all three faces.
    Convolutions,
    /// Fused elementwise steps.
    Fused,
    /// All else: what is moved, repeated, summed or drawn.
    Moves,
}

impl Kind {
    /// Name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Convolutions => "convolutions",
            Self::Fused => "fused",
            Self::Moves => "moves",
        }
    }

    /// Whether its operations are products' multiplications and additions.
    pub(crate) fn multiplies(self) -> bool {
        matches!(self, Self::Products | Self::Convolutions)
    }
}

/// Sums over steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count {
    /// Steps of the plan.
    pub(crate) steps: usize,
    /// Multiplications and additions; in fused steps one for each arithmetic instruction of a number.
    pub(crate) flops: f64,
    /// Inputs and outputs of every step, each array once, wherever it lies: in cache or in memory.
    pub(crate) bytes: f64,
    /// Of one run on one thread, step by step.
    pub(crate) seconds: f64,
}

/// Counts by sort of step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts(pub(crate) BTreeMap<Kind, Count>);

impl Counts {
    /// Operations of products and convolutions.
    pub(crate) fn flops(&self) -> f64 {
        self.0.iter().filter(|(kind, _)| kind.multiplies()).map(|(_, count)| count.flops).sum()
    }

    pub(crate) fn json(&self) -> Value {
        let of = |c: &Count| json!({ "steps": c.steps, "flops": c.flops, "bytes": c.bytes, "one_thread_seconds": c.seconds });
        self.0.iter().map(|(kind, count)| (kind.name().to_owned(), of(count))).collect()
    }
}

/// Counts the steps of a program, and times them.
pub(crate) fn measure(cpu: &mut Cpu, program: Handle) -> anyhow::Result<Counts> {
    let profile = profile::measure(cpu, program)?;
    let mut counts = count(cpu.plan(program));
    for (kind, seconds) in profile::by_kind(cpu, program, &profile) {
        counts.0.entry(kind).or_default().seconds = seconds;
    }
    counts.0.retain(|_, count| count.steps > 0 || count.seconds > 0.0);
    Ok(counts)
}

/// Counts the steps of a plan.
pub(crate) fn count(plan: &Plan) -> Counts {
    let mut counts = Counts::default();
    for step in plan.steps() {
        let (kind, flops) = work(step);
        let shapes = step.inputs.iter().map(|i| &i.shape).chain(step.outputs.iter().map(|o| &o.shape));
        let numbers: usize = shapes.map(|shape| shape.iter().product::<usize>()).sum();
        let count = counts.0.entry(kind).or_default();
        count.steps += 1;
        count.flops += flops;
        count.bytes += 4.0 * numbers as f64;
    }
    counts
}

/// The sort of a step, and its operations.
pub(crate) fn work(step: &Step) -> (Kind, f64) {
    let shape = |i: usize| step.inputs[i].shape.as_slice();
    let output = || step.outputs.first().map_or(&[][..], |o| o.shape.as_slice());
    match &step.kind {
        StepKind::Op(Op::MatMul { ta, .. }) => (Kind::Products, product(shape(0), *ta, output())),
        StepKind::Op(Op::Conv(face, geometry)) => {
            let filter = if *face == Face::Filter { output() } else { shape(1) };
            (Kind::Convolutions, convolution(geometry, shape(0)[0], filter))
        }
        StepKind::Fused(fused) => (Kind::Fused, instructions(fused)),
        StepKind::Op(_) => (Kind::Moves, 0.0),
    }
}

/// 2 m k n for each of the batch.
fn product(a: &[usize], ta: bool, c: &[usize]) -> f64 {
    let k = a[a.len() - if ta { 2 } else { 1 }];
    2.0 * (k * c.iter().product::<usize>()) as f64
}

/// 2 · points · taps · Ci · Co, the same for all faces; what a fast algorithm saves is not taken off.
fn convolution(geometry: &ConvGeometry, batch: usize, filter: &[usize]) -> f64 {
    let points = batch * geometry.output().iter().product::<usize>();
    2.0 * (points * filter.iter().product::<usize>()) as f64
}

fn instructions(fused: &Fused) -> f64 {
    let of = |operation: Operation, target: Register| match (operation, target) {
        (Operation::Load(_) | Operation::Expand, _) => 0,
        (Operation::SumColumns, _) => fused.rows * fused.cols,
        (_, Register::Row(_)) => fused.rows,
        _ => fused.rows * fused.cols,
    };
    fused.body.iter().map(|i| of(i.operation, i.target)).sum::<usize>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use sda_graph::{Declaration, Graph, NodeId, Padding, PaddingMode, PlanOptions, Program};

    fn input(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
        g.input(Declaration::shared(name, shape))
    }

    fn counted(g: Graph, y: NodeId) -> Counts {
        count(&Plan::new(&Program::new(g).output("y", y), PlanOptions::default()))
    }

    #[test]
    fn a_product_under_every_transposition() {
        for (ta, tb) in [(false, false), (true, false), (false, true)] {
            let mut g = Graph::new();
            let a = input(&mut g, "a", if ta { &[5, 3] } else { &[3, 5] });
            let b = input(&mut g, "b", if tb { &[7, 5] } else { &[5, 7] });
            let y = g.matmul(a, b, ta, tb);
            let counts = counted(g, y);
            let products = counts.0[&Kind::Products];
            assert_eq!(
                products,
                Count { steps: 1, flops: 210.0, bytes: 4.0 * f64::from(15 + 35 + 21), seconds: 0.0 }
            );
            assert_eq!(counts.flops(), 210.0);
        }
    }

    #[test]
    fn all_faces_of_a_convolution_cost_the_same() {
        let padding = [Padding { before: 1, after: 1, mode: PaddingMode::Circular }; 2];
        let geometry = ConvGeometry { input: [6, 4], kernel: [3, 3], stride: [2, 2], padding };
        let (x, w, y) = ([2, 6, 4, 5], [3, 3, 5, 7], [2, 3, 2, 7]);
        for (face, a, b) in [(Face::Forward, x, w), (Face::Input, y, w), (Face::Filter, x, y)] {
            let mut g = Graph::new();
            let [a, b] = [("a", a), ("b", b)].map(|(name, shape)| input(&mut g, name, &shape));
            let out = g.conv(face, geometry, a, b);
            // 2 · (2 · 3 · 2 points) · 9 taps · 5 · 7
            assert_eq!(counted(g, out).flops(), 7560.0, "{face:?}");
        }
    }

    #[test]
    fn fused_steps_count_their_arithmetic_and_others_move() {
        let mut g = Graph::new();
        let x = input(&mut g, "x", &[4, 6]);
        let (square, bias) = (g.square(x), input(&mut g, "b", &[6]));
        let moved = g.add(square, bias);
        let turned = g.permute(moved, &[1, 0]);
        let counts = counted(g, turned);
        let fused = counts.0[&Kind::Fused];
        assert_eq!(fused, Count { steps: 1, flops: 48.0, bytes: 4.0 * f64::from(24 + 6 + 24), seconds: 0.0 });
        assert_eq!(counts.0[&Kind::Moves], Count { steps: 1, flops: 0.0, bytes: 192.0, seconds: 0.0 });
        assert_eq!(counts.flops(), 0.0);
    }
}
