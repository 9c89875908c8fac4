//! Twenty steps of a small training program: linear, layer norm, SiLU, linear, mean square error, AdamW in place.

use crate::Cpu;
use crate::runs::{States, bits, distance, run};
use sda_graph::{Declaration, Graph, Law, NodeId, Place, Plan, PlanOptions, Program};
use sda_kernels::Interpreter;

const IN: usize = 7;
const HIDDEN: usize = 24;

fn layer_norm(g: &mut Graph, x: NodeId) -> NodeId {
    let mean = g.mean(x, &[1]);
    let centred = g.sub(x, mean);
    let square = g.square(centred);
    let variance = g.mean(square, &[1]);
    let shifted = g.offset(variance, 1e-5);
    let root = g.sqrt(shifted);
    g.div(centred, root)
}

fn adamw(g: &mut Graph, old: NodeId, gradient: NodeId, name: &str) -> [(String, NodeId); 3] {
    let shape = g.shape(old).to_vec();
    let names = [format!("m.{name}"), format!("v.{name}")];
    let [m, v] = names.clone().map(|n| g.state(Declaration::shared(n, &shape)));
    let (kept, fresh) = (g.scale(m, 0.9), g.scale(gradient, 0.1));
    let new_m = g.add(kept, fresh);
    let square = g.square(gradient);
    // Moments are drawn too, and a second moment is positive.
    let v = g.abs(v);
    let (kept, fresh) = (g.scale(v, 0.99), g.scale(square, 0.01));
    let new_v = g.add(kept, fresh);
    let root = g.sqrt(new_v);
    let root = g.offset(root, 1e-3);
    let step = g.div(new_m, root);
    let step = g.scale(step, 1e-2);
    let decay = g.scale(old, 1e-4);
    let change = g.add(step, decay);
    let new = g.sub(old, change);
    let [first, second] = names;
    [(name.into(), new), (first, new_m), (second, new_v)]
}

/// Denoising: the network sees x + ½ε and predicts ε.
pub(crate) fn program(rows: usize) -> Program {
    let mut g = Graph::new();
    let x = g.input(Declaration::rows("x", &[rows, IN]));
    let noise = g.noise(&[rows, IN], 4, Law::Normal);
    let shapes: [(&str, &[usize]); 4] =
        [("w1", &[IN, HIDDEN]), ("b1", &[HIDDEN]), ("w2", &[HIDDEN, IN]), ("b2", &[IN])];
    let weights = shapes.map(|(name, shape)| g.state(Declaration::shared(name, shape)));
    let half = g.scale(noise, 0.5);
    let noisy = g.add(x, half);
    let y = g.linear(noisy, weights[0]);
    let y = g.add(y, weights[1]);
    let y = layer_norm(&mut g, y);
    let gate = g.sigmoid(y);
    let y = g.mul(y, gate);
    let y = g.linear(y, weights[2]);
    let y = g.add(y, weights[3]);
    let error = g.sub(y, noise);
    let square = g.square(error);
    let mean = g.mean(square, &[0, 1]);
    let loss = g.reshape(mean, &[]);
    let gradients = g.gradient(loss, &weights);
    let updates: Vec<(String, NodeId)> = shapes
        .iter()
        .zip(weights.iter().zip(&gradients))
        .flat_map(|((name, _), (w, gradient))| adamw(&mut g, *w, *gradient, name))
        .collect();
    let program = Program::new(g).output("loss", loss);
    updates.into_iter().fold(program, |program, (name, node)| program.update(&name, node))
}

#[test]
fn twenty_steps_are_the_interpreters() {
    let program = program(37);
    let want = run(&mut Interpreter::<f32>::new(), &program, 20, States::Kept);
    let mut cpu = Cpu::new(2).unwrap();
    let got = run(&mut cpu, &program, 20, States::Kept);
    assert!(distance(&got, &want) < 1e-4, "{}", distance(&got, &want));
    let one = run(&mut Cpu::new(1).unwrap(), &program, 20, States::Kept);
    assert_eq!(bits(&got), bits(&one));
}

/// Every update is written where the old value was.
#[test]
fn a_training_step_copies_nothing() {
    let plan = Plan::new(&program(37), PlanOptions::default());
    assert!(plan.copies.is_empty(), "{:?}", plan.copies);
    let states = plan.steps().flat_map(|s| &s.outputs).filter(|o| matches!(o.place, Place::State(_)));
    assert_eq!(states.count(), 12);
}

/// The loss falls: the test is of a training program, not only of one that repeats.
#[test]
fn the_loss_falls() {
    let program = program(64);
    let all = run(&mut Cpu::new(2).unwrap(), &program, 300, States::Kept);
    let width = 1 + program.graph.states().len();
    let losses: Vec<f32> = all.iter().step_by(width).map(|loss| loss[0]).collect();
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    let (early, late) = (mean(&losses[..20]), mean(&losses[280..]));
    assert!(late < 0.7 * early, "from {early} to {late}");
}
