//! What a row stage computes again instead of reading: values that an earlier stage with the same rows would have to
//! leave it for all rows at once, as the forward pass of many windows leaves its activations to the gradient.

use super::raw::Raw;
use super::schedule::Run;
use crate::fuse::root;
use crate::graph::NodeId;
use crate::program::Program;
use crate::rows::Class;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Puts steps of earlier stages once more before those of a stage that reads more than `largest_kept` bytes of what
/// they make. The same steps work on the same numbers, so that no bit changes; what they read is whole arrays, and
/// what they make lives in the slots of a block.
///
/// Returns the program with a node for each value that is there twice.
pub(super) fn compute_again<'p>(
    program: &'p Program,
    raw: &mut Vec<Raw>,
    order: &mut Vec<Run>,
    largest_kept: usize,
) -> Cow<'p, Program> {
    let mut program = Cow::Borrowed(program);
    let values = Values::new(&program, raw, order);
    for stage in 0..order.len() {
        let kept = values.kept(raw, order, stage);
        let bytes: usize = kept.iter().map(|n| 4 * program.graph.len(*n)).sum();
        if bytes <= largest_kept {
            continue;
        }
        let graph = &mut program.to_mut().graph;
        let mut copies: HashMap<NodeId, NodeId> = HashMap::new();
        let mut again = Vec::new();
        for i in values.makers(raw, kept) {
            let mut step = raw[i].clone();
            step.inputs.iter_mut().for_each(|(n, _)| *n = copies.get(n).copied().unwrap_or(*n));
            for o in &mut step.outputs {
                let copy = graph.copy(*o);
                copies.insert(std::mem::replace(o, copy), copy);
            }
            again.push(raw.len());
            raw.push(step);
        }
        for &i in &order[stage].steps {
            raw[i].inputs.iter_mut().for_each(|(n, _)| *n = copies.get(n).copied().unwrap_or(*n));
        }
        order[stage].steps.splice(0..0, again);
    }
    if let Cow::Owned(program) = &program {
        drop_unread(program, raw, order);
    }
    program
}

/// Where values are made, before any is made twice.
struct Values {
    /// The step that makes a value that row stages with its rows read and nothing else does.
    maker: HashMap<NodeId, usize>,
    /// Stage of each step, and its position there.
    place: HashMap<usize, (usize, usize)>,
}

impl Values {
    fn new(program: &Program, raw: &[Raw], order: &[Run]) -> Self {
        let mut maker = HashMap::new();
        let mut place = HashMap::new();
        for (s, run) in order.iter().enumerate() {
            for (p, &i) in run.steps.iter().enumerate() {
                place.insert(i, (s, p));
                if matches!(raw[i].class, Class::Rowwise(_)) {
                    maker.extend(raw[i].outputs.iter().map(|o| (*o, i)));
                }
            }
        }
        // What is in memory for all rows anyway is read.
        ends(program).iter().for_each(|n| _ = maker.remove(n));
        for step in raw {
            for (n, _) in &step.inputs {
                if maker.get(n).is_some_and(|&i| raw[i].rows != step.rows) {
                    maker.remove(n);
                }
            }
        }
        Self { maker, place }
    }

    /// Values that a stage reads and an earlier one has made for such stages alone.
    fn kept(&self, raw: &[Raw], order: &[Run], stage: usize) -> BTreeSet<NodeId> {
        let read = order[stage].steps.iter().flat_map(|&i| &raw[i].inputs).map(|(n, _)| *n);
        read.filter(|n| self.maker.get(n).is_some_and(|i| self.place[i].0 < stage)).collect()
    }

    /// The steps that make values from what is in memory for all rows, in their order.
    fn makers(&self, raw: &[Raw], values: BTreeSet<NodeId>) -> Vec<usize> {
        let mut found = HashSet::new();
        let mut waiting: Vec<NodeId> = values.into_iter().collect();
        while let Some(n) = waiting.pop() {
            if let Some(&i) = self.maker.get(&n)
                && found.insert(i)
            {
                waiting.extend(raw[i].inputs.iter().map(|(n, _)| *n));
            }
        }
        let mut found: Vec<usize> = found.into_iter().collect();
        found.sort_unstable_by_key(|i| self.place[i]);
        found
    }
}

fn ends(program: &Program) -> HashSet<NodeId> {
    let outputs = program.outputs.iter().map(|(_, n)| *n);
    outputs.chain(program.updates.iter().map(|(_, n)| *n)).map(|n| root(&program.graph, n)).collect()
}

/// Steps whose results were for later stages alone are gone where those compute them again.
fn drop_unread(program: &Program, raw: &[Raw], order: &mut Vec<Run>) {
    let mut read = ends(program);
    for run in order.iter_mut().rev() {
        let mut kept = Vec::with_capacity(run.steps.len());
        for &i in run.steps.iter().rev() {
            let step = &raw[i];
            if step.outputs.is_empty() || step.outputs.iter().any(|o| read.contains(o)) {
                read.extend(step.inputs.iter().map(|(n, _)| *n));
                kept.push(i);
            }
        }
        kept.reverse();
        run.steps = kept;
    }
    order.retain(|run| !run.steps.is_empty());
}
