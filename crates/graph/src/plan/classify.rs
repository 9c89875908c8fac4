//! Which steps are independent along how many rows.

use super::raw::{Raw, topological};
use super::{Access, StepKind};
use crate::fuse::root;
use crate::graph::{Graph, NodeId};
use crate::op::Op;
use crate::program::{Leading, Program};
use crate::rows::{Class, Seen, classify_fused, classify_op};
use std::collections::HashMap;

/// Rows that the plan may cut along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The program's own rows.
    Declared,
    /// Rows marked inside the graph too, where there are more of them.
    Marked,
}

/// Rows marked in the graph, by the node whose memory is marked: the most where there are several.
pub(super) fn marks(program: &Program) -> HashMap<NodeId, usize> {
    let graph = &program.graph;
    let mut marks = HashMap::new();
    let live = program.live();
    for (i, node) in graph.nodes().iter().enumerate().filter(|(i, n)| live[*i] && n.op == Op::Rows) {
        let id = graph.id(i);
        let rows = graph.shape(id)[0];
        if rows > 1 && !graph.len(node.inputs[0]).is_multiple_of(rows) {
            continue;
        }
        let most = marks.entry(root(graph, id)).or_insert(rows);
        *most = rows.max(*most);
    }
    marks.retain(|_, rows| *rows > 1);
    marks
}

/// Gives each step its class and its number of rows.
pub(super) fn classify(program: &Program, raw: &mut [Raw], cut: Cut) {
    let graph = &program.graph;
    let declared = program.rows().filter(|&r| r > 1);
    let marks = if cut == Cut::Marked { marks(program) } else { HashMap::new() };
    // Number of rows of each value; 0: none.
    let mut rows_of: HashMap<NodeId, usize> = HashMap::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        let leading = match node.op {
            Op::Input(k) => graph.inputs()[k].leading,
            Op::State(k) => graph.states()[k].leading,
            _ => Leading::Shared,
        };
        let own = declared.filter(|_| leading == Leading::Rows).unwrap_or(0);
        let id = graph.id(i);
        rows_of.insert(id, marks.get(&id).copied().unwrap_or(own));
    }
    // Rows of the blocks that a value is made in: a mark may say another number.
    let mut made_in: HashMap<NodeId, usize> = HashMap::new();
    for i in topological(raw) {
        let (class, rows) = class_of(graph, &raw[i], &rows_of, &made_in, declared);
        if let Class::Rowwise(_) = class {
            for o in &raw[i].outputs {
                made_in.insert(*o, rows);
                if !marks.contains_key(o) {
                    rows_of.insert(*o, rows);
                }
            }
        }
        raw[i].rows = if class == Class::Global { 0 } else { rows };
        raw[i].class = class;
    }
    move_broadcasts_into_rows(program, raw, &rows_of);
}

/// The class by the fewest rows among the inputs, which all of them can be cut by, else by the program's own rows.
///
/// What is made in blocks of as many rows is not whole while they are worked on: a step that reads it whole waits.
fn class_of(
    graph: &Graph,
    step: &Raw,
    rows_of: &HashMap<NodeId, usize>,
    made_in: &HashMap<NodeId, usize>,
    declared: Option<usize>,
) -> (Class, usize) {
    let fewest = step.inputs.iter().map(|(n, _)| rows_of[n]).filter(|&r| r > 0).min();
    for rows in fewest.into_iter().chain(declared) {
        let is_row = |n: &NodeId| rows_of[n] > 0 && rows_of[n].is_multiple_of(rows);
        let class = match &step.kind {
            StepKind::Op(op) => {
                let inputs: Vec<Seen<'_>> =
                    step.inputs.iter().map(|(n, shape)| Seen { shape, is_row: is_row(n) }).collect();
                classify_op(op, &inputs, graph.shape(step.outputs[0]), rows)
            }
            StepKind::Fused(fused) => {
                let flags: Vec<bool> = step.inputs.iter().map(|(n, _)| is_row(n)).collect();
                classify_fused(fused, &flags, rows)
            }
        };
        let waits = match &class {
            Class::Global => true,
            Class::Rowwise(accesses) | Class::Reduce(accesses) => step
                .inputs
                .iter()
                .zip(accesses)
                .any(|((n, _), access)| *access == Access::Whole && made_in.get(n) == Some(&rows)),
        };
        if !waits {
            return (class, rows);
        }
    }
    (Class::Global, 0)
}

/// A shared array repeated along the rows and read by rows only is made block by block.
fn move_broadcasts_into_rows(program: &Program, raw: &mut [Raw], rows_of: &HashMap<NodeId, usize>) {
    let graph = &program.graph;
    let ends: Vec<NodeId> = program
        .outputs
        .iter()
        .map(|(_, n)| root(graph, *n))
        .chain(program.updates.iter().map(|(_, n)| root(graph, *n)))
        .collect();
    for i in 0..raw.len() {
        let repeated = match (&raw[i].kind, &raw[i].class) {
            (StepKind::Op(Op::Broadcast), Class::Global) => {
                // A row value may lie along another axis: it is not whole while its rows are worked on.
                let (input, shape) = &raw[i].inputs[0];
                rows_of[input] == 0 && shape[0] == 1
            }
            _ => false,
        };
        if !repeated || ends.contains(&raw[i].outputs[0]) {
            continue;
        }
        let made = raw[i].outputs[0];
        let readers = || raw.iter().filter(|step| step.inputs.iter().any(|(n, _)| *n == made));
        let rows = readers().map(|step| step.rows).max().unwrap_or(0);
        let by_rows = readers().all(|step| {
            let mut reads = step.inputs.iter().enumerate().filter(|(_, (n, _))| *n == made);
            step.rows == rows
                && reads.all(|(k, _)| match &step.class {
                    Class::Rowwise(a) | Class::Reduce(a) => a[k] == Access::Piece,
                    Class::Global => false,
                })
        });
        if by_rows && rows > 0 && graph.shape(made)[0].is_multiple_of(rows) {
            (raw[i].class, raw[i].rows) = (Class::Rowwise(vec![Access::Whole]), rows);
        }
    }
}
