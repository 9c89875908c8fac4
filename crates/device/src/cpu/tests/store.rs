//! States, inputs, and what goes wrong with them.

use crate::runs::{States, bits, run};
use crate::{Cpu, CpuOptions};
use ndarray::{ArrayD, arr1, arr2};
use sda_graph::{Declaration, Executor, ExecutorError, Graph, Program, RunKey};
use sda_kernels::{Interpreter, Level};

const KEY: RunKey = RunKey { seed: 0, step: 0 };

fn add(name: &str, n: usize) -> Program {
    let mut g = Graph::new();
    let (x, s) = (g.input(Declaration::shared("x", &[n])), g.state(Declaration::shared(name, &[n])));
    let y = g.add(x, s);
    Program::new(g).output("y", y).update(name, y)
}

#[test]
fn programs_share_states() {
    let mut cpu = Cpu::new(2).unwrap();
    let (first, second) = (cpu.compile(&add("s", 2)).unwrap(), cpu.compile(&add("s", 2)).unwrap());
    assert_eq!(cpu.read("s").unwrap(), ArrayD::zeros(vec![2]));
    cpu.write("s", arr1(&[10.0, 20.0]).into_dyn().view()).unwrap();
    cpu.run(first, KEY, &[&[1.0, 2.0]]).unwrap();
    cpu.run(second, KEY, &[&[100.0, 200.0]]).unwrap();
    assert_eq!(cpu.output(first, 0).unwrap(), [11.0, 22.0]);
    assert_eq!(cpu.output(second, 0).unwrap(), [111.0, 222.0]);
    assert_eq!(cpu.read("s").unwrap(), arr1(&[111.0, 222.0]).into_dyn());
    assert!(cpu.bytes() >= 4 * (2 + 2 + 2));
}

#[test]
fn a_state_that_is_written_in_another_layout_is_row_major() {
    let mut cpu = Cpu::new(1).unwrap();
    let square = arr2(&[[1.0, 2.0], [3.0, 4.0]]);
    cpu.write("s", square.t().into_dyn()).unwrap();
    assert_eq!(cpu.read("s").unwrap(), arr2(&[[1.0, 3.0], [2.0, 4.0]]).into_dyn());
}

#[test]
fn wrong_states_and_inputs_are_named() {
    let mut cpu = Cpu::new(1).unwrap();
    let missing = ExecutorError::NoState { name: "s".into(), known: Vec::new() };
    assert_eq!(cpu.read("s").unwrap_err(), missing);
    let handle = cpu.compile(&add("s", 2)).unwrap();
    let shape = |want: &[usize], have: &[usize]| ExecutorError::StateShape {
        name: "s".into(),
        want: want.to_vec(),
        have: have.to_vec(),
    };
    assert_eq!(cpu.compile(&add("s", 3)).unwrap_err(), shape(&[3], &[2]));
    assert_eq!(cpu.write("s", arr1(&[0.0; 5]).into_dyn().view()).unwrap_err(), shape(&[5], &[2]));
    let short = ExecutorError::Input { name: "x".into(), want: 2, have: 1 };
    assert_eq!(cpu.run(handle, KEY, &[&[1.0]]).unwrap_err(), short);
    let none = ExecutorError::Input { name: "x".into(), want: 2, have: 0 };
    assert_eq!(cpu.run(handle, KEY, &[]).unwrap_err(), none);
    assert!(cpu.run(handle, KEY, &[&[1.0, 2.0], &[3.0]]).is_err());
    // A refused run changes nothing.
    assert_eq!(cpu.read("s").unwrap(), ArrayD::zeros(vec![2]));
    let said = cpu.read("z").unwrap_err().to_string();
    assert!(said.contains("«z»") && said.contains("\"s\""), "{said}");
}

#[test]
fn instructions_that_this_machine_lacks_are_refused() {
    for level in [Level::Portable, Level::Avx2, Level::Avx512] {
        let made = Cpu::with_options(CpuOptions { threads: 1, level, ..CpuOptions::default() });
        assert_eq!(made.is_ok(), Level::available().contains(&level), "{level:?}");
    }
}

/// Each of the ways in which a new value and an old one may meet.
#[test]
fn updates_see_old_values() {
    for rows in [false, true] {
        let declare = |name: &str| {
            if rows { Declaration::rows(name, &[9, 3]) } else { Declaration::shared(name, &[9, 3]) }
        };
        let mut g = Graph::new();
        let x = g.input(declare("x"));
        let [a, b, c] = ["a", "b", "c"].map(|n| g.state(declare(n)));
        let flat = g.state(Declaration::shared("flat", &[27]));
        let sum = g.add(a, b);
        let product = g.mul(sum, c);
        let shown = g.reshape(a, &[27]);
        let row_sums = g.sum(a, &[1]);
        let column_sums = g.sum(a, &[0]);
        let spread = g.sub(a, row_sums);
        let centred = g.sub(spread, column_sums);
        let base = |g: &Graph| Program::new(g.clone()).output("a", a).output("x", x);
        let programs = [
            base(&g).update("a", b).update("b", a),
            base(&g).update("a", b).update("b", c).update("c", a),
            base(&g).update("a", sum).update("b", a).update("c", product),
            base(&g).update("a", x).update("flat", shown),
            Program::new(g.clone()).update("a", centred).output("sum", sum),
            Program::new(g.clone()).output("new", centred).update("a", centred).update("b", centred),
            Program::new(g.clone()).update("a", a).update("flat", flat),
            Program::new(g.clone()).update("c", x).update("b", x),
        ];
        for (i, program) in programs.iter().enumerate() {
            let got = run(&mut Cpu::new(2).unwrap(), program, 3, States::Kept);
            let want = run(&mut Interpreter::<f32>::new(), program, 3, States::Kept);
            let apart = crate::runs::distance(&got, &want);
            assert!(apart < 1e-5, "program {i}, rows {rows}: {apart}\n{program}");
            let plain = CpuOptions::default();
            let plain = CpuOptions { plan: sda_graph::PlanOptions { reuse: false, ..plain.plan }, ..plain };
            let other = run(&mut Cpu::with_options(plain).unwrap(), program, 3, States::Kept);
            assert_eq!(bits(&got), bits(&other), "program {i}, rows {rows}");
        }
    }
}
