//! What is too large for an adapter is cut: into blocks of rows, and into rows of workgroups.

use super::has_adapter;
use crate::runs::{States, distance, run};
use crate::{Wgpu, WgpuOptions};
use sda_graph::{Declaration, Executor, ExecutorError, Graph, Handle, Law, NodeId, Program, Stage};
use sda_kernels::Interpreter;
use sda_kernels::catalogue::random_program;
use sda_kernels::gpu::Abilities;

fn gpu(options: WgpuOptions) -> Wgpu {
    Wgpu::with_options(&WgpuOptions { abilities: Some(Abilities::PORTABLE), guards: true, ..options })
        .unwrap()
}

/// Rows that are pieces of 64 numbers, with noise, weights, a sum over rows that is used again, and a state.
fn program(rows: usize) -> Program {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[rows, 4, 16]));
    let s = g.state(Declaration::rows("s", &[rows, 4, 16]));
    let w = g.state(Declaration::shared("w", &[16, 16]));
    let noise = g.noise(&[rows, 4, 16], 2, Law::Normal);
    let y = g.add(x, noise);
    let flat = g.reshape(y, &[rows * 4, 16]);
    let product = g.linear(flat, w);
    let y = g.tanh(product);
    let y = g.reshape(y, &[rows, 4, 16]);
    let new = g.add(s, y);
    let square = g.square(new);
    let total = g.sum_all(square);
    let mean = g.scale(total, 1.0 / (rows * 64) as f64);
    let gradient: Vec<NodeId> = g.gradient(mean, &[w]);
    Program::new(g).output("mean", mean).output("gradient", gradient[0]).update("s", new)
}

/// Blocks of the stage that has the most.
fn most_blocks(gpu: &Wgpu, handle: Handle) -> usize {
    let blocks = gpu.plan(handle).stages.iter().map(|stage| match stage {
        Stage::Rows { rows, block, .. } => rows.div_ceil(*block),
        Stage::Global(_) => 1,
    });
    blocks.max().unwrap()
}

#[test]
fn parity_in_blocks_of_rows() {
    if !has_adapter("parity_in_blocks_of_rows") {
        return;
    }
    let program = program(37);
    let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
    for block in [1, 2, 5, 36, 37] {
        let mut gpu = gpu(WgpuOptions { block: Some(block), ..WgpuOptions::default() });
        let got = run(&mut gpu, &program, 2, States::Drawn);
        gpu.assert_guards("blocks");
        let apart = distance(&got, &want);
        assert!(apart < 1e-5, "blocks of {block}: {apart}");
    }
}

#[test]
fn parity_of_random_programs_in_blocks() {
    if !has_adapter("parity_of_random_programs_in_blocks") {
        return;
    }
    for seed in 200..206 {
        let program = random_program(seed, 25);
        let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
        for block in [1, 4] {
            let mut gpu = gpu(WgpuOptions { block: Some(block), ..WgpuOptions::default() });
            let got = run(&mut gpu, &program, 2, States::Drawn);
            gpu.assert_guards("blocks");
            let apart = distance(&got, &want);
            assert!(apart < 5e-4, "program {seed}, blocks of {block}: {apart}\n{program}");
        }
    }
}

/// An array that a kernel may not see whole is seen block by block; one that no block divides is refused, with its size.
#[test]
fn parity_of_arrays_beyond_the_binding_limit() {
    if !has_adapter("parity_of_arrays_beyond_the_binding_limit") {
        return;
    }
    let program = program(100);
    let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
    let small = |binding| WgpuOptions { binding: Some(binding), ..WgpuOptions::default() };
    // An array of all rows has 25 600 bytes.
    for (binding, blocks) in [(25_600, 1), (10_000, 3), (1024, 25)] {
        let mut gpu = gpu(small(binding));
        let handle = gpu.compile(&program).unwrap();
        assert_eq!(most_blocks(&gpu, handle), blocks, "at {binding} bytes");
        let apart = distance(&run(&mut gpu, &program, 2, States::Drawn), &want);
        assert!(apart < 1e-5, "at {binding} bytes: {apart}");
    }
    let Err(ExecutorError::Device(message)) = gpu(small(1000)).compile(&program) else {
        panic!("the weights have 1024 bytes")
    };
    assert!(message.contains("state «w»") && message.contains("lower"), "{message}");
}

/// Slots beyond what a block may have make blocks smaller, down to a row.
#[test]
fn parity_of_blocks_with_few_bytes_of_slots() {
    if !has_adapter("parity_of_blocks_with_few_bytes_of_slots") {
        return;
    }
    let program = program(100);
    let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
    let slots_of = |gpu: &Wgpu, handle| {
        let bytes = gpu.plan(handle).stages.iter().map(|stage| match stage {
            Stage::Rows { block, local, .. } => 4 * block * local.iter().sum::<usize>(),
            Stage::Global(_) => 0,
        });
        bytes.max().unwrap()
    };
    let mut whole = gpu(WgpuOptions::default());
    let handle = whole.compile(&program).unwrap();
    assert_eq!(most_blocks(&whole, handle), 1);
    let all = slots_of(&whole, handle);
    for (slots, least) in [(all, 1), (all - 1, 2), (all / 10, 10), (0, 100)] {
        let mut gpu = gpu(WgpuOptions { slots: Some(slots as u64), ..WgpuOptions::default() });
        let handle = gpu.compile(&program).unwrap();
        let blocks = most_blocks(&gpu, handle);
        assert!(blocks >= least && (least > 1 || blocks == 1), "{blocks} blocks with {slots} bytes of slots");
        let used = slots_of(&gpu, handle);
        assert!(used <= slots || blocks == 100, "{used} bytes of slots where {slots} are allowed");
        let apart = distance(&run(&mut gpu, &program, 2, States::Drawn), &want);
        gpu.assert_guards("few slots");
        assert!(apart < 1e-5, "with {slots} bytes of slots: {apart}");
    }
}

/// A device that is out of memory gets smaller blocks; what they do not help is refused.
#[test]
fn parity_in_little_memory() {
    if !has_adapter("parity_in_little_memory") {
        return;
    }
    let program = program(100);
    let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
    let inputs = 4 * 100 * 64;
    let bytes_of =
        |gpu: &Wgpu| gpu.programs[0].buffers.iter().map(|r| 4 * r.len as u64).sum::<u64>() + inputs;
    let mut whole = gpu(WgpuOptions::default());
    whole.compile(&program).unwrap();
    let all = bytes_of(&whole);
    for (memory, is_cut) in [(all, false), (all - 1, true), (all * 3 / 4, true)] {
        let mut gpu = gpu(WgpuOptions { memory: Some(memory), ..WgpuOptions::default() });
        let handle = gpu.compile(&program).unwrap();
        let (blocks, bytes) = (most_blocks(&gpu, handle), bytes_of(&gpu));
        assert!(bytes <= memory && (blocks > 1) == is_cut, "{blocks} blocks, {bytes} bytes of {memory}");
        let apart = distance(&run(&mut gpu, &program, 2, States::Drawn), &want);
        gpu.assert_guards("little memory");
        assert!(apart < 1e-5, "in {memory} bytes: {apart}");
    }
    let Err(ExecutorError::Device(message)) =
        gpu(WgpuOptions { memory: Some(1000), ..WgpuOptions::default() }).compile(&program)
    else {
        panic!("the inputs alone have 25 600 bytes")
    };
    assert!(message.contains("out of memory") && message.contains("lower"), "{message}");
}

/// A launch of more workgroups than fit in a row.
#[test]
fn parity_of_launches_in_rows_of_workgroups() {
    if !has_adapter("parity_of_launches_in_rows_of_workgroups") {
        return;
    }
    let program = program(300);
    let want = run(&mut Interpreter::<f32>::new(), &program, 1, States::Drawn);
    for widest in [1, 7] {
        let mut gpu = gpu(WgpuOptions { widest: Some(widest), ..WgpuOptions::default() });
        let apart = distance(&run(&mut gpu, &program, 1, States::Drawn), &want);
        gpu.assert_guards("rows of workgroups");
        assert!(apart < 1e-5, "rows of {widest} workgroups: {apart}");
    }
}

/// 17 million numbers, 256 a workgroup: more workgroups than fit in a row of any adapter's launch.
#[test]
fn parity_of_a_launch_beyond_65535_workgroups() {
    if !has_adapter("parity_of_a_launch_beyond_65535_workgroups") {
        return;
    }
    let n = 65_536 * 256 + 3;
    let mut g = Graph::new();
    let x = g.input(Declaration::shared("x", &[2]));
    // The numbers lie at 1 and at the very end.
    let y = g.pad(x, 0, 1, n, n - 2);
    let program = Program::new(g).output("y", y);
    let mut gpu = gpu(WgpuOptions::default());
    assert!(gpu.most_workgroups(&program) > 65_535);
    let values = run(&mut gpu, &program, 1, States::Drawn);
    gpu.assert_guards("many workgroups");
    let [want] = &run(&mut Interpreter::<f32>::new(), &program, 1, States::Drawn)[..] else {
        panic!("one output")
    };
    assert!(values[0] == *want && want[n - 1] != 0.0);
}

/// An elementwise step of so many points that an invocation takes four.
#[test]
fn parity_of_four_points_an_invocation() {
    if !has_adapter("parity_of_four_points_an_invocation") {
        return;
    }
    let mut g = Graph::new();
    let (rows, cols) = (5, (1 << 18) + 7);
    let u = g.noise(&[rows, cols], 1, Law::Uniform);
    let columns = g.input(Declaration::shared("columns", &[cols]));
    let y = g.add(u, columns);
    let program = Program::new(g).output("y", y);
    let mut gpu = gpu(WgpuOptions::default());
    let got = run(&mut gpu, &program, 1, States::Drawn);
    gpu.assert_guards("four points");
    let want = run(&mut Interpreter::<f32>::new(), &program, 1, States::Drawn);
    assert!(got == want, "{}", distance(&got, &want));
}

/// A run in as many submissions as launches, as where a driver would end a longer one.
#[test]
fn parity_of_a_run_in_many_submissions() {
    if !has_adapter("parity_of_a_run_in_many_submissions") {
        return;
    }
    let program = program(100);
    let want = run(&mut Interpreter::<f32>::new(), &program, 3, States::Kept);
    let mut slow = gpu(WgpuOptions::default());
    slow.bounds.rates = (1.0, 1.0);
    let handle = slow.compile(&program).unwrap();
    let (launches, submissions) = slow.launches(handle);
    assert!(submissions == launches && launches > 5, "{submissions} submissions of {launches} launches");
    let apart = distance(&run(&mut slow, &program, 3, States::Kept), &want);
    slow.assert_guards("many submissions");
    assert!(apart < 1e-5, "{apart}");
}
