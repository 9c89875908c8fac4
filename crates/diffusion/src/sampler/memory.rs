//! What a guided step takes where the trajectory is long: blocks of windows, and arrays of the trajectory's own size.

use ndarray::ArrayD;
use sda_core::Stream;
use sda_device::{Cpu, CpuOptions};
use sda_graph::{Executor, Plan, PlanOptions, Program, Stage};
use sda_nn::{Activation, Network, ResMlp, Weights};
use sda_observe::{Observation, Operator};

use super::programs::predictor_program;
use super::{Integrator, NoiseSource, SAMPLE, Sampler};
use crate::compose::{LocalScore, Windows};
use crate::global::GlobalScore;
use crate::guidance::{Guidance, Place, Posterior};

const SAMPLES: usize = 3;
const COMPONENTS: usize = 2;
const ORDER: usize = 2;
const STRIDE: usize = 2;
const WIDTH: usize = 2 * ORDER + 1;

/// Of a network whose layers are wider than its windows: what it keeps is no array of the trajectory's size.
fn network() -> Network {
    let (features, hidden_features) = (WIDTH * COMPONENTS, vec![96, 96]);
    Network::ResMlp(ResMlp { features, embedding: 8, hidden_features, activation: Activation::SiLU })
}

/// Every fourth state's first component is seen.
fn posterior(guidance: Guidance, place: Place, length: usize) -> Posterior<LocalScore<GlobalScore>> {
    let operator = Operator::Compose(vec![Operator::EveryNth(4), Operator::Components(vec![0])]);
    let mut values = vec![0.0; length.div_ceil(4)];
    Stream::new(3, 0).fill_normal(0, 0, values.len(), &mut values);
    let values = ArrayD::from_shape_vec(vec![values.len(), 1], values).unwrap();
    let observation = Observation::new(operator, values, 0.1).unwrap();
    let prior = GlobalScore::new(network()).local(ORDER, STRIDE);
    Posterior { place, ..Posterior::new(prior, observation, guidance) }
}

fn guidances() -> [Guidance; 6] {
    [
        Guidance::Sda { gamma: 1e-2, detach: false },
        Guidance::Dps { zeta: 1.0, norm: crate::DpsNorm::Batch },
        Guidance::Pigdm { iterations: 1 },
        Guidance::Tmpd,
        Guidance::mmps(1),
        Guidance::mmps(3),
    ]
}

fn program(guidance: &Guidance, place: Place, length: usize) -> Program {
    let shape = [SAMPLES, length, COMPONENTS];
    let posterior = posterior(guidance.clone(), place, length);
    predictor_program(Integrator::Exponential, &posterior, &shape, NoiseSource::Drawn)
}

/// Windows are the rows, as in a trajectory too long for a block.
fn options(largest_kept: usize) -> PlanOptions {
    PlanOptions { largest_row: 0, largest_kept, ..PlanOptions::default() }
}

/// What a plan takes, and how large the trajectory is.
#[derive(Debug)]
struct Taken {
    /// Arrays for all rows that are larger than the trajectory cut into windows.
    large: usize,
    /// Numbers for all rows, in units of the trajectory cut into windows.
    times: f64,
    /// Numbers of a window in the slots of each stage on windows.
    of_window: Vec<usize>,
    /// Bytes of the largest block of such a stage.
    block: usize,
}

fn taken(guidance: &Guidance, place: Place, length: usize, largest_kept: usize) -> Taken {
    let plan = Plan::new(&program(guidance, place, length), options(largest_kept));
    let windows = SAMPLES * Windows::new(length, ORDER, STRIDE).unwrap().count();
    let in_windows = windows * WIDTH * COMPONENTS;
    let stages = plan.stages.iter().filter_map(|stage| match stage {
        Stage::Rows { rows, local, block, .. } if *rows > SAMPLES => {
            Some((local.iter().sum::<usize>(), *block))
        }
        _ => None,
    });
    Taken {
        large: plan.full.iter().filter(|&&n| n > in_windows).count(),
        times: plan.full.iter().sum::<usize>() as f64 / in_windows as f64,
        of_window: stages.clone().map(|(local, _)| local).collect(),
        block: stages.map(|(local, block)| 4 * local * block).max().unwrap_or(0),
    }
}

/// Over three lengths: a few arrays of the trajectory's size, none larger, the same slots for a window, blocks of a
/// bounded size. A plan that keeps the forward pass has larger ones.
#[test]
fn memory_beyond_the_trajectorys_own_arrays_does_not_grow_with_its_length() {
    for guidance in guidances() {
        for place in [Place::Composed, Place::Windowed] {
            let all = [201, 801, 3201].map(|length| taken(&guidance, place, length, 0));
            for taken in &all {
                let what = format!("{guidance:?}, {place:?}: {taken:?}");
                assert_eq!(taken.large, 0, "{what}");
                assert!(taken.times < 16.0, "{what}");
                assert_eq!(taken.of_window, all[0].of_window, "{what}");
                assert!(!taken.of_window.is_empty() && taken.block <= 8 << 20, "{what}");
            }
            let kept = taken(&guidance, place, 201, usize::MAX);
            let is_kept = place == Place::Composed || matches!(guidance, Guidance::Dps { .. });
            assert_eq!(kept.large > 0, is_kept, "{guidance:?}, {place:?}: {kept:?}");
        }
    }
}

/// The samples after a step to a time at which all of guidance's terms count.
fn stepped(guidance: &Guidance, plan: PlanOptions, threads: usize) -> Vec<f32> {
    let (length, samples) = (43, SAMPLES);
    let mut cpu = Cpu::with_options(CpuOptions { threads, plan, ..CpuOptions::default() }).unwrap();
    for (name, values) in network().initialise(1) {
        cpu.write(&Weights::Trained.state(&name), values.view()).unwrap();
    }
    let posterior = posterior(guidance.clone(), Place::Composed, length);
    let sampler = Sampler { steps: 4, corrections: 0, ..Sampler::default() };
    let shape = [samples, length, COMPONENTS];
    let run = sampler.compile(&mut cpu, &posterior, &shape, NoiseSource::Drawn).unwrap();
    let mut start = vec![0f32; shape.iter().product()];
    Stream::new(4, 0).fill_normal(0, 0, start.len() / samples, &mut start);
    run.start_from(&mut cpu, &start).unwrap();
    run.predict(&mut cpu, 1, 2).unwrap();
    cpu.read(SAMPLE).unwrap().iter().copied().collect()
}

#[test]
fn a_step_that_computes_the_forward_pass_again_has_the_same_bits() {
    let spectral = Guidance::SdaSpectral { gamma: (1..=11).map(|k| 1e-2 * f64::from(k)).collect() };
    for guidance in guidances().into_iter().chain([spectral]) {
        let with = |largest_kept, block, threads| {
            stepped(&guidance, PlanOptions { block, ..options(largest_kept) }, threads)
        };
        let (kept, again) = (with(usize::MAX, Some(3), 1), with(0, Some(3), 1));
        assert!(kept == again, "{guidance:?}");
        assert!(again == with(0, Some(3), 3), "{guidance:?}: 3 threads");
        // Blocks of other sizes go through other kernels.
        let chosen = with(0, None, 2);
        let apart = kept.iter().zip(&chosen).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-4, "{guidance:?}: {apart}");
        let unguided = stepped(&Guidance::Sda { gamma: 1e9, detach: false }, options(0), 1);
        let pulled = kept.iter().zip(&unguided).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(pulled > 1e-2, "{guidance:?} does not show: {pulled}");
    }
}
