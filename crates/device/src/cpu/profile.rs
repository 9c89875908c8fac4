//! Where the time of a run goes.

use super::prepare::{Batch, Compiled, Prestage};
use super::replay::{Part, Run, Shared};
use sda_graph::RunKey;
use sda_kernels::Level;

/// Seconds of one run on one thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// For each stage of the plan, each of its steps.
    pub steps: Vec<Vec<f64>>,
    /// Packing of weights.
    pub packing: f64,
    /// Sums of partial results.
    pub sums: f64,
}

impl Profile {
    /// All of it.
    pub fn seconds(&self) -> f64 {
        self.steps.iter().flatten().sum::<f64>() + self.packing + self.sums
    }
}

impl Compiled {
    /// A run on this thread, step by step by the caller's clock. The bits are those of any run.
    pub(super) fn profile(&mut self, level: Level, key: RunKey, clock: &dyn Fn() -> f64) -> Profile {
        let workers = Shared(self.workers.as_mut_ptr());
        let run = Run { addresses: &self.addresses, packs: &self.packs, level, key };
        // SAFETY: no other thread runs.
        let worker = unsafe { workers.at(0) };
        let mut profile = Profile::default();
        let timed = |total: &mut f64, work: &mut dyn FnMut()| {
            let start = clock();
            work();
            *total += clock() - start;
        };
        timed(&mut profile.packing, &mut || self.stale.iter().for_each(|&i| run.pack(i, false)));
        for stage in &self.stages {
            let (Prestage::Global { steps, .. } | Prestage::Rows { steps, .. }) = stage;
            let mut seconds = vec![0.0; steps.len()];
            match stage {
                Prestage::Global { steps, batches } => {
                    let order = batches.iter().flat_map(|b| match b {
                        Batch::Alone(i) => vec![(*i, None)],
                        Batch::Tasks(tasks) => {
                            tasks.iter().map(|&(i, first, rows)| (i, Some((first, rows)))).collect()
                        }
                    });
                    for (i, task) in order {
                        let fresh = steps[i].pack.filter(|&p| !self.packs.packs[p].stable);
                        timed(&mut profile.packing, &mut || {
                            fresh.into_iter().for_each(|p| run.pack(p, false));
                        });
                        let part = Part::whole(task);
                        timed(&mut seconds[i], &mut || run.step(&steps[i], &part, worker, false));
                    }
                }
                Prestage::Rows { rows, block, groups, packs, steps, offsets, sums } => {
                    timed(&mut profile.packing, &mut || packs.iter().for_each(|&i| run.pack(i, false)));
                    for part in Part::of_rows([*rows, *block, *groups], offsets, 0..*groups) {
                        for (i, step) in steps.iter().enumerate() {
                            timed(&mut seconds[i], &mut || run.step(step, &part, worker, false));
                        }
                    }
                    timed(&mut profile.sums, &mut || run.add_partials(*groups, steps, sums, false));
                }
            }
            profile.steps.push(seconds);
        }
        self.finish();
        profile
    }
}
