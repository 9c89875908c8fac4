//! A plan replayed with every array between guard words, and full of NaN before it is written.

use crate::fused::{self, FusedCall};
use crate::{Call, Level, cpu, pack, packed_len, scratch_len};
use sda_graph::{Place, Plan, PlanOptions, Program, RunKey, Stage, Step, StepKind};

const GUARD: usize = 64;

/// A NaN of our own, so that what is read outside an array shows in the result.
const WORD: u32 = 0x7fc0_dead;

pub(super) const KEY: RunKey = RunKey { seed: 17, step: 3 };

/// How the fast form is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) level: Level,
    /// Rows of one fused call.
    pub(super) split: usize,
    /// Whether an op may use threads.
    pub(super) parallel: bool,
}

struct Guarded(Vec<f32>);

impl Guarded {
    fn new(len: usize) -> Self {
        Self(vec![f32::from_bits(WORD); len + 2 * GUARD])
    }

    fn of(data: &[f32]) -> Self {
        let mut new = Self::new(data.len());
        new.get().copy_from_slice(data);
        new
    }

    fn get(&mut self) -> &mut [f32] {
        let end = self.0.len() - GUARD;
        &mut self.0[GUARD..end]
    }

    fn check(&self, what: &str) {
        let (head, rest) = self.0.split_at(GUARD);
        let intact = head.iter().chain(&rest[rest.len() - GUARD..]).all(|x| x.to_bits() == WORD);
        assert!(intact, "{what}: written outside its output");
    }
}

/// Outputs of a program without rows, on its fast forms.
pub(super) fn replay(program: &Program, how: How, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let plan = Plan::new(program, PlanOptions::default());
    let mut inputs: Vec<Guarded> = inputs.iter().map(|x| Guarded::of(x)).collect();
    let constants = program.graph.constants().iter();
    let mut constants: Vec<Guarded> =
        constants.map(|c| Guarded::of(&c.iter().map(|&x| x as f32).collect::<Vec<_>>())).collect();
    let mut full: Vec<Guarded> = plan.full.iter().map(|&n| Guarded::new(n)).collect();
    for stage in &plan.stages {
        let Stage::Global(steps) = stage else { panic!("a program without rows has a row stage") };
        for step in steps {
            let mut outputs: Vec<Guarded> =
                step.outputs.iter().map(|o| Guarded::new(o.shape.iter().product())).collect();
            let reads: Vec<(*mut f32, usize)> = step
                .inputs
                .iter()
                .map(|i| {
                    let memory = match i.place {
                        Place::Input(k) => inputs[k].get(),
                        Place::Constant(k) => constants[k].get(),
                        Place::Full(k) => full[k].get(),
                        place => panic!("{place:?} in a program without rows and states"),
                    };
                    (memory.as_mut_ptr(), i.shape.iter().product())
                })
                .collect();
            run(step, how, &reads, &mut outputs);
            for (output, made) in step.outputs.iter().zip(&mut outputs) {
                made.check(&format!("{:?}", step.kind));
                let Place::Full(k) = output.place else { panic!("{:?} is written", output.place) };
                let len = made.get().len();
                full[k].get()[..len].copy_from_slice(made.get());
            }
        }
    }
    let all = |place: Place, n: usize| match place {
        Place::Full(k) => full[k].0[GUARD..][..n].to_vec(),
        Place::Input(k) => inputs[k].0[GUARD..][..n].to_vec(),
        place => panic!("{place:?} is returned"),
    };
    plan.outputs.iter().map(|(place, n)| all(*place, *n)).collect()
}

fn run(step: &Step, how: How, reads: &[(*mut f32, usize)], outputs: &mut [Guarded]) {
    match &step.kind {
        StepKind::Op(op) => {
            let shapes: Vec<&[usize]> = step.inputs.iter().map(|i| &i.shape[..]).collect();
            // SAFETY: each points to an array of that length, and none is the output.
            let slices: Vec<&[f32]> =
                reads.iter().map(|(p, n)| unsafe { std::slice::from_raw_parts(*p, *n) }).collect();
            let mut scratch = Guarded::new(scratch_len(how.level, op, &shapes));
            let mut packed = Guarded::new(packed_len(how.level, op, &shapes));
            if !packed.get().is_empty() {
                pack(how.level, op, &shapes, slices[1], packed.get(), how.parallel);
                packed.check("packed");
            }
            let packed = packed.get();
            let call = Call {
                inputs: &slices,
                shapes: &shapes,
                output: outputs[0].get(),
                shape: &step.outputs[0].shape,
                key: KEY,
                first_row: 0,
                adds: false,
            };
            let packed = (!packed.is_empty()).then_some(&*packed);
            cpu(how.level, op, call, packed, scratch.get(), how.parallel);
            scratch.check("scratch");
        }
        StepKind::Fused(fused) => {
            let inputs: Vec<(*const f32, usize)> = reads.iter().map(|(p, n)| (p.cast_const(), *n)).collect();
            let writes: Vec<(*mut f32, usize)> =
                outputs.iter_mut().map(|o| (o.get().as_mut_ptr(), o.get().len())).collect();
            for first_row in (0..fused.rows).step_by(how.split) {
                let mut scratch = Guarded::new(fused::scratch_len(fused));
                let rows = how.split.min(fused.rows - first_row);
                let (inputs, outputs) = (&inputs[..], &writes[..]);
                let call = FusedCall { fused, first_row, rows, inputs, outputs, scratch: scratch.get() };
                // SAFETY: arrays of those lengths, none of them both read and written.
                unsafe { fused::run(how.level, call) };
                scratch.check("scratch");
            }
        }
    }
}
