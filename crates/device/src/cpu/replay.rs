//! Replaying: stages in order, blocks and tasks in parallel.

use super::packs::Packs;
use super::prepare::{Addresses, Batch, Compiled, Prepared, Prestage, Worker};
use rayon::prelude::*;
use sda_graph::{Fused, Place, RunKey, StepKind};
use sda_kernels::fused::FusedCall;
use sda_kernels::{Call, Level, can_add, cpu, fused};
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// Inputs of one step at most: a concatenation has 32.
const MAX_INPUTS: usize = Fused::MAX_OPERANDS;

/// A shared pointer to disjoint things: the workers, one a thread.
pub(super) struct Shared<T>(pub(super) *mut T);

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
    pub(super) unsafe fn at(&self, i: usize) -> &mut T {
        // SAFETY: the caller's contract.
        unsafe { &mut *self.0.add(i) }
    }
}

/// What every worker reads during a run.
pub(super) struct Run<'a> {
    pub(super) addresses: &'a Addresses,
    pub(super) packs: &'a Packs,
    pub(super) level: Level,
    pub(super) key: RunKey,
}

/// Part of a step that one call works on.
pub(super) struct Part<'a> {
    /// Block's first row and number of rows; `None` for whole arrays.
    rows: Option<(usize, usize)>,
    /// Start of each local slot in the worker's memory.
    offsets: &'a [usize],
    /// Group of blocks, for partial results.
    group: usize,
    /// Whether a sum over rows adds to its group's partial result: it is not the group's first block.
    adds: bool,
    /// Rows of a fused task of a global stage.
    task: Option<(usize, usize)>,
}

impl<'a> Part<'a> {
    /// Whole arrays, or some rows of a fused step.
    pub(super) fn whole(task: Option<(usize, usize)>) -> Self {
        Self { rows: None, offsets: &[], group: 0, adds: false, task }
    }

    /// The blocks of some groups, in order.
    pub(super) fn of_rows(
        [rows, block, groups]: [usize; 3],
        offsets: &'a [usize],
        some: std::ops::Range<usize>,
    ) -> impl Iterator<Item = Self> {
        let blocks = rows.div_ceil(block);
        some.flat_map(move |group| {
            let first_block = group * blocks / groups;
            (first_block..(group + 1) * blocks / groups).map(move |q| {
                let first = q * block;
                let rows = Some((first, block.min(rows - first)));
                Self { rows, offsets, group, adds: q > first_block, task: None }
            })
        })
    }
}

impl Compiled {
    /// Runs all stages once. `parallel`: this is a thread of the executor's pool, which has several.
    pub(super) fn replay(&mut self, level: Level, key: RunKey, parallel: bool) {
        let workers = Shared(self.workers.as_mut_ptr());
        let run = Run { addresses: &self.addresses, packs: &self.packs, level, key };
        run.pack_all(&self.stale, parallel);
        for stage in &self.stages {
            match stage {
                Prestage::Global { steps, batches } => {
                    batches.iter().for_each(|b| run.batch(steps, b, workers, parallel));
                }
                Prestage::Rows { rows, block, groups, packs, steps, offsets, sums } => {
                    run.pack_all(packs, parallel);
                    run.rows([*rows, *block, *groups], steps, offsets, workers, parallel);
                    run.add_partials(*groups, steps, sums, parallel);
                }
            }
        }
        self.finish();
    }

    /// Outputs and copies into states, after the last stage.
    pub(super) fn finish(&mut self) {
        for ((place, len), output) in self.plan.outputs.iter().zip(&mut self.outputs) {
            // SAFETY: the place holds `len` numbers, and no worker runs now.
            output.copy_from_slice(unsafe { from_raw_parts(self.addresses.of(*place), *len) });
        }
        for (place, state) in &self.plan.copies {
            let len = self.program.graph.states()[*state].shape.iter().product();
            // SAFETY: both hold `len` numbers; the plan never copies a state onto itself.
            unsafe { std::ptr::copy(self.addresses.of(*place), self.addresses.states[*state], len) };
        }
    }
}

impl Addresses {
    /// Where an array that is no block's own is read.
    fn of(&self, place: Place) -> *const f32 {
        match place {
            Place::Input(i) => self.inputs[i],
            Place::Constant(i) => self.constants[i],
            Place::State(_) | Place::Full(_) => self.target(place, &[], std::ptr::null_mut()),
            Place::Local(_) => unreachable!("a local slot has an address in a worker only"),
        }
    }

    fn target(&self, place: Place, offsets: &[usize], local: *mut f32) -> *mut f32 {
        match place {
            Place::State(i) => self.states[i],
            Place::Full(i) => self.full[i],
            // SAFETY: offsets are inside the worker's memory.
            Place::Local(i) => unsafe { local.add(offsets[i]) },
            Place::Input(_) | Place::Constant(_) => {
                unreachable!("nothing is written to inputs and constants")
            }
        }
    }
}

impl Run<'_> {
    /// Packs weights, several at a time where there are several.
    pub(super) fn pack_all(&self, packs: &[usize], parallel: bool) {
        if parallel && packs.len() > 2 {
            packs.par_iter().with_max_len(1).for_each(|&i| self.pack(i, false));
        } else {
            packs.iter().for_each(|&i| self.pack(i, parallel));
        }
    }

    /// Packs weights; between stages, while no worker runs.
    pub(super) fn pack(&self, i: usize, parallel: bool) {
        let pack = &self.packs.packs[i];
        let mut shapes: [&[usize]; 2] = [&[]; 2];
        shapes.iter_mut().zip(&pack.shapes).for_each(|(to, from)| *to = from);
        let len = shapes[1].iter().product();
        // SAFETY: the place holds the weights and the buffer their packed form; nothing else runs now.
        let (weights, packed) = unsafe {
            (
                from_raw_parts(self.addresses.of(pack.place), len),
                from_raw_parts_mut(self.addresses.packs[pack.buffer], pack.len),
            )
        };
        sda_kernels::pack(self.level, &pack.op, &shapes, weights, packed, parallel);
    }

    fn batch(&self, steps: &[Prepared], batch: &Batch, workers: Shared<Worker>, parallel: bool) {
        match batch {
            Batch::Alone(i) => {
                // SAFETY: no other thread runs now.
                let worker = unsafe { workers.at(0) };
                if let Some(pack) = steps[*i].pack.filter(|&p| !self.packs.packs[p].stable) {
                    self.pack(pack, parallel);
                }
                self.step(&steps[*i], &Part::whole(None), worker, parallel);
            }
            Batch::Tasks(tasks) => {
                let work = |&(i, first, rows): &(usize, usize, usize)| {
                    let me = thread(parallel);
                    // SAFETY: a worker belongs to its thread.
                    let worker = unsafe { workers.at(me) };
                    self.step(&steps[i], &Part::whole(Some((first, rows))), worker, false);
                };
                if parallel && tasks.len() > 1 {
                    tasks.par_iter().for_each(work);
                } else {
                    tasks.iter().for_each(work);
                }
            }
        }
    }

    /// Groups of blocks in parallel, the blocks of a group in order.
    fn rows(
        &self,
        sizes: [usize; 3],
        steps: &[Prepared],
        offsets: &[usize],
        workers: Shared<Worker>,
        parallel: bool,
    ) {
        let work = |group: usize| {
            let me = thread(parallel);
            // SAFETY: a worker belongs to its thread.
            let worker = unsafe { workers.at(me) };
            for part in Part::of_rows(sizes, offsets, group..group + 1) {
                steps.iter().for_each(|step| self.step(step, &part, worker, false));
            }
        };
        let groups = sizes[2];
        if parallel && groups > 1 {
            (0..groups).into_par_iter().with_max_len(1).for_each(work);
        } else {
            (0..groups).for_each(work);
        }
    }

    /// Sums the groups' partial results, in the order of groups.
    pub(super) fn add_partials(
        &self,
        groups: usize,
        steps: &[Prepared],
        sums: &[(usize, usize, usize)],
        parallel: bool,
    ) {
        let work = |&(i, first, n): &(usize, usize, usize)| {
            let (p, len) = (&steps[i], steps[i].step.outputs[0].shape.iter().product::<usize>());
            let Some(partial) = p.partial else { return };
            let target = self.addresses.target(p.step.outputs[0].place, &[], std::ptr::null_mut());
            // SAFETY: the output holds `len` numbers and the partial results `groups` times as many; groups are done,
            // and each task has its own part of the output.
            let (output, partial) = unsafe {
                (
                    from_raw_parts_mut(target.add(first), n),
                    from_raw_parts(self.addresses.partials[partial], groups * len),
                )
            };
            output.copy_from_slice(&partial[first..first + n]);
            for group in partial.chunks_exact(len).skip(1) {
                output.iter_mut().zip(&group[first..]).for_each(|(o, p)| *o += p);
            }
        };
        if parallel && sums.len() > 1 {
            sums.par_iter().for_each(work);
        } else {
            sums.iter().for_each(work);
        }
    }

    pub(super) fn step(&self, p: &Prepared, part: &Part<'_>, worker: &mut Worker, parallel: bool) {
        let local = worker.local.as_mut_ptr();
        let len = |shape: &[usize]| shape.iter().product::<usize>();
        let n = p.step.inputs.len();
        assert!(n <= MAX_INPUTS, "a step with {n} inputs");
        let mut inputs = [(std::ptr::null::<f32>(), 0); MAX_INPUTS];
        for (k, input) in p.step.inputs.iter().enumerate() {
            let row = p.input_rows[k];
            let base = match input.place {
                Place::Local(_) => self.addresses.target(input.place, part.offsets, local).cast_const(),
                place => {
                    let first = part.rows.map_or(0, |(first, _)| first);
                    // SAFETY: piece `first` is inside the array.
                    unsafe { self.addresses.of(place).add(first * row) }
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
                // SAFETY: there is a partial result for each group.
                (_, Some(i)) => (unsafe { self.addresses.partials[i].add(part.group * total) }, total),
                (Some((first, n)), _) => {
                    let base = self.addresses.target(output.place, part.offsets, local);
                    let first = if matches!(output.place, Place::Local(_)) { 0 } else { first };
                    // SAFETY: piece `first` is inside the array.
                    (unsafe { base.add(first * row) }, n * row)
                }
                (None, _) => (self.addresses.target(output.place, part.offsets, local), total),
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
                let (target, total) = outputs[0];
                let adds = part.adds && p.partial.is_some();
                let at_once = adds && can_add(self.level, op);
                let adds_after = adds && !at_once;
                let pointer = if adds_after { worker.sum.as_mut_ptr() } else { target };
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
                    adds: at_once,
                };
                let packed = p.pack.map(|i| {
                    let pack = &self.packs.packs[i];
                    // SAFETY: packed before this stage, or before this step; only read since.
                    unsafe { from_raw_parts(self.addresses.packs[pack.buffer].cast_const(), pack.len) }
                });
                cpu(self.level, op, call, packed, &mut worker.scratch, parallel);
                if adds_after {
                    // SAFETY: the group's partial result, which only this thread touches now.
                    let target = unsafe { from_raw_parts_mut(target, total) };
                    target.iter_mut().zip(&worker.sum[..total]).for_each(|(t, s)| *t += s);
                }
            }
        }
    }
}

/// The worker of this thread. Without a pool of our own the thread may be any other pool's.
fn thread(parallel: bool) -> usize {
    if parallel { rayon::current_thread_index().unwrap_or(0) } else { 0 }
}
