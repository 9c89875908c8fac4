//! Rollouts of the exact score: forecasts are the chain's, a fixed lag and a cycle have the Kalman laws, and known states
//! may be told by levels or by guidance.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, ArrayD, Axis, concatenate, s};
use sda_core::Stream;
use sda_core::linalg::{Eigh, cholesky, eigh, solve};
use sda_device::Cpu;
use sda_observe::{Observation, Operator};

use super::chain::{covariance, exact_score};
use super::sampled::chi_squares;
use crate::error::DiffusionError;
use crate::gaussian::GaussianScore;
use crate::guidance::{Guidance, Place};
use crate::rollout::{Conditioning, Rolling, Rollout, RolloutState};
use crate::sampler::{Integrator, Sampler};
use crate::time_grid::TimeGrid;

const LENGTH: usize = 21;
const SAMPLES: usize = 600;
const NOISE_STD: f64 = 0.25;

fn sampler(steps: u32) -> Sampler {
    Sampler { steps, grid: TimeGrid::Squared, integrator: Integrator::Dpm2m, ..Sampler::default() }
}

/// The first component of every second state.
fn seen() -> Vec<usize> {
    (0..LENGTH).step_by(2).collect()
}

/// y of the states that are seen, drawn from the model.
fn observed() -> Array1<f64> {
    let a = rows(&seen(), LENGTH);
    let total = a.dot(&covariance(LENGTH)).dot(&a.t()) + Array2::<f64>::eye(a.nrows()) * NOISE_STD.powi(2);
    let mut z = vec![0.0; a.nrows()];
    Stream::new(11, 0).fill_normal(0, 0, z.len(), &mut z);
    cholesky(&total).unwrap().dot(&Array1::from(z))
}

/// The first components of some states as rows [P, 2L].
fn rows(states: &[usize], length: usize) -> Array2<f64> {
    let numbers: Vec<usize> = states.iter().map(|i| 2 * i).collect();
    Array2::<f64>::eye(2 * length).select(Axis(0), &numbers)
}

fn rolling(rollout: Rollout, width: usize, conditioning: Conditioning, steps: u32) -> Rolling<GaussianScore> {
    let operator = Operator::Compose(vec![Operator::EveryNth(2), Operator::Components(vec![0])]);
    let values = observed().insert_axis(Axis(1)).into_dyn();
    Rolling {
        rollout,
        conditioning,
        sampler: sampler(steps),
        guidance: Guidance::mmps(8),
        place: Place::Auto,
        prior: exact_score(width),
        observation: Some(Observation::new(operator, values, NOISE_STD).unwrap()),
    }
}

/// The finished rollout, and the evaluations that it says it took.
fn rolled(
    rolling: &Rolling<GaussianScore>,
    first: Option<&ArrayD<f32>>,
    seed: u64,
) -> (RolloutState<f32>, u64) {
    let mut executor = Cpu::new(1).unwrap();
    let run = rolling.compile(&mut executor, &[SAMPLES, LENGTH, 2]).unwrap();
    let mut state = run.begin(first).unwrap();
    let mut evaluations = 0;
    let end = run.run(&mut executor, seed, &mut state, |step| {
        evaluations += u64::from(step.evaluations);
        ControlFlow::Continue(())
    });
    assert_eq!(end.unwrap(), ControlFlow::Continue(()));
    assert_eq!((state.diverged.len(), evaluations), (0, run.evaluations()));
    (state, evaluations)
}

/// Numbers of some states of every sample, [N, 2 states].
fn matrix(x: &ArrayD<f32>, states: std::ops::Range<usize>) -> Array2<f64> {
    let part = x.slice_axis(Axis(1), states.into()).to_owned();
    let numbers = part.len() / SAMPLES;
    part.mapv(f64::from).into_shape_with_order((SAMPLES, numbers)).unwrap()
}

/// χ² of mean and deviations over their degrees of freedom, which scatter by √(2/d) around 1. `slack` is room for the
/// sampler's own error; a variance wrong by it, or a mean by its root over N deviations, is found.
#[track_caller]
fn assert_law(x: &Array2<f64>, mean: &Array1<f64>, covariance: &Array2<f64>, slack: f64) {
    let [of_mean, of_spread] = chi_squares(x, mean, covariance);
    let n = mean.len() as f64;
    let scatter = 4.0 * (2.0 / n).sqrt();
    assert!(of_mean < 1.0 + scatter + slack * SAMPLES as f64 * 0.05, "χ² of the mean: {of_mean}");
    let scatter = 4.0 * (2.0 / (n * (SAMPLES - 1) as f64)).sqrt();
    assert!((of_spread - 1.0).abs() < scatter + slack, "χ² of the spread: {of_spread} ± {scatter}");
}

/// N(m + G z, P) of the free numbers of a window, given z, the numbers of its first states, and y of those seen in it.
struct Block {
    mean: Array1<f64>,
    gain: Array2<f64>,
    covariance: Array2<f64>,
}

/// The law of a window of `width` states of which the first are known, and the first component is seen of `states`,
/// counted from its start.
fn block(width: usize, known: usize, states: &[usize], y: &[f64]) -> Block {
    let c = covariance(width);
    let held: Vec<usize> = (0..2 * known).collect();
    let free: Vec<usize> = (2 * known..2 * width).collect();
    let a = concatenate![Axis(0), Array2::<f64>::eye(2 * width).select(Axis(0), &held), rows(states, width)];
    let mut noise = Array2::<f64>::eye(a.nrows()) * NOISE_STD.powi(2);
    (0..held.len()).for_each(|i| noise[[i, i]] = 0.0);
    let total = a.dot(&c).dot(&a.t()) + noise;
    let gain = solve(&total, &a.dot(&c)).unwrap().reversed_axes();
    let rest = &c - &gain.dot(&a).dot(&c);
    let gain = gain.select(Axis(0), &free);
    let y = Array1::from(y.to_vec());
    Block {
        mean: gain.slice(s![.., held.len()..]).dot(&y),
        gain: gain.slice(s![.., ..held.len()]).to_owned(),
        covariance: rest.select(Axis(0), &free).select(Axis(1), &free),
    }
}

/// Observed states of a window and what was seen of them; those of its first `known` are left out.
fn in_window(start: usize, width: usize, known: usize) -> (Vec<usize>, Vec<f64>) {
    let y = observed();
    let inside = (0..y.len()).filter(|k| 2 * k >= start + known && 2 * k < start + width);
    inside.map(|k| (2 * k - start, y[k])).unzip()
}

/// Mean and covariance of some states given y of the states before `end`.
fn kalman(states: std::ops::Range<usize>, end: usize) -> (Array1<f64>, Array2<f64>) {
    let (at, y) = in_window(0, end, 0);
    let Block { mean, covariance, .. } = block(LENGTH, 0, &at, &y);
    let numbers: Vec<usize> = (2 * states.start..2 * states.end).collect();
    (mean.select(Axis(0), &numbers), covariance.select(Axis(0), &numbers).select(Axis(1), &numbers))
}

const CONDITIONINGS: [(Conditioning, f64); 2] =
    [(Conditioning::Levels, 0.01), (Conditioning::Guided { noise_std: 0.01 }, 0.03)];

/// From one state, seven blocks on: the chain's own transitions, by levels and by guidance. A window's end taken for its
/// middle, or a lost μ, is an error of many standard deviations.
#[test]
fn forecasts_have_the_chains_mean_and_covariance() {
    let start = [1.25, -0.75];
    let first = ArrayD::from_shape_fn(vec![SAMPLES, 1, 2], |i| start[i[2]] as f32);
    let law = block(LENGTH, 1, &[], &[]);
    let mean = law.gain.dot(&Array1::from(start.to_vec()));
    for (conditioning, slack) in CONDITIONINGS {
        let rollout = Rollout::Forecast { window: 4, known: 1 };
        let (state, evaluations) = rolled(&rolling(rollout, 4, conditioning, 64), Some(&first), 5);
        assert_eq!((state.blocks, evaluations), (7, 7 * 64));
        assert_eq!(matrix(&state.values, 0..1).row(9).to_vec(), start, "what is known is kept");
        assert_law(&matrix(&state.values, 1..LENGTH), &mean, &law.covariance, slack);
    }
}

/// Mean and covariance of all states as fixed-lag blocks leave them: each draws from p(x_u | x_k, y in the window), x_k as
/// the blocks before have left it.
fn fixed_lag_law(lag: usize, known: usize, advance: usize) -> (Array1<f64>, Array2<f64>) {
    let width = known + lag;
    let (at, y) = in_window(0, width, 0);
    let Block { mean, covariance, .. } = block(width, 0, &at, &y);
    let (mut m, mut c) = (Array1::zeros(2 * LENGTH), Array2::zeros((2 * LENGTH, 2 * LENGTH)));
    m.slice_mut(s![..2 * width]).assign(&mean);
    c.slice_mut(s![..2 * width, ..2 * width]).assign(&covariance);
    let mut start = advance;
    while start + width <= LENGTH {
        let (at, y) = in_window(start, width, known);
        let law = block(width, known, &at, &y);
        let (held, free) = (2 * start..2 * (start + known), 2 * (start + known)..2 * (start + width));
        let before = 2 * (start + known);
        let m_free = &law.mean + &law.gain.dot(&m.slice(s![held.clone()]));
        let cross = law.gain.dot(&c.slice(s![held.clone(), ..before]));
        let own = law.gain.dot(&c.slice(s![held.clone(), held])).dot(&law.gain.t()) + &law.covariance;
        m.slice_mut(s![free.clone()]).assign(&m_free);
        c.slice_mut(s![free.clone(), ..before]).assign(&cross);
        c.slice_mut(s![..before, free.clone()]).assign(&cross.t());
        c.slice_mut(s![free.clone(), free]).assign(&own);
        start += advance;
    }
    (m, c)
}

#[test]
fn a_fixed_lag_has_the_law_of_its_blocks() {
    let (lag, known, advance) = (12, 1, 4);
    let (mean, covariance) = fixed_lag_law(lag, known, advance);
    for (conditioning, slack) in CONDITIONINGS {
        let rollout = Rollout::FixedLag { lag, known, advance };
        let (state, evaluations) = rolled(&rolling(rollout, known + lag, conditioning, 64), None, 6);
        assert_eq!((state.blocks, evaluations), (3, 3 * 64));
        assert_law(&matrix(&state.values, 0..LENGTH), &mean, &covariance, slack);
    }
}

/// Biases over the exact standard deviations, and variances over the exact.
fn against(law: &(Array1<f64>, Array2<f64>), exact: &(Array1<f64>, Array2<f64>)) -> (f64, [f64; 2]) {
    let deviations = exact.1.diag().mapv(f64::sqrt);
    let bias = ((&law.0 - &exact.0) / deviations).iter().fold(0.0, |most: f64, b| most.max(b.abs()));
    let ratios = &law.1.diag() / &exact.1.diag();
    let extreme = |f: fn(f64, f64) -> f64| ratios.iter().copied().reduce(f).unwrap();
    (bias, [extreme(f64::min), extreme(f64::max)])
}

/// The law of the blocks is the fixed-lag smoother's where the lag is long: what is final does not hear of what comes
/// later than the lag.
#[test]
fn a_long_lag_is_the_kalman_fixed_lag_smoother_and_a_short_one_is_not() {
    let worst = |lag: usize, advance: usize| {
        let law = fixed_lag_law(lag, 1, advance);
        let (mut bias, mut ratios) = (0.0f64, [f64::INFINITY, 0.0f64]);
        for i in 0..LENGTH {
            // State i was drawn last in the last block whose free states hold it.
            let blocks = (LENGTH - lag - 1) / advance;
            let last = (0..=blocks).rev().find(|b| *b == 0 || b * advance < i).unwrap();
            let exact = kalman(i..i + 1, last * advance + 1 + lag);
            let own = (
                law.0.slice(s![2 * i..2 * i + 2]).to_owned(),
                law.1.slice(s![2 * i..2 * i + 2, 2 * i..2 * i + 2]).to_owned(),
            );
            let (b, [low, high]) = against(&own, &exact);
            bias = bias.max(b);
            ratios = [ratios[0].min(low), ratios[1].max(high)];
        }
        (bias, ratios)
    };
    let (long, long_ratios) = worst(16, 4);
    let (short, short_ratios) = worst(4, 4);
    assert!(long < 0.05 && long_ratios[0] > 0.98 && long_ratios[1] < 1.03, "{long} {long_ratios:?}");
    assert!(short > 0.5 && short_ratios[1] > 2.0, "{short} {short_ratios:?}");
}

/// √Λ_0/√(μ² Λ + σ²) in the modes of P: the exact flow from x(t) down to t = 0 under the score of N(m, P).
fn flow(covariance: &Array2<f64>, t: f64) -> Array2<f64> {
    let schedule = sampler(1).schedule;
    let (mu, sigma, least) = (schedule.mu(t), schedule.sigma(t), schedule.sigma(0.0));
    let Eigh { values, vectors } = eigh(covariance).unwrap();
    let shrink = values.mapv(|v| {
        let v = v.max(0.0);
        ((v + least * least) / (mu * mu * v + sigma * sigma)).sqrt()
    });
    (&vectors * &shrink).dot(&vectors.t())
}

/// Mean and covariance of the last block's new states, and its window's start, as exact cycles leave them.
fn cycle_law(width: usize, advance: usize, t: f64) -> (Array1<f64>, Array2<f64>, usize) {
    let schedule = sampler(1).schedule;
    let (mu, sigma) = (schedule.mu(t), schedule.sigma(t));
    let analysis = |start: usize| {
        let (at, y) = in_window(start, width, 0);
        let Block { mean, covariance, .. } = block(width, 0, &at, &y);
        (mean, covariance)
    };
    let known = width - advance;
    let ahead = block(width, known, &[], &[]);
    let extend = concatenate![Axis(0), Array2::<f64>::eye(2 * known), ahead.gain];
    let (mut m, mut c) = analysis(0);
    let mut start = 0;
    while start + advance + width <= LENGTH {
        start += advance;
        let kept = s![2 * advance.., 2 * advance..];
        let forecast = extend.dot(&m.slice(s![2 * advance..]));
        let mut spread = extend.dot(&c.slice(kept)).dot(&extend.t());
        let mut new = spread.slice_mut(s![2 * known.., 2 * known..]);
        new += &ahead.covariance;
        let (mean, covariance) = analysis(start);
        let d = flow(&covariance, t);
        m = &mean + &d.dot(&((forecast - &mean) * mu));
        let noised = spread * (mu * mu) + Array2::<f64>::eye(2 * width) * (sigma * sigma);
        c = d.dot(&noised).dot(&d.t());
    }
    let new = 2 * known..2 * width;
    (m.slice(s![new.clone()]).to_owned(), c.slice(s![new.clone(), new]).to_owned(), start)
}

const WIDTH: usize = 17;
const ADVANCE: usize = 2;

/// The time at which a grid of 64 squared steps first falls to `start`.
fn reached(start: f64) -> f64 {
    sampler(64).times().unwrap().into_iter().find(|&t| t <= start).unwrap()
}

#[test]
fn a_cycle_has_the_law_of_its_blocks() {
    for (conditioning, start, slack) in [
        (Conditioning::Levels, 0.5, 0.02),
        (Conditioning::Levels, 1.0, 0.02),
        (Conditioning::Guided { noise_std: 0.02 }, 0.5, 0.05),
    ] {
        let rollout = Rollout::Cycle { window: WIDTH, advance: ADVANCE, start };
        let (state, evaluations) = rolled(&rolling(rollout, WIDTH, conditioning, 64), None, 7);
        let (mean, covariance, at) = cycle_law(WIDTH, ADVANCE, reached(start));
        assert_eq!((state.blocks, at), (3, 4));
        assert!(start < 1.0 || evaluations == 64 + 2 * 128, "{evaluations}");
        assert!(start == 1.0 || evaluations < 64 + 2 * 115, "{evaluations}");
        let new = LENGTH - ADVANCE..LENGTH;
        assert_law(&matrix(&state.values, new.clone()), &mean, &covariance, slack);
        // What was forecast knows nothing of the new observations.
        let forecasts = matrix(state.forecasts.as_ref().unwrap(), new.clone());
        let exact = kalman(new, LENGTH - ADVANCE);
        let [_, spread] = chi_squares(&forecasts, &exact.0, &exact.1);
        assert!((spread - 1.0).abs() < 0.3, "forecasts: {spread}");
    }
}

/// The law of the blocks is the filter's where the window is long and the start noisy enough to lose what the new
/// observations change; from a start that is hardly noised, the analysis is the forecast.
#[test]
fn cycles_with_a_noisy_start_are_the_kalman_filter_and_with_a_quiet_one_are_not() {
    let exact = kalman(LENGTH - ADVANCE..LENGTH, LENGTH);
    let of = |start: f64| {
        let (mean, covariance, _) = cycle_law(WIDTH, ADVANCE, start);
        against(&(mean, covariance), &exact)
    };
    for start in [1.0, 0.5] {
        let (bias, [low, high]) = of(start);
        assert!(bias < 0.05 && low > 0.97 && high < 1.06, "{start}: {bias} {low} {high}");
    }
    let (bias, [_, high]) = of(0.03);
    assert!(high > 2.0, "{bias} {high}");
}

/// At as many evaluations of the analysis, a start in the middle of a finer grid has variances nearer the filter's: of 8,
/// 16 and 32, .80 … .85, .91 … .96 and .96 … 1.01 of them, where from noise .54 … .64, .67 … .78 and .75 … .86 come out.
/// What the forecast costs is not in this.
#[test]
fn a_warm_start_errs_less_per_evaluation_of_the_analysis() {
    let error = |start: f64, steps: u32| {
        let rollout = Rollout::Cycle { window: WIDTH, advance: ADVANCE, start };
        let mut rolling = rolling(rollout, WIDTH, Conditioning::Levels, steps);
        rolling.sampler.integrator = Integrator::Exponential;
        let mut executor = Cpu::new(1).unwrap();
        let run = rolling.compile(&mut executor, &[SAMPLES, LENGTH, 2]).unwrap();
        let mut state = run.begin(None).unwrap();
        let end = run.run(&mut executor, 8, &mut state, |_| ControlFlow::Continue(())).unwrap();
        assert!(end.is_continue());
        let x = matrix(&state.values, LENGTH - ADVANCE..LENGTH);
        let exact = kalman(LENGTH - ADVANCE..LENGTH, LENGTH);
        let own = x.mean_axis(Axis(0)).unwrap();
        let away = &x - &own;
        let sampled = away.t().dot(&away) / (SAMPLES - 1) as f64;
        let (bias, ratios) = against(&(own, sampled), &exact);
        let analyses = run.evaluations() - 3 * u64::from(steps);
        (bias, ratios, analyses / 2)
    };
    let off = |(bias, [low, high], _): (f64, [f64; 2], u64)| bias + (1.0 - low).abs().max((high - 1.0).abs());
    for (cold_steps, warm_steps) in [(8, 15), (16, 29), (32, 58)] {
        let (cold, warm) = (error(1.0, cold_steps), error(0.3, warm_steps));
        assert!(warm.2 <= cold.2 && off(warm) < 0.7 * off(cold), "{warm:?}, from noise {cold:?}");
    }
}

#[test]
fn a_rollout_stopped_and_gone_on_with_ends_in_the_same_bits() {
    let rollout = Rollout::Cycle { window: WIDTH, advance: ADVANCE, start: 0.5 };
    let rolling = rolling(rollout, WIDTH, Conditioning::Levels, 8);
    let shape = [4, LENGTH, 2];
    let whole = |limit: usize| {
        let mut executor = Cpu::new(1).unwrap();
        let run = rolling.compile(&mut executor, &shape).unwrap();
        let mut state = run.begin(None).unwrap();
        let mut left = limit;
        let mut stops = 0;
        loop {
            let end = run.run(&mut executor, 3, &mut state, |_| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if end.unwrap().is_continue() {
                return (state, stops);
            }
            // Another executor goes on.
            executor = Cpu::new(1).unwrap();
            rolling.compile(&mut executor, &shape).unwrap();
            (left, stops) = (usize::MAX, stops + 1);
        }
    };
    let (expected, _) = whole(usize::MAX);
    // In a window; at the end of one, of a forecast, of a block.
    for limit in [1, 8, 11, 16, 20] {
        let (state, stops) = whole(limit);
        assert_eq!((state, stops), (expected.clone(), 1), "stopped after {limit} steps");
    }
}

#[test]
fn smoothing_is_the_posterior_of_all() {
    let (state, _) = rolled(&rolling(Rollout::Smoothing, LENGTH, Conditioning::Levels, 64), None, 9);
    let (mean, covariance) = kalman(0..LENGTH, LENGTH);
    assert_law(&matrix(&state.values, 0..LENGTH), &mean, &covariance, 0.01);
}

#[test]
fn what_cannot_be_rolled_out_is_refused_with_the_reason_and_the_remedy() {
    let cycle = |start| Rollout::Cycle { window: WIDTH, advance: ADVANCE, start };
    let compiled = |rolling: &Rolling<GaussianScore>| {
        let mut executor = Cpu::new(1).unwrap();
        let compiled = rolling.compile(&mut executor, &[2, LENGTH, 2]).map(|_| ()).map_err(|e| e.to_string());
        let checked = rolling.check(&[2, LENGTH, 2]).map_err(|e| e.to_string());
        assert_eq!(checked, compiled, "without an executor and with one");
        compiled
    };
    let base = rolling(cycle(0.5), WIDTH, Conditioning::Levels, 8);
    compiled(&base).unwrap();
    let quiet = Rolling { rollout: cycle(1e-3), ..base.clone() };
    let blind = Rolling { observation: None, ..base.clone() };
    let noise = Rolling { conditioning: Conditioning::Guided { noise_std: 0.0 }, ..base.clone() };
    let detached = Rolling {
        rollout: Rollout::FixedLag { lag: WIDTH - 1, known: 1, advance: 2 },
        guidance: Guidance::Sda { gamma: 0.1, detach: true },
        ..base.clone()
    };
    for (rolling, why) in [
        (quiet, "below the last step's time"),
        (blind, "there is none; give one, or forecast"),
        (noise, "`noise_std` must be positive and finite"),
        (detached, "would move states that are known"),
    ] {
        let error = compiled(&rolling).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let mut executor = Cpu::new(1).unwrap();
    let rollout = Rollout::Forecast { window: 4, known: 1 };
    let forecast =
        rolling(rollout, 4, Conditioning::Levels, 8).compile(&mut executor, &[2, LENGTH, 2]).unwrap();
    let error = |result: Result<RolloutState<f32>, DiffusionError>| result.unwrap_err().to_string();
    assert!(error(forecast.begin(None)).contains("starts from the first 1 states of each sample; give them"));
    let wrong = ArrayD::zeros(vec![2, 2, 2]);
    assert!(error(forecast.begin(Some(&wrong))).contains("[2, 1, 2] belong"));
    let analysis = base.compile(&mut Cpu::new(1).unwrap(), &[2, LENGTH, 2]).unwrap();
    assert!(error(analysis.begin(Some(&wrong))).contains("only a forecast starts from them"));
}
