//! A step of guided sampling allocates nothing: kernels read packed weights and work in memory that the plan has made.

use ndarray::ArrayD;
use sda_device::Cpu;
use sda_diffusion::{GlobalScore, Guidance, LocalScore, NoiseSource, Posterior, Sampler};
use sda_graph::Executor;
use sda_kernels::Level;
use sda_nn::{Network, Weights};
use sda_observe::{Observation, Operator};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The system's allocator; it counts what threads that ask for it allocate.
struct Counting;

fn count() {
    let _ = COUNT.try_with(|n| n.set(n.get().map(|n| n + 1)));
}

// SAFETY: all four are the system's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    COUNT.set(Some(0));
    work();
    COUNT.replace(None).unwrap_or(0)
}

fn network(text: &str) -> Network {
    serde_json::from_str(text).unwrap()
}

/// Allocations of ten predictor and ten corrector steps, after one of each.
fn in_steps(network: Network, shape: &[usize], operator: Operator) -> usize {
    let mut executor = Cpu::new(1).unwrap();
    for (name, values) in network.initialise(1) {
        executor.write(&Weights::Trained.state(&name), values.view()).unwrap();
    }
    let seen = operator.output_shape(shape).unwrap().split_off(1);
    let observation = Observation::new(operator, ArrayD::zeros(seen), 0.1).unwrap();
    let prior: LocalScore<GlobalScore> = GlobalScore::new(network).local(2, 1);
    let predictor = Posterior::new(prior, observation, Guidance::Sda { gamma: 1e-2, detach: false });
    let sampler: Sampler = serde_json::from_str(r#"{"steps": 16, "corrections": 1}"#).unwrap();
    let run = sampler.compile(&mut executor, &predictor, shape, NoiseSource::Drawn).unwrap();
    run.start_from(&mut executor, &vec![0.1; shape.iter().product()]).unwrap();
    let mut both = |step| {
        run.predict(&mut executor, 1, step).unwrap();
        run.correct(&mut executor, 1, step, 0, None).unwrap();
    };
    both(0);
    allocations(|| (1..11).for_each(both))
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0u8; 100]))), 1);
}

/// Below AVX2 products are the matrix library's, which allocates pack buffers.
fn library_packs() -> bool {
    let packs = Level::detect() < Level::Avx2;
    if packs {
        println!("skipped: this machine has no AVX2, and the matrix library allocates pack buffers");
    }
    packs
}

#[test]
fn guided_steps_of_a_res_mlp_allocate_nothing() {
    if library_packs() {
        return;
    }
    let text = r#"{"ResMlp": {"features": 15, "embedding": 32, "hidden_features": [128, 128]}}"#;
    let operator = Operator::Compose(vec![Operator::EveryNth(8), Operator::Components(vec![0])]);
    for samples in [1, 64] {
        assert_eq!(in_steps(network(text), &[samples, 33, 3], operator.clone()), 0, "{samples} samples");
    }
}

#[test]
fn guided_steps_of_a_u_net_allocate_nothing() {
    if library_packs() {
        return;
    }
    let text = r#"{"UNet": {"channels": 10, "embedding": 32, "hidden_channels": [32, 48], "hidden_blocks": [1, 1],
        "kernel": 3, "stride": 2, "boundary": ["Circular", "Circular"]}}"#;
    let operator = Operator::Compose(vec![Operator::EveryNth(4), Operator::Coarsen(8)]);
    for samples in [1, 3] {
        let made = in_steps(network(text), &[samples, 9, 16, 16, 2], operator.clone());
        assert_eq!(made, 0, "{samples} samples");
    }
}
