//! A run allocates nothing. The matrix library's pack buffers, and the queue of a pool that is entered from outside,
//! are not ours.

use super::training;
use crate::Cpu;
use sda_graph::{Declaration, Executor, Graph, Law, Program, RunKey};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator; it counts what threads that ask for it allocate.
struct Counting;

fn count() {
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
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

/// One count at a time: the counter is everyone's.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Allocations of `runs` runs after three to warm up, on all threads of the executor.
fn allocations(threads: usize, program: &Program, runs: u32) -> usize {
    let _turn = TURN.lock().unwrap();
    let mut cpu = Cpu::new(threads).unwrap();
    let handle = cpu.compile(program).unwrap();
    let inputs: Vec<Vec<f32>> =
        program.graph.inputs().iter().map(|d| vec![0.5; d.shape.iter().product()]).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mark = |cpu: &Cpu, counted: bool| {
        COUNTED.set(counted);
        cpu.pool.broadcast(|_| COUNTED.set(counted));
    };
    for step in 0..3 {
        cpu.run(handle, RunKey { seed: 0, step }, &inputs).unwrap();
    }
    mark(&cpu, true);
    let before = COUNT.load(Ordering::Relaxed);
    for step in 0..runs {
        cpu.run(handle, RunKey { seed: 0, step }, &inputs).unwrap();
        std::hint::black_box(cpu.output(handle, 0).unwrap());
    }
    let made = COUNT.load(Ordering::Relaxed) - before;
    mark(&cpu, false);
    made
}

/// Everything but matrix products: sums, noise, movement, states, row stages and global ones.
fn without_products() -> Program {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[129, 20]));
    let b = g.state(Declaration::shared("b", &[20]));
    let noise = g.noise(&[129, 20], 0, Law::Normal);
    let z = g.add(x, noise);
    let z = g.add(z, b);
    let mean = g.mean(z, &[1]);
    let z = g.sub(z, mean);
    let z = g.sigmoid(z);
    let half = g.slice(z, 1, 3, 10, 1);
    let whole = g.concat(&[half, half], 1);
    let turned = g.permute(whole, &[1, 0]);
    let square = g.square(z);
    let total = g.sum_all(square);
    let gradient = g.gradient(total, &[b])[0];
    let new = g.sub(b, gradient);
    Program::new(g).output("total", total).output("turned", turned).update("b", new)
}

#[test]
fn the_counter_counts() {
    let _turn = TURN.lock().unwrap();
    COUNTED.set(true);
    let before = COUNT.load(Ordering::Relaxed);
    std::hint::black_box(vec![0u8; 100]);
    let made = COUNT.load(Ordering::Relaxed) - before;
    COUNTED.set(false);
    assert_eq!(made, 1);
}

#[test]
fn a_run_on_one_thread_allocates_nothing() {
    assert_eq!(allocations(1, &without_products(), 50), 0);
}

/// rayon takes one block of memory for every 63 jobs that come from outside the pool.
#[test]
fn a_run_on_two_threads_allocates_nothing_of_its_own() {
    let made = allocations(2, &without_products(), 630);
    assert!(made <= 22, "{made} allocations in 630 runs");
}

/// The matrix library packs: its allocations are its own, and bounded by the number of products.
#[test]
fn products_allocate_their_pack_buffers_only() {
    let program = training::program(37);
    let made = allocations(1, &program, 20);
    let products = 20 * 8 * 37;
    println!("{made} allocations in 20 training steps");
    assert!(made <= products, "{made} allocations");
}
