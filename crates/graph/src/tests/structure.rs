//! Append-only, hash-consed, and readable.

use sda_graph::{Binary, Declaration, Graph, Law, Op, Program, Unary};
use sda_kernels::catalogue::random_program;

fn two() -> (Graph, sda_graph::NodeId, sda_graph::NodeId) {
    let mut g = Graph::new();
    let (a, b) = (g.input(Declaration::shared("a", &[2, 3])), g.input(Declaration::shared("b", &[2, 3])));
    (g, a, b)
}

#[test]
fn equal_nodes_are_one() {
    let (mut g, a, b) = two();
    for op in Unary::ALL {
        assert_eq!(g.unary(op, a), g.unary(op, a));
        assert_ne!(g.unary(op, a), g.unary(op, b));
    }
    for op in Binary::ALL {
        assert_eq!(g.binary(op, a, b), g.binary(op, a, b));
        assert_ne!(g.binary(op, a, b), g.binary(op, b, a));
    }
    let count = g.nodes().len();
    for op in Unary::ALL {
        g.unary(op, b);
    }
    assert_eq!(g.nodes().len(), count);
    assert_eq!(g.scalar(2.0), g.scalar(2.0));
    // −0 and 0 are different numbers: 1/x tells them apart.
    assert_ne!(g.scalar(0.0), g.scalar(-0.0));
    assert_eq!(g.slice(a, 1, 0, 2, 1), g.slice(a, 1, 0, 2, 1));
    assert_ne!(g.slice(a, 1, 0, 2, 1), g.slice(a, 1, 1, 2, 1));
}

#[test]
fn two_draws_are_never_one() {
    let mut g = Graph::new();
    let first = g.noise(&[3], 0, Law::Normal);
    assert_eq!(first, g.noise(&[3], 0, Law::Normal));
    assert_ne!(first, g.noise(&[3], 1, Law::Normal));
    assert_ne!(first, g.noise(&[3], 0, Law::Uniform));
}

#[test]
fn what_changes_nothing_makes_no_node() {
    let (mut g, a, _) = two();
    let (zero, one) = (g.scalar(0.0), g.scalar(1.0));
    let count = g.nodes().len();
    let same = [
        g.add(a, zero),
        g.add(zero, a),
        g.sub(a, zero),
        g.mul(a, one),
        g.mul(one, a),
        g.div(a, one),
        g.reshape(a, &[2, 3]),
        g.broadcast(a, &[2, 3]),
        g.permute(a, &[0, 1]),
        g.slice(a, 1, 0, 3, 1),
        g.pad(a, 0, 0, 2, 1),
        g.sum(a, &[]),
        g.concat(&[a], 0),
    ];
    assert!(same.iter().all(|&n| n == a), "{same:?}");
    assert_eq!(g.nodes().len(), count);
    let flat = g.reshape(a, &[6]);
    assert_eq!(g.reshape(flat, &[2, 3]), a);
    // 0 − x is not x, and neither is 1 / x.
    assert!(g.sub(zero, a) != a && g.div(one, a) != a);
}

#[test]
fn a_mean_is_over_distinct_axes() {
    let (mut g, a, _) = two();
    assert_eq!(g.mean(a, &[1, 1]), g.mean(a, &[1]));
}

#[test]
fn differentiation_only_appends() {
    for seed in 0..20 {
        let mut g = random_program(seed, 25).graph;
        let before = g.nodes().to_vec();
        let end = g.id(before.len() - 1);
        let total = g.sum_all(end);
        let wrt: Vec<_> = (0..8).map(|i| g.id(i)).collect();
        let gradients = g.gradient(total, &wrt);
        assert_eq!(g.nodes()[..before.len()], before);
        for (i, node) in g.nodes().iter().enumerate() {
            assert!(node.inputs.iter().all(|n| n.index() < i), "node {i} reads a later one");
        }
        for (x, gradient) in wrt.iter().zip(gradients) {
            assert_eq!(g.shape(*x), g.shape(gradient));
        }
    }
}

#[test]
fn the_dump_reads_one_node_a_line() {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[4, 3]));
    let w = g.state(Declaration::shared("w", &[3, 2]));
    let y = g.matmul(x, w, false, false);
    let y = g.tanh(y);
    let total = g.sum_all(y);
    let gradient = g.gradient(total, &[w])[0];
    let new = g.sub(w, gradient);
    let program = Program::new(g).output("total", total).update("w", new);
    let text = program.to_string();
    let head = "\
%0 = input[0] : 4×3
%1 = state[0] : 3×2
%2 = matmul[NN] %0 %1 : 4×2
%3 = tanh %2 : 4×2
%4 = sum[0, 1] %3 : 1×1
%5 = reshape %4 : scalar
";
    assert!(text.starts_with(head), "{text}");
    assert!(text.contains("return total = %5\nupdate w := %"), "{text}");
    assert_eq!(text.lines().count(), program.graph.nodes().len() + 2);
}

#[test]
fn dead_nodes_are_not_live() {
    let (mut g, a, b) = two();
    let dead = g.mul(a, b);
    let y = g.exp(a);
    let live = Program::new(g).output("y", y).live();
    assert!(live[a.index()] && live[y.index()] && !live[b.index()] && !live[dead.index()]);
}

#[test]
fn a_states_declaration_is_its_identity() {
    let mut g = Graph::new();
    let s = g.state(Declaration::shared("s", &[2]));
    assert_eq!(s, g.state(Declaration::shared("s", &[2])));
    assert_eq!(g.node(s).op, Op::State(0));
    assert_eq!(g.states().len(), 1);
}
