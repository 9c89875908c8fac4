//! A broken kernel is found: without any one of its barriers, with another index, with a wrong edge.
//!
//! A software adapter runs the invocations of a workgroup in groups one after another up to the next barrier, so that a
//! barrier that is missing shows every time. Hardware may get away without one; there this test looks at the other changes
//! only.

use super::catalogue::{check, interpret, run};
use super::{best, forms, guarded, has_adapter};
use crate::Wgpu;
use crate::wgpu::AdapterKind;
use crate::wgpu::compiled::Edit;
use sda_kernels::catalogue::{Case, kernels};
use sda_kernels::gpu::{Abilities, Precision};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Cases of some kernels.
fn cases(of: &[&str]) -> Vec<Case> {
    let cases: Vec<Case> =
        kernels().into_iter().filter(|k| of.contains(&k.name)).flat_map(|k| k.cases()).collect();
    assert!(!cases.is_empty(), "no kernel {of:?}");
    cases
}

/// Whether some case of a kernel is wrong with an edit. The first wrong one ends the search.
fn is_found(gpu: &Wgpu, precision: Precision, cases: &[Case], edit: &Edit) -> bool {
    cases.iter().any(|case| {
        let mut gpu = gpu.fresh();
        gpu.edit = Some(edit.clone());
        let compare = || {
            check("broken", case, precision, &run(&mut gpu, case), &interpret(case));
            gpu.assert_guards("broken");
        };
        catch_unwind(AssertUnwindSafe(compare)).is_err()
    })
}

/// Kernels that are alike but for their shapes: the same name and number of barriers.
struct Alike {
    name: String,
    barriers: usize,
    cases: Vec<Case>,
}

/// The kernels with barriers of some cases, each with the cases that use it.
fn distinct(gpu: &Wgpu, cases: &[Case]) -> Vec<Alike> {
    let mut found: Vec<Alike> = Vec::new();
    for case in cases {
        for (name, text) in gpu.texts(&case.program) {
            let barriers = text.matches(BARRIER).count();
            match found.iter_mut().find(|a| a.name == name && a.barriers == barriers) {
                Some(alike) => alike.cases.push(case.clone()),
                None if barriers > 0 => found.push(Alike { name, barriers, cases: vec![case.clone()] }),
                None => {}
            }
        }
    }
    found
}

const BARRIER: &str = "workgroupBarrier();";

fn without_barrier(occurrence: usize) -> Edit {
    Edit { from: BARRIER.into(), to: String::new(), occurrence }
}

#[test]
fn parity_without_any_one_barrier_is_found() {
    let name = "parity_without_any_one_barrier_is_found";
    if !has_adapter(name) {
        return;
    }
    if best().kind != AdapterKind::Software {
        eprintln!("{name}: skipped, hardware may get away without a barrier");
        return;
    }
    let mut missed = Vec::new();
    for (form, abilities, precision) in forms() {
        let gpu = guarded(abilities, precision);
        // Sums over the last axis are fused steps, as layer norms are; convolutions have the products' text.
        for kernels in [&["sum", "layer-norm"][..], &["matmul"]] {
            let cases = cases(kernels);
            for text in distinct(&gpu, &cases) {
                for i in 0..text.barriers {
                    if !is_found(&gpu, precision, &text.cases, &without_barrier(i)) {
                        missed.push(format!("{form}: {}, barrier {i}", text.name));
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

/// Changes of an index, an edge, an order; each with the kernel whose cases must tell.
const CHANGES: [(&str, &str, &str); 26] = [
    ("broadcast", "(a5 % N5) * S5", "(a5 % N4) * S5"),
    ("permute", "(a4 % N4) * S4", "(a4 % N5) * S4"),
    ("slice", "START + j * STEP", "START + j"),
    ("pad", "to - BEFORE) / STEP;", "to) / STEP;"),
    ("pad", "&& j < FROM", "&& j <= FROM"),
    ("gather", "FROM + table[j]", "FROM + j"),
    ("scatter", "t < table[j + 1u]", "t <= table[j]"),
    ("concat", "TO + START + j", "TO + j"),
    ("noise", "block * 4u + i", "block * 4u + 3u - i"),
    ("noise", "0xBB67AE85u", "0xBB67AE84u"),
    ("sum", "min(TERMS, (split + 1u) * PART)", "TERMS - 1u"),
    ("sum", "t % R3 * U3", "t % R3"),
    ("matmul", "if (m < dims.m)", "if (m <= dims.m)"),
    ("matmul", "if (k >= end)", "if (k >= end - 1u)"),
    ("matmul", "k0 + BK + ka", "k0 + BK + kb"),
    ("matmul", "s30 += x.w * y0", "s30 += x.z * y0"),
    ("matmul", "if (column + i < N)", "if (column + i <= N)"),
    ("conv-forward", "at + length - before,", "at + length - before - 1u,"),
    ("conv-forward", "m % WO * SX", "m % WO"),
    ("conv-input", "d % i32(stride) != 0", "false"),
    ("conv-input", "d -= i32(length)", "d -= i32(count)"),
    ("conv-filter", "tap % KW", "tap / KW"),
    ("layer-norm", "at < dims.rows)", "at < dims.rows - 1u)"),
    ("bias-silu", "4.1666668e-2", "4.1e-2"),
    ("bias-gelu", "-1.2655122", "-1.26"),
    ("addressing", "row / ", "row + "),
];

#[test]
fn parity_changed_kernels_are_found() {
    if !has_adapter("parity_changed_kernels_are_found") {
        return;
    }
    let gpu = guarded(Abilities::PORTABLE, Precision::F32);
    let mut missed = Vec::new();
    for (kernel, from, to) in CHANGES {
        let cases = cases(&[kernel]);
        let texts = cases.iter().flat_map(|case| gpu.texts(&case.program)).collect::<Vec<_>>();
        assert!(texts.iter().any(|(_, t)| t.contains(from)), "{kernel} has no «{from}»");
        let edit = Edit { from: from.into(), to: to.into(), occurrence: 0 };
        if !is_found(&gpu, Precision::F32, &cases, &edit) {
            missed.push(format!("{kernel}: «{from}» → «{to}»"));
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

impl Wgpu {
    /// Workgroups of the largest launch.
    pub(super) fn most_workgroups(&self, program: &sda_graph::Program) -> usize {
        let layout = super::super::layout::Layout::new(program, &self.target, &self.bounds).unwrap();
        layout.launches.iter().map(|l| l.dispatch.groups).max().unwrap_or(0)
    }

    /// Names and texts of a program's launches, before any edit.
    fn texts(&self, program: &sda_graph::Program) -> Vec<(String, String)> {
        let layout = super::super::layout::Layout::new(program, &self.target, &self.bounds).unwrap();
        layout.launches.into_iter().map(|l| (l.dispatch.name, l.dispatch.text)).collect()
    }
}
