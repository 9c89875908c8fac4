//! A fused group as WGSL: one line an instruction.
//!
//! Without sums an invocation computes one point, or four of many. With sums LANES invocations share a row: a loop over its columns for
//! each sum that another one needs, and a last loop that writes; values of an earlier loop are computed again from the
//! arrays, which the cache holds.

use super::code::{Code, Value};
use crate::gpu::{Array, Dispatch, GRID, GpuCall, INVOCATIONS, Target, Text, numbers};
use sda_graph::Fused;
use std::fmt::Write;

const FUNCTIONS: &str = include_str!("../elementwise/functions.wgsl");
const ROWS: &str = include_str!("rows.wgsl");
const SUBGROUPS: &str = include_str!("rows_subgroups.wgsl");

pub(crate) fn launches(target: &Target, fused: &Fused, call: &GpuCall<'_>) -> Vec<Dispatch> {
    let rows = call.rows;
    let memory = Memory::new(call);
    assert!(
        memory.arrays.len() <= target.abilities.arrays.max(MOST_UNPLANNED),
        "a fused step of {} arrays, at most {} can be bound",
        memory.arrays.len(),
        target.abilities.arrays
    );
    let code = Code::new(fused, &memory.input_names(call));
    let body = Body { fused, code: &code, memory: &memory, call };
    let (name, text, of_a_group) = if code.sums() {
        body.by_rows(target)
    } else {
        // Several reads under way at a time, where there is enough to do for all.
        let points = if rows * fused.cols >= MANY { 4 } else { 1 };
        ("fused", body.by_points(points), points * INVOCATIONS)
    };
    let text = memory.declarations(text).file(FUNCTIONS).file(GRID);
    let points = rows * fused.cols;
    vec![Dispatch {
        name: name.into(),
        text: text.into_string(),
        arrays: memory.arrays.clone(),
        dims: vec![rows as u32],
        groups: if code.sums() { rows } else { points }.div_ceil(of_a_group),
        flops: (fused.body.len() * points) as u64,
        bytes: 4 * (numbers(call.shapes) + numbers(call.outputs)),
    }]
}

/// Points from which an invocation takes four.
const MANY: usize = 1 << 20;

/// Arrays that a single elementwise op reads and writes at most: what cannot be planned away.
const MOST_UNPLANNED: usize = 4;

/// The arrays of a call, each bound once.
struct Memory {
    arrays: Vec<Array>,
    /// Identity of each array.
    ids: Vec<usize>,
}

impl Memory {
    /// What is written stands for what is read in its place.
    fn new(call: &GpuCall<'_>) -> Self {
        let n = call.shapes.len();
        let mut memory = Self { arrays: Vec::new(), ids: Vec::new() };
        let outputs = (0..call.outputs.len()).map(|k| (call.memory[n + k], Array::Output(k)));
        let inputs = (0..n).map(|k| (call.memory[k], Array::Input(k)));
        for (id, array) in outputs.chain(inputs) {
            if !memory.ids.contains(&id) {
                memory.ids.push(id);
                memory.arrays.push(array);
            }
        }
        memory
    }

    fn name(&self, id: usize) -> String {
        let at = self.ids.iter().position(|i| *i == id).expect("every array of the call has a place");
        format!("{}{at}", if self.arrays[at].is_written() { "y" } else { "x" })
    }

    fn input_names(&self, call: &GpuCall<'_>) -> Vec<String> {
        call.memory[..call.shapes.len()].iter().map(|id| self.name(*id)).collect()
    }

    fn declarations(&self, mut text: Text) -> Text {
        text =
            text.file("struct Dims {\n    rows: u32,\n}\n\n@group(0) @binding(0) var<uniform> dims: Dims;");
        for (at, array) in self.arrays.iter().enumerate() {
            let access = if array.is_written() { "read_write" } else { "read" };
            let name = self.name(self.ids[at]);
            text = text
                .file(&format!("@group(0) @binding({}) var<storage, {access}> {name}: array<f32>;", at + 1));
        }
        text
    }
}

struct Body<'a> {
    fused: &'a Fused,
    code: &'a Code,
    memory: &'a Memory,
    call: &'a GpuCall<'a>,
}

const HEAD: &str = "@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
";

impl Body<'_> {
    /// One invocation for `points` points, 256 apart.
    fn by_points(&self, points: usize) -> Text {
        let mut lines = format!(
            "{HEAD}) {{
    let begin = position(group, groups) * (256u * POINTS) + lane;
"
        );
        self.code.constants(&mut lines);
        lines.push_str(
            "    for (var at = begin; at < min(begin + 256u * POINTS, dims.rows * COLS); at += 256u) {
        let row = at / COLS;
        let col = at % COLS;
",
        );
        for (i, value) in self.code.values.iter().enumerate() {
            line(&mut lines, 8, &format!("let v{i} = {};", value.expression));
        }
        for k in 0..self.fused.results.len() {
            let store = self.store(k);
            let guarded = if self.fused.full_results[k] || self.fused.cols == 1 {
                store
            } else {
                format!("if (col == 0u) {{ {store} }}")
            };
            line(&mut lines, 8, &guarded);
        }
        lines.push_str("    }\n}\n");
        Text::default().constant("COLS", self.fused.cols).constant("POINTS", points).file(&lines)
    }

    /// Several invocations a row.
    fn by_rows(&self, target: &Target) -> (&'static str, Text, usize) {
        let cols = self.fused.cols;
        // Few lanes add few parts, and eight neighbouring numbers are what memory fetches at once.
        let lanes = match cols {
            ..=128 => cols.next_power_of_two().min(8),
            129..=512 => 16,
            513..=1024 => 32,
            _ => INVOCATIONS,
        };
        let subgroups = lanes == INVOCATIONS && target.abilities.subgroups;
        let arguments = if subgroups { "subgroup, subgroups, member" } else { "lane" };
        let mut lines = HEAD.to_owned();
        if subgroups {
            lines.push_str(
                "    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) member: u32,
",
            );
        }
        let _ = write!(
            lines,
            ") {{
    let at = position(group, groups) * {}u + lane / LANES;
    let row = min(at, dims.rows - 1u);
    let first = lane % LANES;
    let end = select(0u, COLS, at < dims.rows);
",
            INVOCATIONS / lanes
        );
        self.code.constants(&mut lines);
        self.phases(&mut lines, arguments);
        lines.push_str("}\n");
        let text = Text::default().constant("COLS", cols);
        if subgroups {
            let text = text.constant("LANES", lanes).file(&lines).file(SUBGROUPS);
            return ("fused rows, subgroups", text, 1);
        }
        ("fused rows", text.constant("LANES", lanes).file(&lines).file(ROWS), INVOCATIONS / lanes)
    }

    /// Values per row and the loops over columns, in the order in which they can be known.
    fn phases(&self, lines: &mut String, arguments: &str) {
        let values = &self.code.values;
        let last = values.iter().map(|v| v.phase).max().unwrap_or(0);
        for phase in 0..=last {
            let sums: Vec<usize> = (0..values.len())
                .filter(|&i| values[i].summed.is_some() && values[i].phase == phase)
                .collect();
            if !sums.is_empty() {
                self.sums(lines, &sums, arguments);
            }
            let of_rows = |(_, v): &(usize, &Value)| !v.full && v.summed.is_none() && v.phase == phase;
            for (i, value) in values.iter().enumerate().filter(of_rows) {
                line(lines, 4, &format!("let v{i} = {};", value.expression));
            }
        }
        let results = &self.code.results;
        let wide: Vec<usize> = (0..results.len()).filter(|&k| self.fused.full_results[k]).collect();
        if !wide.is_empty() {
            line(lines, 4, "for (var col = first; col < end; col += LANES) {");
            let needed: Vec<usize> = wide.iter().filter_map(|&k| results[k].value).collect();
            self.loop_body(lines, &needed);
            wide.iter().for_each(|&k| line(lines, 8, &self.store(k)));
            line(lines, 4, "}");
        }
        for k in (0..results.len()).filter(|&k| !self.fused.full_results[k]) {
            line(lines, 4, &format!("if (first == 0u && at < dims.rows) {{ {} }}", self.store(k)));
        }
    }

    fn sums(&self, lines: &mut String, sums: &[usize], arguments: &str) {
        let summed: Vec<usize> = sums.iter().filter_map(|&i| self.code.values[i].summed).collect();
        sums.iter().for_each(|i| line(lines, 4, &format!("var part{i} = 0.0;")));
        // All invocations go round as often, so that a subgroup is whole when it adds.
        line(lines, 4, "for (var base = 0u; base < COLS; base += LANES) {");
        line(lines, 8, "let col = base + first;");
        line(lines, 8, "if (col < end) {");
        self.loop_body(lines, &summed);
        for (i, from) in sums.iter().zip(&summed) {
            line(lines, 8, &format!("part{i} += v{from};"));
        }
        line(lines, 8, "}");
        line(lines, 4, "}");
        sums.iter().for_each(|i| line(lines, 4, &format!("let v{i} = row_sum(part{i}, {arguments});")));
    }

    /// The full values that some values need, in order.
    fn loop_body(&self, lines: &mut String, needed: &[usize]) {
        for i in self.code.cone(needed) {
            line(lines, 8, &format!("let v{i} = {};", self.code.values[i].expression));
        }
    }

    fn store(&self, k: usize) -> String {
        let name = self.memory.name(self.call.memory[self.call.shapes.len() + k]);
        let at = if self.fused.full_results[k] && self.fused.cols > 1 { "row * COLS + col" } else { "row" };
        format!("{name}[{at}] = {};", self.code.results[k].expression)
    }
}

fn line(lines: &mut String, indent: usize, text: &str) {
    let _ = writeln!(lines, "{:indent$}{text}", "");
}
