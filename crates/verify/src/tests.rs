use ndarray::{Array1, Array2, ArrayD, ArrayViewD};
use sda_device::{Cpu, CpuOptions};
use sda_diffusion::{
    Guidance, Guide, Guided, Integrator, NoisePredictor, Place, Sampler, TimeGrid, TimeNodes, Windows,
};
use sda_filters::{LinearOperator, Observations, kalman_filter, rts_smoother};
use sda_graph::{Executor, ExecutorError, Graph, Handle, NodeId, Program, RunKey};
use sda_kernels::Interpreter;
use sda_observe::Operator;
use sda_systems::{DampedSpring, System};

use super::*;

fn cpu() -> Cpu {
    Cpu::with_options(CpuOptions { threads: 1, ..CpuOptions::default() }).unwrap()
}

/// The smoother's posterior of a chain, for one observation: mean [M] and marginal covariances.
fn smoothed(chain: &Chain, y: &Array1<f64>) -> (Array1<f64>, Vec<Array2<f64>>) {
    let part = chain.seen.operator.per_state(chain.length, chain.dim).unwrap();
    let p = part.matrix.nrows();
    let values = y.clone().into_shape_with_order((part.steps.len(), p)).unwrap();
    let observations = Observations::new(part.steps, values, chain.seen.noise_std).unwrap();
    let operator = LinearOperator { offset: Array1::zeros(p), matrix: part.matrix };
    let filtered = kalman_filter(&chain.dynamics, chain.length, &observations, &operator).unwrap();
    let smoothed = rts_smoother(&chain.dynamics, &filtered).unwrap();
    (smoothed.mean().flatten().to_owned(), smoothed.covariances)
}

#[test]
fn the_closed_form_is_the_smoothers() {
    let spring = Seen {
        name: "spring",
        operator: Operator::Compose(vec![Operator::EveryNth(8), Operator::Components(vec![0])]),
        noise_std: 0.05,
    };
    let dynamics = DampedSpring::default().linear_gaussian().unwrap();
    let chains = [
        Chain::rotation(Seen::lo()).unwrap(),
        Chain::rotation(Seen::hi()).unwrap(),
        Chain::new(dynamics, 65, spring).unwrap(),
    ];
    for chain in chains {
        let y = Array1::from_shape_fn(chain.observed(), |i| (i as f64 * 0.7).sin());
        let centre = chain.operator.dot(&chain.mean);
        let mean = &chain.mean + &chain.gain.dot(&(&y - &centre));
        let (want, covariances) = smoothed(&chain, &y);
        assert!((&mean - &want).iter().all(|d| d.abs() < 1e-8), "{}", chain.seen.name);
        let d = chain.dim;
        for (i, want) in covariances.iter().enumerate() {
            let got = chain.posterior_covariance.slice(ndarray::s![i * d..(i + 1) * d, i * d..(i + 1) * d]);
            assert!((&got - want).iter().all(|e| e.abs() < 1e-8), "{} {i}", chain.seen.name);
        }
    }
}

fn setting(guidance: Guidance, sampler: Sampler) -> Setting {
    Setting { prior: Prior::Whole, guidance, place: Place::Composed, sampler }
}

fn squared(steps: u32, corrections: u32, integrator: Integrator) -> Sampler {
    Sampler { steps, corrections, integrator, grid: TimeGrid::Squared, ..Sampler::default() }
}

/// The numbers of the damped spring that the design records: W2/√n .0050 by MMPS and .33 by γ = 3e-2, 256 uniform steps.
#[test]
fn the_spring_tells_guidances_apart() {
    let seen = Seen { name: "spring", ..Seen::lo() };
    let chain = Chain::new(DampedSpring::default().linear_gaussian().unwrap(), 65, seen).unwrap();
    let w2 = |guidance| {
        let sampler = Sampler { steps: 256, ..Sampler::default() };
        let mut executor = cpu();
        let moments =
            AffineSampler::new(&mut executor, &chain, &setting(guidance, sampler)).unwrap().moments();
        moments.unwrap().errors(&chain).unwrap().w2
    };
    let (exact, wide) = (w2(Guidance::mmps(12)), w2(Guidance::Sda { gamma: 0.03, detach: false }));
    assert!((exact - 0.0050).abs() < 1e-4, "{exact}");
    assert!((wide - 0.33).abs() < 5e-3, "{wide}");
}

#[test]
fn the_quick_table_holds() {
    let rows = quick();
    let outcomes = run(&rows, 2, || Ok(cpu()), |_, _| ()).unwrap();
    for (row, outcome) in rows.iter().zip(outcomes) {
        let name = format!("{} {} {} {}", row.seen.name, row.windows(), row.guidance(), row.sampler());
        assert!(outcome.holds, "{name}: {outcome:?}, expected {:?}", row.expected);
    }
}

#[test]
fn every_row_has_a_name_of_its_own_and_products_that_it_counts() {
    let rows = rows();
    let name = |row: &Row| {
        format!("{} {} {} {} {:?}", row.seen.name, row.windows(), row.guidance(), row.sampler(), row.expected)
    };
    let names: std::collections::BTreeSet<String> = rows.iter().map(name).collect();
    assert_eq!(names.len(), rows.len());
    assert!(rows.len() > 100 && quick().len() < 20);
}

/// Moments read off in f64 are those read off in f32, and are those of samples.
#[test]
fn moments_are_those_of_samples() {
    let chain = Chain::new(
        Chain::rotation(Seen::lo()).unwrap().dynamics,
        9,
        Seen { name: "short", operator: Operator::EveryNth(4), noise_std: 0.2 },
    )
    .unwrap();
    for sampler in [
        squared(24, 0, Integrator::Ancestral { eta: 1.0 }),
        squared(24, 0, Integrator::StochasticDpm2m { eta: 0.7 }),
        squared(24, 0, Integrator::Dpm2m),
        squared(24, 0, Integrator::Heun),
    ] {
        let setting = setting(Guidance::Sda { gamma: 0.5, detach: false }, sampler);
        let mut interpreter = Interpreter::<f64>::new();
        let mut affine = AffineSampler::new(&mut interpreter, &chain, &setting).unwrap();
        let exact = affine.moments().unwrap().errors(&chain).unwrap();
        let mut executor = cpu();
        let single = AffineSampler::new(&mut executor, &chain, &setting).unwrap().moments().unwrap();
        let single = single.errors(&chain).unwrap();
        assert!((exact.w2 - single.w2).abs() < 1e-4, "{exact:?} {single:?}");
        let drawn = sampled(&mut cpu(), &chain, &setting, 8192, 3).unwrap();
        assert!((drawn.residual / exact.residual - 1.0).abs() < 0.03, "{drawn:?} {exact:?}");
    }
}

/// Each sample's own δ, its mean taken over 130 numbers, is close to δ's expectation.
#[test]
fn a_corrector_with_each_samples_own_step_has_the_moments_of_the_mean_step() {
    let chain = Chain::rotation(Seen::lo()).unwrap();
    let samplers = [
        squared(24, 1, Integrator::Exponential),
        squared(24, 2, Integrator::Dpm2m),
        squared(24, 1, Integrator::StochasticDpm2m { eta: 0.7 }),
    ];
    for sampler in samplers {
        let setting = setting(Guidance::Sda { gamma: 0.03, detach: false }, sampler);
        let mut executor = cpu();
        let exact = AffineSampler::new(&mut executor, &chain, &setting).unwrap().moments().unwrap();
        let exact = exact.errors(&chain).unwrap();
        let drawn = sampled(&mut cpu(), &chain, &setting, 2048, 3).unwrap();
        assert!((drawn.residual / exact.residual - 1.0).abs() < 0.03, "{drawn:?} {exact:?}");
        assert!((drawn.spread.powi(2) - exact.spread.powi(2)).abs() < 0.1, "{drawn:?} {exact:?}");
    }
}

/// An executor that lets less noise through: what a corrector without its √2 does.
struct Quiet(Cpu);

impl Executor for Quiet {
    type Real = f32;

    fn compile(&mut self, program: &Program) -> Result<Handle, ExecutorError> {
        self.0.compile(program)
    }

    fn run(&mut self, program: Handle, key: RunKey, inputs: &[&[f32]]) -> Result<(), ExecutorError> {
        let halved: Vec<Vec<f32>> = inputs
            .iter()
            .map(|input| {
                if input.len() > 64 {
                    input.iter().map(|z| z * 0.5f32.sqrt()).collect()
                } else {
                    input.to_vec()
                }
            })
            .collect();
        let inputs: Vec<&[f32]> = halved.iter().map(Vec::as_slice).collect();
        self.0.run(program, key, &inputs)
    }

    fn output(&mut self, program: Handle, index: usize) -> Result<&[f32], ExecutorError> {
        self.0.output(program, index)
    }

    fn read(&mut self, state: &str) -> Result<ArrayD<f32>, ExecutorError> {
        self.0.read(state)
    }

    fn write(&mut self, state: &str, value: ArrayViewD<'_, f32>) -> Result<(), ExecutorError> {
        self.0.write(state, value)
    }
}

#[test]
fn a_corrector_without_its_root_of_two_and_a_gamma_for_a_covariance_fail_the_quick_table() {
    let rows = quick();
    let corrected = rows.iter().filter(|row| row.setting.sampler.corrections > 0 && row.samples.is_none());
    let mut count = 0;
    for row in corrected {
        assert!(!row.run(&mut Quiet(cpu())).unwrap().holds, "{row:?}");
        count += 1;
    }
    assert!(count > 2);
    let exact = rows.iter().filter(|row| matches!(row.setting.guidance, Guidance::Mmps { .. }));
    for row in exact {
        let mut wrong = row.clone();
        wrong.setting.guidance = Guidance::Sda { gamma: 0.03, detach: false };
        assert!(!wrong.run(&mut cpu()).unwrap().holds, "{wrong:?}");
    }
}

#[test]
fn a_mean_of_its_own_is_propagated() {
    let dynamics = DampedSpring::default().linear_gaussian().unwrap();
    assert!(dynamics.initial_mean.iter().any(|m| *m != 0.0));
    let chain =
        Chain::new(dynamics, 9, Seen { name: "short", operator: Operator::EveryNth(4), noise_std: 0.2 })
            .unwrap();
    let setting = setting(Guidance::mmps(12), squared(64, 0, Integrator::Heun));
    let mut executor = Interpreter::<f64>::new();
    let errors = AffineSampler::new(&mut executor, &chain, &setting)
        .unwrap()
        .moments()
        .unwrap()
        .errors(&chain)
        .unwrap();
    assert!(errors.bias < 0.02 && (errors.spread - 1.0).abs() < 0.01, "{errors:?}");
}

/// A composition that gives each state what belongs to its neighbour.
struct Misfolded(Box<dyn NoisePredictor>);

impl Misfolded {
    fn shifted(g: &mut Graph, noise: NodeId) -> NodeId {
        let last = g.shape(noise)[1] - 1;
        let states: Vec<usize> = (0..=last).map(|i| (i + 1).min(last)).collect();
        g.gather(noise, 1, &states)
    }
}

impl NoisePredictor for Misfolded {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        let noise = self.0.emit(g, x, time);
        Self::shifted(g, noise)
    }

    fn guided(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        states: &[usize],
        guide: &Guide<'_>,
    ) -> Guided {
        let guided = self.0.guided(g, x, time, states, guide);
        Guided { noise: Self::shifted(g, guided.noise), ..guided }
    }

    fn windows(&self, length: usize) -> Option<Windows> {
        self.0.windows(length)
    }
}

#[test]
fn an_off_by_one_in_the_fold_fails_the_quick_table() {
    let rows = quick();
    let is_folded = |row: &&Row| matches!(row.setting.prior, Prior::Windows { .. }) && row.samples.is_none();
    let folded: Vec<&Row> = rows.iter().filter(is_folded).collect();
    assert!(!folded.is_empty());
    for row in folded {
        let chain = Chain::rotation(row.seen.clone()).unwrap();
        let mut posterior = row.setting.posterior(&chain).unwrap();
        posterior.prior = Box::new(Misfolded(posterior.prior));
        let mut executor = cpu();
        let moments = AffineSampler::of(&mut executor, &chain, posterior, &row.setting.sampler)
            .and_then(|mut sampler| sampler.moments());
        let holds = moments.is_ok_and(|m| row.expected.holds(&m.errors(&chain).unwrap()));
        assert!(!holds, "{row:?}");
    }
}
