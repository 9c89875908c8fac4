//! The filters against closed forms on linear Gaussian chains.

use ndarray::{Array1, Array2, Array3, Axis, concatenate, s};
use sda_core::Stream;
use sda_core::linalg::{log_det_spd, solve_spd};
use sda_systems::{LinearGaussian, Simulation, System, SystemConfig};

use crate::{
    BootstrapFilter, FilterError, LinearOperator, Observations, ParticleHistory, Smoothed, kalman_filter,
    rts_smoother,
};

const STEPS: usize = 33;

/// A chain, its first component observed every `every`-th state, from a trajectory of its own.
struct Problem {
    system: Box<dyn System>,
    chain: LinearGaussian,
    observations: Observations,
    operator: LinearOperator,
    burn_in: u32,
}

impl Problem {
    fn new(config: &SystemConfig, burn_in: u32, every: usize, noise_std: f64) -> Self {
        let system = config.build().unwrap();
        let chain = system.linear_gaussian().unwrap().after(burn_in);
        let truth = Simulation { system: &*system, burn_in, steps: STEPS, stream: Stream::new(1, 0) };
        let truth = truth.trajectories(5..6).unwrap();
        let operator = LinearOperator::component(&system.normalisation(), 0);
        let mut noise = vec![0f64; STEPS.div_ceil(every)];
        Stream::new(1, 1).fill_normal(0, 0, 1, &mut noise);
        let exact = truth.slice(s![0, ..;every, ..1]).to_owned();
        let values = exact + Array2::from_shape_vec((noise.len(), 1), noise).unwrap() * noise_std;
        let observations = Observations::new((0..STEPS).step_by(every).collect(), values, noise_std).unwrap();
        Self { system, chain, observations, operator, burn_in }
    }

    fn all() -> [Self; 3] {
        let ar1 = SystemConfig::Ar1Rotation { rho: 0.995, period: 30.0 };
        [
            Self::new(&SystemConfig::DampedSpring {}, 0, 8, 0.05),
            Self::new(&SystemConfig::DampedSpring {}, 20, 3, 0.2),
            Self::new(&ar1, 0, 4, 0.25),
        ]
    }

    fn smooth(&self) -> (Smoothed, f64) {
        let filtered = kalman_filter(&self.chain, STEPS, &self.observations, &self.operator).unwrap();
        (rts_smoother(&self.chain, &filtered).unwrap(), filtered.log_evidence)
    }

    fn filter(&self, particles: usize, resample_below: f64, seed: u64) -> ParticleHistory {
        let filter = BootstrapFilter {
            system: &*self.system,
            particles,
            burn_in: self.burn_in,
            resample_below,
            stream: Stream::new(seed, 0),
        };
        filter.run(STEPS, &self.observations, &self.operator).unwrap()
    }

    /// Mean [L·D] and covariance of the prior of the whole trajectory.
    fn prior(&self) -> (Array1<f64>, Array2<f64>) {
        let (chain, d) = (&self.chain, self.chain.initial_mean.len());
        let mut mean = Array1::zeros(STEPS * d);
        let mut covariance = Array2::zeros((STEPS * d, STEPS * d));
        let (mut m, mut p) = (chain.initial_mean.clone(), chain.initial_covariance.clone());
        for j in 0..STEPS {
            mean.slice_mut(s![j * d..(j + 1) * d]).assign(&m);
            let mut block = p.clone();
            for i in j..STEPS {
                covariance.slice_mut(s![i * d..(i + 1) * d, j * d..(j + 1) * d]).assign(&block);
                covariance.slice_mut(s![j * d..(j + 1) * d, i * d..(i + 1) * d]).assign(&block.t());
                block = chain.transition.dot(&block);
            }
            m = chain.transition.dot(&m) + &chain.offset;
            p = chain.transition.dot(&p).dot(&chain.transition.t()) + &chain.noise_covariance;
        }
        (mean, covariance)
    }
}

#[track_caller]
fn assert_close<'a>(
    got: impl IntoIterator<Item = &'a f64>,
    want: impl IntoIterator<Item = &'a f64>,
    tolerance: f64,
) {
    for (a, b) in got.into_iter().zip(want) {
        assert!((a - b).abs() < tolerance, "{a} is not {b}");
    }
}

#[test]
fn smoother_is_dense_conditioning() {
    for problem in Problem::all() {
        let (mean, covariance) = problem.prior();
        let d = problem.chain.initial_mean.len();
        let observed: Vec<usize> = problem.observations.steps().iter().map(|t| t * d).collect();
        let y: Array1<f64> = problem.observations.values().iter().copied().collect();
        let innovation = y - mean.select(Axis(0), &observed);
        let cross = covariance.select(Axis(0), &observed);
        let noise = Array2::<f64>::eye(observed.len()) * problem.observations.noise_std().powi(2);
        let total = cross.select(Axis(1), &observed) + noise;
        let weights = solve_spd(&total, &innovation).unwrap();
        let want_mean = mean + cross.t().dot(&weights);
        let want_covariance = covariance - cross.t().dot(&solve_spd(&total, &cross).unwrap());
        let n = observed.len() as f64;
        let want_log =
            -0.5 * (innovation.dot(&weights) + log_det_spd(&total).unwrap() + n * std::f64::consts::TAU.ln());

        let (smoothed, log_evidence) = problem.smooth();
        assert_close(&smoothed.mean(), &want_mean, 1e-9);
        assert_close(&smoothed.joint_covariance(), &want_covariance, 1e-9);
        assert!((log_evidence - want_log).abs() < 1e-9, "{log_evidence} is not {want_log}");
        let (i, j) = (3, 11);
        let want = want_covariance.slice(s![i * d..(i + 1) * d, j * d..(j + 1) * d]).to_owned();
        assert_close(&smoothed.cross_covariance(i, j), &want, 1e-9);
        assert_close(&smoothed.cross_covariance(j, i), &want.t().to_owned(), 1e-9);
    }
}

/// Means within `tolerance` posterior standard deviations, standard deviations within that fraction.
#[track_caller]
fn assert_moments(samples: &Array3<f64>, smoothed: &Smoothed, first: usize, tolerance: f64) {
    let (mean, std) = (samples.mean_axis(Axis(0)).unwrap(), samples.std_axis(Axis(0), 0.0));
    for t in first..STEPS {
        for c in 0..mean.ncols() {
            let (m, sd) = (smoothed.means[t][c], smoothed.covariances[t][[c, c]].sqrt());
            let (bias, spread) = ((mean[[t, c]] - m) / sd, std[[t, c]] / sd);
            assert!(bias.abs() < tolerance, "state {t}, component {c}: mean is {bias} sd off");
            assert!((spread - 1.0).abs() < tolerance, "state {t}, component {c}: spread ratio {spread}");
        }
    }
}

/// Independent filters pooled: the first, sharp observation leaves each with few founders.
#[test]
fn particles_agree_with_the_smoother() {
    const FILTERS: u64 = 16;
    for problem in Problem::all() {
        let (smoothed, log_evidence) = problem.smooth();
        for resample_below in [1.0, 0.5] {
            let histories: Vec<_> =
                (0..FILTERS).map(|seed| problem.filter(1 << 12, resample_below, seed)).collect();
            let pool = |draw: &dyn Fn(&ParticleHistory) -> Array3<f64>| {
                let parts: Vec<_> = histories.iter().map(draw).collect();
                concatenate(Axis(0), &parts.iter().map(|part| part.view()).collect::<Vec<_>>()).unwrap()
            };
            let evidence = histories.iter().map(|h| (h.log_evidence - log_evidence).exp()).sum::<f64>();
            assert!(
                (evidence / FILTERS as f64 - 1.0).abs() < 0.1,
                "evidence is {} times too large",
                evidence / 16.0
            );
            assert!(histories[0].effective_sample_size.len() == problem.observations.steps().len());
            // Early states of the paths are shared by many samples.
            let paths = pool(&|history| history.sample_paths(512));
            assert_moments(&paths, &smoothed, STEPS - 8, 0.12);
            assert_moments(&paths, &smoothed, 0, 0.25);
            if resample_below == 1.0 {
                let backward = pool(&|history| history.sample_backward(&*problem.system, 128).unwrap());
                assert_moments(&backward, &smoothed, 0, 0.12);
            }
        }
    }
}

/// Cov[x_i, x_{i+1}] of the samples tells whether they are trajectories, not states side by side.
#[test]
fn backward_samples_are_joint() {
    for problem in Problem::all() {
        let (smoothed, _) = problem.smooth();
        let samples = problem.filter(1 << 13, 1.0, 3).sample_backward(&*problem.system, 1024).unwrap();
        let centred = &samples - &samples.mean_axis(Axis(0)).unwrap();
        for t in [0, 7, 30] {
            let (a, b) = (centred.slice(s![.., t, 0]), centred.slice(s![.., t + 1, 0]));
            let variance = |t: usize| smoothed.covariances[t][[0, 0]];
            let sd = (variance(t) * variance(t + 1)).sqrt();
            let covariance = (&a * &b).mean().unwrap();
            let error = (covariance - smoothed.cross_covariance(t, t + 1)[[0, 0]]) / sd;
            assert!(error.abs() < 0.25, "cross covariance at {t} is {error} off");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_threads() {
    let problem = &Problem::all()[0];
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let history = problem.filter(3000, 0.7, 9);
            let backward = history.sample_backward(&*problem.system, 50).unwrap();
            (history.sample_paths(700), backward, history.effective_sample_size, history.log_evidence)
        })
    };
    let one = with(1);
    assert_eq!(with(2), one);
    assert_eq!(with(5), one);
}

#[test]
fn a_deterministic_system_has_no_backward_kernel() {
    let system = SystemConfig::lorenz96_benchmark().build().unwrap();
    let observations = Observations::new(vec![0], Array2::zeros((1, 1)), 1.0).unwrap();
    let operator = LinearOperator::component(&system.normalisation(), 0);
    let filter = BootstrapFilter {
        system: &*system,
        particles: 65,
        burn_in: 0,
        resample_below: 1.0,
        stream: Stream::new(0, 0),
    };
    let history = filter.run(3, &observations, &operator).unwrap();
    assert_eq!(history.sample_paths(4).dim(), (4, 3, 40));
    assert!(matches!(history.sample_backward(&*system, 1), Err(FilterError::Deterministic { .. })));
}

#[test]
fn an_impossible_observation_is_an_error_with_its_step() {
    let problem = &Problem::all()[0];
    let observations = Observations::new(vec![0, 5], Array2::from_elem((2, 1), 1e200), 1e-3).unwrap();
    let filter = BootstrapFilter {
        system: &*problem.system,
        particles: 10,
        burn_in: 0,
        resample_below: 1.0,
        stream: Stream::new(0, 0),
    };
    let error = filter.run(9, &observations, &problem.operator).unwrap_err();
    assert!(matches!(error, FilterError::Collapsed { step: 0, particles: 10 }), "{error}");
    let settings = BootstrapFilter { particles: 0, ..filter };
    assert!(matches!(settings.run(9, &observations, &problem.operator), Err(FilterError::Setting { .. })));
}
