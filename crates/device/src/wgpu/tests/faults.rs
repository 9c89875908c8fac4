//! A device that fails is an error that says so; nothing panics, and nothing pretends.

use super::{has_adapter, with};
use crate::Wgpu;
use crate::cpu::tests::training;
use ndarray::ArrayD;
use sda_graph::{Declaration, Executor, ExecutorError, Graph, Program, RunKey};
use sda_kernels::gpu::{Abilities, Precision};

fn gpu() -> Wgpu {
    with(Abilities::PORTABLE, Precision::F32)
}

#[track_caller]
fn message<T: std::fmt::Debug>(result: Result<T, ExecutorError>) -> String {
    result.expect_err("the device is gone").to_string()
}

#[test]
fn parity_a_lost_device_is_an_error_of_everything() {
    if !has_adapter("parity_a_lost_device_is_an_error_of_everything") {
        return;
    }
    let mut gpu = gpu();
    let program = training::program(8);
    let handle = gpu.compile(&program).unwrap();
    let x = vec![0.5; 8 * 7];
    gpu.run(handle, RunKey { seed: 1, step: 0 }, &[&x]).unwrap();
    gpu.context.device.destroy();
    // The loss is noticed at the next wait at the latest.
    let lost = (0..20).find_map(|step| gpu.run(handle, RunKey { seed: 1, step }, &[&x]).err());
    let lost = lost.map_or_else(|| message(gpu.finish()), |e| e.to_string());
    assert!(lost.contains("use the device"), "{lost}");
    let later = [
        message(gpu.output(handle, 0).map(<[f32]>::len)),
        message(gpu.read("w1")),
        message(gpu.write("w1", ArrayD::zeros(vec![7, 24]).view())),
        message(gpu.compile(&program)),
        message(gpu.finish()),
    ];
    later.iter().for_each(|m| assert_eq!(*m, lost));
}

/// The other executors' devices go on.
#[test]
fn parity_a_lost_device_is_no_other_device() {
    if !has_adapter("parity_a_lost_device_is_no_other_device") {
        return;
    }
    let (lost, mut kept) = (gpu(), gpu());
    lost.context.device.destroy();
    kept.write("s", ArrayD::from_elem(vec![3], 2.0).view()).unwrap();
    assert_eq!(kept.read("s").unwrap(), ArrayD::from_elem(vec![3], 2.0));
}

#[test]
fn parity_a_state_beyond_a_buffer_is_refused() {
    if !has_adapter("parity_a_state_beyond_a_buffer_is_refused") {
        return;
    }
    let mut gpu = gpu();
    let numbers = usize::try_from(gpu.description().buffer_bytes / 4).unwrap() + 1;
    let mut g = Graph::new();
    let s = g.state(Declaration::shared("large", &[numbers]));
    let first = g.slice(s, 0, 0, 1, 1);
    let text = message(gpu.compile(&Program::new(g).output("first", first)));
    assert!(text.contains("state «large»") && text.contains("MiB") && text.contains("lower"), "{text}");
    // What does not ask for it still runs.
    let handle = gpu.compile(&training::program(8)).unwrap();
    gpu.run(handle, RunKey { seed: 1, step: 0 }, &[&[0.5; 8 * 7]]).unwrap();
    assert_eq!(gpu.output(handle, 0).unwrap().len(), 1);
}

#[test]
fn parity_states_and_inputs_of_another_shape_are_refused() {
    if !has_adapter("parity_states_and_inputs_of_another_shape_are_refused") {
        return;
    }
    let mut gpu = gpu();
    let handle = gpu.compile(&training::program(8)).unwrap();
    let shape = message(gpu.write("w1", ArrayD::zeros(vec![2, 2]).view()));
    assert!(shape.contains("«w1»") && shape.contains("[7, 24]"), "{shape}");
    let unknown = message(gpu.read("w9"));
    assert!(unknown.contains("«w9»") && unknown.contains("w1"), "{unknown}");
    let input = message(gpu.run(handle, RunKey { seed: 1, step: 0 }, &[&[0.5; 3]]));
    assert!(input.contains("«x»") && input.contains("56"), "{input}");
}

/// Runs that nobody reads are queued; what is written between them takes its turn.
#[test]
fn parity_writes_take_their_turn_among_runs() {
    if !has_adapter("parity_writes_take_their_turn_among_runs") {
        return;
    }
    let mut gpu = gpu();
    let mut g = Graph::new();
    let s = g.state(Declaration::shared("s", &[]));
    let x = g.input(Declaration::shared("x", &[]));
    let new = g.add(s, x);
    let finite = g.unary(sda_graph::Unary::Finite, new);
    let program = Program::new(g).output("old", s).output("finite", finite).update("s", new);
    let handle = gpu.compile(&program).unwrap();
    let run = |gpu: &mut Wgpu, x: f32| gpu.run(handle, RunKey { seed: 0, step: 0 }, &[&[x]]).unwrap();
    (0..100).for_each(|_| run(&mut gpu, 1.0));
    gpu.write("s", ArrayD::from_elem(vec![], 1000.0).view()).unwrap();
    (0..50).for_each(|_| run(&mut gpu, 2.0));
    // Another program's run does not change an output that is the old value of a state.
    let other = gpu.compile(&program).unwrap();
    gpu.run(other, RunKey { seed: 0, step: 0 }, &[&[-1100.0]]).unwrap();
    assert_eq!(gpu.output(handle, 0).unwrap(), [1098.0]);
    assert_eq!(gpu.read("s").unwrap(), ArrayD::from_elem(vec![], 0.0));
    for x in [f32::NAN, f32::INFINITY, -f32::INFINITY] {
        gpu.write("s", ArrayD::from_elem(vec![], 0.0).view()).unwrap();
        run(&mut gpu, x);
        assert_eq!(gpu.output(handle, 1).unwrap(), [0.0], "{x} is not finite");
    }
}
