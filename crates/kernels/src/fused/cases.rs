//! Composed graphs that the planner turns into one pass each.

use crate::catalogue::{Case, Domain, Exactness, Kernel};
use sda_graph::{Graph, NodeId};

pub(crate) const ALL: [Kernel; 9] = [
    Kernel::new("layer-norm", "y = (x − mean x) / √(var x + 1e-5) over the last axis", || norm(false)),
    Kernel::new("layer-norm-gradient", "layer norm's vector–Jacobian product", || norm(true)),
    Kernel::new("bias-silu", "y = z σ(z), z = x + b", || bias(silu, false)),
    Kernel::new("bias-silu-gradient", "its vector–Jacobian product", || bias(silu, true)),
    Kernel::new("bias-gelu", "y = z Φ(z), z = x + b", || bias(gelu, false)),
    Kernel::new("bias-gelu-gradient", "its vector–Jacobian product", || bias(gelu, true)),
    Kernel::new("adamw", "m, v and θ of one step", adamw),
    Kernel::new("addressing", "x + a[1, L, C] + b[B, 1, C] + c[B, 1, 1] + d[C] + e[B, L, 1]", addressing),
    Kernel::new("softmax", "eˣ / Σ eˣ over the last axis", softmax),
];

const R: Domain = Domain::Real;

/// Rows × columns: one strip, many strips with a rest, a row longer than a strip, one row, one column more than lanes, a
/// row that takes a workgroup.
const SHAPES: [&[usize]; 8] =
    [&[1, 2], &[37, 8], &[5, 3, 16], &[129, 17], &[64, 64], &[3, 521], &[1, 33], &[2, 1031]];

fn over_last(g: &Graph, x: NodeId) -> [usize; 1] {
    [g.shape(x).len() - 1]
}

fn layer_norm(g: &mut Graph, x: NodeId) -> NodeId {
    let axis = over_last(g, x);
    let mean = g.mean(x, &axis);
    let centred = g.sub(x, mean);
    let square = g.square(centred);
    let variance = g.mean(square, &axis);
    let shifted = g.offset(variance, 1e-5);
    let deviation = g.sqrt(shifted);
    g.div(centred, deviation)
}

fn norm(gradient: bool) -> Vec<Case> {
    let case = |shape: &&[usize]| {
        let length = 4 * shape.last().copied().unwrap_or(1) + 64;
        let inputs = [(*shape, R), (*shape, R)];
        let name = if gradient { "layer norm gradient" } else { "layer norm" };
        Case::fused(name, &inputs[..=usize::from(gradient)], Exactness::Reduction { length }, |g, x| {
            let y = layer_norm(g, x[0]);
            if gradient { g.vjp(&[(y, x[1])], &x[..1]) } else { vec![y] }
        })
    };
    // Two columns are ±1 whatever they were: a gradient of zero, all rounding.
    SHAPES.iter().filter(|s| !gradient || s.last() != Some(&2)).map(case).collect()
}

fn silu(g: &mut Graph, x: NodeId) -> NodeId {
    let gate = g.sigmoid(x);
    g.mul(x, gate)
}

fn gelu(g: &mut Graph, x: NodeId) -> NodeId {
    let scaled = g.scale(x, std::f64::consts::FRAC_1_SQRT_2);
    let erf = g.erf(scaled);
    let twice = g.offset(erf, 1.0);
    let phi = g.scale(twice, 0.5);
    g.mul(x, phi)
}

fn bias(activation: fn(&mut Graph, NodeId) -> NodeId, gradient: bool) -> Vec<Case> {
    let case = |shape: &&[usize]| {
        let channels = &shape[shape.len() - 1..];
        let inputs = [(*shape, R), (channels, R), (*shape, R)];
        let exactness = Exactness::Reduction { length: 16 };
        Case::fused("bias + activation", &inputs[..2 + usize::from(gradient)], exactness, |g, x| {
            let z = g.add(x[0], x[1]);
            let y = activation(g, z);
            if gradient { g.vjp(&[(y, x[2])], &x[..1]) } else { vec![y] }
        })
    };
    SHAPES.iter().map(case).collect()
}

/// θ, gradient, m, v, then rate and both corrections.
fn adamw() -> Vec<Case> {
    let case = |shape: &&[usize]| {
        let number: &[usize] = &[];
        let inputs = [
            (*shape, R),
            (*shape, R),
            (*shape, R),
            (*shape, Domain::Positive),
            (number, Domain::Positive),
            (number, Domain::Positive),
            (number, Domain::Positive),
        ];
        Case::fused("AdamW", &inputs, Exactness::Reduction { length: 16 }, |g, x| {
            let distance = g.sub(x[1], x[2]);
            let distance = g.scale(distance, 0.1);
            let m = g.add(x[2], distance);
            let kept = g.scale(x[3], 0.999);
            let square = g.square(x[1]);
            let square = g.scale(square, 1e-3);
            let v = g.add(kept, square);
            let root = g.sqrt(v);
            let root = g.mul(root, x[5]);
            let root = g.offset(root, 1e-8);
            let direction = g.div(m, root);
            let direction = g.mul(direction, x[6]);
            let decay = g.scale(x[0], 1e-3);
            let change = g.add(direction, decay);
            let change = g.mul(change, x[4]);
            vec![g.sub(x[0], change), m, v]
        })
    };
    SHAPES.iter().map(case).collect()
}

fn addressing() -> Vec<Case> {
    let sizes = [[2, 3, 5], [1, 4, 16], [7, 1, 3], [37, 11, 2], [5, 130, 4]];
    let case = |[b, l, c]: [usize; 3]| {
        let shapes = [vec![b, l, c], vec![1, l, c], vec![b, 1, c], vec![b, 1, 1], vec![c], vec![b, l, 1]];
        let inputs: Vec<(&[usize], Domain)> = shapes.iter().map(|s| (&s[..], R)).collect();
        Case::fused("broadcasts", &inputs, Exactness::Reduction { length: 8 }, |g, x| {
            let sum = x[1..].iter().fold(x[0], |sum, &y| g.add(sum, y));
            vec![g.tanh(sum), sum]
        })
    };
    sizes.into_iter().map(case).collect()
}

fn softmax() -> Vec<Case> {
    let case = |shape: &&[usize]| {
        let length = 2 * shape.last().copied().unwrap_or(1) + 16;
        Case::fused("softmax", &[(*shape, R)], Exactness::Reduction { length }, |g, x| {
            let axis = over_last(g, x[0]);
            let exp = g.exp(x[0]);
            let sum = g.sum(exp, &axis);
            vec![g.div(exp, sum)]
        })
    };
    SHAPES.iter().map(case).collect()
}
