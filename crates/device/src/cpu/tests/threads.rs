//! Work large enough to be shared among threads, and threads of someone else's pool.

use crate::Cpu;
use crate::runs::{States, bits, distance, run};
use sda_graph::{ConvGeometry, Declaration, Face, Graph, NodeId, Padding, PaddingMode, Program};
use sda_kernels::Interpreter;

fn shared(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.input(Declaration::shared(name, shape))
}

fn product(a: [usize; 2], b: [usize; 2], ta: bool, tb: bool) -> Program {
    let mut g = Graph::new();
    let (a, b) = (shared(&mut g, "a", &a), shared(&mut g, "b", &b));
    let c = g.matmul(a, b, ta, tb);
    Program::new(g).output("c", c)
}

fn same_on_any_number_of_threads(name: &str, program: &Program) {
    let one = run(&mut Cpu::new(1).unwrap(), program, 1, States::Drawn);
    for threads in 2..=4 {
        let more = run(&mut Cpu::new(threads).unwrap(), program, 1, States::Drawn);
        assert!(bits(&one) == bits(&more), "{name}: {threads} threads give other bits");
    }
}

#[test]
fn large_matrix_products_have_the_same_bits_on_any_number_of_threads() {
    // Square, long inner length, thin in each direction, one row, one column.
    let sizes =
        [[300, 257, 331], [64, 5000, 48], [2000, 8, 9], [7, 300, 4000], [1, 1500, 1500], [1500, 1500, 1]];
    for [m, k, n] in sizes {
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = if ta { [k, m] } else { [m, k] };
            let b = if tb { [n, k] } else { [k, n] };
            same_on_any_number_of_threads(&format!("{m}×{k}×{n} {ta} {tb}"), &product(a, b, ta, tb));
        }
    }
}

#[test]
fn large_convolutions_and_sums_have_the_same_bits_on_any_number_of_threads() {
    let padding = [Padding { before: 1, after: 1, mode: PaddingMode::Circular }; 2];
    let geometry = ConvGeometry { input: [32, 32], kernel: [3, 3], stride: [1, 1], padding };
    let mut g = Graph::new();
    let (x, w) = (shared(&mut g, "x", &[8, 32, 32, 16]), shared(&mut g, "w", &[3, 3, 16, 24]));
    let y = g.conv(Face::Forward, geometry, x, w);
    let square = g.square(y);
    let total = g.sum_all(square);
    let gradients = g.gradient(total, &[x, w]);
    let program = Program::new(g).output("y", y).output("total", total);
    let program = program.output("dx", gradients[0]).output("dw", gradients[1]);
    same_on_any_number_of_threads("conv, shared", &program);
}

/// A gradient of 256 × 512 weights from many blocks: its partial sums are added by several threads.
#[test]
fn weight_gradients_of_many_blocks_agree_with_the_interpreter() {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[301, 64]));
    let w = shared(&mut g, "w", &[64, 512]);
    let y = g.matmul(x, w, false, false);
    let y = g.scale(y, 0.1);
    let y = g.tanh(y);
    let total = g.sum_all(y);
    let gradient = g.gradient(total, &[w])[0];
    let program = Program::new(g).output("gradient", gradient);
    same_on_any_number_of_threads("weight gradient", &program);
    let got = run(&mut Cpu::new(2).unwrap(), &program, 1, States::Drawn);
    let want = run(&mut Interpreter::<f32>::new(), &program, 1, States::Drawn);
    assert!(distance(&got, &want) < 1e-5, "{}", distance(&got, &want));
}

/// An executor of one thread works on the caller's thread, whatever pool that belongs to.
#[test]
fn an_executor_of_one_thread_works_inside_another_pool() {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[100, 33]));
    let shifted = g.offset(x, 0.5);
    let y = g.sigmoid(shifted);
    let total = g.sum(y, &[0]);
    let program = Program::new(g).output("y", y).output("total", total);
    let want = bits(&run(&mut Cpu::new(1).unwrap(), &program, 2, States::Drawn));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let all = pool.broadcast(|_| bits(&run(&mut Cpu::new(1).unwrap(), &program, 2, States::Drawn)));
    assert!(all.iter().all(|got| *got == want));
}

/// More operands than one step takes.
#[test]
fn a_sum_of_two_hundred_inputs_runs() {
    let mut g = Graph::new();
    let xs: Vec<NodeId> = (0..200).map(|i| g.input(Declaration::rows(format!("x{i}"), &[5, 3]))).collect();
    let total = xs[1..].iter().fold(xs[0], |sum, &x| g.add(sum, x));
    let all = g.concat(&xs, 1);
    let program = Program::new(g).output("total", total).output("all", all);
    let got = run(&mut Cpu::new(2).unwrap(), &program, 1, States::Drawn);
    assert_eq!(bits(&got), bits(&run(&mut Interpreter::<f32>::new(), &program, 1, States::Drawn)));
}
