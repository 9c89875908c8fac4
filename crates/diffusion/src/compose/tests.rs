use ndarray::{Array, ArrayD, IxDyn};
use proptest::prelude::*;

use super::*;
use crate::interpret::evaluate;

/// Every legal (length, order, stride) up to a length.
fn all(longest: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (1..=longest).flat_map(|length| {
        (0..=(length - 1) / 2)
            .flat_map(move |order| (1..=2 * order + 1).map(move |stride| (length, order, stride)))
    })
}

#[test]
fn every_state_is_owned_once_by_a_window_that_holds_it() {
    for (length, order, stride) in all(24) {
        let windows = Windows::new(length, order, stride).unwrap();
        let mut next = 0;
        for q in 0..windows.count() {
            let (owned, start) = (windows.owned(q), windows.start(q));
            assert_eq!(owned.start, next, "L {length}, k {order}, stride {stride}, window {q}");
            assert!(!owned.is_empty() && owned.start >= start && owned.end <= start + windows.width());
            next = owned.end;
        }
        assert_eq!(next, length);
    }
}

#[test]
fn between_the_ends_ownership_is_the_definition() {
    for (length, order, stride) in all(24) {
        let windows = Windows::new(length, order, stride).unwrap();
        let first = (windows.width() - stride) / 2;
        for q in 1..windows.count().saturating_sub(1) {
            assert_eq!(windows.owned(q), q * stride + first..q * stride + first + stride);
            assert_eq!(windows.start(q), q * stride);
        }
        assert_eq!(windows.start(windows.count() - 1), length - windows.width());
    }
}

#[test]
fn stride_1_is_the_paper() {
    // The first window gives k entries and its centre, each its centre, the last its centre and k entries.
    let windows = Windows::new(11, 2, 1).unwrap();
    let owned: Vec<_> = (0..windows.count()).map(|q| windows.owned(q)).collect();
    assert_eq!(owned, [0..3, 3..4, 4..5, 5..6, 6..7, 7..8, 8..11]);
}

#[test]
fn a_last_window_ends_with_the_trajectory() {
    let windows = Windows::new(12, 2, 3).unwrap();
    let parts: Vec<_> = (0..windows.count()).map(|q| (windows.start(q), windows.owned(q))).collect();
    assert_eq!(parts, [(0, 0..4), (3, 4..7), (6, 7..10), (7, 10..12)]);
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let long = Windows::new(8, 4, 1).unwrap_err().to_string();
    assert!(long.contains("windows of 9 states") && long.contains("at most 3"), "{long}");
    for stride in [0, 6] {
        assert!(matches!(Windows::new(20, 2, stride), Err(DiffusionError::Stride { width: 5, .. })));
    }
    assert!(Windows::new(9, 4, 9).is_ok());
}

#[test]
fn the_owner_of_a_state_owns_it() {
    for (length, order, stride) in all(24) {
        let windows = Windows::new(length, order, stride).unwrap();
        for state in 0..length {
            assert!(windows.owned(windows.owner(state)).contains(&state), "L {length}, k {order}, {stride}");
        }
    }
}

/// ε_i = x_i Σ_j x_j² within a window, so that every state of the window matters to each.
struct Coupled;

impl NoisePredictor for Coupled {
    fn emit(&self, g: &mut Graph, x: NodeId, _: &TimeNodes) -> NodeId {
        let (shape, x) = (g.shape(x).to_vec(), crate::predictor::flat(g, x));
        let square = g.square(x);
        let sum = g.sum(square, &[1]);
        let noise = g.mul(x, sum);
        g.reshape(noise, &shape)
    }
}

/// Windows that own no observed state are not differentiated, and nothing changes.
#[test]
fn states_that_are_not_observed_need_no_gradient() {
    for (length, order, stride) in all(13) {
        for nth in [1, 2, 3, 8, 20] {
            let mut g = Graph::new();
            let x = g.constant(numbered(&[2, length, 2]) / 50.0);
            let one = g.scalar(1.0);
            let time = TimeNodes { features: one, mu: one, sigma: one };
            let score = LocalScore { kernel: Coupled, order, stride };
            let states: Vec<usize> = (0..length).step_by(nth).collect();
            let some = score.estimate_at(&mut g, x, &time, &states, JacobianPart::Rows).noise;
            let all = score.emit(&mut g, x, &time);
            let gradient = |g: &mut Graph, noise| {
                let seen = g.slice(noise, 1, 0, states.len(), nth);
                let square = g.square(seen);
                let total = g.sum_all(square);
                g.gradient(total, &[x])[0]
            };
            let gradients = [some, all].map(|noise| gradient(&mut g, noise));
            let got = evaluate(g, &[], &[some, all, gradients[0], gradients[1]]);
            assert_eq!(got[0], got[1], "L {length}, k {order}, stride {stride}, every {nth}");
            let apart = (&got[2] - &got[3]).iter().fold(0.0, |m: f64, d| m.max(d.abs()));
            let size = got[3].iter().fold(0.0, |m: f64, d| m.max(d.abs()));
            assert!(apart <= 1e-13 * size, "L {length}, k {order}, stride {stride}, every {nth}: {apart}");
        }
    }
}

fn numbered(shape: &[usize]) -> ArrayD<f64> {
    let len = shape.iter().product::<usize>();
    Array::from_iter((0..len).map(|i| i as f64)).into_shape_with_order(IxDyn(shape)).unwrap()
}

/// Adds its window's number to each state.
struct WindowNumber(usize);

impl NoisePredictor for WindowNumber {
    fn emit(&self, g: &mut Graph, x: NodeId, _: &TimeNodes) -> NodeId {
        let shape = g.shape(x).to_vec();
        let mut numbers = vec![1; shape.len()];
        numbers[0] = shape[0];
        let numbers = ArrayD::from_shape_fn(numbers, |i| (i[0] % self.0) as f64 * 1e6);
        let numbers = g.constant(numbers);
        g.add(x, numbers)
    }
}

fn compose(length: usize, order: usize, stride: usize, state: &[usize]) {
    let windows = Windows::new(length, order, stride).unwrap();
    let shape: Vec<usize> = [2, length].into_iter().chain(state.iter().copied()).collect();
    let x = numbered(&shape);
    let score = LocalScore { kernel: WindowNumber(windows.count()), order, stride };
    let mut g = Graph::new();
    let node = g.constant(x.clone());
    let one = g.scalar(1.0);
    let composed = score.emit(&mut g, node, &TimeNodes { features: one, mu: one, sigma: one });
    let got = evaluate(g, &[], &[composed]).remove(0);
    let owner = |i: usize| (0..windows.count()).find(|&q| windows.owned(q).contains(&i)).unwrap();
    let want = ArrayD::from_shape_fn(shape, |i| x[&i] + 1e6 * owner(i[1]) as f64);
    assert_eq!(got, want, "L {length}, k {order}, stride {stride}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_state_comes_from_its_owner(length in 1usize..20, order in 0usize..6, stride in 1usize..12, field: bool) {
        let order = order.min((length - 1) / 2);
        compose(length, order, stride.min(2 * order + 1), if field { &[2, 3, 2] } else { &[3] });
    }
}

#[test]
fn times_of_samples_reach_their_windows() {
    struct Time;
    impl NoisePredictor for Time {
        fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
            let shape = g.shape(x).to_vec();
            let zero = g.scalar(0.0);
            let x = crate::predictor::flat(g, x);
            let nothing = g.mul(x, zero);
            let filled = g.add(nothing, time.sigma);
            g.reshape(filled, &shape)
        }
    }
    let mut g = Graph::new();
    let x = g.constant(numbered(&[2, 7, 3]));
    let sigma = g.constant(ArrayD::from_shape_vec(vec![2, 1], vec![0.25, 0.5]).unwrap());
    let time = TimeNodes { features: sigma, mu: sigma, sigma };
    let composed = LocalScore { kernel: Time, order: 1, stride: 2 }.emit(&mut g, x, &time);
    let got = evaluate(g, &[], &[composed]).remove(0);
    assert_eq!(got, ArrayD::from_shape_fn(vec![2, 7, 3], |i| [0.25, 0.5][i[0]]));
}
