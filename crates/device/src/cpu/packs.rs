//! Weights in the form that a product's kernel reads fastest, packed once for all blocks, and again only when they have
//! changed.

use super::buffer::Buffer;
use sda_graph::{Access, Op, Place, Step, StepKind};
use sda_kernels::{Level, packed_len};

/// One packed array.
pub(super) struct Pack {
    pub(super) op: Op,
    /// Whole shapes of the step.
    pub(super) shapes: Vec<Vec<usize>>,
    /// What is packed.
    pub(super) place: Place,
    pub(super) buffer: Buffer,
    /// Whether no step of the program writes what is packed: it is then packed before the first stage, where it has
    /// changed since the last run; else before each stage that reads it.
    pub(super) stable: bool,
    /// The state's version when it was packed.
    version: Option<u64>,
    /// Only for one that is not stable: its stage.
    stage: usize,
}

/// All packed arrays of a program.
#[derive(Default)]
pub(super) struct Packs(pub(super) Vec<Pack>);

impl Packs {
    /// The packed form of a step's second input, if its kernel wants one.
    ///
    /// `updated`: states that the program writes.
    pub(super) fn of(&mut self, level: Level, step: &Step, stage: usize, updated: &[usize]) -> Option<usize> {
        let StepKind::Op(op) = &step.kind else { return None };
        let shapes: Vec<&[usize]> = step.inputs.iter().map(|i| &i.shape[..]).collect();
        let len = packed_len(level, op, &shapes);
        if len == 0 {
            return None;
        }
        let weights = &step.inputs[1];
        assert_eq!(weights.access, Access::Whole, "the second input of {} is packed whole", op.name());
        let stable = match weights.place {
            Place::State(i) => !updated.contains(&i),
            Place::Constant(_) => true,
            Place::Input(_) | Place::Full(_) | Place::Local(_) => false,
        };
        let same = |p: &Pack| {
            let layout = p.op == *op && p.shapes[1] == shapes[1] && p.buffer.len() == len;
            layout && p.place == weights.place && p.stable && stable
        };
        if let Some(known) = self.0.iter().position(same) {
            return Some(known);
        }
        let shapes = shapes.iter().map(|s| s.to_vec()).collect();
        let (op, place, buffer) = (op.clone(), weights.place, Buffer::new(len));
        self.0.push(Pack { op, shapes, place, buffer, stable, version: None, stage });
        Some(self.0.len() - 1)
    }

    /// Those to be packed before the first stage, given each state's version.
    pub(super) fn stale(&mut self, mut version: impl FnMut(usize) -> u64) -> impl Iterator<Item = usize> {
        self.0.iter_mut().enumerate().filter_map(move |(i, pack)| {
            let now = match pack.place {
                Place::State(s) => version(s),
                _ => 0,
            };
            (pack.stable && pack.version.replace(now) != Some(now)).then_some(i)
        })
    }

    /// Those to be packed before a stage.
    pub(super) fn of_stage(&self, stage: usize) -> Vec<usize> {
        let all = self.0.iter().enumerate();
        all.filter(|(_, p)| !p.stable && p.stage == stage).map(|(i, _)| i).collect()
    }
}
