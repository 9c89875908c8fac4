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
    /// Numbers of the packed form.
    pub(super) len: usize,
    /// Whether no step of the program writes what is packed, and no other array its memory: it is then packed before
    /// the first stage, where it has changed since the last run; else before the first stage that reads it.
    pub(super) stable: bool,
    /// Which buffer holds it.
    pub(super) buffer: usize,
    /// The state's version when it was packed.
    version: Option<u64>,
    /// First and last stage that read it.
    stages: (usize, usize),
}

/// All packed arrays of a program, and their memory.
#[derive(Default)]
pub(super) struct Packs {
    pub(super) packs: Vec<Pack>,
    pub(super) buffers: Vec<Buffer>,
}

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
            let layout = p.op == *op && p.shapes[1] == shapes[1] && p.len == len;
            layout && p.place == weights.place && p.stable && stable
        };
        if let Some(known) = self.packs.iter().position(same) {
            self.packs[known].stages.1 = stage;
            return Some(known);
        }
        let shapes = shapes.iter().map(|s| s.to_vec()).collect();
        let (op, place, stages) = (op.clone(), weights.place, (stage, stage));
        self.packs.push(Pack { op, shapes, place, len, stable, buffer: 0, version: None, stages });
        Some(self.packs.len() - 1)
    }

    /// Gives every array its memory. Those that are packed in every run take turns where their stages let them; all do
    /// where `kept` bytes are not enough.
    pub(super) fn place(&mut self, kept: usize) {
        let scarce = 4 * self.packs.iter().map(|p| p.len).sum::<usize>() > kept;
        // Length of each buffer, and the last stage that needs what it holds; none: for ever.
        let mut owners: Vec<(usize, Option<usize>)> = Vec::new();
        for pack in &mut self.packs {
            pack.stable &= !scarce;
            let last = (!pack.stable).then_some(pack.stages.1);
            let fits = |(len, last): &(usize, Option<usize>)| {
                *len >= pack.len && !pack.stable && last.is_some_and(|last| last < pack.stages.0)
            };
            let free = (0..owners.len()).filter(|&i| fits(&owners[i])).min_by_key(|&i| owners[i].0);
            pack.buffer = free.unwrap_or(owners.len());
            match free {
                Some(i) => owners[i].1 = last,
                None => owners.push((pack.len, last)),
            }
        }
        self.buffers = owners.into_iter().map(|(len, _)| Buffer::new(len)).collect();
    }

    /// Those to be packed before the first stage, given each state's version.
    pub(super) fn stale(&mut self, mut version: impl FnMut(usize) -> u64) -> impl Iterator<Item = usize> {
        self.packs.iter_mut().enumerate().filter_map(move |(i, pack)| {
            let now = match pack.place {
                Place::State(s) => version(s),
                _ => 0,
            };
            (pack.stable && pack.version.replace(now) != Some(now)).then_some(i)
        })
    }

    /// Those to be packed before a stage.
    pub(super) fn of_stage(&self, stage: usize) -> Vec<usize> {
        let all = self.packs.iter().enumerate();
        all.filter(|(_, p)| !p.stable && p.stages.0 == stage).map(|(i, _)| i).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pack, Packs};
    use sda_graph::{Op, Place};

    fn pack(len: usize, stages: (usize, usize), stable: bool) -> Pack {
        let op = Op::MatMul { ta: false, tb: false };
        Pack { op, shapes: Vec::new(), place: Place::State(0), len, stable, buffer: 0, version: None, stages }
    }

    /// No two arrays that are needed at the same time share memory; what is kept shares with none.
    #[test]
    fn arrays_of_different_stages_take_turns() {
        let all = [(10, (1, 2)), (20, (1, 1)), (15, (2, 3)), (10, (3, 4)), (30, (4, 4)), (10, (5, 5))];
        for (kept, stable, buffers) in [(1 << 20, true, 6), (0, true, 3), (1 << 20, false, 3)] {
            let packs = all.iter().map(|&(len, stages)| pack(len, stages, stable)).collect();
            let mut packs = Packs { packs, buffers: Vec::new() };
            packs.place(kept);
            assert_eq!(packs.buffers.len(), buffers, "kept {kept}, stable {stable}");
            for (i, p) in packs.packs.iter().enumerate() {
                assert!(packs.buffers[p.buffer].len() >= p.len);
                assert_eq!(p.stable, stable && kept > 0);
                for q in packs.packs[..i].iter().filter(|q| q.buffer == p.buffer) {
                    assert!(!p.stable && q.stages.1 < p.stages.0, "{:?} {:?}", q.stages, p.stages);
                }
            }
        }
    }
}
