//! The rows.

use sda_diffusion::{
    CovarianceForm, DpsNorm, Guidance, Integrator, LangevinStep, Place, Sampler, Solver, TimeGrid,
};

use super::{Expected, Row};
use crate::chain::Seen;
use crate::setting::{Prior, Setting};

/// Iterations after which conjugate gradients have converged to single precision on the whole chain, and in a window.
const WHOLE: usize = 20;
const WINDOW: usize = 17;

/// Windows of 17 states at a stride of half their width.
const WIDE: Prior = Prior::Windows { order: 8, stride: 8 };

fn mmps(prior: Prior) -> Guidance {
    Guidance::mmps(if prior == Prior::Whole { WHOLE } else { WINDOW })
}

fn sda() -> Guidance {
    Guidance::Sda { gamma: 0.03, detach: false }
}

/// 128 uniform steps, τ 0.25.
fn uniform(corrections: u32) -> Sampler {
    Sampler { steps: 128, corrections, ..Sampler::default() }
}

fn steps(steps: u32, grid: TimeGrid, integrator: Integrator) -> Sampler {
    Sampler { steps, grid, integrator, ..Sampler::default() }
}

/// A row whose moments are propagated, which the quick table leaves out.
fn row(seen: Seen, prior: Prior, guidance: Guidance, sampler: Sampler, expected: Expected) -> Row {
    let place = if guidance == sda() { Place::Composed } else { Place::Auto };
    Row { seen, setting: Setting { prior, guidance, place, sampler }, samples: None, expected, quick: false }
}

/// The rows of the quick table.
pub fn quick() -> Vec<Row> {
    rows().into_iter().filter(|row| row.quick).collect()
}

/// All rows.
pub fn rows() -> Vec<Row> {
    let mut rows = printed();
    rows.extend(bounds());
    rows.extend(guidances());
    rows.extend(samplers());
    rows.extend(by_samples());
    rows
}

/// method.md, section 9: bias, spread, W2 at (lo, C = 0), (lo, C = 1), (hi, C = 0), (hi, C = 1).
fn printed() -> Vec<Row> {
    let slid = |order, stride| Prior::Windows { order, stride };
    let table = [
        (Prior::Whole, sda(), [".142/.815/.0554", ".129/.924/.0316", ".317/.749/.0861", ".110/.950/.0222"]),
        (
            Prior::Whole,
            mmps(Prior::Whole),
            [".003/.973/.0064", ".000/1.011/.0036", ".003/.969/.0064", ".000/1.012/.0036"],
        ),
        (slid(2, 1), sda(), ["3.40/3.47/.778", "2.11/2.38/.469", "2.46/2.78/.545", "1.23/1.88/.273"]),
        (
            slid(2, 1),
            mmps(slid(2, 1)),
            ["3.54/3.35/.785", "2.18/2.21/.461", ".84/1.63/.188", ".53/1.39/.115"],
        ),
        (slid(4, 1), sda(), ["1.58/2.58/.425", ".33/1.37/.106", ".85/1.86/.252", ".24/1.18/.066"]),
        (slid(4, 1), mmps(slid(4, 1)), ["1.70/2.22/.397", ".40/1.29/.096", ".36/1.15/.070", ".16/1.10/.033"]),
        (slid(8, 1), mmps(slid(8, 1)), [".17/1.05/.036", ".04/1.03/.010", ".10/.99/.017", ".03/1.02/.006"]),
        (WIDE, mmps(WIDE), ["//.018", "//.0076", "//.026", "//.012"]),
    ];
    let of = |(prior, guidance, entries): (Prior, Guidance, [&'static str; 4])| {
        let columns = [(Seen::lo(), 0), (Seen::lo(), 1), (Seen::hi(), 0), (Seen::hi(), 1)];
        columns.into_iter().zip(entries).map(move |((seen, corrections), entry)| {
            let mut numbers = entry.split('/');
            let printed = [(); 3].map(|()| numbers.next().unwrap_or_default());
            let quick = matches!(prior, Prior::Whole | WIDE) && seen.name == "lo" && corrections == 1;
            Row {
                quick,
                ..row(seen, prior, guidance.clone(), uniform(corrections), Expected::Printed(printed))
            }
        })
    };
    table.into_iter().flat_map(of).collect()
}

/// Bounds on W2 that the best settings keep.
fn bounds() -> Vec<Row> {
    let mut rows = Vec::new();
    for seen in [Seen::lo(), Seen::hi()] {
        for (count, grid, most) in [
            (128, TimeGrid::Uniform, 0.0066),
            (256, TimeGrid::Uniform, 0.0034),
            (512, TimeGrid::Uniform, 0.0018),
            (64, TimeGrid::Squared, 0.0050),
        ] {
            let sampler = steps(count, grid, Integrator::Exponential);
            let mut bound =
                row(seen.clone(), Prior::Whole, mmps(Prior::Whole), sampler, Expected::AtMost(most));
            bound.quick = count == 64;
            rows.push(bound);
        }
        let most = if seen.name == "lo" { 0.008 } else { 0.012 };
        let sampler = Sampler { corrections: 1, ..steps(128, TimeGrid::Squared, Integrator::Exponential) };
        rows.push(Row { quick: true, ..row(seen, WIDE, mmps(WIDE), sampler, Expected::AtMost(most)) });
    }
    rows
}

/// A recorded W2 of moments; of samples, which scatter from one instruction set to another.
fn recorded(w2: f64, samples: Option<usize>) -> Expected {
    Expected::Recorded { w2, within: if samples.is_some() { 0.1 } else { 0.02 } }
}

/// Every guidance on 64 squared steps, at (lo, C = 0), (lo, C = 1), (hi, C = 0), (hi, C = 1); corrections are gated.
fn guidances() -> Vec<Row> {
    let jfps = |covariance, iterations| Guidance::Jfps { covariance, iterations };
    let detached = Guidance::Sda { gamma: 0.03, detach: true };
    let modes = CovarianceForm::LowRank { modes: 8 };
    // TMPD takes row sums of the covariance for variances. An oscillation's cancel: the guidance blows up.
    let table = [
        (Prior::Whole, sda(), [0.05571, 0.03354, 0.08620, 0.04071]),
        (Prior::Whole, detached.clone(), [0.04215, 0.01209, 0.36665, 0.19262]),
        (Prior::Whole, Guidance::Pigdm { iterations: 1 }, [0.31192, 0.20490, 0.07439, 0.02963]),
        (Prior::Whole, Guidance::Tmpd, [BLOWS_UP; 4]),
        (Prior::Whole, jfps(CovarianceForm::Diagonal, WHOLE), [0.98482, 0.59094, 0.28701, 0.07172]),
        (Prior::Whole, jfps(CovarianceForm::Stationary, WHOLE), [0.00494, 0.00276, 0.00470, 0.00282]),
        (Prior::Whole, jfps(modes, WHOLE), [0.04730, 0.03479, 0.04943, 0.04398]),
        (Prior::Whole, mmps(Prior::Whole), [0.00494, 0.00276, 0.00470, 0.00282]),
        (WIDE, sda(), [0.11724, 0.04186, 0.11216, 0.05082]),
        (WIDE, detached, [0.12219, 0.03175, 0.62934, 0.73407]),
        (WIDE, Guidance::Pigdm { iterations: 1 }, [0.22069, 0.20211, 0.13768, 0.02989]),
        (WIDE, Guidance::Tmpd, [0.34622, 0.01446, 0.12355, 0.02502]),
        (WIDE, jfps(CovarianceForm::Diagonal, WINDOW), [0.89249, 0.49711, 0.31581, 0.08161]),
        (WIDE, jfps(CovarianceForm::Stationary, WINDOW), [0.01773, 0.00798, 0.02534, 0.01814]),
        (WIDE, jfps(modes, WINDOW), [0.01899, 0.00933, 0.02645, 0.01942]),
        (WIDE, mmps(WIDE), [0.01773, 0.00798, 0.02534, 0.01814]),
    ];
    let of = |(prior, guidance, values): (Prior, Guidance, [f64; 4])| {
        let columns = [(Seen::lo(), 0), (Seen::lo(), 1), (Seen::hi(), 0), (Seen::hi(), 1)];
        columns.into_iter().zip(values).map(move |((seen, corrections), w2)| {
            let (corrector_floor, grid) = (seen.noise_std, TimeGrid::Squared);
            let sampler = Sampler { corrections, corrector_floor, grid, steps: 64, ..Sampler::default() };
            let expected = if w2 == BLOWS_UP { Expected::AtLeast(1.0) } else { recorded(w2, None) };
            row(seen, prior, guidance.clone(), sampler, expected)
        })
    };
    table.into_iter().flat_map(of).collect()
}

/// Instead of a W2 that says nothing but this.
const BLOWS_UP: f64 = f64::INFINITY;

/// Every integrator and grid with MMPS on the whole trajectory, at lo and hi.
fn samplers() -> Vec<Row> {
    let (exponential, ancestral) = (Integrator::Exponential, Integrator::Ancestral { eta: 1.0 });
    let levels = || TimeGrid::Levels { rho: 7.0 };
    let table = [
        (exponential, 32, TimeGrid::Squared, [0.00969, 0.00920]),
        (exponential, 64, levels(), [0.01255, 0.01166]),
        (ancestral, 64, TimeGrid::Squared, [0.01037, 0.00999]),
        (ancestral, 128, TimeGrid::Squared, [0.00544, 0.00526]),
        (Integrator::Heun, 32, TimeGrid::Squared, [0.00127, 0.00117]),
        (Integrator::Heun, 64, TimeGrid::Squared, [0.00057, 0.00051]),
        (Integrator::Dpm2m, 32, TimeGrid::Squared, [0.00417, 0.00422]),
        (Integrator::Dpm2m, 64, TimeGrid::Squared, [0.00101, 0.00099]),
        (Integrator::Dpm2m, 64, levels(), [0.00205, 0.00194]),
        (Integrator::StochasticDpm2m { eta: 1.0 }, 32, TimeGrid::Squared, [0.01178, 0.01196]),
        (Integrator::StochasticDpm2m { eta: 1.0 }, 64, TimeGrid::Squared, [0.00285, 0.00287]),
        (Integrator::StochasticDpm2m { eta: 1.0 }, 128, TimeGrid::Squared, [0.00062, 0.00062]),
        (Integrator::Dpm2m, 128, TimeGrid::Uniform, [0.01033, 0.01038]),
    ];
    let mut rows = Vec::new();
    for (integrator, count, grid, values) in table {
        for (seen, w2) in [Seen::lo(), Seen::hi()].into_iter().zip(values) {
            let sampler = steps(count, grid.clone(), integrator);
            let mut one = row(seen, Prior::Whole, mmps(Prior::Whole), sampler, recorded(w2, None));
            one.quick = count == 32 && integrator != exponential && one.seen.name == "lo";
            rows.push(one);
        }
    }
    // What an integrator of second order has left beside the corrector's own excess: Heun's has nothing to look back to.
    let table = [
        (Integrator::Heun, [0.00529, 0.00663]),
        (Integrator::Dpm2m, [0.00595, 0.00728]),
        (Integrator::StochasticDpm2m { eta: 1.0 }, [0.00530, 0.00433]),
    ];
    for (integrator, values) in table {
        for (seen, w2) in [Seen::lo(), Seen::hi()].into_iter().zip(values) {
            let corrector_floor = seen.noise_std;
            let sampler =
                Sampler { corrections: 1, corrector_floor, ..steps(64, TimeGrid::Squared, integrator) };
            let mut one = row(seen, Prior::Whole, mmps(Prior::Whole), sampler, recorded(w2, None));
            one.quick = integrator == Integrator::Dpm2m && one.seen.name == "lo";
            rows.push(one);
        }
    }
    // The corrector's own excess of residual, and the gate that stops it.
    for (tau, corrector_floor, w2) in
        [(0.25, 0.0, 0.00356), (0.5, 0.0, 0.00837), (0.25, 0.05, 0.00133), (0.5, 0.05, 0.00407)]
    {
        let sampler = Sampler { tau, corrector_floor, ..uniform(1) };
        rows.push(row(Seen::lo(), Prior::Whole, mmps(Prior::Whole), sampler, recorded(w2, None)));
    }
    rows
}

/// What is not affine, by samples, at lo and hi.
fn by_samples() -> Vec<Row> {
    let plain = || steps(64, TimeGrid::Squared, Integrator::Exponential);
    let corrected = |langevin| {
        let largest_delta = (langevin == LangevinStep::State).then_some(0.5);
        Sampler { corrections: 1, langevin, largest_delta, ..plain() }
    };
    let few = Guidance::mmps;
    let residual = |iterations| Guidance::mmps_by(Solver::MinimalResidual, iterations);
    let table = [
        (Prior::Whole, Guidance::Dps { zeta: 1.0, norm: DpsNorm::Sample }, plain(), [0.25509, 0.14687]),
        (Prior::Whole, mmps(Prior::Whole), corrected(LangevinStep::Trajectory), [0.01840, 0.01836]),
        (Prior::Whole, mmps(Prior::Whole), corrected(LangevinStep::State), [0.05907, 0.05269]),
        (Prior::Whole, few(1), plain(), [0.03199, 0.05195]),
        (Prior::Whole, few(2), plain(), [0.02220, 0.04057]),
        (Prior::Whole, few(3), plain(), [0.02000, 0.03158]),
        (WIDE, few(1), plain(), [0.03118, 0.04675]),
        (WIDE, few(2), plain(), [0.01847, 0.04645]),
        (WIDE, few(3), plain(), [0.01853, 0.02108]),
        (Prior::Whole, residual(1), plain(), [0.03647, 0.03020]),
        (Prior::Whole, residual(2), plain(), [0.01825, 0.02161]),
        (Prior::Whole, residual(3), plain(), [0.01774, 0.01906]),
        (WIDE, residual(1), plain(), [0.03680, 0.02416]),
        (WIDE, residual(2), plain(), [0.01827, 0.02158]),
        (WIDE, residual(3), plain(), [0.01853, 0.02007]),
    ];
    let mut rows = Vec::new();
    for (prior, guidance, sampler, values) in table {
        for (seen, w2) in [Seen::lo(), Seen::hi()].into_iter().zip(values) {
            let samples = Some(1024);
            let mut one = row(seen, prior, guidance.clone(), sampler.clone(), recorded(w2, samples));
            one.samples = samples;
            one.quick = one.seen.name == "lo"
                && sampler.langevin == LangevinStep::Trajectory
                && sampler.corrections > 0;
            rows.push(one);
        }
    }
    rows
}
