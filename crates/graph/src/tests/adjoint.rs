//! ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for every op that is linear in an input, with Aᵀ from the VJP table.

use super::evaluate::{Function, direction, dot};
use sda_graph::{Binary, Graph, NodeId, Op, Unary};
use sda_kernels::catalogue::{Case, kernels};

/// Inputs that an op is linear in.
fn linear(op: &Op) -> Vec<usize> {
    match op {
        Op::Broadcast
        | Op::Sum { .. }
        | Op::Permute { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. } => vec![0],
        Op::Reshape | Op::Unary(Unary::Neg) | Op::Binary(Binary::Div) => vec![0],
        Op::MatMul { .. } | Op::Conv(..) | Op::Binary(Binary::Mul) => vec![0, 1],
        _ => Vec::new(),
    }
}

/// Ops that are linear in all inputs together: their part of an output is what the others at 0 leave.
fn jointly(op: &Op) -> bool {
    matches!(op, Op::Concat { .. } | Op::Binary(Binary::Add | Binary::Sub))
}

fn check(name: &str, g: &mut Graph, node: NodeId, k: usize, at: &[Vec<f64>]) {
    let x = g.node(node).inputs[k];
    let shape = g.shape(node).to_vec();
    let y = g.input(sda_graph::Declaration::shared("cotangent", &shape));
    let pulled = g.vjp(&[(node, y)], &[x])[0];
    let cotangent = direction(g.len(node), 7);
    let mut all = at.to_vec();
    all.push(cotangent.clone());
    let out = Function::new(g, &[node, pulled]).at(&all);
    let (left, right) = (dot(&out[0], &cotangent), dot(&at[k], &out[1]));
    let size: f64 = at[k].iter().zip(&out[1]).map(|(a, b)| (a * b).abs()).sum();
    assert!((left - right).abs() <= 1e-12 * (1.0 + size), "{name}, input {k}: {left} and {right}");
    // The adjoint is linear in the cotangent alone.
    all[k] = direction(at[k].len(), 8);
    let other = Function::new(g, &[pulled]).at(&all);
    assert_eq!(other[0], out[1], "{name}: the adjoint in input {k} depends on that input");
}

fn result(case: &Case) -> NodeId {
    case.program.outputs[0].1
}

#[test]
fn linear_ops_have_their_adjoints() {
    let mut checked = 0;
    for kernel in kernels() {
        for case in
            kernel.cases().into_iter().filter(|c| c.program.graph.nodes().len() == c.domains.len() + 1)
        {
            let op = case.result().op.clone();
            let at = case.inputs::<f64>(21);
            let name = format!("{} {}", kernel.name, case.name);
            for k in linear(&op) {
                check(&name, &mut case.program.graph.clone(), result(&case), k, &at);
                checked += 1;
            }
            for k in 0..if jointly(&op) { at.len() } else { 0 } {
                let mut alone: Vec<Vec<f64>> = at.iter().map(|x| vec![0.0; x.len()]).collect();
                alone[k].clone_from(&at[k]);
                check(&name, &mut case.program.graph.clone(), result(&case), k, &alone);
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "{checked} checked");
}

#[test]
fn a_reshape_has_its_adjoint() {
    let mut g = Graph::new();
    let x = g.input(sda_graph::Declaration::shared("x", &[6, 2]));
    let y = g.reshape(x, &[3, 4]);
    check("reshape", &mut g, y, 0, &[direction(12, 1)]);
}

/// The adjoint's adjoint is the op itself: the same node, since equal nodes are one, or for products, which may
/// transpose by a node of their own, the same numbers.
#[test]
fn the_adjoint_of_the_adjoint_is_the_op() {
    for kernel in kernels() {
        for case in kernel.cases() {
            let op = case.result().op.clone();
            for k in linear(&op) {
                if matches!(op, Op::Unary(_) | Op::Binary(_)) {
                    continue;
                }
                let mut g = case.program.graph.clone();
                let node = result(&case);
                let shape = g.shape(node).to_vec();
                let x = g.node(node).inputs[k];
                let y = g.input(sda_graph::Declaration::shared("cotangent", &shape));
                let pulled = g.vjp(&[(node, y)], &[x])[0];
                let back = g.vjp(&[(pulled, x)], &[y])[0];
                let name = format!("{} {}, input {k}", kernel.name, case.name);
                if matches!(op, Op::MatMul { .. }) {
                    let mut at = case.inputs::<f64>(22);
                    at.push(vec![0.0; g.len(node)]);
                    let out = Function::new(&g, &[node, back]).at(&at);
                    assert_eq!(out[0], out[1], "{name}");
                } else {
                    assert_eq!(back, node, "{name}\n{g}");
                }
            }
        }
    }
}
