//! A wrong shape is refused where the node is made, with the op and both shapes.

use sda_graph::{ConvGeometry, Declaration, Face, Graph, NodeId, Padding, PaddingMode, Program};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn refuses(shapes: &[&[usize]], says: &[&str], build: impl FnOnce(&mut Graph, &[NodeId])) {
    let mut g = Graph::new();
    let nodes: Vec<NodeId> =
        shapes.iter().enumerate().map(|(i, s)| g.input(Declaration::shared(format!("x{i}"), s))).collect();
    let before = g.nodes().len();
    let panic = catch_unwind(AssertUnwindSafe(|| build(&mut g, &nodes))).expect_err("it was accepted");
    let text =
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into()));
    let text = text.expect("a message");
    for part in says {
        assert!(text.contains(part), "«{text}» does not say «{part}»");
    }
    assert_eq!(g.nodes().len(), before, "a refused node was made");
}

#[test]
fn elementwise() {
    refuses(&[&[3, 4], &[5]], &["add", "[3, 4]", "[5]"], |g, x| _ = g.add(x[0], x[1]));
    refuses(&[&[2, 3], &[3, 3]], &["less", "[2, 3]", "[3, 3]"], |g, x| _ = g.less(x[0], x[1]));
    refuses(&[&[2], &[2], &[3]], &["select", "[2]", "[3]"], |g, x| _ = g.select(x[0], x[1], x[2]));
}

#[test]
fn movement() {
    refuses(&[&[2, 3]], &["broadcast", "[2, 3]", "[4, 3]"], |g, x| _ = g.broadcast(x[0], &[4, 3]));
    refuses(&[&[2, 3]], &["broadcast", "[2, 3]", "[3]"], |g, x| _ = g.broadcast(x[0], &[3]));
    refuses(&[&[2, 3]], &["sum", "axis 2", "[2, 3]"], |g, x| _ = g.sum(x[0], &[0, 2]));
    refuses(&[&[2, 3]], &["reshape", "[2, 3]", "[7]"], |g, x| _ = g.reshape(x[0], &[7]));
    refuses(&[&[2, 3]], &["permute", "[0, 0]", "[2, 3]"], |g, x| _ = g.permute(x[0], &[0, 0]));
    refuses(&[&[2, 3]], &["permute", "[0]", "[2, 3]"], |g, x| _ = g.permute(x[0], &[0]));
    refuses(&[&[5]], &["slice", "3 elements from 1 by 2", "[5]"], |g, x| _ = g.slice(x[0], 0, 1, 3, 2));
    refuses(&[&[5]], &["slice", "axis 1", "[5]"], |g, x| _ = g.slice(x[0], 1, 0, 1, 1));
    refuses(&[&[5]], &["slice", "by 0"], |g, x| _ = g.slice(x[0], 0, 0, 2, 0));
    refuses(&[&[3]], &["pad", "[3]", "at 1 by 2 into 5"], |g, x| _ = g.pad(x[0], 0, 1, 5, 2));
    refuses(&[&[3]], &["pad", "axis 1", "[3]"], |g, x| _ = g.pad(x[0], 1, 1, 5, 2));
    refuses(&[&[3, 2], &[4, 3]], &["concat", "axis 0", "[3, 2]", "[4, 3]"], |g, x| _ = g.concat(x, 0));
    refuses(&[&[3, 2], &[3]], &["concat", "[3, 2]", "[3]"], |g, x| _ = g.concat(x, 0));
    refuses(&[&[3]], &["concat", "axis 1", "[3]"], |g, x| _ = g.concat(&[x[0], x[0]], 1));
    refuses(&[], &["concat of nothing"], |g, _| _ = g.concat(&[], 0));
}

#[test]
fn products() {
    refuses(&[&[2, 3], &[4, 5]], &["matmul", "[2, 3]", "[4, 5]"], |g, x| {
        _ = g.matmul(x[0], x[1], false, false);
    });
    refuses(&[&[2, 3], &[3, 5]], &["matmul", "[2, 3]", "[3, 5]"], |g, x| {
        _ = g.matmul(x[0], x[1], true, false);
    });
    refuses(&[&[2, 3], &[3]], &["matmul", "[2, 3]", "[3]"], |g, x| _ = g.matmul(x[0], x[1], false, false));
    refuses(&[&[2, 3, 4], &[3, 4, 5]], &["matmul", "[2, 3, 4]", "[3, 4, 5]"], |g, x| {
        _ = g.matmul(x[0], x[1], false, false);
    });
    refuses(&[&[2, 3], &[4, 5]], &["matmul", "[2, 3]", "[4, 5]"], |g, x| _ = g.linear(x[0], x[1]));
}

#[test]
fn convolutions() {
    let padding = |n, mode| Padding { before: n, after: n, mode };
    let none = padding(0, PaddingMode::Zero);
    let g3 = ConvGeometry { input: [1, 8], kernel: [1, 3], stride: [1, 1], padding: [none, none] };
    let (x, w): (&[usize], &[usize]) = (&[2, 1, 8, 3], &[1, 3, 4, 5]);
    refuses(&[x, w], &["conv-Forward", "[2, 1, 8, 3]", "[1, 3, 4, 5]"], |g, n| {
        _ = g.conv(Face::Forward, g3, n[0], n[1]);
    });
    refuses(&[x, w], &["conv-Input", "[2, 1, 8, 3]"], |g, n| _ = g.conv(Face::Input, g3, n[0], n[1]));
    refuses(&[x, w], &["conv-Filter", "[1, 3, 4, 5]"], |g, n| _ = g.conv(Face::Filter, g3, n[0], n[1]));
    refuses(&[&[2, 8, 3], w], &["conv-Forward", "rank 4", "[2, 8, 3]"], |g, n| {
        _ = g.conv(Face::Forward, g3, n[0], n[1]);
    });
    let wide = ConvGeometry { kernel: [1, 9], ..g3 };
    refuses(&[x, w], &["kernel 9", "input 8"], |g, n| _ = g.conv(Face::Forward, wide, n[0], n[1]));
    let around = ConvGeometry { padding: [none, padding(9, PaddingMode::Circular)], ..g3 };
    refuses(&[x, w], &["circular padding 9+9", "input 8"], |g, n| {
        _ = g.conv(Face::Forward, around, n[0], n[1]);
    });
    let still = ConvGeometry { stride: [1, 0], ..g3 };
    refuses(&[x, w], &["stride 0"], |g, n| _ = g.conv(Face::Forward, still, n[0], n[1]));
}

#[test]
fn differentiation_and_declarations() {
    refuses(&[&[2, 3], &[3]], &["vjp", "[2, 3]", "[3]"], |g, x| _ = g.vjp(&[(x[0], x[1])], &[x[0]]));
    refuses(&[&[2, 3]], &["gradient", "[2, 3]", "scalar"], |g, x| _ = g.gradient(x[0], &[x[0]]));
    refuses(&[&[2, 3]], &["vjp", "passed by", "Reshape"], |g, x| {
        let mut g = g.clone();
        let flat = g.reshape(x[0], &[6]);
        let again = g.reshape(flat, &[3, 2]);
        _ = g.vjp(&[(again, again)], &[flat]);
    });
    refuses(&[&[2, 3]], &["vjp", "passed by", "Permute"], |g, x| {
        let mut g = g.clone();
        let turned = g.permute(x[0], &[1, 0]);
        _ = g.vjp(&[(turned, turned)], &[turned]);
    });
    refuses(&[&[2]], &["«x0»", "twice"], |g, _| _ = g.input(Declaration::shared("x0", &[2])));
}

#[test]
fn programs() {
    refuses(&[&[2]], &["no state «s»"], |g, x| _ = Program::new(g.clone()).update("s", x[0]));
    refuses(&[&[2]], &["output «y»", "twice"], |g, x| {
        _ = Program::new(g.clone()).output("y", x[0]).output("y", x[0]);
    });
    let with_state = |g: &Graph| {
        let mut g = g.clone();
        let s = g.state(Declaration::shared("s", &[3]));
        (g, s)
    };
    refuses(&[&[2]], &["state «s»", "[3]", "[2]"], |g, x| {
        _ = Program::new(with_state(g).0).update("s", x[0]);
    });
    refuses(&[], &["state «s»", "assigned twice"], |g, _| {
        let (g, s) = with_state(g);
        _ = Program::new(g).update("s", s).update("s", s);
    });
    refuses(&[], &["state «s»", "differently"], |g, _| {
        with_state(g).0.state(Declaration::shared("s", &[4]));
    });
    refuses(&[], &["different numbers of rows", "«b»"], |g, _| {
        let mut g = g.clone();
        g.input(Declaration::rows("a", &[3, 1]));
        g.input(Declaration::rows("b", &[4, 1]));
        _ = Program::new(g).rows();
    });
}
