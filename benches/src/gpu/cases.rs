//! One kernel at a time: small programs at the shapes that the networks have.

use super::arguments::Sizes;
use sda_graph::{ConvGeometry, Declaration, Face, Graph, Law, NodeId, Padding, PaddingMode, Program};
use sda_nn::{Activation, AdamW, layer_norm};

/// m, k, n: the Lorenz networks' at 64 and 1024 rows, a convolution's as a product, and a square.
const PRODUCTS: [[usize; 3]; 4] = [[64, 256, 256], [1024, 256, 256], [4096, 864, 96], [1024, 1024, 1024]];
/// Height and width, and channels, of the paper's Kolmogorov network at each depth.
pub(super) const LEVELS: [[usize; 2]; 3] = [[64, 96], [32, 192], [16, 384]];
/// Windows of a trajectory of 29 states: the batch of the paper's posterior score.
const WINDOWS: usize = 25;

/// A program of one kernel, or of few.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) program: Program,
    /// What must cross memory: everything that is needed read once, everything made written once.
    pub(super) bytes: f64,
    /// Whether it is a product or a convolution: those are rounded by the precision, and the peer has them.
    pub(super) multiplies: bool,
}

impl Case {
    /// A program of states, each read whole, and outputs.
    fn new(name: impl Into<String>, build: impl FnOnce(&mut Graph) -> Vec<NodeId>) -> Self {
        let mut g = Graph::new();
        let made = build(&mut g);
        let numbers: usize = g.states().iter().map(|s| s.shape.iter().product::<usize>()).sum();
        let numbers = numbers + made.iter().map(|&y| g.len(y)).sum::<usize>();
        let program = Program::new(g);
        let program =
            made.iter().enumerate().fold(program, |program, (i, &y)| program.output(i.to_string(), y));
        Self { name: name.into(), program, bytes: 4.0 * numbers as f64, multiplies: false }
    }

    fn product(self) -> Self {
        Self { multiplies: true, ..self }
    }

    /// Where not all of the states is needed: the numbers of each output are read once and written once.
    fn moving_only(mut self) -> Self {
        let outputs = self.program.outputs.iter().map(|&(_, y)| self.program.graph.len(y));
        self.bytes = 8.0 * outputs.sum::<usize>() as f64;
        self
    }
}

fn state(g: &mut Graph, name: &str, shape: &[usize]) -> NodeId {
    g.state(Declaration::shared(name, shape))
}

/// All, in the table's order.
pub(super) fn cases(sizes: Sizes) -> Vec<Case> {
    let mut all: Vec<Case> = products(sizes);
    let windows = if sizes == Sizes::Full { WINDOWS } else { 1 };
    for [size, channels] in LEVELS {
        all.extend(convolutions(windows, size, [channels; 2], 1));
    }
    all.extend(convolutions(windows, 64, [96, 192], 2));
    // Without products: arrays beyond the caches where that takes no more than milliseconds.
    let windows = if sizes == Sizes::Full { WINDOWS } else { 4 };
    all.extend(elementwise(&[windows, 64, 64, 96]));
    all.extend(moves(windows));
    all.push(adamw(if sizes == Sizes::Full { 10_000_000 } else { 1_000_000 }));
    all
}

fn products(sizes: Sizes) -> Vec<Case> {
    let large = (sizes == Sizes::Full).then_some([4096; 3]);
    let shapes = PRODUCTS.into_iter().chain(large);
    shapes
        .flat_map(|shape| [[false, false], [false, true], [true, false]].map(|t| product(shape, t)))
        .collect()
}

/// C = A B, either of them transposed.
pub(super) fn product([m, k, n]: [usize; 3], [ta, tb]: [bool; 2]) -> Case {
    let letter = |transposed| if transposed { 't' } else { 'n' };
    Case::new(format!("matmul_{}{}_{m}x{k}x{n}", letter(ta), letter(tb)), |g| {
        let a = state(g, "a", &if ta { [k, m] } else { [m, k] });
        let b = state(g, "b", &if tb { [n, k] } else { [k, n] });
        vec![g.matmul(a, b, ta, tb)]
    })
    .product()
}

/// 3 × 3, periodic: all three faces.
fn convolutions(windows: usize, size: usize, [ci, co]: [usize; 2], stride: usize) -> Vec<Case> {
    let padding = [Padding { before: 1, after: 1, mode: PaddingMode::Circular }; 2];
    let geometry = ConvGeometry { input: [size; 2], kernel: [3; 2], stride: [stride; 2], padding };
    let [ho, wo] = geometry.output();
    let (x, w, y) = ([windows, size, size, ci], [3, 3, ci, co], [windows, ho, wo, co]);
    [("forward", Face::Forward, x, w), ("input", Face::Input, y, w), ("filter", Face::Filter, x, y)]
        .into_iter()
        .map(|(face, op, a, b)| {
            Case::new(format!("conv_{face}_{size}x{size}x{ci}x{co}_s{stride}_b{windows}"), |g| {
                let (a, b) = (state(g, "a", &a), state(g, "b", &b));
                vec![g.conv(op, geometry, a, b)]
            })
            .product()
        })
        .collect()
}

/// What fused steps do between convolutions.
fn elementwise(shape: &[usize; 4]) -> Vec<Case> {
    let channels = shape[3];
    let named = |name: &str| format!("{name}_{}x{}x{}x{}", shape[0], shape[1], shape[2], shape[3]);
    let biased = |g: &mut Graph| {
        let (x, b) = (state(g, "x", shape), state(g, "b", &[channels]));
        let z = g.add(x, b);
        (x, Activation::SiLU.emit(g, z))
    };
    vec![
        copy(named("copy"), shape),
        Case::new(named("layer_norm"), |g| {
            let x = state(g, "x", shape);
            vec![layer_norm(g, x)]
        }),
        Case::new(named("layer_norm_gradient"), |g| {
            let (x, dy) = (state(g, "x", shape), state(g, "dy", shape));
            let y = layer_norm(g, x);
            g.vjp(&[(y, dy)], &[x])
        }),
        Case::new(named("bias_silu"), |g| vec![biased(g).1]),
        Case::new(named("bias_silu_gradient"), |g| {
            let dy = state(g, "dy", shape);
            let (x, y) = biased(g);
            g.vjp(&[(y, dy)], &[x])
        }),
    ]
}

/// y = x + 1.
pub(super) fn copy(name: String, shape: &[usize]) -> Case {
    Case::new(name, |g| {
        let x = state(g, "x", shape);
        vec![g.offset(x, 1.0)]
    })
}

/// What is moved, repeated, summed or drawn.
fn moves(windows: usize) -> Vec<Case> {
    let (n, shape) = (windows, [windows, 64, 64, 96]);
    let of = |shape: [usize; 4]| move |g: &mut Graph| state(g, "x", &shape);
    // Windows of 5 over trajectories of 29 states of 2 × 64 × 64.
    let (trajectories, state_size) = (windows.div_ceil(2), 2 * 64 * 64);
    let starts: Vec<usize> = (0..WINDOWS).flat_map(|q| q..q + 5).collect();
    let unfolded = [trajectories, starts.len(), state_size];
    let scattered = starts.clone();
    vec![
        Case::new(format!("noise_{n}x64x64x96"), |g| vec![g.noise(&shape, 1, Law::Normal)]),
        Case::new(format!("sum_rows_{}x96", n * 4096), |g| {
            let x = state(g, "x", &[n * 4096, 96]);
            vec![g.sum(x, &[0])]
        }),
        Case::new(format!("sum_columns_{}x96", n * 4096), |g| {
            let x = state(g, "x", &[n * 4096, 96]);
            vec![g.sum(x, &[1])]
        }),
        Case::new(format!("gather_windows_{trajectories}x29x{state_size}"), move |g| {
            let x = state(g, "x", &[trajectories, 29, state_size]);
            vec![g.gather(x, 1, &starts)]
        }),
        Case::new(format!("scatter_windows_{trajectories}x29x{state_size}"), move |g| {
            let x = state(g, "x", &unfolded);
            vec![g.scatter(x, 1, &scattered, 29)]
        }),
        Case::new(format!("broadcast_rows_{n}x64x64x96"), move |g| {
            let x = state(g, "x", &[n, 1, 1, 96]);
            vec![g.broadcast(x, &shape)]
        }),
        Case::new(format!("upsample_{n}x32x32x192"), move |g| {
            let x = state(g, "x", &[n, 32, 1, 32, 1, 192]);
            vec![g.broadcast(x, &[n, 32, 2, 32, 2, 192])]
        }),
        Case::new(format!("permute_channels_{n}x64x64x96"), |g| {
            let x = of(shape)(g);
            vec![g.permute(x, &[0, 3, 1, 2])]
        }),
        Case::new(format!("concat_channels_{n}x64x64x96"), |g| {
            let (x, y) = (of(shape)(g), state(g, "y", &shape));
            vec![g.concat(&[x, y], 3)]
        }),
        Case::new(format!("slice_every_2nd_{n}x64x64x96"), |g| {
            let x = of(shape)(g);
            vec![g.slice(x, 1, 0, 32, 2)]
        })
        .moving_only(),
        Case::new(format!("pad_every_2nd_{n}x32x64x96"), |g| {
            let x = of([n, 32, 64, 96])(g);
            vec![g.pad(x, 1, 0, 64, 2)]
        }),
    ]
}

/// Parameter, both moments and gradient read, the first three written.
fn adamw(parameters: usize) -> Case {
    let mut g = Graph::new();
    let [rate, c1, c2] = ["rate", "c1", "c2"].map(|name| g.input(Declaration::shared(name, &[])));
    let gradient = state(&mut g, "gradient", &[parameters]);
    // No clipping: whether all gradients are finite is another pass, and another kernel.
    let optimiser = AdamW { clip_norm: None, ..AdamW::default() };
    let updates = optimiser.emit(&mut g, rate, [c1, c2], &[("w".into(), gradient)]);
    let program = updates.iter().fold(Program::new(g), |program, (state, new)| program.update(state, *new));
    Case { name: format!("adamw_{parameters}"), program, bytes: 28.0 * parameters as f64, multiplies: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline;
    use sda_graph::{Plan, PlanOptions};

    fn flops(case: &Case) -> f64 {
        roofline::count(&Plan::new(&case.program, PlanOptions::default())).flops()
    }

    #[test]
    fn names_are_unique_and_every_case_moves_something() {
        for sizes in [Sizes::Small, Sizes::Full] {
            let all = cases(sizes);
            let mut names: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all.len());
            assert!(all.iter().all(|c| c.bytes > 0.0));
            assert!(all.iter().all(|c| c.multiplies == (flops(c) > 0.0)));
        }
    }

    #[test]
    fn products_and_faces_count_their_bytes_and_operations() {
        for transposed in [[false, false], [false, true], [true, false]] {
            let case = product([3, 5, 7], transposed);
            assert_eq!((case.bytes, flops(&case)), (4.0 * f64::from(15 + 35 + 21), 210.0));
        }
        for case in convolutions(2, 8, [3, 5], 2) {
            let (x, w, y) = (2 * 64 * 3, 9 * 15, 2 * 16 * 5);
            assert_eq!((case.bytes, flops(&case)), (4.0 * f64::from(x + w + y), f64::from(2 * 32 * 9 * 15)));
        }
    }

    #[test]
    fn what_a_slice_passes_over_is_not_counted() {
        let case = moves(1).into_iter().find(|c| c.name.starts_with("slice")).unwrap();
        assert_eq!(case.bytes, f64::from(2 * 4 * 32 * 64 * 96));
    }
}
