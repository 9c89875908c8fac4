//! The catalogue itself: complete, named, deterministic, costed.

use crate::catalogue::{Domain, Kernel, kernels};
use sda_graph::{Op, Unary};
use std::collections::HashSet;

#[test]
fn names_are_unique_and_every_kernel_has_cases() {
    let mut names = HashSet::new();
    for kernel in kernels() {
        assert!(names.insert(kernel.name), "{} is listed twice", kernel.name);
        let cases = kernel.cases();
        assert!(cases.len() >= 5, "{} has {} cases", kernel.name, cases.len());
        let mut labels = HashSet::new();
        for case in &cases {
            let label = format!("{}{:?}{:?}", case.name, case.domains, case.result().op);
            assert!(labels.insert(label), "{}: {} is listed twice", kernel.name, case.name);
        }
    }
}

/// Every op that computes is the result of some case; the match makes a new op a compile error here.
#[test]
fn every_op_has_cases() {
    let cases: Vec<_> = kernels().iter().flat_map(Kernel::cases).collect();
    let kind = |op: &Op| match op {
        Op::Input(_) | Op::State(_) | Op::Constant(_) | Op::Reshape | Op::Detach | Op::Rows => "holds memory",
        Op::Unary(_) => "unary",
        Op::Binary(_) => "binary",
        Op::Select => "select",
        Op::Broadcast => "broadcast",
        Op::Sum { .. } => "sum",
        Op::Permute { .. } => "permute",
        Op::Slice { .. } => "slice",
        Op::Pad { .. } => "pad",
        Op::Gather { .. } => "gather",
        Op::Scatter { .. } => "scatter",
        Op::Concat { .. } => "concat",
        Op::MatMul { .. } => "matmul",
        Op::Conv(..) => "conv",
        Op::Noise { .. } => "noise",
    };
    let covered: HashSet<&str> = cases.iter().map(|c| kind(&c.result().op)).collect();
    assert_eq!(covered.len(), 14, "{covered:?}");
    for op in Unary::ALL {
        assert!(cases.iter().any(|c| c.result().op == Op::Unary(op)), "{op:?} has no case");
    }
}

#[test]
fn data_are_a_function_of_the_seed_and_in_their_domain() {
    for case in kernels().iter().flat_map(Kernel::cases) {
        let (a, b, other) = (case.inputs::<f32>(5), case.inputs::<f32>(5), case.inputs::<f32>(6));
        assert_eq!(a, b);
        assert!(a.iter().map(Vec::len).sum::<usize>() < 16 || a != other, "{}", case.name);
        for (x, domain) in a.iter().zip(&case.domains) {
            let fits = |x: &f32| match domain {
                Domain::Real => x.abs() >= 0.05 && x.abs() < 10.0,
                Domain::Positive => (0.5..2.0).contains(x),
                Domain::Flag => *x == 0.0 || *x == 1.0,
                Domain::Integer => x.fract() == 0.0 && x.abs() <= 2.0,
            };
            assert!(x.iter().all(fits), "{}: {domain:?}", case.name);
        }
    }
}

#[test]
fn costs_are_those_of_the_formulas() {
    let find = |kernel: &str, case: &str| {
        let kernel = kernels().into_iter().find(|k| k.name == kernel).unwrap();
        kernel.cases().into_iter().find(|c| c.name.contains(case)).unwrap()
    };
    let product = find("matmul", "matmul[NN] [65, 33] [33, 49]");
    assert_eq!(product.flops(), 2 * 65 * 33 * 49);
    assert_eq!(product.bytes(), 4 * (65 * 33 + 33 * 49 + 65 * 49));
    assert_eq!(find("matmul", "matmul[TT] [33, 65] [49, 33]").flops(), product.flops());
    let flops: Vec<usize> = ["conv-forward", "conv-input", "conv-filter"]
        .map(|face| find(face, "1×11 kernel 1×3 stride 1×2").flops())
        .to_vec();
    // Batch 2, 6 output points, 3 taps, 3 × 5 channels.
    assert_eq!(flops, [2 * 2 * 6 * 3 * 15; 3]);
    assert_eq!(find("sum", "[13, 31]").flops(), 13 * 31);
    assert_eq!(find("bias-silu", "[37, 8] [8]").flops(), 3 * 37 * 8);
    assert_eq!(find("bias-silu", "[37, 8] [8]").bytes(), 4 * (2 * 37 * 8 + 8));
}
