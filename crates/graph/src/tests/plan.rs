//! Plans of random programs, traced symbolically: every read finds the value it is meant to find.

use proptest::prelude::*;
use sda_graph::{
    Access, Declaration, Graph, Op, Place, Plan, PlanOptions, Program, Stage, Step, StepInput, StepKind,
};
use sda_kernels::catalogue::random_program;
use std::collections::HashMap;

/// What a place holds: a leaf's value, or a step's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Leaf(Place),
    Made(usize, usize),
}

/// What each step read, and what outputs and states hold at the end.
#[derive(Debug, PartialEq, Eq)]
struct Trace {
    reads: Vec<Vec<Content>>,
    outputs: Vec<Content>,
    states: Vec<Content>,
}

struct Memory(HashMap<Place, Content>);

impl Memory {
    fn read(&self, place: Place) -> Content {
        match place {
            Place::Input(_) | Place::Constant(_) => Content::Leaf(place),
            Place::State(_) => self.0.get(&place).copied().unwrap_or(Content::Leaf(place)),
            _ => *self.0.get(&place).unwrap_or_else(|| panic!("{place:?} is read before it is written")),
        }
    }
}

fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// An output may share memory only with an operand that is read point by point where the output is written.
fn check_in_place(step: &Step) {
    for output in &step.outputs {
        for (k, input) in step.inputs.iter().enumerate().filter(|(_, i)| i.place == output.place) {
            let StepKind::Fused(fused) = &step.kind else { panic!("an op works in place: {step:?}") };
            let operand = fused.operands[k];
            let pointwise =
                operand.div == 1 && operand.modulus == usize::MAX && operand.columns == (fused.cols > 1);
            assert!(pointwise && len(&input.shape) == len(&output.shape), "in place: {step:?}");
        }
    }
    for (i, a) in step.outputs.iter().enumerate() {
        assert!(step.outputs[..i].iter().all(|b| a.place != b.place), "two outputs in one place: {step:?}");
    }
}

/// Blocks of a row stage run at the same time: what one writes, no other may read.
fn check_blocks(rows: usize, steps: &[Step]) {
    let inputs = || steps.iter().flat_map(|s| &s.inputs);
    let local = |i: &&StepInput| matches!(i.place, Place::Local(_));
    assert!(inputs().filter(local).all(|i| i.access == Access::Piece), "a block's own slot is read whole");
    for step in steps {
        for output in &step.outputs {
            for input in inputs().filter(|i| i.place == output.place && !matches!(i.place, Place::Local(_))) {
                assert!(
                    !step.reduces || matches!(input.place, Place::State(_)),
                    "a sum over rows is read early"
                );
                let same_pieces = input.access == Access::Piece && len(&input.shape) == len(&output.shape);
                assert!(
                    step.reduces || same_pieces,
                    "a block reads what another writes: {output:?} {input:?}"
                );
            }
            assert!(step.reduces || len(&output.shape).is_multiple_of(rows), "{output:?} has no pieces");
        }
    }
}

fn check_sizes(plan: &Plan, stage: &Stage, step: &Step) {
    let places = step.inputs.iter().map(|i| (i.place, len(&i.shape)));
    for (place, n) in places.chain(step.outputs.iter().map(|o| (o.place, len(&o.shape)))) {
        match (place, stage) {
            (Place::Full(k), _) => assert!(plan.full[k] >= n, "slot {k} is too short for {n}"),
            (Place::Local(k), Stage::Rows { rows, local, .. }) => {
                assert!(local[k] * rows >= n, "local slot {k}");
            }
            (Place::Local(_), Stage::Global(_)) => panic!("a local slot in a global stage"),
            _ => {}
        }
    }
}

fn trace(program: &Program, plan: &Plan) -> Trace {
    let mut memory = Memory(HashMap::new());
    let mut reads = Vec::new();
    for stage in &plan.stages {
        memory.0.retain(|place, _| !matches!(place, Place::Local(_)));
        let (Stage::Global(steps) | Stage::Rows { steps, .. }) = stage;
        if let Stage::Rows { rows, block, groups, .. } = stage {
            assert!((1..=*rows).contains(block), "a block of {block} of {rows} rows");
            assert!((1..=rows.div_ceil(*block)).contains(groups), "{groups} groups of blocks");
            check_blocks(*rows, steps);
        }
        let mut late = Vec::new();
        for step in steps {
            check_in_place(step);
            check_sizes(plan, stage, step);
            assert!(!step.reduces || matches!(stage, Stage::Rows { .. }));
            reads.push(step.inputs.iter().map(|i| memory.read(i.place)).collect());
            for (k, output) in step.outputs.iter().enumerate() {
                assert!(
                    !matches!(output.place, Place::Input(_) | Place::Constant(_)),
                    "{:?} is written",
                    output.place
                );
                let made = Content::Made(reads.len() - 1, k);
                if step.reduces {
                    late.push((output.place, made));
                } else {
                    _ = memory.0.insert(output.place, made);
                }
            }
        }
        memory.0.extend(late);
    }
    let outputs = plan.outputs.iter().map(|(place, _)| memory.read(*place)).collect();
    for (place, state) in &plan.copies {
        let content = memory.read(*place);
        memory.0.insert(Place::State(*state), content);
    }
    let states = (0..program.graph.states().len()).map(|k| memory.read(Place::State(k))).collect();
    Trace { reads, outputs, states }
}

fn check(program: &Program) {
    for largest_row in [0, usize::MAX] {
        for largest_kept in [0, usize::MAX] {
            check_cut(program, PlanOptions { largest_row, largest_kept, ..PlanOptions::default() });
        }
    }
}

fn check_cut(program: &Program, options: PlanOptions) {
    let plain = Plan::new(program, PlanOptions { reuse: false, ..options });
    let planned = Plan::new(program, options);
    assert_eq!(trace(program, &plain), trace(program, &planned), "\n{program}");
    let largest = |plan: &Plan| plan.full.iter().sum::<usize>();
    assert!(largest(&planned) <= largest(&plain));
    // A state that is not assigned keeps its value.
    for (k, content) in trace(program, &planned).states.iter().enumerate() {
        if program.updates.iter().all(|(s, _)| *s != k) {
            assert_eq!(*content, Content::Leaf(Place::State(k)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_read_finds_its_value(seed in any::<u64>(), nodes in 1usize..50) {
        check(&random_program(seed, nodes));
    }
}

/// An optimiser's step is in place: no slot but the gradient's, no copy.
#[test]
fn a_states_update_is_in_place_after_its_last_reader() {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[10, 4]));
    let w = g.state(Declaration::shared("w", &[4, 4]));
    let y = g.matmul(x, w, false, false);
    let square = g.square(y);
    let total = g.sum_all(square);
    let gradient = g.gradient(total, &[w])[0];
    let step = g.scale(gradient, 0.1);
    let new = g.sub(w, step);
    let program = Program::new(g).output("loss", total).update("w", new);
    let plan = Plan::new(&program, PlanOptions::default());
    check(&program);
    assert!(plan.copies.is_empty(), "{:?}", plan.copies);
    assert!(plan.steps().any(|s| s.outputs.iter().any(|o| o.place == Place::State(0))));
}

#[test]
fn states_that_swap_are_copied() {
    let mut g = Graph::new();
    let (a, b) = (g.state(Declaration::shared("a", &[3])), g.state(Declaration::shared("b", &[3])));
    check(&Program::new(g.clone()).update("a", b).update("b", a));
    let (c, d) = (g.neg(a), g.neg(b));
    check(&Program::new(g.clone()).update("a", d).update("b", c));
    let sum = g.add(a, b);
    let product = g.mul(sum, b);
    check(&Program::new(g.clone()).output("old", a).update("a", sum).update("b", product));
    // A reshape of another state's old value is its old value too.
    let wide = g.state(Declaration::shared("wide", &[1, 3]));
    let shown = g.reshape(a, &[1, 3]);
    let twice = g.scale(a, 2.0);
    let back = g.reshape(wide, &[3]);
    check(&Program::new(g.clone()).update("wide", shown).update("a", twice));
    check(&Program::new(g).update("wide", shown).update("a", back));
}

/// A network's layers are one row stage, and their weights' gradients partial sums in it.
#[test]
fn layers_are_one_row_stage() {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[64, 8]));
    let weights: Vec<_> = (0..3).map(|i| g.state(Declaration::shared(format!("w{i}"), &[8, 8]))).collect();
    let mut y = x;
    for &w in &weights {
        y = g.matmul(y, w, false, false);
        y = g.tanh(y);
    }
    let square = g.square(y);
    let total = g.sum_all(square);
    let gradients = g.gradient(total, &weights);
    let program = gradients
        .iter()
        .enumerate()
        .fold(Program::new(g), |program, (i, n)| program.output(format!("g{i}"), *n));
    let plan = Plan::new(&program, PlanOptions::default());
    check(&program);
    let [Stage::Rows { rows: 64, steps, .. }] = &plan.stages[..] else { panic!("{:?}", plan.stages) };
    assert_eq!(steps.iter().filter(|s| s.reduces).count(), 3);
}

/// Few rows and large weights: the gradient of the weights is one product of all rows, after the rows.
#[test]
fn a_gradient_larger_than_its_operands_is_no_partial_sum() {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[4, 16]));
    let w = g.state(Declaration::shared("w", &[16, 16]));
    let y = g.matmul(x, w, false, false);
    let y = g.tanh(y);
    let square = g.square(y);
    let total = g.sum_all(square);
    let gradient = g.gradient(total, &[w])[0];
    let program = Program::new(g).output("gradient", gradient);
    check(&program);
    let plan = Plan::new(&program, PlanOptions::default());
    let [Stage::Rows { rows: 4, .. }, Stage::Global(after)] = &plan.stages[..] else {
        panic!("{:?}", plan.stages)
    };
    assert!(matches!(after[..], [Step { kind: StepKind::Op(Op::MatMul { .. }), .. }]), "{after:?}");
}

/// Windows of one trajectory: the program has one row, but what follows the mark is taken window by window, and so is
/// its gradient.
#[test]
fn marked_rows_are_a_row_stage() {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[1, 6, 8]));
    let w = g.state(Declaration::shared("w", &[8, 8]));
    let windows = g.reshape(x, &[6, 8]);
    let windows = g.rows(windows);
    let y = g.matmul(windows, w, false, false);
    let y = g.tanh(y);
    let all = g.reshape(y, &[1, 48]);
    let square = g.square(all);
    let total = g.sum_all(square);
    let gradient = g.gradient(total, &[x])[0];
    let program = Program::new(g).output("gradient", gradient);
    check(&program);
    let plan = Plan::new(&program, PlanOptions::default());
    let by_rows = plan.stages.iter().filter_map(|stage| match stage {
        Stage::Rows { rows: 6, steps, .. } => Some(steps),
        _ => None,
    });
    let products = by_rows.flatten().filter(|s| matches!(s.kind, StepKind::Op(Op::MatMul { .. })));
    assert_eq!(products.count(), 2, "{:?}", plan.stages);
}

/// A network on windows and its gradient, with something between that needs all windows. What the gradient reads is
/// kept for all of them, or computed again.
#[test]
fn what_would_be_kept_for_all_rows_is_computed_again() {
    let plans = [6, 12, 24].map(|windows| {
        let mut g = Graph::new();
        let x = g.input(Declaration::rows("x", &[1, windows, 8]));
        let w = g.state(Declaration::shared("w", &[8, 64]));
        let rows = g.reshape(x, &[windows, 8]);
        let rows = g.rows(rows);
        let wide = g.matmul(rows, w, false, false);
        let bent = g.tanh(wide);
        let bent = g.sin(bent);
        let y = g.matmul(bent, w, false, true);
        let all = g.reshape(y, &[1, windows * 8]);
        // Every window's cotangent needs every window.
        let shares = g.sum(all, &[1]);
        let pull = g.mul(all, shares);
        let y_pull = g.reshape(pull, &[windows, 8]);
        let y_pull = g.rows(y_pull);
        let gradient = g.vjp(&[(y, y_pull)], &[x])[0];
        let program = Program::new(g).output("gradient", gradient);
        check(&program);
        [4 * windows * 64 - 1, 4 * windows * 64].map(|largest_kept| {
            Plan::new(&program, PlanOptions { largest_kept, block: Some(2), ..PlanOptions::default() })
        })
    });
    for ([again, kept], windows) in plans.iter().zip([6, 12, 24]) {
        let products =
            |plan: &Plan| plan.steps().filter(|s| matches!(s.kind, StepKind::Op(Op::MatMul { .. }))).count();
        let full = |plan: &Plan| plan.full.iter().sum::<usize>();
        let local = |plan: &Plan| {
            let of = |stage: &Stage| match stage {
                Stage::Rows { local, .. } => local.iter().sum(),
                Stage::Global(_) => 0,
            };
            plan.stages.iter().map(of).max()
        };
        // Two of the network, two of its gradient; the first of the network again.
        assert_eq!((products(kept), products(again)), (4, 5), "{windows}");
        assert!(full(kept) >= windows * 64, "{:?}", kept.full);
        assert!(full(again) <= windows * 8 * 4, "{:?}", again.full);
        assert_eq!(local(again), local(&plans[0][0]));
    }
}

/// Rows of the program itself are taken while their slots are small, marked ones where they are not.
#[test]
fn large_rows_are_cut_along_marks() {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[3, 4, 8]));
    let w = g.state(Declaration::shared("w", &[8, 8]));
    let windows = g.reshape(x, &[12, 8]);
    let windows = g.rows(windows);
    let y = g.matmul(windows, w, false, false);
    let y = g.tanh(y);
    let y = g.matmul(y, w, false, false);
    let y = g.reshape(y, &[3, 32]);
    let program = Program::new(g).output("y", y);
    check(&program);
    let rows = |largest_row| {
        let plan = Plan::new(&program, PlanOptions { largest_row, ..PlanOptions::default() });
        let rows = plan.stages.iter().filter_map(|stage| match stage {
            Stage::Rows { rows, .. } => Some(*rows),
            Stage::Global(_) => None,
        });
        rows.collect::<Vec<_>>()
    };
    assert_eq!((rows(0), rows(1 << 20)), (vec![12], vec![3]));
}
