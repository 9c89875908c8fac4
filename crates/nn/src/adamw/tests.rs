use super::*;
use crate::reference::wave;
use ndarray::ArrayD;
use sda_graph::{Executor, Program, RunKey};
use sda_kernels::Interpreter;

/// Runs steps on two parameters with the gradients given for each step; returns parameters and moments by state.
fn run(optimiser: AdamW, rate: f64, gradients: &[[ArrayD<f64>; 2]]) -> Vec<[ArrayD<f64>; 6]> {
    let mut g = Graph::new();
    let scalars = ["rate", "c1", "c2"].map(|n| g.input(Declaration::shared(n, &[])));
    let names = ["a", "b"];
    let inputs = [0, 1].map(|i| g.input(Declaration::shared(names[i], gradients[0][i].shape())));
    let named = [0, 1].map(|i| (names[i].to_string(), inputs[i]));
    let updates = optimiser.emit(&mut g, scalars[0], [scalars[1], scalars[2]], &named);
    let program = updates.iter().fold(Program::new(g), |p, (state, node)| p.update(state, *node));
    let mut executor = Interpreter::<f64>::new();
    for (name, start) in names.iter().zip(start()) {
        executor.write(&format!("parameter.{name}"), start.view()).unwrap();
    }
    let handle = executor.compile(&program).unwrap();
    let mut history = Vec::new();
    for (n, step) in gradients.iter().enumerate() {
        let [c1, c2] = optimiser.corrections(n as u64 + 1);
        let arrays = [0, 1].map(|i| step[i].iter().copied().collect::<Vec<f64>>());
        let inputs: [&[f64]; 5] = [&[rate], &[c1], &[c2], &arrays[0], &arrays[1]];
        executor.run(handle, RunKey { seed: 0, step: n as u32 }, &inputs).unwrap();
        let read = |i: usize| executor.read(&updates[i].0).unwrap();
        history.push([0, 1, 2, 3, 4, 5].map(read));
    }
    history
}

fn start() -> [ArrayD<f64>; 2] {
    [wave(&[3, 2], 0.6), wave(&[4], 1.3)]
}

fn gradients(n: usize) -> Vec<[ArrayD<f64>; 2]> {
    (0..n).map(|k| [wave(&[3, 2], 0.2 + 0.4 * k as f64), 3.0 * wave(&[4], 0.9 + 0.3 * k as f64)]).collect()
}

/// PyTorch's loop on one number.
fn by_hand(o: AdamW, rate: f64, start: f64, gradients: &[f64]) -> [f64; 3] {
    let (mut p, mut m, mut v) = (start, 0.0, 0.0);
    for (n, g) in gradients.iter().enumerate() {
        let n = n as i32 + 1;
        p *= 1.0 - rate * o.weight_decay;
        m = o.betas[0] * m + (1.0 - o.betas[0]) * g;
        v = o.betas[1] * v + (1.0 - o.betas[1]) * g * g;
        let denominator = v.sqrt() / (1.0 - o.betas[1].powi(n)).sqrt() + o.epsilon;
        p -= rate / (1.0 - o.betas[0].powi(n)) * m / denominator;
    }
    [p, m, v]
}

#[test]
fn five_steps_are_pytorch_s() {
    for weight_decay in [0.0, 0.3] {
        let optimiser = AdamW { weight_decay, ..AdamW::default() };
        let steps = gradients(5);
        let last = run(optimiser, 0.02, &steps).pop().unwrap();
        for parameter in [0, 1] {
            for (i, &start) in start()[parameter].iter().enumerate() {
                let series: Vec<f64> = steps.iter().map(|s| *s[parameter].iter().nth(i).unwrap()).collect();
                for (k, want) in by_hand(optimiser, 0.02, start, &series).into_iter().enumerate() {
                    let got = *last[3 * parameter + k].iter().nth(i).unwrap();
                    assert!((got - want).abs() < 1e-14, "{parameter}, {i}, {k}: {got} and {want}");
                }
            }
        }
    }
}

#[test]
fn the_first_step_moves_by_the_rate() {
    let optimiser = AdamW { weight_decay: 0.0, ..AdamW::default() };
    let steps = gradients(1);
    let after = run(optimiser, 0.01, &steps).remove(0);
    for ((new, old), gradient) in after[0].iter().zip(&start()[0]).zip(&steps[0][0]) {
        assert!((new - old + 0.01 * gradient.signum()).abs() < 1e-8);
    }
}

#[test]
fn a_step_that_is_not_finite_changes_nothing_in_any_parameter() {
    for bad in [f64::NAN, f64::INFINITY] {
        let mut steps = gradients(3);
        steps[1][1][[2]] = bad;
        let history = run(AdamW::default(), 0.01, &steps);
        assert_eq!(history[0], history[1]);
        assert_ne!(history[1], history[2]);
        assert!(history[2].iter().all(|a| a.iter().all(|x| x.is_finite())));
        let open = AdamW { skip_non_finite: false, ..AdamW::default() };
        assert!(run(open, 0.01, &steps)[1][3].iter().any(|x| !x.is_finite()));
    }
}

#[test]
fn clipping_scales_all_gradients_by_one_factor() {
    let optimiser = AdamW { clip_norm: Some(0.5), ..AdamW::default() };
    let steps = gradients(1);
    let norm = steps[0].iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
    assert!(norm > 0.5);
    let scaled = [steps[0].clone().map(|a| a * (0.5 / (norm + 1e-6)))];
    let (clipped, plain) = (run(optimiser, 0.01, &steps), run(AdamW::default(), 0.01, &scaled));
    for (a, b) in clipped[0].iter().zip(&plain[0]) {
        assert!((a - b).iter().all(|d| d.abs() < 1e-15));
    }
    let wide = AdamW { clip_norm: Some(1e3), ..AdamW::default() };
    assert_eq!(run(wide, 0.01, &steps), run(AdamW::default(), 0.01, &steps));
}

#[test]
fn corrections_are_one_minus_the_powers() {
    let optimiser = AdamW::default();
    for step in [1, 2, 10, 5000] {
        let want = [1.0 - 0.9_f64.powi(step), 1.0 - 0.999_f64.powi(step)];
        for (got, want) in optimiser.corrections(step as u64).into_iter().zip(want) {
            assert!((got / want - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn constants_outside_their_range_are_refused_by_name() {
    let default = AdamW::default();
    default.validate().unwrap();
    AdamW { betas: [0.0, 0.0], ..default }.validate().unwrap();
    let bad = [
        ("betas", AdamW { betas: [0.9, 1.0], ..default }),
        ("betas", AdamW { betas: [-0.1, 0.9], ..default }),
        ("betas", AdamW { betas: [f64::NAN, 0.9], ..default }),
        ("epsilon", AdamW { epsilon: 0.0, ..default }),
        // 0 in single precision: 0/0 where a gradient is 0.
        ("epsilon", AdamW { epsilon: 1e-50, ..default }),
        ("weight_decay", AdamW { weight_decay: -1e-3, ..default }),
        ("weight_decay", AdamW { weight_decay: f64::NAN, ..default }),
        ("clip_norm", AdamW { clip_norm: Some(0.0), ..default }),
    ];
    for (field, optimiser) in bad {
        let error = optimiser.validate().unwrap_err().to_string();
        assert!(error.starts_with(&format!("build the optimiser: `{field}` must be ")), "{error}");
    }
}
