//! Row values under other shapes: what is still a piece of a block, and what is not.

use crate::runs::{States, distance, run};
use crate::{Cpu, CpuOptions};
use sda_graph::{Declaration, Graph, Law, NodeId, PlanOptions, Program};
use sda_kernels::Interpreter;

/// Agrees with the interpreter in blocks of 1, 2, 5 and all rows.
fn check(name: &str, build: impl Fn(&mut Graph) -> Vec<NodeId>) {
    let mut g = Graph::new();
    let nodes = build(&mut g);
    let program = nodes.iter().enumerate().fold(Program::new(g), |p, (i, n)| p.output(format!("y{i}"), *n));
    let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
    for block in [None, Some(1), Some(2), Some(5), Some(12)] {
        let options = CpuOptions {
            threads: 2,
            plan: PlanOptions { block, ..PlanOptions::default() },
            ..CpuOptions::default()
        };
        let got = run(&mut Cpu::with_options(options).unwrap(), &program, 2, States::Drawn);
        let apart = distance(&got, &want);
        assert!(apart < 1e-5, "{name}, block {block:?}: {apart}\n{program}");
    }
}

fn rows(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.input(Declaration::rows(name, shape))
}

fn shared(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.input(Declaration::shared(name, shape))
}

/// Every other row reads the table's other row: a block of one row does not hold the whole cycle.
#[test]
fn a_cycle_longer_than_a_row() {
    check("cycle", |g| {
        let (x, table) = (rows(g, "x", &[12, 3]), shared(g, "table", &[1, 2, 3]));
        let x = g.tanh(x);
        let pairs = g.reshape(x, &[6, 2, 3]);
        let y = g.add(pairs, table);
        let y = g.reshape(y, &[12, 3]);
        vec![g.sin(y), y]
    });
}

/// Three neighbouring rows read one row of an operand.
#[test]
fn an_operand_shared_by_neighbouring_rows() {
    check("neighbours", |g| {
        let (x, table) = (rows(g, "x", &[12, 3]), shared(g, "table", &[4, 1, 3]));
        let x = g.tanh(x);
        let triples = g.reshape(x, &[4, 3, 3]);
        let y = g.add(triples, table);
        let first = g.slice(triples, 1, 0, 1, 1);
        let z = g.mul(y, first);
        vec![g.sin(y), z]
    });
}

/// Rows along another axis: a sum, a permutation and a slice that touch them.
#[test]
fn rows_along_another_axis() {
    check("another axis", |g| {
        let x = rows(g, "x", &[12, 1, 1]);
        let x = g.tanh(x);
        let across = g.reshape(x, &[1, 12, 1, 1]);
        let wide = g.broadcast(across, &[12, 12, 3, 1]);
        let own = rows(g, "own", &[12, 12, 3, 1]);
        let y = g.add(wide, own);
        let total = g.sum(wide, &[1]);
        let turned = g.permute(y, &[1, 0, 2, 3]);
        let last = g.slice(across, 1, 7, 5, 1);
        vec![y, total, turned, last]
    });
}

/// Every row reads all rows, and nothing else reads them: they must be whole before the first block.
#[test]
fn rows_repeated_along_the_rows() {
    check("repeated", |g| {
        let x = rows(g, "x", &[12, 1, 1]);
        let x = g.tanh(x);
        let across = g.reshape(x, &[1, 12, 1, 1]);
        let wide = g.broadcast(across, &[12, 12, 3, 1]);
        let own = rows(g, "own", &[12, 12, 3, 1]);
        vec![g.add(wide, own)]
    });
}

/// Twice as many entries as rows: pairs of entries are pieces.
#[test]
fn two_entries_a_row() {
    check("pairs", |g| {
        let (x, w) = (rows(g, "x", &[12, 8]), shared(g, "w", &[4, 5]));
        let pairs = g.reshape(x, &[24, 4]);
        let y = g.matmul(pairs, w, false, false);
        let noise = g.noise(&[24, 5], 0, Law::Normal);
        let y = g.add(y, noise);
        let total = g.sum(y, &[0]);
        let batches = g.reshape(pairs, &[24, 2, 2]);
        let square = g.matmul(batches, batches, true, false);
        let turned = g.permute(square, &[0, 2, 1]);
        let gram = g.matmul(y, y, true, false);
        let outer = g.matmul(y, y, false, true);
        vec![y, total, turned, gram, outer]
    });
}

/// All pairs of rows: one array read by rows and by columns.
#[test]
fn every_row_with_every_row() {
    check("all pairs", |g| {
        let x = rows(g, "x", &[12, 1]);
        let x = g.tanh(x);
        let row = g.reshape(x, &[1, 12]);
        let difference = g.sub(x, row);
        let square = g.square(difference);
        vec![g.sum(square, &[1]), g.sum(square, &[0])]
    });
}

/// x ← x + Σⱼ tanh(xⱼ − x): the new value may not replace the old strip by strip.
#[test]
fn a_state_whose_update_reads_all_of_it() {
    for state in [Declaration::shared("s", &[300]), Declaration::rows("s", &[300])] {
        let mut g = Graph::new();
        let s = g.state(state);
        let (column, row) = (g.reshape(s, &[300, 1]), g.reshape(s, &[1, 300]));
        let difference = g.sub(row, column);
        let pull = g.tanh(difference);
        let pull = g.sum(pull, &[1]);
        let pull = g.scale(pull, 1e-3);
        let new = g.add(column, pull);
        let new = g.reshape(new, &[300]);
        let program = Program::new(g).update("s", new);
        let want = run(&mut Interpreter::<f32>::new(), &program, 3, States::Kept);
        let got = run(&mut Cpu::new(2).unwrap(), &program, 3, States::Kept);
        assert!(distance(&got, &want) < 1e-5, "{}\n{program}", distance(&got, &want));
    }
}

/// What is summed over nothing is 0, as a result of its own and where it goes on, whatever was there before.
#[test]
fn a_sum_over_an_empty_axis() {
    check("empty", |g| {
        let (x, y) = (shared(g, "x", &[4, 0]), rows(g, "y", &[12, 0]));
        let [x, y] = [x, y].map(|v| g.exp(v));
        let [x, y] = [x, y].map(|v| g.sum(v, &[1]));
        vec![x, g.cos(x), y, g.cos(y)]
    });
}

/// A mark that is no multiple of the rows that its value is made in: it must not make a block read what others write.
#[test]
fn a_mark_across_the_blocks_of_its_maker() {
    check("mark across", |g| {
        let (x, z) = (shared(g, "x", &[12, 8]), shared(g, "z", &[12, 3]));
        let (x, z) = (g.rows(x), g.rows(z));
        let t = g.tanh(x);
        let b = g.reshape(t, &[32, 3]);
        let b = g.rows(b);
        vec![g.matmul(z, b, false, true)]
    });
}
