//! The interpreter at f32 and f64, on programs of every kind, and as an executor.

use crate::Interpreter;
use crate::catalogue::random_program;
use ndarray::{ArrayD, arr1};
use proptest::prelude::*;
use sda_core::{Real, Stream};
use sda_graph::{Declaration, Executor, ExecutorError, Graph, Program, RunKey};

const KEY: RunKey = RunKey { seed: 4, step: 0 };

fn numbers<T: Real>(n: usize, row: u32) -> Vec<T> {
    let mut x = vec![0f32; n];
    Stream::new(8, 0).fill_normal(0, row, n.max(1), &mut x);
    x.iter().map(|&x| T::from_f64(f64::from(x))).collect()
}

/// All outputs and states after one run from drawn states and inputs.
fn run<T: Real>(program: &Program) -> Vec<Vec<T>> {
    let mut interpreter = Interpreter::<T>::new();
    let handle = interpreter.compile(program).unwrap();
    for (i, d) in program.graph.states().iter().enumerate() {
        let n = d.shape.iter().product();
        let value = ArrayD::from_shape_vec(d.shape.clone(), numbers::<T>(n, 100 + i as u32)).unwrap();
        interpreter.write(&d.name, value.view()).unwrap();
    }
    let inputs: Vec<Vec<T>> = program
        .graph
        .inputs()
        .iter()
        .enumerate()
        .map(|(i, d)| numbers(d.shape.iter().product(), i as u32))
        .collect();
    interpreter.run(handle, KEY, &inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let outputs: Vec<Vec<T>> =
        (0..program.outputs.len()).map(|i| interpreter.output(handle, i).unwrap().to_vec()).collect();
    let states =
        program.graph.states().iter().map(|d| interpreter.read(&d.name).unwrap().into_raw_vec_and_offset().0);
    outputs.into_iter().chain(states).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn single_and_double_precision_agree(seed in any::<u64>(), nodes in 1usize..40) {
        let program = random_program(seed, nodes);
        for (i, (single, double)) in run::<f32>(&program).iter().zip(run::<f64>(&program)).enumerate() {
            let scale = double.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
            for (s, d) in single.iter().zip(&double) {
                prop_assert!((f64::from(*s) - d).abs() <= 3e-4 * scale, "value {i}: {s} and {d}\n{program}");
            }
        }
    }
}

#[test]
fn a_state_is_read_as_its_old_value_and_assigned_once() {
    let mut g = Graph::new();
    let (a, b) = (g.state(Declaration::shared("a", &[2])), g.state(Declaration::shared("b", &[2])));
    let sum = g.add(a, b);
    let program = Program::new(g).output("old", a).update("a", b).update("b", sum);
    let mut interpreter = Interpreter::<f64>::new();
    let handle = interpreter.compile(&program).unwrap();
    interpreter.write("a", arr1(&[1.0, 2.0]).into_dyn().view()).unwrap();
    interpreter.write("b", arr1(&[10.0, 20.0]).into_dyn().view()).unwrap();
    interpreter.run(handle, KEY, &[]).unwrap();
    assert_eq!(interpreter.output(handle, 0).unwrap(), [1.0, 2.0]);
    assert_eq!(interpreter.read("a").unwrap(), arr1(&[10.0, 20.0]).into_dyn());
    assert_eq!(interpreter.read("b").unwrap(), arr1(&[11.0, 22.0]).into_dyn());
}

#[test]
fn the_worlds_errors_name_the_state_or_input() {
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[3]));
    let a = g.state(Declaration::shared("a", &[3]));
    let y = g.add(x, a);
    let program = Program::new(g).output("y", y);
    let mut interpreter = Interpreter::<f32>::new();
    interpreter.write("a", arr1(&[1.0f32]).into_dyn().view()).unwrap();
    let shapes = ExecutorError::StateShape { name: "a".into(), want: vec![3], have: vec![1] };
    assert_eq!(interpreter.compile(&program).unwrap_err(), shapes);
    let mut interpreter = Interpreter::<f32>::new();
    let handle = interpreter.compile(&program).unwrap();
    let short = interpreter.run(handle, KEY, &[&[1.0, 2.0]]).unwrap_err();
    assert_eq!(short, ExecutorError::Input { name: "x".into(), want: 3, have: 2 });
    assert!(interpreter.run(handle, KEY, &[]).is_err());
    assert!(interpreter.run(handle, KEY, &[&[0.0; 3], &[0.0]]).is_err());
    let missing = interpreter.read("z").unwrap_err();
    assert_eq!(missing, ExecutorError::NoState { name: "z".into(), known: vec!["a".into()] });
}
