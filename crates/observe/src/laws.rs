//! Laws of every operator.

use crate::reference::{evaluate, wave};
use crate::{Interpolation, Operator, Region};
use ndarray::{ArrayD, Axis};
use proptest::prelude::*;
use sda_graph::Graph;

/// Every kind of operator, with a shape it applies to; sizes are awkward where they can be.
fn members() -> Vec<(Operator, Vec<usize>)> {
    let upsample = |factor, mode| Operator::Upsample { factor, mode };
    let chain = vec![
        Operator::EveryNth(2),
        Operator::Coarsen(2),
        Operator::Vorticity,
        Operator::Crop { start: [1, 0], size: [2, 1] },
    ];
    let mut saturating = chain.clone();
    saturating.push(Operator::Saturate);
    vec![
        (Operator::Identity, vec![2, 3, 4]),
        (Operator::Components(vec![3, 0, 1]), vec![2, 3, 4]),
        (Operator::Components(vec![1]), vec![2, 3, 4, 5, 2]),
        (Operator::EveryNth(3), vec![2, 8, 3]),
        (Operator::EveryNth(9), vec![2, 8, 3]),
        (Operator::States { start: 2, count: 3 }, vec![2, 7, 3]),
        (Operator::States { start: 4, count: 1 }, vec![2, 5, 4, 3, 2]),
        (Operator::Compose(vec![]), vec![2, 3, 4]),
        (Operator::Compose(chain), vec![2, 5, 6, 4, 2]),
        (Operator::Coarsen(3), vec![2, 2, 6, 9, 2]),
        (Operator::Subsample(3), vec![2, 2, 5, 7, 2]),
        (Operator::Crop { start: [1, 2], size: [3, 2] }, vec![2, 2, 5, 4, 2]),
        (upsample(3, Interpolation::Nearest), vec![2, 2, 3, 5, 2]),
        (upsample(4, Interpolation::Bilinear), vec![2, 2, 3, 5, 2]),
        (upsample(3, Interpolation::Bilinear), vec![1, 2, 1, 2, 1]),
        (Operator::Vorticity, vec![2, 2, 5, 3, 2]),
        (Operator::Divergence, vec![2, 2, 5, 3, 2]),
        (Operator::Spectrum, vec![2, 2, 5, 4, 2]),
        (Operator::Spectrum, vec![1, 2, 6, 6, 1]),
        (Operator::Mask(ring()), vec![2, 2, 6, 7, 2]),
        (Operator::Difference { first: 0, second: 4 }, vec![2, 5, 3]),
        (Operator::Difference { first: 3, second: 1 }, vec![2, 5, 4, 2, 2]),
        (
            Operator::Compose(vec![
                Operator::EveryNth(2),
                Operator::Difference { first: 2, second: 0 },
                Operator::States { start: 0, count: 1 },
                Operator::Vorticity,
                Operator::Mask(ring()),
            ]),
            vec![2, 6, 5, 5, 2],
        ),
        (
            Operator::Sum(vec![
                (Operator::States { start: 0, count: 2 }, 1.5),
                (Operator::States { start: 2, count: 2 }, -0.5),
            ]),
            vec![2, 5, 3],
        ),
        (Operator::Sum(vec![(Operator::Identity, 2.0), (Operator::Saturate, 1.0)]), vec![2, 3, 2]),
        (Operator::Vorticity, vec![1, 1, 1, 2, 2]),
        (Operator::Saturate, vec![2, 3, 4]),
        (Operator::Arctan, vec![2, 3, 4]),
        (Operator::Affine { scale: -1.7, offset: 0.0 }, vec![2, 3, 4]),
        (Operator::Affine { scale: 2.5, offset: 0.3 }, vec![2, 3, 4]),
        (Operator::Compose(saturating), vec![2, 5, 6, 4, 2]),
        (
            Operator::Stack(vec![
                (Operator::Identity, 4.0),
                (Operator::Components(vec![2, 0]), -0.5),
                (Operator::Saturate, 1.0),
            ]),
            vec![2, 3, 4],
        ),
        (Operator::Stack(vec![(Operator::Coarsen(2), 2.0), (Operator::Vorticity, 1.0)]), vec![2, 3, 4, 2, 2]),
    ]
}

fn ring() -> Region {
    Region::Ring { inner: 0.2, outer: 0.9 }
}

fn emitted(operator: &Operator, x: &ArrayD<f64>) -> ArrayD<f64> {
    let mut g = Graph::new();
    let node = g.constant(x.clone());
    let y = operator.emit(&mut g, node);
    evaluate(g, &[y]).remove(0)
}

/// ∂A/∂xᵀ y at x.
fn pulled_back(operator: &Operator, x: &ArrayD<f64>, y: &ArrayD<f64>) -> ArrayD<f64> {
    let mut g = Graph::new();
    let x = g.constant(x.clone());
    let end = operator.emit(&mut g, x);
    let cotangent = g.constant(y.clone());
    let pulled = g.vjp(&[(end, cotangent)], &[x]);
    evaluate(g, &pulled).remove(0)
}

fn inner(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A state that [`Operator::states`] leaves out changes nothing; one that it lists changes something.
#[test]
fn the_result_depends_on_the_states_listed_and_on_no_other() {
    for (operator, shape) in members() {
        let (x, states) = (wave(&shape, 0.73), operator.states(shape[1]));
        let y = operator.apply(x.view()).unwrap();
        for i in 0..shape[1] {
            let mut moved = x.clone();
            let mut state = moved.index_axis_mut(Axis(1), i);
            let factors = wave(state.shape(), 1.9);
            state += &factors;
            let changed = operator.apply(moved.view()).unwrap() != y;
            // On 2 × 2 periodic points the central difference is zero whatever the field.
            let blind = y.iter().all(|y| *y == 0.0);
            assert_eq!(changed, states.contains(&i) && !blind, "{operator:?}: state {i} of {states:?}");
        }
    }
}

#[test]
fn graph_host_and_shape_rule_agree() {
    for (operator, shape) in members() {
        let x = wave(&shape, 0.73);
        let (graph, host) = (emitted(&operator, &x), operator.apply(x.view()).unwrap());
        assert_eq!(graph.shape(), operator.output_shape(&shape).unwrap(), "{operator:?}");
        assert_eq!(host.shape(), graph.shape(), "{operator:?}");
        assert!((&graph - &host).iter().all(|d| d.abs() < 1e-14), "{operator:?}");
    }
}

#[test]
fn samples_do_not_see_each_other() {
    for (operator, shape) in members().into_iter().filter(|(_, s)| s[0] == 2) {
        let x = wave(&shape, 0.73);
        let both = emitted(&operator, &x);
        for b in 0..2 {
            let one = x.index_axis(Axis(0), b).to_owned().insert_axis(Axis(0));
            assert_eq!(
                emitted(&operator, &one).index_axis(Axis(0), 0),
                both.index_axis(Axis(0), b),
                "{operator:?}"
            );
        }
    }
}

#[test]
fn derivatives_match_central_differences() {
    for (operator, shape) in members() {
        let (x, direction) = (wave(&shape, 0.73), wave(&shape, 1.9));
        let y = wave(&operator.output_shape(&shape).unwrap(), 0.41);
        let h = 1e-5;
        let [up, down] = [h, -h].map(|h| inner(&y, &operator.apply((&x + h * &direction).view()).unwrap()));
        let (got, want) = (inner(&pulled_back(&operator, &x, &y), &direction), (up - down) / (2.0 * h));
        assert!((got - want).abs() < 1e-8 * (1.0 + want.abs()), "{operator:?}: {got} and {want}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// ⟨A x, y⟩ = ⟨x, Aᵀ y⟩, and A is linear where it says so.
    #[test]
    fn linear_operators_pass_the_adjoint_test(step in 0.1_f64..3.0, other in 0.1_f64..3.0, a in -2.0_f64..2.0) {
        for (operator, shape) in members().into_iter().filter(|(o, _)| o.is_linear()) {
            let x = wave(&shape, step);
            let ax = operator.apply(x.view()).unwrap();
            let y = wave(ax.shape(), other);
            let (left, right) = (inner(&ax, &y), inner(&x, &pulled_back(&operator, &x, &y)));
            prop_assert!((left - right).abs() < 1e-12 * (1.0 + left.abs()), "{:?}: {} and {}", operator, left, right);
            let z = wave(&shape, other);
            let sum = operator.apply((a * &x + &z).view()).unwrap();
            let parts = a * &ax + operator.apply(z.view()).unwrap();
            prop_assert!((&sum - &parts).iter().all(|d| d.abs() < 1e-13), "{:?}", operator);
        }
    }
}

#[test]
fn saturation_is_not_linear() {
    let x = wave(&[1, 2, 3], 0.7);
    let (once, twice) =
        (Operator::Saturate.apply(x.view()).unwrap(), Operator::Saturate.apply((2.0 * &x).view()).unwrap());
    assert!(!Operator::Saturate.is_linear() && (&twice - 2.0 * &once).iter().any(|d| d.abs() > 0.1));
    assert!(twice.iter().all(|y| y.abs() < 1.0));
}

/// A constant field stays so, and coarsening undoes nearest upsampling.
#[test]
fn resampling_keeps_constants_and_means() {
    let flat = ArrayD::from_elem(vec![1, 1, 4, 6, 2], 2.5);
    let x = wave(&[1, 1, 4, 6, 2], 0.9);
    for mode in [Interpolation::Nearest, Interpolation::Bilinear] {
        let operator = Operator::Upsample { factor: 4, mode };
        assert!(operator.apply(flat.view()).unwrap().iter().all(|v| (v - 2.5).abs() < 1e-14));
        let fine = operator.apply(x.view()).unwrap();
        assert!((fine.mean().unwrap() - x.mean().unwrap()).abs() < 1e-14);
        if mode == Interpolation::Nearest {
            let back = Operator::Coarsen(4).apply(fine.view()).unwrap();
            assert!((&back - &x).iter().all(|d| d.abs() < 1e-14));
        }
    }
    assert!(Operator::Vorticity.apply(flat.view()).unwrap().iter().all(|v| *v == 0.0));
}

/// u = sin(k y), v = sin(k x) with x the first axis: ω = s (cos(k y) − cos(k x)), s = sin k of the difference.
#[test]
fn vorticity_of_a_shear_is_known() {
    let n = 12;
    let k = std::f64::consts::TAU / f64::from(n);
    let size = n as usize;
    let field = ArrayD::from_shape_fn(vec![1, 1, size, size, 2], |i| {
        if i[4] == 0 { (k * i[3] as f64).sin() } else { (k * i[2] as f64).sin() }
    });
    let omega = Operator::Vorticity.apply(field.view()).unwrap();
    for (i, w) in omega.indexed_iter() {
        let want = k.sin() * ((k * i[3] as f64).cos() - (k * i[2] as f64).cos());
        assert!((w - want).abs() < 1e-14);
    }
}

/// u = cos(a·x) with a = (1, 2) has ½ of ½ in the mode a and its conjugate, of length round(√5) = 2.
#[test]
fn spectrum_of_a_wave_is_known() {
    let (h, w) = (8, 6);
    let field = ArrayD::from_shape_fn(vec![1, 1, h, w, 2], |i| {
        let angle = std::f64::consts::TAU * (i[2] as f64 / h as f64 + 2.0 * i[3] as f64 / w as f64);
        if i[4] == 0 { angle.cos() } else { 3.0 }
    });
    let spectrum = Operator::Spectrum.apply(field.view()).unwrap();
    let want = [4.5, 0.0, 0.25, 0.0, 0.0, 0.0];
    assert!(spectrum.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-14), "{spectrum}");
    // Parseval: the shells hold all of the energy.
    let x = wave(&[1, 1, 5, 7, 2], 0.9);
    let energy = 0.5 * x.iter().map(|v| v * v).sum::<f64>() / 35.0;
    let sum = Operator::Spectrum.apply(x.view()).unwrap().sum();
    assert!((sum / energy - 1.0).abs() < 1e-13);
}

/// u = sin(k x), v = sin(k y): ∇·u = s (cos(k x) + cos(k y)), s = sin k of the difference.
#[test]
fn divergence_of_a_strain_is_known() {
    let n = 12;
    let k = std::f64::consts::TAU / f64::from(n);
    let size = n as usize;
    let field = ArrayD::from_shape_fn(vec![1, 1, size, size, 2], |i| (k * i[2 + i[4]] as f64).sin());
    let divergence = Operator::Divergence.apply(field.view()).unwrap();
    for (i, d) in divergence.indexed_iter() {
        let want = k.sin() * ((k * i[2] as f64).cos() + (k * i[3] as f64).cos());
        assert!((d - want).abs() < 1e-14);
    }
}

/// Of 6 × 6 points those with 0.2 < p² + q² < 0.9 are counted by hand: p, q ∈ {±1/6, ±1/2, ±5/6}.
#[test]
fn regions_hold_the_points_that_they_say() {
    // (1/6, 1/2) and (1/2, 1/6): 0.278; (1/2, 1/2): 0.5; (1/6, 5/6) and (5/6, 1/6): 0.722; (1/2, 5/6): 0.944 is out.
    assert_eq!(ring().points([6, 6]).len(), 4 * 5);
    let outside = Region::Outside(vec![ring()]);
    assert_eq!(outside.points([6, 6]).len(), 16);
    let both = Region::Any(vec![ring(), outside]);
    assert_eq!(both.points([6, 6]), (0..36).collect::<Vec<_>>());
    let corner = Region::Box { low: [-1.0, 0.0], high: [-0.5, 1.0] };
    assert_eq!(corner.points([4, 4]), [2, 3]);
}

#[test]
fn shapes_that_do_not_fit_are_refused_with_the_reason() {
    let field = [1, 2, 6, 6, 2];
    let nowhere = Region::Ring { inner: 3.0, outer: 4.0 };
    let sums = vec![(Operator::Identity, 1.0), (Operator::EveryNth(2), 1.0)];
    let cases: [(Operator, &[usize], &str); 19] = [
        (Operator::Mask(nowhere), &field, "it hides everything"),
        (Operator::Difference { first: 0, second: 2 }, &field, "state 2 is not among 0 … 1"),
        (Operator::Difference { first: 1, second: 1 }, &field, "less itself is nothing"),
        (Operator::Sum(vec![]), &field, "a sum of nothing"),
        (Operator::Sum(sums), &field, "nothing to add"),
        (Operator::Identity, &[3, 4], "a trajectory has samples, states and components"),
        (Operator::Identity, &[1, 0, 4], "an axis is empty"),
        (Operator::Components(vec![]), &[1, 2, 3], "no component is named"),
        (Operator::Components(vec![0, 3]), &[1, 2, 3], "there is no component 3 among 3"),
        (Operator::EveryNth(0), &[1, 2, 3], "every 0th state does not exist"),
        (Operator::States { start: 1, count: 2 }, &[1, 2, 3], "2 states from 1 on are not among 0 … 1"),
        (Operator::States { start: 1, count: 0 }, &[1, 2, 3], "0 states from 1 on"),
        (Operator::Coarsen(4), &field, "6 × 6 points do not divide into blocks of 4 × 4"),
        (Operator::Coarsen(2), &[1, 2, 3], "it takes fields [B, L, H, W, C]"),
        (Operator::Subsample(0), &field, "every 0th point does not exist"),
        (
            Operator::Crop { start: [4, 0], size: [3, 1] },
            &field,
            "3 × 1 points from [4, 0] are not inside 6 × 6",
        ),
        (Operator::Upsample { factor: 0, mode: Interpolation::Nearest }, &field, "there are no 0 points"),
        (Operator::Vorticity, &[1, 2, 6, 6, 3], "a velocity has 2 components, not 3"),
        (Operator::Compose(vec![Operator::Vorticity; 2]), &field, "a velocity has 2 components, not 1"),
    ];
    for (operator, shape, why) in cases {
        let error = operator.output_shape(shape).unwrap_err().to_string();
        assert!(error.starts_with("observe ") && error.contains(why), "{error}");
        assert!(operator.apply(wave(shape, 1.0).view()).is_err());
    }
}

#[test]
#[should_panic(expected = "failed to observe Coarsen(4) of trajectories of shape [1, 2, 6, 6, 2]")]
fn emission_panics_on_a_shape_that_does_not_fit() {
    emitted(&Operator::Coarsen(4), &wave(&[1, 2, 6, 6, 2], 1.0));
}

#[test]
fn operators_survive_serialisation() {
    for (operator, _) in members() {
        let text = serde_json::to_string(&operator).unwrap();
        assert_eq!(serde_json::from_str::<Operator>(&text).unwrap(), operator, "{text}");
    }
    let error = serde_json::from_str::<Operator>(r#"{"Crop":{"start":[0,0],"sizes":[1,1]}}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `sizes`"), "{error}");
}
