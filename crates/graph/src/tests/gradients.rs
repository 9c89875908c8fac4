//! First and second derivatives of every case of the catalogue against finite differences.
//!
//!   f'(0) ≈ (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h

use super::evaluate::{Function, direction, dot};
use ndarray::ArrayD;
use sda_graph::{Binary, Declaration, Graph, NodeId, Op};
use sda_kernels::catalogue::{Case, kernels};

const H: f64 = 1e-4;

/// Relative to Σ |∂ᵢ dᵢ|, and to 1.
const TOLERANCE: f64 = 1e-7;

/// ⟨weights drawn from `row`, node⟩ for all nodes together.
fn weighted_sum(g: &mut Graph, nodes: &[NodeId], row: u32) -> NodeId {
    let mut total = g.scalar(0.0);
    for (k, &node) in nodes.iter().enumerate() {
        let shape = g.shape(node).to_vec();
        let weights = direction(g.len(node), row + k as u32);
        let weights = g.constant(ArrayD::from_shape_vec(shape, weights).unwrap());
        let product = g.mul(node, weights);
        let sum = g.sum_all(product);
        total = g.add(total, sum);
    }
    total
}

/// The scalar `of` has the gradient that `Graph::gradient` says, along random directions.
fn check(name: &str, g: &mut Graph, of: NodeId, wrt: &[(usize, NodeId)], at: &[Vec<f64>]) {
    let nodes: Vec<NodeId> = wrt.iter().map(|(_, n)| *n).collect();
    let gradients = g.gradient(of, &nodes);
    let gradients = Function::new(g, &gradients).at(at);
    let mut f = Function::new(g, &[of]);
    for ((input, _), gradient) in wrt.iter().zip(&gradients) {
        for row in 0..2 {
            let d = direction(gradient.len(), 50 + row);
            let mut along = |h: f64| {
                let mut x = at.to_vec();
                x[*input].iter_mut().zip(&d).for_each(|(x, d)| *x += h * d);
                f.at(&x)[0][0]
            };
            let difference = (8.0 * (along(H) - along(-H)) - (along(2.0 * H) - along(-2.0 * H))) / (12.0 * H);
            let derivative = dot(gradient, &d);
            let scale = 1.0 + gradient.iter().zip(&d).map(|(g, d)| (g * d).abs()).sum::<f64>();
            let error = (difference - derivative).abs() / scale;
            assert!(
                error < TOLERANCE,
                "{name}, input {input}: {derivative} but differences say {difference}"
            );
        }
    }
}

/// Inputs that a derivative can be taken by: position and node.
fn differentiable(case: &Case) -> Vec<(usize, NodeId)> {
    let g = &case.program.graph;
    let inputs = (0..g.nodes().len()).filter_map(|i| match g.nodes()[i].op {
        Op::Input(k) if case.domains[k].is_continuous() => Some((k, g.id(i))),
        _ => None,
    });
    inputs.collect()
}

/// The case's data; where two arrays are compared, moved apart from near ties, at which differences mean nothing.
fn data(case: &Case, seed: u64) -> Vec<Vec<f64>> {
    let mut data = case.inputs::<f64>(seed);
    if let (Op::Binary(Binary::Max | Binary::Min | Binary::Less), [a, b]) = (&case.result().op, &mut data[..])
    {
        a.iter_mut().zip(b).filter(|(a, b)| (**a - **b).abs() < 0.01).for_each(|(a, _)| *a += 0.05);
    }
    data
}

fn results(case: &Case) -> Vec<NodeId> {
    case.program.outputs.iter().map(|(_, n)| *n).collect()
}

#[test]
fn gradients_of_every_case_agree_with_differences() {
    for kernel in kernels() {
        for case in kernel.cases() {
            let mut g = case.program.graph.clone();
            let of = weighted_sum(&mut g, &results(&case), 0);
            let name = format!("{} {}", kernel.name, case.name);
            check(&name, &mut g, of, &differentiable(&case), &data(&case, 11));
        }
    }
}

/// The gradient of ⟨v, gradient⟩, for every case that is small enough to be quick.
#[test]
fn gradients_of_gradients_agree_with_differences() {
    let mut checked = 0;
    for kernel in kernels() {
        for case in kernel.cases() {
            let wrt = differentiable(&case);
            let numbers: usize = case.shapes().iter().map(|s| s.iter().product::<usize>()).sum();
            if numbers > 1500 || wrt.is_empty() {
                continue;
            }
            let mut g = case.program.graph.clone();
            let of = weighted_sum(&mut g, &results(&case), 0);
            // Squared, so that linear ops have a second derivative too.
            let of = g.square(of);
            let nodes: Vec<NodeId> = wrt.iter().map(|(_, n)| *n).collect();
            let gradients = g.gradient(of, &nodes);
            let along = weighted_sum(&mut g, &gradients, 20);
            let scale = g.scalar(1.0 / numbers as f64);
            let along = g.mul(along, scale);
            check(&format!("{} {}", kernel.name, case.name), &mut g, along, &wrt, &data(&case, 12));
            checked += 1;
        }
    }
    assert!(checked > 150, "{checked} cases");
}

#[test]
fn a_gradient_sums_over_all_paths_and_stops_at_detach() {
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[3]));
    // y = x² + x · detach(x) + x: dy/dx = 2x + x + 1.
    let square = g.square(x);
    let held = g.detach(x);
    let product = g.mul(x, held);
    let y = g.add(square, product);
    let y = g.add(y, x);
    let total = g.sum_all(y);
    let unrelated = g.input(Declaration::shared("z", &[2]));
    let gradients = g.gradient(total, &[x, square, unrelated]);
    let out = Function::new(&g, &gradients).at(&[vec![1.0, -2.0, 0.5], vec![0.0; 2]]);
    assert_eq!(out, [vec![4.0, -5.0, 2.5], vec![1.0; 3], vec![0.0; 2]]);
}

#[test]
fn at_a_tie_max_and_min_send_the_gradient_to_the_first() {
    let mut g = Graph::new();
    let a = g.input(Declaration::shared("a", &[3]));
    let b = g.input(Declaration::shared("b", &[3]));
    let at = [vec![1.0, 2.0, 3.0], vec![2.0, 2.0, 2.0]];
    for (node, first) in [(g.max(a, b), [0.0, 1.0, 1.0]), (g.min(a, b), [1.0, 1.0, 0.0])] {
        let total = g.sum_all(node);
        let gradients = g.gradient(total, &[a, b]);
        let out = Function::new(&g, &gradients).at(&at);
        assert_eq!(out, [first.to_vec(), first.map(|x| 1.0 - x).to_vec()]);
    }
}

/// 40 parts are more than one concatenation takes: each still gets its own piece of the cotangent.
#[test]
fn a_long_concatenation_has_the_gradient_of_its_parts() {
    let mut g = Graph::new();
    let parts: Vec<NodeId> =
        (0..40).map(|i| g.input(Declaration::shared(format!("x{i}"), &[2, 1 + i % 2]))).collect();
    let y = g.concat(&parts, 1);
    assert_eq!(g.shape(y), [2, 60]);
    let of = weighted_sum(&mut g, &[y], 0);
    let gradients = g.gradient(of, &parts);
    let at: Vec<Vec<f64>> = (0..40).map(|i| vec![0.5; 2 * (1 + i % 2)]).collect();
    let weights = direction(120, 0);
    let mut column = 0;
    for (i, gradient) in Function::new(&g, &gradients).at(&at).iter().enumerate() {
        let width = 1 + i % 2;
        let want: Vec<f64> = (0..2).flat_map(|r| weights[r * 60 + column..][..width].to_vec()).collect();
        assert_eq!(*gradient, want, "part {i}");
        column += width;
    }
}
