//! What fuses, and what must not.

use sda_graph::{Declaration, Fused, Graph, NodeId, Plan, PlanOptions, Program, StepKind};

fn plan(g: Graph, outputs: &[NodeId]) -> Plan {
    let program = outputs
        .iter()
        .enumerate()
        .fold(Program::new(g), |program, (i, n)| program.output(format!("y{i}"), *n));
    Plan::new(&program, PlanOptions::default())
}

fn fused(plan: &Plan) -> Vec<&Fused> {
    plan.steps()
        .filter_map(|s| match &s.kind {
            StepKind::Fused(f) => Some(f),
            StepKind::Op(_) => None,
        })
        .collect()
}

/// x_i − x_j over a square: the array read by columns must be in memory before the rows are worked on.
#[test]
fn an_array_read_by_rows_and_by_columns_is_made_first() {
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[5]));
    let y = g.exp(x);
    let (column, row) = (g.reshape(y, &[5, 1]), g.reshape(y, &[1, 5]));
    let difference = g.sub(column, row);
    let square = g.square(difference);
    let per_row = g.sum(square, &[1]);
    let scaled = g.mul(per_row, column);
    let plan = plan(g, &[scaled]);
    assert_eq!(fused(&plan).len(), 2, "{:?}", plan.stages);
    // The same where the column itself is computed as one.
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[5, 1]));
    let column = g.exp(x);
    let row = g.reshape(column, &[1, 5]);
    let difference = g.sub(column, row);
    let plan = self::plan(g, &[difference]);
    assert_eq!(fused(&plan).len(), 2, "{:?}", plan.stages);
}

/// Something that is not elementwise between two parts keeps them apart.
#[test]
fn a_group_never_waits_for_itself() {
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[4, 4]));
    let a = g.exp(x);
    let total = g.sum(a, &[0]);
    let b = g.div(a, total);
    let transposed = g.permute(b, &[1, 0]);
    let c = g.add(b, transposed);
    let d = g.mul(c, a);
    let plan = plan(g, &[d]);
    assert_eq!(fused(&plan).len(), 3, "{:?}", plan.stages);
}

#[test]
fn no_step_reads_or_writes_more_than_an_argument_list_holds() {
    let mut g = Graph::new();
    let xs: Vec<NodeId> = (0..200).map(|i| g.input(Declaration::shared(format!("x{i}"), &[3, 2]))).collect();
    let mut total = g.scalar(0.0);
    let mut sums = Vec::new();
    for &x in &xs {
        let square = g.square(x);
        total = g.add(total, square);
        sums.push(total);
    }
    let few = plan(g.clone(), &[total]);
    let many = plan(g, &sums);
    for plan in [&few, &many] {
        for step in plan.steps() {
            assert!(step.inputs.len() <= Fused::MAX_OPERANDS, "{} inputs", step.inputs.len());
            assert!(step.outputs.len() <= Fused::MAX_RESULTS, "{} outputs", step.outputs.len());
        }
    }
    assert!(fused(&few).len() <= 5, "{} steps", fused(&few).len());
}

/// What a step computes again reads means and deviations, which the step that has them must be able to write.
#[test]
fn what_is_computed_again_leaves_the_source_within_its_results() {
    let mut g = Graph::new();
    let shared = |g: &mut Graph, name: String, shape: &[usize]| g.input(Declaration::shared(name, shape));
    let normed: Vec<NodeId> = (0..8)
        .map(|i| {
            let x = shared(&mut g, format!("x{i}"), &[12, 6]);
            let total = g.sum(x, &[1]);
            let mean = g.scale(total, 1.0 / 6.0);
            let centred = g.sub(x, mean);
            let square = g.square(centred);
            let total = g.sum(square, &[1]);
            let deviation = g.sqrt(total);
            g.div(centred, deviation)
        })
        .collect();
    let y = normed.iter().copied().reduce(|a, b| g.add(a, b)).unwrap();
    let w = shared(&mut g, "w".to_owned(), &[6, 6]);
    let z = g.matmul(y, w, false, false);
    let products: Vec<NodeId> = normed.iter().map(|&n| g.mul(n, z)).collect();
    let out = products.into_iter().reduce(|a, b| g.add(a, b)).unwrap();
    for step in plan(g, &[out]).steps() {
        assert!(step.outputs.len() <= Fused::MAX_RESULTS, "{} outputs", step.outputs.len());
    }
}

/// A register is free again after its last reader.
#[test]
fn a_long_chain_needs_few_registers() {
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[8, 8]));
    let mut y = x;
    for _ in 0..50 {
        let z = g.tanh(y);
        y = g.add(z, x);
    }
    let plan = plan(g, &[y]);
    let [f] = fused(&plan)[..] else { panic!("{} steps", fused(&plan).len()) };
    assert!(f.body.len() == 100 && f.full_registers <= 3, "{} registers", f.full_registers);
}

/// A broadcast that elementwise readers take as addressing is never made; another reader makes it.
#[test]
fn broadcasts_are_addressing() {
    let mut g = Graph::new();
    let (x, b) = (g.input(Declaration::shared("x", &[6, 4])), g.input(Declaration::shared("b", &[4])));
    let y = g.add(x, b);
    assert_eq!(plan(g.clone(), &[y]).steps().count(), 1);
    let wide = g.broadcast(b, &[6, 4]);
    let product = g.matmul(wide, x, true, false);
    let plan = plan(g, &[y, product]);
    assert_eq!(plan.steps().count(), 3);
    assert_eq!(plan.full.len(), 3);
}

/// SiLU between two products: the forward step writes its result alone, the backward step computes the gate again.
#[test]
fn a_gradient_reads_the_argument_and_not_what_was_made_of_it() {
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[6, 4]));
    let [v, w] = ["v", "w"].map(|name| g.state(Declaration::shared(name, &[4, 4])));
    let b = g.state(Declaration::shared("b", &[4]));
    let product = g.matmul(x, v, false, false);
    let u = g.add(product, b);
    let gate = g.sigmoid(u);
    let y = g.mul(u, gate);
    let z = g.matmul(y, w, false, false);
    let pulled = g.vjp(&[(z, z)], &[x])[0];
    let plan = plan(g, &[z, pulled]);
    let steps: Vec<_> = plan.steps().filter(|s| matches!(s.kind, StepKind::Fused(_))).collect();
    assert_eq!(steps.len(), 2, "{:?}", plan.stages);
    assert!(steps.iter().all(|s| s.outputs.len() == 1), "{steps:?}");
    let wide = |s: &sda_graph::Step| s.inputs.iter().filter(|i| i.shape == [6, 4]).count();
    assert_eq!(steps.iter().map(|s| wide(s)).collect::<Vec<_>>(), [1, 2]);
}
