//! Every function, at lengths around a strip of 512 and a vector of 16.

use crate::catalogue::{Case, Domain, Exactness, Kernel};
use sda_graph::{Binary, Unary};

pub(crate) const UNARY: Kernel = Kernel::new("unary", "yᵢ = f(xᵢ)", unary);
pub(crate) const BINARY: Kernel = Kernel::new("binary", "yᵢ = f(aᵢ, bᵢ)", binary);
pub(crate) const SELECT: Kernel = Kernel::new("select", "yᵢ = aᵢ where cᵢ ≠ 0, else bᵢ", select);

const SHAPES: [&[usize]; 5] = [&[1], &[7], &[4, 16], &[19, 27], &[2, 3, 5]];

fn exactness(op: Unary) -> Exactness {
    match op {
        Unary::Neg | Unary::Abs | Unary::Sign | Unary::Sqrt | Unary::Recip | Unary::Finite => {
            Exactness::Exact
        }
        Unary::Exp | Unary::Tanh | Unary::Sigmoid | Unary::Erf => Exactness::Ulps(4),
        // The platform's.
        Unary::Ln | Unary::Sin | Unary::Cos => Exactness::Ulps(1),
    }
}

fn unary() -> Vec<Case> {
    let case = |op: Unary, shape: &[usize]| {
        let domain = if matches!(op, Unary::Ln | Unary::Sqrt) { Domain::Positive } else { Domain::Real };
        Case::op(&[(shape, domain)], exactness(op), |g, x| g.unary(op, x[0]))
    };
    Unary::ALL.iter().flat_map(|&op| SHAPES.iter().map(move |s| case(op, s))).collect()
}

fn binary() -> Vec<Case> {
    let case = |op: Binary, shape: &[usize], domain: Domain| {
        // A divisor of 0 is not this case's concern.
        let second = if op == Binary::Div { Domain::Positive } else { domain };
        Case::op(&[(shape, domain), (shape, second)], Exactness::Exact, |g, x| g.binary(op, x[0], x[1]))
    };
    let ties = Binary::ALL.iter().map(|&op| case(op, &[67], Domain::Integer));
    let plain = Binary::ALL.iter().flat_map(|&op| SHAPES.iter().map(move |s| case(op, s, Domain::Real)));
    plain.chain(ties).collect()
}

fn select() -> Vec<Case> {
    let case = |shape: &&[usize]| {
        let inputs = [(*shape, Domain::Flag), (*shape, Domain::Real), (*shape, Domain::Real)];
        Case::op(&inputs, Exactness::Exact, |g, x| g.select(x[0], x[1], x[2]))
    };
    SHAPES.iter().map(case).collect()
}
