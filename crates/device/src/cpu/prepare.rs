//! A plan with its memory, ready to be replayed.

use super::CpuOptions;
use super::buffer::{Buffer, aligned};
use super::packs::Packs;
use sda_graph::{Access, Op, Place, Plan, Program, Stage, Step, StepKind};
use sda_kernels::{Level, can_add, fused, scratch_len};

/// Shapes of a step's arrays for one number of rows in a block.
pub(super) struct Shapes {
    pub(super) inputs: Vec<Vec<usize>>,
    pub(super) outputs: Vec<Vec<usize>>,
}

/// A step and what replay would otherwise work out again at each run.
pub(super) struct Prepared {
    pub(super) step: Step,
    /// For a whole block and for the last block.
    pub(super) shapes: [Shapes; 2],
    /// Elements per program row of each input (0: read whole) and output.
    pub(super) input_rows: Vec<usize>,
    pub(super) output_rows: Vec<usize>,
    /// Rows in a whole block.
    pub(super) block: usize,
    /// Rows of a fused step, or entries of axis 0 of an op's output, for each program row.
    pub(super) lead: usize,
    /// Its packed weights.
    pub(super) pack: Option<usize>,
    /// For a step that reduces: which array holds its results, one a group of blocks.
    pub(super) partial: Option<usize>,
}

/// Steps of a global stage that run at the same time.
pub(super) enum Batch {
    /// Steps that touch each other's memory nowhere, cut into tasks (step, first row, rows); an op is one task.
    Tasks(Vec<(usize, usize, usize)>),
    /// One op that shares its work among the threads itself.
    Alone(usize),
}

pub(super) enum Prestage {
    Global {
        steps: Vec<Prepared>,
        batches: Vec<Batch>,
    },
    Rows {
        rows: usize,
        block: usize,
        groups: usize,
        /// Weights packed before it.
        packs: Vec<usize>,
        steps: Vec<Prepared>,
        offsets: Vec<usize>,
        /// Sums of partial results, cut into tasks (step, first number, numbers).
        sums: Vec<(usize, usize, usize)>,
    },
}

/// One thread's memory.
pub(super) struct Worker {
    pub(super) local: Buffer,
    pub(super) scratch: Buffer,
    /// One block's sum over rows, before it is added to its group's.
    pub(super) sum: Buffer,
}

/// Addresses of one run.
#[derive(Default)]
pub(super) struct Addresses {
    pub(super) inputs: Vec<*const f32>,
    pub(super) states: Vec<*mut f32>,
    pub(super) constants: Vec<*const f32>,
    pub(super) full: Vec<*mut f32>,
    pub(super) partials: Vec<*mut f32>,
    pub(super) packs: Vec<*mut f32>,
}

// SAFETY: the addresses are of arrays that the program and the store own; what is read and written when is the
// plan's and the replay's concern.
unsafe impl Send for Addresses {}
// SAFETY: as above.
unsafe impl Sync for Addresses {}

pub(super) struct Compiled {
    pub(super) program: Program,
    pub(super) plan: Plan,
    pub(super) stages: Vec<Prestage>,
    pub(super) outputs: Vec<Vec<f32>>,
    pub(super) workers: Vec<Worker>,
    pub(super) addresses: Addresses,
    /// Position in the store of each declared state.
    states: Vec<usize>,
    full: Vec<Buffer>,
    partials: Vec<Buffer>,
    pub(super) packs: Packs,
    /// Weights packed before the first stage of this run.
    pub(super) stale: Vec<usize>,
    constants: Vec<Vec<f32>>,
}

/// Points of a task: long enough to be worth a thread's attention, short enough to share.
const TASK: usize = 1 << 15;

impl Compiled {
    pub(super) fn new(program: &Program, states: Vec<usize>, options: &CpuOptions, threads: usize) -> Self {
        let plan = Plan::new(program, options.plan);
        let mut making = Making {
            level: options.level,
            updated: program.updates.iter().map(|(s, _)| *s).collect(),
            partials: Vec::new(),
            packs: Packs::default(),
        };
        let mut stages: Vec<Prestage> =
            plan.stages.iter().enumerate().map(|(at, stage)| making.stage(at, stage)).collect();
        let Making { mut partials, mut packs, .. } = making;
        packs.place(options.kept_packs);
        for (at, stage) in stages.iter_mut().enumerate() {
            if let Prestage::Rows { packs: before, .. } = stage {
                *before = packs.of_stage(at);
            }
        }
        let scratch = stages.iter().map(|s| scratch_of(options.level, s)).max().unwrap_or(0);
        let local = plan.stages.iter().map(|s| match s {
            Stage::Rows { block, local, .. } => local.iter().map(|n| aligned(block * n)).sum(),
            Stage::Global(_) => 0,
        });
        let local = local.max().unwrap_or(0);
        let sum = plan.stages.iter().map(|s| sum_of(options.level, s)).max().unwrap_or(0);
        let workers = (0..threads)
            .map(|_| Worker {
                local: Buffer::new(local),
                scratch: Buffer::new(scratch),
                sum: Buffer::new(sum),
            })
            .collect();
        let constants: Vec<Vec<f32>> =
            program.graph.constants().iter().map(|c| c.iter().map(|&x| x as f32).collect()).collect();
        let mut full: Vec<Buffer> = plan.full.iter().map(|&n| Buffer::new(n)).collect();
        let addresses = Addresses {
            inputs: Vec::with_capacity(program.graph.inputs().len()),
            states: vec![std::ptr::null_mut(); states.len()],
            constants: constants.iter().map(Vec::as_ptr).collect(),
            full: full.iter_mut().map(|b| b.as_mut_ptr()).collect(),
            partials: partials.iter_mut().map(|b| b.as_mut_ptr()).collect(),
            packs: packs.buffers.iter_mut().map(|b| b.as_mut_ptr()).collect(),
        };
        let outputs = plan.outputs.iter().map(|(_, n)| vec![0.0; *n]).collect();
        let program = program.clone();
        let stale = Vec::with_capacity(packs.packs.len());
        Self {
            program,
            plan,
            stages,
            outputs,
            workers,
            addresses,
            states,
            full,
            partials,
            packs,
            stale,
            constants,
        }
    }

    /// Takes the addresses of one run's inputs and, by position, the address and version of the store's states.
    pub(super) fn bind(&mut self, inputs: &[&[f32]], mut store: impl FnMut(usize) -> (*mut f32, u64)) {
        self.addresses.inputs.clear();
        self.addresses.inputs.extend(inputs.iter().map(|x| x.as_ptr()));
        for (address, &s) in self.addresses.states.iter_mut().zip(&self.states) {
            *address = store(s).0;
        }
        self.stale.clear();
        self.stale.extend(self.packs.stale(|declared| store(self.states[declared]).1));
    }

    /// Positions in the store of the states that a run writes.
    pub(super) fn updated(&self) -> impl Iterator<Item = usize> {
        self.program.updates.iter().map(|(s, _)| self.states[*s])
    }

    pub(super) fn bytes(&self) -> usize {
        let workers: usize = self.workers.iter().map(|w| w.local.len() + w.scratch.len() + w.sum.len()).sum();
        let slots: usize =
            self.full.iter().chain(&self.partials).chain(&self.packs.buffers).map(|b| b.len()).sum();
        let arrays: usize = self.constants.iter().chain(&self.outputs).map(Vec::len).sum();
        4 * (workers + slots + arrays)
    }
}

/// Longest sum over rows of a stage in which groups have several blocks, by an op that cannot add to what is there.
fn sum_of(level: Level, stage: &Stage) -> usize {
    match stage {
        Stage::Rows { rows, block, groups, steps, .. } if rows.div_ceil(*block) > *groups => {
            let apart = |s: &&Step| s.reduces && !matches!(&s.kind, StepKind::Op(op) if can_add(level, op));
            let sums = steps.iter().filter(apart);
            sums.map(|s| s.outputs[0].shape.iter().product()).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// Scratch of a stage's steps, by the shapes of its blocks.
fn scratch_of(level: Level, stage: &Prestage) -> usize {
    let (Prestage::Global { steps, .. } | Prestage::Rows { steps, .. }) = stage;
    let of_shapes = |op: &Op, shapes: &Shapes| {
        let inputs: Vec<&[usize]> = shapes.inputs.iter().map(|s| &s[..]).collect();
        scratch_len(level, op, &inputs)
    };
    let of_step = |p: &Prepared| match &p.step.kind {
        StepKind::Fused(f) => fused::scratch_len(f),
        StepKind::Op(op) => p.shapes.iter().map(|shapes| of_shapes(op, shapes)).max().unwrap_or(0),
    };
    steps.iter().map(of_step).max().unwrap_or(0)
}

/// What the stages of a program share while they are prepared.
struct Making {
    level: Level,
    updated: Vec<usize>,
    partials: Vec<Buffer>,
    packs: Packs,
}

impl Making {
    fn stage(&mut self, at: usize, stage: &Stage) -> Prestage {
        match stage {
            Stage::Global(steps) => {
                let steps: Vec<Prepared> = steps.iter().map(|s| self.step(s, at, None, 0)).collect();
                let batches = batches(&steps);
                Prestage::Global { steps, batches }
            }
            Stage::Rows { rows, block, groups, steps, local } => {
                let mut end = 0;
                let offsets = local.iter().map(|n| {
                    let start = end;
                    end += aligned(block * n);
                    start
                });
                let offsets = offsets.collect();
                let steps: Vec<Prepared> =
                    steps.iter().map(|s| self.step(s, at, Some((*rows, *block)), *groups)).collect();
                let sums =
                    steps.iter().enumerate().filter(|(_, p)| p.partial.is_some()).flat_map(|(i, p)| {
                        let len: usize = p.step.outputs[0].shape.iter().product();
                        (0..len).step_by(TASK).map(move |first| (i, first, TASK.min(len - first)))
                    });
                let sums = sums.collect();
                let packs = Vec::new();
                Prestage::Rows { rows: *rows, block: *block, groups: *groups, packs, steps, offsets, sums }
            }
        }
    }

    fn step(&mut self, step: &Step, at: usize, rows: Option<(usize, usize)>, groups: usize) -> Prepared {
        let len = |shape: &[usize]| shape.iter().product::<usize>();
        let (all, block) = rows.unwrap_or((1, 1));
        let last = if all % block == 0 { block } else { all % block };
        let scaled = |shape: &[usize], n: usize, scale: bool| {
            let mut shape = shape.to_vec();
            if scale {
                shape[0] = shape[0] / all * n;
            }
            shape
        };
        let is_fused = matches!(step.kind, StepKind::Fused(_));
        let piece = |i: &sda_graph::StepInput| rows.is_some() && i.access == Access::Piece;
        let shapes = [block, last].map(|n| Shapes {
            inputs: step.inputs.iter().map(|i| scaled(&i.shape, n, piece(i) && !is_fused)).collect(),
            outputs: step
                .outputs
                .iter()
                .map(|o| scaled(&o.shape, n, rows.is_some() && !step.reduces && !is_fused))
                .collect(),
        });
        let input_rows = step.inputs.iter().map(|i| if piece(i) { len(&i.shape) / all } else { 0 }).collect();
        let output_rows =
            step.outputs.iter().map(|o| if step.reduces { 0 } else { len(&o.shape) / all }).collect();
        let partial = step.reduces.then(|| {
            self.partials.push(Buffer::new(groups * len(&step.outputs[0].shape)));
            self.partials.len() - 1
        });
        let lead = match &step.kind {
            StepKind::Fused(fused) => fused.rows / all,
            StepKind::Op(_) => step.outputs[0].shape.first().map_or(1, |n| n / all),
        };
        let pack = self.packs.of(self.level, step, at, &self.updated);
        Prepared { step: step.clone(), pack, shapes, input_rows, output_rows, block, lead, partial }
    }
}

/// Operations of a product above which it is taken alone, by all threads.
const LARGE: usize = 1 << 25;

/// Whether a step is a product that is worth all threads, or needs something made just before it.
fn shares_its_work(p: &Prepared) -> bool {
    let output = || p.step.outputs[0].shape.iter().product::<usize>();
    let operations = match &p.step.kind {
        StepKind::Op(Op::MatMul { ta, .. }) => {
            let a = &p.step.inputs[0].shape;
            2 * output() * a[a.len() - if *ta { 2 } else { 1 }]
        }
        StepKind::Op(Op::Conv(..)) => usize::MAX,
        _ => 0,
    };
    operations > LARGE || p.pack.is_some()
}

/// Neighbouring steps that touch each other's memory nowhere become one batch.
fn batches(steps: &[Prepared]) -> Vec<Batch> {
    let mut out: Vec<Batch> = Vec::new();
    let (mut read, mut written): (Vec<Place>, Vec<Place>) = (Vec::new(), Vec::new());
    for (i, p) in steps.iter().enumerate() {
        if shares_its_work(p) {
            out.push(Batch::Alone(i));
            continue;
        }
        let inputs: Vec<Place> = p.step.inputs.iter().map(|x| x.place).collect();
        let outputs: Vec<Place> = p.step.outputs.iter().map(|x| x.place).collect();
        let apart = inputs.iter().all(|x| !written.contains(x))
            && outputs.iter().all(|x| !written.contains(x) && !read.contains(x));
        if !apart || !matches!(out.last(), Some(Batch::Tasks(_))) {
            out.push(Batch::Tasks(Vec::new()));
            (read, written) = (Vec::new(), Vec::new());
        }
        read.extend(inputs);
        written.extend(outputs);
        if let Some(Batch::Tasks(tasks)) = out.last_mut() {
            match &p.step.kind {
                StepKind::Fused(fused) => {
                    let rows = (TASK / fused.cols.max(1)).max(1);
                    tasks.extend((0..fused.rows).step_by(rows).map(|r| (i, r, rows.min(fused.rows - r))));
                }
                StepKind::Op(_) => tasks.push((i, 0, 0)),
            }
        }
    }
    // A product that is the only step of its batch has the threads to itself.
    for batch in &mut out {
        if let Batch::Tasks(tasks) = batch
            && let [(i, ..)] = tasks[..]
            && let StepKind::Op(Op::MatMul { .. }) = steps[i].step.kind
        {
            *batch = Batch::Alone(i);
        }
    }
    out
}
