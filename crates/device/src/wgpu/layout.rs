//! A plan cut into what an adapter can take: blocks of rows, launches, and the part of each array that a launch sees.

use super::adapter::{AdapterDescription, AdapterKind};
use super::error;
use sda_graph::{Access, ExecutorError, Op, Place, Plan, PlanOptions, Program, Stage, Step, StepKind};
use sda_kernels::gpu::{Array, Dispatch, GpuCall, Target, launches};

/// Seconds that one submission may be estimated to take: desktop drivers end long ones.
pub(super) const LONGEST: f64 = 0.5;

/// What an adapter takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of a buffer.
    pub(super) buffer: u64,
    /// Bytes of a buffer that a kernel sees.
    pub(super) binding: u64,
    /// What the start of that part is a multiple of.
    pub(super) alignment: u64,
    /// Bytes of a block's slots, and of what stages with the same rows keep for later ones, beyond which blocks are made
    /// smaller and values computed again.
    pub(super) slots: u64,
    /// Bytes of a program's own buffers, beyond which the device is taken to be out of memory.
    pub(super) memory: u64,
    /// Rows in a block at most.
    pub(super) block: usize,
    /// Workgroups in a row of a launch.
    pub(super) widest: u32,
    /// Arrays of a fused step.
    pub(super) arrays: usize,
    /// Whether slots are shared and states updated in place.
    pub(super) reuse: bool,
    /// Floating-point operations and bytes a second, low enough for the slowest of its kind.
    pub(super) rates: (f64, f64),
}

impl Bounds {
    pub(super) fn new(description: &AdapterDescription, limits: &wgpu::Limits) -> Self {
        let (rates, slots) = match description.kind {
            AdapterKind::Discrete => ((1e12, 5e10), 2 << 30),
            AdapterKind::Integrated | AdapterKind::Virtual | AdapterKind::Other => ((3e11, 2e10), 1 << 30),
            AdapterKind::Software => ((2e9, 2e9), 1 << 30),
        };
        Self {
            buffer: limits.max_buffer_size,
            binding: limits.max_storage_buffer_binding_size,
            alignment: u64::from(limits.min_storage_buffer_offset_alignment),
            slots,
            memory: u64::MAX,
            block: usize::MAX,
            widest: limits.max_compute_workgroups_per_dimension,
            arrays: description.abilities.arrays,
            reuse: true,
            rates,
        }
    }

    /// An estimate of a launch's time.
    pub(super) fn seconds(&self, dispatch: &Dispatch) -> f64 {
        (dispatch.flops as f64 / self.rates.0).max(dispatch.bytes as f64 / self.rates.1)
    }
}

/// Part of a value's memory, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) place: Place,
    pub(super) first: usize,
    pub(super) len: usize,
}

/// One launch and what it binds.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) dispatch: Dispatch,
    /// For each of the dispatch's arrays that is an input or output of the step.
    pub(super) parts: Vec<Option<Part>>,
    /// Whether it works on a block of rows.
    pub(super) of_rows: bool,
}

/// A plan as launches.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) plan: Plan,
    pub(super) launches: Vec<Launch>,
    /// Numbers of each local slot: stages take turns.
    pub(super) local: Vec<usize>,
    /// 32-bit numbers of each of the steps' scratch arrays.
    pub(super) scratch: Vec<usize>,
}

impl Layout {
    /// Plans a program with as large blocks as the adapter takes.
    ///
    /// Errors: even one row does not fit; the message says what, how large it is and what to lower.
    pub(super) fn new(program: &Program, target: &Target, bounds: &Bounds) -> Result<Self, ExecutorError> {
        let mut options = PlanOptions {
            reuse: bounds.reuse,
            block: Some(bounds.block),
            largest_row: usize::try_from(bounds.binding).unwrap_or(usize::MAX),
            largest_kept: usize::try_from(bounds.slots).unwrap_or(usize::MAX),
            arrays: bounds.arrays,
            sequential: true,
        };
        loop {
            let plan = Plan::new(program, options);
            let multiple = multiple(&plan, bounds);
            let block = block(&plan);
            if is_cut(&plan) && !block.is_multiple_of(multiple) {
                // At least one multiple; a stage of fewer rows is then one block.
                options.block = Some((block / multiple).max(1) * multiple);
                continue;
            }
            let layout = Self::of(plan, target);
            let Some(excess) = layout.excess(bounds) else { return Ok(layout) };
            let smaller = ((block as f64 / excess.factor) as usize).min(block - 1) / multiple * multiple;
            // What would take long, or much memory, is cut as far as it can be; it is no reason to refuse.
            let smaller = if excess.need == 0 { smaller.max(multiple) } else { smaller };
            if smaller == 0 || !excess.by_rows {
                return Err(error(excess.message(program)));
            }
            options.block = Some(smaller);
        }
    }

    fn of(plan: Plan, target: &Target) -> Self {
        let mut made = Self { plan, launches: Vec::new(), local: Vec::new(), scratch: Vec::new() };
        for stage in std::mem::take(&mut made.plan.stages) {
            match &stage {
                Stage::Global(steps) => {
                    steps.iter().for_each(|step| made.step(step, target, &Rows::whole(), false));
                }
                Stage::Rows { rows, block, steps, local, .. } => {
                    made.local.resize(made.local.len().max(local.len()), 0);
                    made.local.iter_mut().zip(local).for_each(|(have, n)| *have = (*have).max(block * n));
                    for first in (0..*rows).step_by(*block) {
                        let part = Rows { all: *rows, first, count: (*block).min(rows - first), cut: true };
                        steps.iter().for_each(|step| made.step(step, target, &part, first > 0));
                    }
                }
            }
            made.plan.stages.push(stage);
        }
        made
    }

    fn step(&mut self, step: &Step, target: &Target, rows: &Rows, later: bool) {
        let inputs: Vec<(Vec<usize>, Part)> =
            step.inputs.iter().map(|i| rows.of(&i.shape, i.place, i.access == Access::Piece)).collect();
        let outputs: Vec<(Vec<usize>, Part)> =
            step.outputs.iter().map(|o| rows.of(&o.shape, o.place, !step.reduces)).collect();
        let mut parts: Vec<Part> = Vec::new();
        let memory: Vec<usize> = inputs
            .iter()
            .chain(&outputs)
            .map(|(_, part)| {
                parts.iter().position(|p| p == part).unwrap_or_else(|| {
                    parts.push(*part);
                    parts.len() - 1
                })
            })
            .collect();
        let views =
            |of: &[(Vec<usize>, Part)]| -> Vec<Vec<usize>> { of.iter().map(|(s, _)| s.clone()).collect() };
        let (shapes, written) = (views(&inputs), views(&outputs));
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let written: Vec<&[usize]> = written.iter().map(Vec::as_slice).collect();
        let call = GpuCall {
            kind: &step.kind,
            shapes: &shapes,
            outputs: &written,
            rows: match &step.kind {
                StepKind::Fused(fused) => fused.rows / rows.all * rows.count,
                StepKind::Op(_) => 0,
            },
            memory: &memory,
            first_row: match &step.kind {
                StepKind::Op(Op::Noise { .. }) => rows.first * rows.leading(&step.outputs[0].shape),
                _ => 0,
            },
            adds: step.reduces && later,
        };
        for dispatch in launches(target, &call) {
            for array in &dispatch.arrays {
                if let Array::Scratch { slot, len, .. } = *array {
                    self.scratch.resize(self.scratch.len().max(slot + 1), 0);
                    self.scratch[slot] = self.scratch[slot].max(len);
                }
            }
            let of = |array: &Array| match *array {
                Array::Input(k) => Some(inputs[k].1),
                Array::Output(k) => Some(outputs[k].1),
                _ => None,
            };
            let parts = dispatch.arrays.iter().map(of).collect();
            self.launches.push(Launch { dispatch, parts, of_rows: rows.cut });
        }
    }

    /// The first thing that is too large.
    fn excess(&self, bounds: &Bounds) -> Option<Excess> {
        let bytes = |numbers: usize| 4 * numbers as u64;
        for (place, numbers) in self.plan.full.iter().enumerate().map(|(i, n)| (Place::Full(i), *n)) {
            if bytes(numbers) > bounds.buffer {
                let (need, have) = (bytes(numbers), bounds.buffer);
                return Some(Excess { place, need, have, what: "a buffer", factor: 1.0, by_rows: false });
            }
        }
        for launch in &self.launches {
            for part in launch.parts.iter().flatten() {
                let (place, need, have) = (part.place, bytes(part.len), bounds.binding);
                if need > have {
                    let by_rows = block(&self.plan) > 1;
                    let factor = need as f64 / have as f64;
                    return Some(Excess { place, need, have, what: "a kernel's array", factor, by_rows });
                }
            }
            let seconds = bounds.seconds(&launch.dispatch);
            if launch.of_rows && seconds > LONGEST && block(&self.plan) > multiple(&self.plan, bounds) {
                let factor = seconds / LONGEST;
                let place = Place::Full(0);
                return Some(Excess { place, need: 0, have: 0, what: "a launch", factor, by_rows: true });
            }
        }
        if self.slots() > bounds.slots && block(&self.plan) > multiple(&self.plan, bounds) {
            let factor = self.slots() as f64 / bounds.slots.max(1) as f64;
            let place = Place::Local(0);
            return Some(Excess { place, need: 0, have: 0, what: "a block's slots", factor, by_rows: true });
        }
        None
    }

    /// Bytes of a block's slots.
    pub(super) fn slots(&self) -> u64 {
        self.local.iter().map(|&numbers| 4 * numbers as u64).sum()
    }
}

/// Rows of the largest block; 1 where there are none.
fn block(plan: &Plan) -> usize {
    let of = |stage: &Stage| match stage {
        Stage::Rows { block, .. } => *block,
        Stage::Global(_) => 1,
    };
    plan.stages.iter().map(of).max().unwrap_or(1)
}

/// Whether a stage has several blocks.
fn is_cut(plan: &Plan) -> bool {
    plan.stages.iter().any(|stage| matches!(stage, Stage::Rows { rows, block, .. } if block < rows))
}

/// What a block's number of rows must be a multiple of, so that every block's pieces begin where a kernel's array may.
fn multiple(plan: &Plan, bounds: &Bounds) -> usize {
    let mut multiple = 1;
    for stage in &plan.stages {
        let Stage::Rows { rows, steps, .. } = stage else { continue };
        let pieces = steps.iter().flat_map(|step| {
            let inputs = step.inputs.iter().filter(|i| i.access == Access::Piece);
            let outputs = step.outputs.iter().filter(|_| !step.reduces);
            inputs.map(|i| (i.place, &i.shape)).chain(outputs.map(|o| (o.place, &o.shape)))
        });
        for (_, shape) in pieces.filter(|(place, _)| !matches!(place, Place::Local(_))) {
            let bytes = 4 * shape.iter().product::<usize>() / rows;
            let divisor = 1 << bytes.trailing_zeros().min(bounds.alignment.trailing_zeros());
            multiple = multiple.max(bounds.alignment as usize / divisor);
        }
    }
    multiple
}

/// What an adapter can't take.
struct Excess {
    place: Place,
    need: u64,
    have: u64,
    what: &'static str,
    /// How much smaller it has to be.
    factor: f64,
    /// Whether blocks of fewer rows help.
    by_rows: bool,
}

impl Excess {
    fn message(&self, program: &Program) -> String {
        let name = match self.place {
            Place::Input(i) => format!("input «{}»", program.graph.inputs()[i].name),
            Place::State(i) => format!("state «{}»", program.graph.states()[i].name),
            Place::Constant(_) => "a constant".into(),
            Place::Full(_) | Place::Local(_) => "an intermediate result".into(),
        };
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        format!(
            "{name} needs {} MiB as {}, and the adapter allows {} MiB; lower the number of samples, their length, the \
             batch or the network's width, or use --device cpu",
            mib(self.need),
            self.what,
            mib(self.have)
        )
    }
}

/// A block of rows, or everything.
struct Rows {
    all: usize,
    first: usize,
    count: usize,
    cut: bool,
}

impl Rows {
    fn whole() -> Self {
        Self { all: 1, first: 0, count: 1, cut: false }
    }

    /// Entries of axis 0 for each row.
    fn leading(&self, shape: &[usize]) -> usize {
        shape.first().map_or(1, |n| n / self.all)
    }

    /// The shape and memory of what this block takes of an array.
    fn of(&self, shape: &[usize], place: Place, by_piece: bool) -> (Vec<usize>, Part) {
        let len: usize = shape.iter().product();
        if !self.cut || !by_piece {
            return (shape.to_vec(), Part { place, first: 0, len });
        }
        let row = len / self.all;
        let first = if matches!(place, Place::Local(_)) { 0 } else { self.first * row };
        let mut piece = shape.to_vec();
        if let Some(n) = piece.first_mut() {
            *n = *n / self.all * self.count;
        }
        (piece, Part { place, first, len: self.count * row })
    }
}
