//! On a chain whose posterior is a closed form the tuning finds what is known to be best.

use super::{Cases, Choice, Rule, Scores, Standing, Trial, choose};
use crate::config::{Candidate, SamplerConfig};
use ndarray::{Array2, ArrayD, Axis};
use sda_core::linalg::cholesky;
use sda_core::{Real, Stream};
use sda_device::{Cpu, CpuOptions};
use sda_diffusion::{GaussianScore, Guidance, Integrator, LangevinStep, NoiseSource, Place, Sampled};
use sda_diffusion::{Schedule, TimeGrid};
use sda_verify::{AffineSampler, Chain, Prior, Seen, Setting};
use std::ops::ControlFlow;

const CASES: usize = 32;
const SAMPLES: usize = 16;

fn cpu(threads: usize) -> Cpu {
    Cpu::with_options(CpuOptions { threads, ..CpuOptions::default() }).unwrap()
}

/// Standard normals [rows, columns].
fn normals(stream: u32, rows: usize, columns: usize) -> Array2<f64> {
    let mut z = vec![0.0; rows * columns];
    Stream::new(3, stream).fill_normal(0, 0, columns, &mut z);
    Array2::from_shape_vec((rows, columns), z).unwrap()
}

fn trajectories(chain: &Chain, rows: &Array2<f64>) -> ArrayD<f64> {
    let count = rows.nrows();
    rows.as_standard_layout()
        .into_owned()
        .into_shape_with_order((count, chain.length, chain.dim))
        .unwrap()
        .into_dyn()
}

/// Trajectories of the chain, observed.
fn cases(chain: &Chain) -> Cases {
    let root = cholesky(&chain.covariance).unwrap();
    let truth = trajectories(chain, &(normals(1, CASES, chain.numbers()).dot(&root.t()) + &chain.mean));
    Cases::observe(truth, chain.seen.operator.clone(), chain.seen.noise_std, Stream::new(3, 2)).unwrap()
}

/// N draws of each case's posterior, with `shift` posterior deviations added and the spread scaled.
fn exact(chain: &Chain, cases: &Cases, shift: f64, scale: f64) -> ArrayD<f64> {
    let root = cholesky(&chain.posterior_covariance).unwrap();
    let std = chain.posterior_covariance.diag().mapv(f64::sqrt);
    let y = cases.y.to_shape((CASES, chain.observed())).unwrap();
    let means = (&y - &chain.operator.dot(&chain.mean)).dot(&chain.gain.t()) + &chain.mean;
    let mut draws = normals(4, CASES * SAMPLES, chain.numbers()).dot(&root.t()) * scale;
    for (row, mut draw) in draws.outer_iter_mut().enumerate() {
        draw += &(&means.row(row / SAMPLES) + &(&std * shift));
    }
    trajectories(chain, &draws)
}

fn candidate(guidance: Guidance) -> Candidate {
    let sampler = SamplerConfig {
        steps: 32,
        tau: 0.25,
        grid: TimeGrid::Squared,
        corrector_floor: 0.0,
        gated: false,
        integrator: Integrator::Exponential,
        noise_floor: 0.0,
        langevin: LangevinStep::Trajectory,
        largest_delta: None,
    };
    Candidate { guidance, place: Place::Auto, corrections: 0, sampler }
}

fn sda(gamma: f64) -> Candidate {
    candidate(Guidance::Sda { gamma, detach: false })
}

/// Converged in single precision.
fn mmps() -> Candidate {
    candidate(Guidance::mmps(20))
}

fn trial(chain: &Chain, cases: &Cases, candidate: &Candidate, threads: usize) -> Trial {
    let mut executor = cpu(threads);
    let prior = GaussianScore::new(chain.mean.clone(), &chain.covariance).unwrap();
    let posterior = cases.posterior(&prior, candidate, SAMPLES).unwrap();
    let run = candidate
        .sampler(Schedule::default(), cases.noise_std)
        .compile(&mut executor, &posterior, &cases.shape(SAMPLES), NoiseSource::Drawn)
        .unwrap();
    let Sampled::Finished(samples) = run.run(&mut executor, 7, |_| ControlFlow::Continue(())).unwrap() else {
        unreachable!("nothing stops this run")
    };
    assert_eq!(samples.diverged, []);
    Trial::Scored(Scores::of(&samples.values.mapv(Real::to_f64), cases, Stream::new(3, 5)).unwrap())
}

fn tuned(chain: &Chain, candidates: &[Candidate]) -> Choice {
    let cases = cases(chain);
    let trials: Vec<Trial> = candidates.iter().map(|c| trial(chain, &cases, c, 1)).collect();
    let evaluations: Vec<usize> = candidates
        .iter()
        .map(|c| c.evaluations(Schedule::default(), cases.noise_std, false).unwrap())
        .collect();
    choose(&trials, &evaluations, &Rule::default()).unwrap()
}

/// W2 to the posterior of what a candidate samples, by exact moments.
fn w2(chain: &Chain, candidate: &Candidate) -> f64 {
    let Candidate { guidance, place, .. } = candidate.clone();
    let sampler = candidate.sampler(Schedule::default(), chain.seen.noise_std);
    let setting = Setting { prior: Prior::Whole, guidance, place, sampler };
    let mut executor = cpu(1);
    let mut affine = AffineSampler::new(&mut executor, chain, &setting).unwrap();
    affine.moments().unwrap().errors(chain).unwrap().w2
}

#[test]
fn mmps_is_chosen_over_a_wrong_gamma() {
    for seen in [Seen::lo(), Seen::hi()] {
        let chain = Chain::rotation(seen).unwrap();
        let choice = tuned(&chain, &[sda(1.0), mmps(), sda(1e-3)]);
        assert_eq!((choice.chosen, choice.all_refuted), (1, false), "{choice:?}");
        // Though it is the dearest: the others are refuted or worse.
        assert!(!choice.standings.contains(&Standing::Dearer), "{choice:?}");
    }
}

#[test]
fn a_gamma_that_is_best_by_exact_moments_is_chosen_over_ten_times_more_or_less() {
    for seen in [Seen::lo(), Seen::hi()] {
        let chain = Chain::rotation(seen).unwrap();
        let gammas = [1e-3, 1e-2, 1e-1, 1.0];
        let errors = gammas.map(|gamma| w2(&chain, &sda(gamma)));
        let best = (0..gammas.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap();
        let around = [10.0, 1.0, 0.1].map(|factor| sda(factor * gammas[best]));
        let choice = tuned(&chain, &around);
        assert_eq!(choice.chosen, 1, "{} of {gammas:?}, W2 {errors:?}: {choice:?}", gammas[best]);
    }
}

#[test]
fn the_same_scores_again_and_with_any_number_of_threads() {
    let chain = Chain::rotation(Seen::lo()).unwrap();
    let cases = cases(&chain);
    let first = trial(&chain, &cases, &sda(1e-2), 1);
    assert_eq!(trial(&chain, &cases, &sda(1e-2), 1), first);
    assert_eq!(trial(&chain, &cases, &sda(1e-2), 3), first);
}

#[test]
fn draws_of_the_posterior_are_not_refuted_and_have_the_best_crps() {
    for seen in [Seen::lo(), Seen::hi()] {
        let chain = Chain::rotation(seen).unwrap();
        let cases = cases(&chain);
        let of = |shift, scale| {
            Scores::of(&exact(&chain, &cases, shift, scale), &cases, Stream::new(3, 5)).unwrap()
        };
        let right = of(0.0, 1.0);
        assert!(!Rule::default().refutes(&right), "{right:?}");
        for (shift, scale) in [(0.5, 1.0), (-0.5, 1.0), (0.0, 0.5), (0.0, 2.0)] {
            let wrong = of(shift, scale);
            let (above, error) = wrong.above(&right);
            assert!(above > 2.0 * error, "{shift}, {scale}: {above} ± {error}");
        }
        let shifted = of(1.0, 1.0);
        assert!(shifted.rank_p < 1e-4, "{}", shifted.rank_p);
        let wide = of(0.0, 3.0);
        assert!(wide.residual_over_noise > 1.5, "{}", wide.residual_over_noise);
    }
}

#[test]
fn every_case_has_its_rows_and_its_own_noise() {
    let chain = Chain::rotation(Seen::hi()).unwrap();
    let cases = cases(&chain);
    let posterior = cases
        .posterior(GaussianScore::new(chain.mean.clone(), &chain.covariance).unwrap(), &mmps(), 3)
        .unwrap();
    let each = posterior.each.unwrap();
    assert_eq!((each.len_of(Axis(0)), cases.shape(3)), (3 * CASES, vec![3 * CASES, 65, 2]));
    for row in 0..each.len_of(Axis(0)) {
        assert_eq!(each.index_axis(Axis(0), row), cases.y.index_axis(Axis(0), row / 3));
    }
    let noise = &cases.y - &cases.truth.slice_axis(Axis(2), (0..1).into());
    let std = noise.std(0.0);
    // 65 · 32 numbers: ± 1.6 %.
    assert!((std / chain.seen.noise_std - 1.0).abs() < 0.05, "{std}");
    assert_ne!(noise.index_axis(Axis(0), 0), noise.index_axis(Axis(0), 1));
}
