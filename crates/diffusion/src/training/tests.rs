use sda_kernels::Interpreter;
use sda_nn::{Activation, ResMlp};

use super::*;

fn network() -> Network {
    Network::ResMlp(ResMlp {
        features: 6,
        embedding: 4,
        hidden_features: vec![12],
        activation: Activation::SiLU,
    })
}

fn training() -> Training {
    Training { average: Some(Average { decay: 0.99 }), ..Training::default() }
}

const WINDOW: [usize; 2] = [3, 2];

/// Batch `step` of an endless set: straight lines through noise.
fn windows(step: u32, batch: usize) -> Vec<f64> {
    let mut z = vec![0.0; 2 * batch];
    Stream::new(9, 0).fill_normal(step, 0, 2, &mut z);
    z.chunks(2).flat_map(|z| (0..3).flat_map(|i| [z[0], z[0] + f64::from(i) * 0.1 * z[1]])).collect()
}

fn trainer(executor: &mut Interpreter<f64>) -> Trainer<'_, Interpreter<f64>> {
    Trainer::new(executor, network(), &WINDOW, training(), 4).unwrap()
}

#[test]
fn training_lowers_the_validation_loss() {
    let mut executor = Interpreter::new();
    let mut trainer = trainer(&mut executor);
    trainer.begin(&network().initialise(1)).unwrap();
    let held_out = windows(u32::MAX, 64);
    let before = trainer.validate(0, Weights::Trained, &held_out).unwrap();
    for step in 0..300 {
        trainer.step(step, 3e-3, &windows(step, 16)).unwrap();
    }
    let after = trainer.validate(0, Weights::Trained, &held_out).unwrap();
    let averaged = trainer.validate(0, Weights::Averaged, &held_out).unwrap();
    assert!(before > 0.9 && after < 0.6 && averaged < 0.6, "{before} → {after}, averaged {averaged}");
    assert_ne!(after, averaged);
}

#[test]
fn a_training_stopped_and_resumed_ends_in_the_same_bits() {
    let states = |trainer: &mut Trainer<'_, Interpreter<f64>>| {
        let names = trainer.state_names();
        names.into_iter().map(|n| (n.clone(), trainer.executor().read(&n).unwrap())).collect::<Vec<_>>()
    };
    let mut first = Interpreter::new();
    let mut whole = trainer(&mut first);
    whole.begin(&network().initialise(1)).unwrap();
    let mut losses = Vec::new();
    let mut stored = Vec::new();
    for step in 0..6 {
        if step == 3 {
            stored = states(&mut whole);
        }
        // The last batch of an epoch is smaller.
        losses.push(whole.step(step, 1e-3, &windows(step, if step % 3 == 2 { 5 } else { 8 })).unwrap());
        if step == 2 {
            whole.mean_loss().unwrap();
        }
    }
    let mut second = Interpreter::new();
    let mut resumed = trainer(&mut second);
    for (name, values) in &stored {
        resumed.executor().write(name, values.view()).unwrap();
    }
    for step in 3..6 {
        let loss = resumed.step(step, 1e-3, &windows(step, if step % 3 == 2 { 5 } else { 8 })).unwrap();
        assert_eq!(loss, losses[step as usize]);
    }
    assert_eq!(states(&mut resumed), states(&mut whole));
    assert_eq!(resumed.mean_loss().unwrap(), whole.mean_loss().unwrap());
}

/// Sizes of the batches of an epoch; the last is smaller.
const EPOCH: [usize; 3] = [8, 8, 5];

#[test]
fn the_mean_loss_of_an_epoch_is_that_of_its_steps_and_the_weights_are_the_same_bits() {
    let epoch = |e: u32| (0..).zip(EPOCH).map(move |(i, batch)| (3 * e + i, windows(3 * e + i, batch)));
    let (mut first, mut second) = (Interpreter::new(), Interpreter::new());
    let (mut reading, mut silent) = (trainer(&mut first), trainer(&mut second));
    reading.begin(&network().initialise(1)).unwrap();
    silent.begin(&network().initialise(1)).unwrap();
    for e in 0..2 {
        let mut sum = 0.0;
        for (step, x) in epoch(e) {
            sum += (x.len() / 6) as f64 * reading.step(step, 1e-3, &x).unwrap();
            silent.advance(step, 1e-3, &x).unwrap();
        }
        let mean = silent.mean_loss().unwrap();
        assert!((mean - sum / 21.0).abs() < 1e-14, "{mean}");
        assert_eq!(reading.mean_loss().unwrap(), mean, "steps that are read are summed too");
    }
    assert_eq!(silent.weights(Weights::Trained).unwrap(), reading.weights(Weights::Trained).unwrap());
}

#[test]
fn the_first_loss_that_is_not_finite_is_named_afterwards() {
    for (bad, value) in [(1, f64::NAN), (2, f64::INFINITY), (4, f64::NAN)] {
        let mut executor = Interpreter::new();
        let mut trainer = trainer(&mut executor);
        trainer.begin(&network().initialise(1)).unwrap();
        for step in 0..6 {
            let mut x = windows(step, 8);
            if step == bad || step == 4 {
                x[5] = value;
            }
            trainer.advance(step, 1e-3, &x).unwrap();
        }
        let error = trainer.mean_loss().unwrap_err();
        assert!(matches!(error, DiffusionError::NonFiniteLoss { step, .. } if step == bad), "{error}");
        // AdamW left out the steps; the next epoch begins anew.
        trainer.advance(6, 1e-3, &windows(6, 8)).unwrap();
        assert!(trainer.mean_loss().unwrap().is_finite());
    }
}

#[test]
fn a_validation_that_is_not_finite_names_its_batch() {
    let mut executor = Interpreter::new();
    let mut trainer = trainer(&mut executor);
    trainer.begin(&network().initialise(1)).unwrap();
    let mut bad = windows(0, 4);
    bad[1] = f64::NAN;
    let error = trainer.validate(3, Weights::Trained, &bad).unwrap_err();
    assert!(matches!(error, DiffusionError::NonFiniteValidation { batch: 3, .. }), "{error}");
    assert!(error.to_string().starts_with("validate: the loss is NaN in batch 3"), "{error}");
}

#[test]
fn constants_out_of_range_are_refused_before_a_step() {
    let refused = |training: Training| {
        let mut executor = Interpreter::<f64>::new();
        Trainer::new(&mut executor, network(), &WINDOW, training, 4).unwrap_err().to_string()
    };
    let optimiser = AdamW { betas: [0.9, 1.0], ..AdamW::default() };
    assert!(refused(Training { optimiser, ..training() }).contains("`betas` must be"));
    let average = Some(Average { decay: 1.0 });
    assert!(refused(Training { average, ..training() }).contains("`decay` must be in [0, 1)"));
}

#[test]
fn times_and_noise_given_are_those_drawn() {
    let run = |given: bool| {
        let mut executor = Interpreter::new();
        let mut trainer = trainer(&mut executor);
        trainer.begin(&network().initialise(1)).unwrap();
        let x = windows(0, 8);
        if given {
            let (mut times, mut noise) = (vec![0.0; 8], vec![0.0; 48]);
            Stream::new(4, stream::TRAINING_TIME).fill_uniform(7, 0, 1, &mut times);
            Stream::new(4, stream::TRAINING_NOISE).fill_normal_plainly(7, 0, 6, &mut noise);
            trainer.step_on(7, 1e-3, &x, &times, &noise).unwrap();
        } else {
            trainer.step(7, 1e-3, &x).unwrap();
        }
        trainer.weights(Weights::Trained).unwrap()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_loss_that_is_not_finite_is_a_result_and_leaves_the_weights() {
    let mut executor = Interpreter::new();
    let mut trainer = trainer(&mut executor);
    trainer.begin(&network().initialise(1)).unwrap();
    trainer.step(0, 1e-3, &windows(0, 8)).unwrap();
    let before = trainer.weights(Weights::Trained).unwrap();
    let mut bad = windows(1, 8);
    bad[5] = f64::NAN;
    let error = trainer.step(1, 1e-3, &bad).unwrap_err();
    assert!(matches!(error, DiffusionError::NonFiniteLoss { step: 1, .. }), "{error}");
    assert_eq!(trainer.weights(Weights::Trained).unwrap(), before);
    trainer.step(2, 1e-3, &windows(2, 8)).unwrap();
}

#[test]
fn data_of_another_shape_is_refused() {
    let mut executor = Interpreter::<f64>::new();
    let wide = Trainer::new(&mut executor, network(), &[4, 2], training(), 0).unwrap_err();
    assert!(matches!(wide, DiffusionError::Channels { network: 6, data: 8, .. }), "{wide}");
    let mut trainer = trainer(&mut executor);
    trainer.begin(&network().initialise(1)).unwrap();
    for len in [0, 5, 13] {
        let error = trainer.step(0, 1e-3, &vec![0.0; len]).unwrap_err();
        assert!(matches!(error, DiffusionError::Length { what: "a batch of windows", .. }), "{error}");
    }
    let error = trainer.step_on(0, 1e-3, &[0.0; 12], &[0.5], &[0.0; 12]).unwrap_err();
    assert!(matches!(error, DiffusionError::Length { what: "the times", expected: 2, found: 1 }), "{error}");
    let mut weights = network().initialise(1);
    weights.pop_first();
    assert!(matches!(trainer.begin(&weights), Err(DiffusionError::Network(_))));
}

/// A network for windows of 3 states of 2 components and their level.
fn levelled() -> Network {
    let Network::ResMlp(network) = network() else { unreachable!("a ResMlp") };
    Network::ResMlp(ResMlp { features: 9, ..network })
}

fn per_state(share: f64) -> Training {
    Training { levels: Levels::PerState { share }, ..training() }
}

/// The noise given is learnt of unknown states alone; what a known state's noise is does not matter.
#[test]
fn known_states_of_a_window_are_shown_clean_and_do_not_count() {
    let seed = 4;
    let counts = Levels::PerState { share: 1.0 }.draw(seed, stream::TRAINING_LEVELS, 0, 64, 3);
    assert!(
        counts.contains(&1) && counts.contains(&2) && counts.iter().all(|k| (1..=2).contains(k)),
        "{counts:?}"
    );
    let loss = |share: f64, change: f64, of: fn(usize, usize) -> bool| {
        let mut executor = Interpreter::new();
        let mut trainer = Trainer::new(&mut executor, levelled(), &WINDOW, per_state(share), seed).unwrap();
        trainer.begin(&levelled().initialise(1)).unwrap();
        let mut noise = vec![0.0; 64 * 6];
        Stream::new(2, 0).fill_normal(0, 0, 6, &mut noise);
        for (i, z) in noise.iter_mut().enumerate() {
            *z += if of(i % 6 / 2, counts[i / 6]) { change } else { 0.0 };
        }
        trainer.step_on(0, 1e-3, &windows(0, 64), &[0.5; 64], &noise).unwrap()
    };
    let all: fn(usize, usize) -> bool = |_, _| false;
    let base = loss(1.0, 0.0, all);
    assert_eq!(loss(1.0, 3.0, |state, known| state < known), base, "noise of known states");
    assert!(loss(1.0, 3.0, |state, known| state >= known) > 2.0 * base, "noise of the others");
    // Nothing has been learnt: each window counts as one without known states does.
    let none = loss(0.0, 0.0, all);
    assert!((base / none - 1.0).abs() < 0.4, "{base} and {none}");
}

#[test]
fn training_with_levels_lowers_the_loss_with_known_states_and_without() {
    let mut executor = Interpreter::new();
    let mut trainer = Trainer::new(&mut executor, levelled(), &WINDOW, per_state(0.5), 4).unwrap();
    trainer.begin(&levelled().initialise(1)).unwrap();
    for step in 0..300 {
        trainer.advance(step, 3e-3, &windows(step, 16)).unwrap();
    }
    let weights = trainer.weights(Weights::Trained).unwrap();
    for share in [0.0, 1.0] {
        let mut other = Interpreter::new();
        let mut judge = Trainer::new(&mut other, levelled(), &WINDOW, per_state(share), 4).unwrap();
        judge.begin(&levelled().initialise(1)).unwrap();
        let before = judge.validate(0, Weights::Trained, &windows(u32::MAX, 64)).unwrap();
        judge.begin(&weights).unwrap();
        let after = judge.validate(0, Weights::Trained, &windows(u32::MAX, 64)).unwrap();
        assert!(before > 0.8 && after < 0.4, "{share}: {before} → {after}");
    }
}

#[test]
fn shared_levels_are_the_training_without_levels() {
    assert_eq!(Training::default().levels, Levels::Shared);
    assert_eq!(Levels::Shared.draw(1, stream::TRAINING_LEVELS, 0, 3, 5), [0, 0, 0]);
    let mut executor = Interpreter::<f64>::new();
    let wrong = Training { levels: Levels::PerState { share: 1.5 }, ..training() };
    let error = Trainer::new(&mut executor, levelled(), &WINDOW, wrong, 0).unwrap_err().to_string();
    assert!(error.contains("`levels.share` must be in 0 … 1"), "{error}");
    let narrow = Trainer::new(&mut executor, network(), &WINDOW, per_state(0.5), 0).unwrap_err();
    assert!(matches!(narrow, DiffusionError::Channels { network: 6, data: 9, .. }), "{narrow}");
}
