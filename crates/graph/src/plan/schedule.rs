//! The order of steps, in stages.

use super::raw::{Raw, dependencies, key};
use crate::rows::Class;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Steps that run together: on whole arrays, or independent along the same number of rows.
pub(super) struct Run {
    /// 0: whole arrays.
    pub(super) rows: usize,
    pub(super) steps: Vec<usize>,
}

/// Steps that can run now, by number of rows.
#[derive(Default)]
struct Ready(BTreeMap<usize, BinaryHeap<Reverse<(usize, usize)>>>);

impl Ready {
    fn push(&mut self, raw: &[Raw], i: usize) {
        self.0.entry(raw[i].rows).or_default().push(Reverse((key(&raw[i]), i)));
    }

    fn pop(&mut self, rows: usize) -> Option<usize> {
        let heap = self.0.get_mut(&rows)?;
        let next = heap.pop().map(|Reverse((_, i))| i);
        if heap.is_empty() {
            self.0.remove(&rows);
        }
        next
    }

    /// Whole arrays first; then the rows whose first step is the earliest.
    fn next(&self) -> Option<usize> {
        let first = |heap: &BinaryHeap<Reverse<(usize, usize)>>| heap.peek().map(|Reverse((k, _))| *k);
        self.0.iter().min_by_key(|(rows, heap)| (**rows != 0, first(heap))).map(|(rows, _)| *rows)
    }
}

/// Stages as long as they can be: each goes on while a step of its kind can run.
///
/// `sequential`: a stage on whole arrays is one step.
pub(super) fn schedule(raw: &[Raw], sequential: bool) -> Vec<Run> {
    let before = dependencies(raw);
    let mut waiting: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut after = vec![Vec::new(); raw.len()];
    before.iter().enumerate().for_each(|(i, b)| b.iter().for_each(|&j| after[j].push(i)));
    let mut ready = Ready::default();
    (0..raw.len()).filter(|&i| waiting[i] == 0).for_each(|i| ready.push(raw, i));
    let mut stages = Vec::new();
    while let Some(rows) = ready.next() {
        let (mut steps, mut deferred) = (Vec::new(), Vec::new());
        let mut release = |i: usize, ready: &mut Ready| {
            for &j in &after[i] {
                waiting[j] -= 1;
                if waiting[j] == 0 {
                    ready.push(raw, j);
                }
            }
        };
        while let Some(i) = ready.pop(rows) {
            steps.push(i);
            // A sum over rows is whole only at the end of its stage.
            if matches!(raw[i].class, Class::Reduce(_)) {
                deferred.push(i);
            } else {
                release(i, &mut ready);
            }
            if sequential && rows == 0 {
                break;
            }
        }
        deferred.into_iter().for_each(|i| release(i, &mut ready));
        stages.push(Run { rows, steps });
    }
    stages
}
