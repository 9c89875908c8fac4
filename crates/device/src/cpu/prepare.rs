//! A plan with its memory, ready to be replayed.

use sda_graph::{Access, Op, Place, Plan, PlanOptions, Program, Stage, Step, StepKind};
use sda_kernels::{Level, fused, scratch_len};

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
    /// For a step that reduces: which array holds its results, one a block.
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
        steps: Vec<Prepared>,
        offsets: Vec<usize>,
        /// Sums of partial results, cut into tasks (step, first number, numbers).
        sums: Vec<(usize, usize, usize)>,
    },
}

/// One thread's memory.
pub(super) struct Worker {
    pub(super) local: Vec<f32>,
    pub(super) scratch: Vec<f32>,
}

/// Addresses of one run.
#[derive(Default)]
pub(super) struct Addresses {
    pub(super) inputs: Vec<*const f32>,
    pub(super) states: Vec<*mut f32>,
    pub(super) constants: Vec<*const f32>,
    pub(super) full: Vec<*mut f32>,
    pub(super) partials: Vec<*mut f32>,
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
    full: Vec<Vec<f32>>,
    pub(super) partials: Vec<Vec<f32>>,
    constants: Vec<Vec<f32>>,
}

/// Points of a task: long enough to be worth a thread's attention, short enough to share.
const TASK: usize = 1 << 15;

impl Compiled {
    pub(super) fn new(
        program: &Program,
        states: Vec<usize>,
        level: Level,
        options: PlanOptions,
        threads: usize,
    ) -> Self {
        let plan = Plan::new(program, options);
        let mut partials = Vec::new();
        let stages: Vec<Prestage> = plan.stages.iter().map(|s| prepare(s, &mut partials)).collect();
        let scratch = plan.steps().map(|s| scratch_of(level, s)).max().unwrap_or(0);
        let local = plan.stages.iter().map(|s| match s {
            Stage::Rows { block, local, .. } => block * local.iter().sum::<usize>(),
            Stage::Global(_) => 0,
        });
        let local = local.max().unwrap_or(0);
        let workers =
            (0..threads).map(|_| Worker { local: vec![0.0; local], scratch: vec![0.0; scratch] }).collect();
        let constants: Vec<Vec<f32>> =
            program.graph.constants().iter().map(|c| c.iter().map(|&x| x as f32).collect()).collect();
        let mut full: Vec<Vec<f32>> = plan.full.iter().map(|&n| vec![0.0; n]).collect();
        let addresses = Addresses {
            inputs: Vec::with_capacity(program.graph.inputs().len()),
            states: vec![std::ptr::null_mut(); states.len()],
            constants: constants.iter().map(Vec::as_ptr).collect(),
            full: full.iter_mut().map(Vec::as_mut_ptr).collect(),
            partials: partials.iter_mut().map(Vec::as_mut_ptr).collect(),
        };
        let outputs = plan.outputs.iter().map(|(_, n)| vec![0.0; *n]).collect();
        let program = program.clone();
        Self { program, plan, stages, outputs, workers, addresses, states, full, partials, constants }
    }

    /// Takes the addresses of one run's inputs and, by position, of the store's states.
    pub(super) fn bind(&mut self, inputs: &[&[f32]], mut store: impl FnMut(usize) -> *mut f32) {
        self.addresses.inputs.clear();
        self.addresses.inputs.extend(inputs.iter().map(|x| x.as_ptr()));
        for (address, &s) in self.addresses.states.iter_mut().zip(&self.states) {
            *address = store(s);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let workers: usize = self.workers.iter().map(|w| w.local.len() + w.scratch.len()).sum();
        let arrays = self.full.iter().chain(&self.partials).chain(&self.constants).chain(&self.outputs);
        4 * (workers + arrays.map(Vec::len).sum::<usize>())
    }
}

fn scratch_of(level: Level, step: &Step) -> usize {
    match &step.kind {
        StepKind::Fused(f) => fused::scratch_len(f),
        StepKind::Op(op) => {
            let shapes: Vec<&[usize]> = step.inputs.iter().map(|i| &i.shape[..]).collect();
            scratch_len(level, op, &shapes)
        }
    }
}

fn prepare(stage: &Stage, partials: &mut Vec<Vec<f32>>) -> Prestage {
    match stage {
        Stage::Global(steps) => {
            let steps: Vec<Prepared> = steps.iter().map(|s| prepare_step(s, None, partials)).collect();
            let batches = batches(&steps);
            Prestage::Global { steps, batches }
        }
        Stage::Rows { rows, block, steps, local } => {
            let offsets = (0..local.len()).map(|i| block * local[..i].iter().sum::<usize>()).collect();
            let steps: Vec<Prepared> =
                steps.iter().map(|s| prepare_step(s, Some((*rows, *block)), partials)).collect();
            let sums = steps.iter().enumerate().filter(|(_, p)| p.partial.is_some()).flat_map(|(i, p)| {
                let len: usize = p.step.outputs[0].shape.iter().product();
                (0..len).step_by(TASK).map(move |first| (i, first, TASK.min(len - first)))
            });
            let sums = sums.collect();
            Prestage::Rows { rows: *rows, block: *block, steps, offsets, sums }
        }
    }
}

fn prepare_step(step: &Step, rows: Option<(usize, usize)>, partials: &mut Vec<Vec<f32>>) -> Prepared {
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
        partials.push(vec![0.0; all.div_ceil(block) * len(&step.outputs[0].shape)]);
        partials.len() - 1
    });
    let lead = match &step.kind {
        StepKind::Fused(fused) => fused.rows / all,
        StepKind::Op(_) => step.outputs[0].shape.first().map_or(1, |n| n / all),
    };
    Prepared { step: step.clone(), shapes, input_rows, output_rows, block, lead, partial }
}

/// Neighbouring steps that touch each other's memory nowhere become one batch.
fn batches(steps: &[Prepared]) -> Vec<Batch> {
    let mut out: Vec<Batch> = Vec::new();
    let (mut read, mut written): (Vec<Place>, Vec<Place>) = (Vec::new(), Vec::new());
    for (i, p) in steps.iter().enumerate() {
        if let StepKind::Op(Op::MatMul { .. } | Op::Conv(..)) = p.step.kind {
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
    out
}
