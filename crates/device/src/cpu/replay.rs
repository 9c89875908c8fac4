//! Replaying: stages in order, blocks and tasks in parallel.

use super::prepare::{Addresses, Batch, Compiled, Prepared, Prestage, Worker};
use rayon::prelude::*;
use sda_graph::{Fused, Place, RunKey, StepKind};
use sda_kernels::fused::FusedCall;
use sda_kernels::{Call, Level, cpu, fused, pack, packed_len};
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// Inputs of one step at most: a concatenation has 32.
const MAX_INPUTS: usize = Fused::MAX_OPERANDS;

/// A shared pointer to disjoint things: the workers, one a thread.
struct Shared<T>(*mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: each user takes another element; see the uses.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// # Safety
    /// `i` is inside the allocation, and no other thread uses element `i` meanwhile.
    #[allow(clippy::mut_from_ref)] // the contract
    unsafe fn at(&self, i: usize) -> &mut T {
        // SAFETY: the caller's contract.
        unsafe { &mut *self.0.add(i) }
    }
}

/// What every worker reads during a run.
struct Run<'a> {
    addresses: &'a Addresses,
    level: Level,
    key: RunKey,
}

/// Part of a step that one call works on.
struct Part<'a> {
    /// Block's first row and number of rows; `None` for whole arrays.
    rows: Option<(usize, usize)>,
    /// Start of each local slot in the worker's memory.
    offsets: &'a [usize],
    /// Block's number, for partial results.
    block: usize,
    /// Rows of a fused task of a global stage.
    task: Option<(usize, usize)>,
}

impl Compiled {
    /// Runs all stages once. `parallel`: this is a thread of the executor's pool, which has several.
    pub(super) fn replay(&mut self, level: Level, key: RunKey, parallel: bool) {
        let workers = Shared(self.workers.as_mut_ptr());
        let run = Run { addresses: &self.addresses, level, key };
        for stage in &self.stages {
            match stage {
                Prestage::Global { steps, batches } => {
                    batches.iter().for_each(|b| run.batch(steps, b, workers, parallel));
                }
                Prestage::Rows { rows, block, steps, offsets, sums } => {
                    run.rows(*rows, *block, steps, offsets, workers, parallel);
                    run.add_partials(rows.div_ceil(*block), steps, sums, parallel);
                }
            }
        }
        for ((place, len), output) in self.plan.outputs.iter().zip(&mut self.outputs) {
            // SAFETY: the place holds `len` numbers, and no worker runs now.
            output.copy_from_slice(unsafe { from_raw_parts(run.address(*place), *len) });
        }
        for (place, state) in &self.plan.copies {
            let len = self.program.graph.states()[*state].shape.iter().product();
            // SAFETY: both hold `len` numbers; the plan never copies a state onto itself.
            unsafe { std::ptr::copy(run.address(*place), self.addresses.states[*state], len) };
        }
    }
}

impl Run<'_> {
    fn address(&self, place: Place) -> *const f32 {
        match place {
            Place::Input(i) => self.addresses.inputs[i],
            Place::Constant(i) => self.addresses.constants[i],
            Place::State(_) | Place::Full(_) => self.target(place, &[], std::ptr::null_mut()),
            Place::Local(_) => unreachable!("a local slot has an address in a worker only"),
        }
    }

    fn target(&self, place: Place, offsets: &[usize], local: *mut f32) -> *mut f32 {
        match place {
            Place::State(i) => self.addresses.states[i],
            Place::Full(i) => self.addresses.full[i],
            // SAFETY: offsets are inside the worker's memory.
            Place::Local(i) => unsafe { local.add(offsets[i]) },
            Place::Input(_) | Place::Constant(_) => {
                unreachable!("nothing is written to inputs and constants")
            }
        }
    }

    fn batch(&self, steps: &[Prepared], batch: &Batch, workers: Shared<Worker>, parallel: bool) {
        let whole = |task| Part { rows: None, offsets: &[], block: 0, task };
        match batch {
            Batch::Alone(i) => {
                // SAFETY: no other thread runs now.
                let worker = unsafe { workers.at(0) };
                self.step(&steps[*i], &whole(None), worker, parallel);
            }
            Batch::Tasks(tasks) => {
                let work = |&(i, first, rows): &(usize, usize, usize)| {
                    let me = thread(parallel);
                    // SAFETY: a worker belongs to its thread.
                    let worker = unsafe { workers.at(me) };
                    self.step(&steps[i], &whole(Some((first, rows))), worker, false);
                };
                if parallel && tasks.len() > 1 {
                    tasks.par_iter().for_each(work);
                } else {
                    tasks.iter().for_each(work);
                }
            }
        }
    }

    fn rows(
        &self,
        rows: usize,
        block: usize,
        steps: &[Prepared],
        offsets: &[usize],
        workers: Shared<Worker>,
        parallel: bool,
    ) {
        let blocks = rows.div_ceil(block);
        let work = |q: usize| {
            let first = q * block;
            let part = Part { rows: Some((first, block.min(rows - first))), offsets, block: q, task: None };
            let me = thread(parallel);
            // SAFETY: a worker belongs to its thread.
            let worker = unsafe { workers.at(me) };
            steps.iter().for_each(|step| self.step(step, &part, worker, false));
        };
        if parallel && blocks > 1 {
            (0..blocks).into_par_iter().with_max_len(1).for_each(work);
        } else {
            (0..blocks).for_each(work);
        }
    }

    /// Sums the blocks' partial results, in the order of blocks.
    fn add_partials(
        &self,
        blocks: usize,
        steps: &[Prepared],
        sums: &[(usize, usize, usize)],
        parallel: bool,
    ) {
        let work = |&(i, first, n): &(usize, usize, usize)| {
            let (p, len) = (&steps[i], steps[i].step.outputs[0].shape.iter().product::<usize>());
            let Some(partial) = p.partial else { return };
            let target = self.target(p.step.outputs[0].place, &[], std::ptr::null_mut());
            // SAFETY: the output holds `len` numbers and the partial results `blocks` times as many; blocks are done,
            // and each task has its own part of the output.
            let (output, partial) = unsafe {
                (
                    from_raw_parts_mut(target.add(first), n),
                    from_raw_parts(self.addresses.partials[partial], blocks * len),
                )
            };
            output.copy_from_slice(&partial[first..first + n]);
            for block in partial.chunks_exact(len).skip(1) {
                output.iter_mut().zip(&block[first..]).for_each(|(o, p)| *o += p);
            }
        };
        if parallel && sums.len() > 1 {
            sums.par_iter().for_each(work);
        } else {
            sums.iter().for_each(work);
        }
    }

    fn step(&self, p: &Prepared, part: &Part<'_>, worker: &mut Worker, parallel: bool) {
        let local = worker.local.as_mut_ptr();
        let len = |shape: &[usize]| shape.iter().product::<usize>();
        let n = p.step.inputs.len();
        assert!(n <= MAX_INPUTS, "a step with {n} inputs");
        let mut inputs = [(std::ptr::null::<f32>(), 0); MAX_INPUTS];
        for (k, input) in p.step.inputs.iter().enumerate() {
            let row = p.input_rows[k];
            let base = match input.place {
                Place::Local(_) => self.target(input.place, part.offsets, local).cast_const(),
                place => {
                    let first = part.rows.map_or(0, |(first, _)| first);
                    // SAFETY: piece `first` is inside the array.
                    unsafe { self.address(place).add(first * row) }
                }
            };
            inputs[k] =
                (base, if row == 0 { len(&input.shape) } else { part.rows.map_or(0, |(_, n)| n) * row });
        }
        let mut outputs = [(std::ptr::null_mut::<f32>(), 0); Fused::MAX_RESULTS];
        assert!(p.step.outputs.len() <= outputs.len(), "a step with {} outputs", p.step.outputs.len());
        for (k, output) in p.step.outputs.iter().enumerate() {
            let row = p.output_rows[k];
            let total = len(&output.shape);
            outputs[k] = match (part.rows, p.partial) {
                // SAFETY: there is a partial result for each block.
                (_, Some(i)) => (unsafe { self.addresses.partials[i].add(part.block * total) }, total),
                (Some((first, n)), _) => {
                    let base = self.target(output.place, part.offsets, local);
                    let first = if matches!(output.place, Place::Local(_)) { 0 } else { first };
                    // SAFETY: piece `first` is inside the array.
                    (unsafe { base.add(first * row) }, n * row)
                }
                (None, _) => (self.target(output.place, part.offsets, local), total),
            };
        }
        match &p.step.kind {
            StepKind::Fused(fused) => {
                let (first_row, rows) = match (part.rows, part.task) {
                    (Some((_, n)), _) => (0, n * p.lead),
                    (None, Some(task)) => task,
                    (None, None) => (0, fused.rows),
                };
                let outputs = &outputs[..p.step.outputs.len()];
                let scratch = &mut worker.scratch;
                let call = FusedCall { fused, first_row, rows, inputs: &inputs[..n], outputs, scratch };
                // SAFETY: pointers and lengths are those of the plan's arrays; an output shares memory with an
                // operand only where the plan says that the step reads it point by point.
                unsafe { fused::run(self.level, call) };
            }
            StepKind::Op(op) => {
                let (pointer, total) = outputs[0];
                let shapes = &p.shapes[usize::from(part.rows.is_some_and(|(_, n)| n != p.block))];
                let mut slices: [&[f32]; MAX_INPUTS] = [&[]; MAX_INPUTS];
                let mut views: [&[usize]; MAX_INPUTS] = [&[]; MAX_INPUTS];
                for k in 0..n {
                    // SAFETY: valid for the length, and no thread writes it during this step.
                    slices[k] = unsafe { from_raw_parts(inputs[k].0, inputs[k].1) };
                    views[k] = &shapes.inputs[k];
                }
                let call = Call {
                    inputs: &slices[..n],
                    shapes: &views[..n],
                    // SAFETY: valid for the length; the plan gives an op's output memory of its own.
                    output: unsafe { from_raw_parts_mut(pointer, total) },
                    shape: &shapes.outputs[0],
                    key: self.key,
                    first_row: part.rows.map_or(0, |(first, _)| first * p.lead),
                };
                // Interim: packed at each call.
                let whole: Vec<&[usize]> = p.step.inputs.iter().map(|i| &i.shape[..]).collect();
                let mut packed = vec![0.0; packed_len(self.level, op, &whole)];
                if !packed.is_empty() {
                    pack(self.level, op, &whole, slices[1], &mut packed, false);
                }
                let packed = (!packed.is_empty()).then_some(&packed[..]);
                cpu(self.level, op, call, packed, &mut worker.scratch, parallel);
            }
        }
    }
}

/// The worker of this thread. Without a pool of our own the thread may be any other pool's.
fn thread(parallel: bool) -> usize {
    if parallel { rayon::current_thread_index().unwrap_or(0) } else { 0 }
}
