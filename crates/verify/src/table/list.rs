//! The rows.

use sda_diffusion::{CovarianceForm, DpsNorm, Guidance, Integrator, LangevinStep, Place, Sampler, TimeGrid};

use super::{Expected, Row};
use crate::chain::Seen;
use crate::setting::{Prior, Setting};

/// Iterations after which conjugate gradients have converged to single precision on the whole chain, and in a window.
const WHOLE: usize = 40;
const WINDOW: usize = 17;

/// Windows of 17 states at a stride of half their width.
const WIDE: Prior = Prior::Windows { order: 8, stride: 8 };

fn mmps(prior: Prior) -> Guidance {
    Guidance::Mmps { iterations: if prior == Prior::Whole { WHOLE } else { WINDOW } }
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
        (Prior::Whole, mmps(Prior::Whole), [".003/.973/.0064", "0/1.011/.0036", ".003/.969/.0064", "0/1.012/.0036"]),
        (slid(2, 1), sda(), ["3.40/3.47/.778", "2.11/2.38/.469", "2.46/2.78/.545", "1.23/1.88/.273"]),
        (slid(2, 1), mmps(slid(2, 1)), ["3.54/3.35/.785", "2.18/2.21/.461", ".84/1.63/.188", ".53/1.39/.115"]),
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
            Row { quick, ..row(seen, prior, guidance.clone(), uniform(corrections), Expected::Printed(printed)) }
        })
    };
    table.into_iter().flat_map(of).collect()
}

/// Bounds on W2 that the best settings keep.
fn bounds() -> Vec<Row> {
    let mut rows = Vec::new();
    for seen in [Seen::lo(), Seen::hi()] {
        let exact = Integrator::Exponential;
        for (count, grid, most) in [
            (128, TimeGrid::Uniform, 0.0066),
            (256, TimeGrid::Uniform, 0.0034),
            (512, TimeGrid::Uniform, 0.0018),
            (64, TimeGrid::Squared, 0.0050),
        ] {
            let sampler = steps(count, grid, exact);
            let mut bound = row(seen.clone(), Prior::Whole, mmps(Prior::Whole), sampler, Expected::AtMost(most));
            bound.quick = count == 64;
            rows.push(bound);
        }
        let most = if seen.name == "lo" { 0.008 } else { 0.012 };
        rows.push(Row { quick: true, ..row(seen.clone(), WIDE, mmps(WIDE), uniform(1), Expected::AtMost(most)) });
        for (count, grid, integrator, tau) in [(128, TimeGrid::Uniform, Integrator::Dpm2m,0.25),(128, TimeGrid::Squared, Integrator::Exponential,0.25),(128, TimeGrid::Squared, Integrator::Dpm2m,0.25),(128, TimeGrid::Squared, Integrator::Dpm2m,0.5),(64, TimeGrid::Squared, Integrator::Dpm2m,0.25),(64, TimeGrid::Squared, Integrator::Dpm2m,0.5),(128, TimeGrid::Squared, Integrator::Ancestral{eta:1.0},0.25)] {
            let sampler=Sampler{corrections:1,tau,..steps(count,grid,integrator)};
        rows.push(Row { quick: true, ..row(seen.clone(), WIDE, mmps(WIDE), sampler, Expected::AtMost(most)) });
        }
        for i in [Integrator::Heun] { rows.push(Row{quick:true,..row(seen.clone(),Prior::Whole,mmps(Prior::Whole),steps(64,TimeGrid::Squared,i),Expected::AtMost(most))}); 
        for it in [12,20,28] {rows.push(Row{quick:true,..row(seen.clone(),Prior::Whole,Guidance::Mmps{iterations:it},steps(64,TimeGrid::Squared,Integrator::Dpm2m),Expected::AtMost(most))}); } }
    }
    rows
}

/// A recorded W2.
fn recorded(w2: f64) -> Expected {
    Expected::Recorded { w2, within: 0.02 }
}

/// Every guidance on 64 squared steps, without correction and with one that is gated.
fn guidances() -> Vec<Row> {
    let jfps = |covariance, prior| {
        Guidance::Jfps { covariance, iterations: if prior == Prior::Whole { WHOLE } else { WINDOW } }
    };
    let mut rows = Vec::new();
    let all = |prior: Prior| {
        vec![
            sda(),
            Guidance::Sda { gamma: 0.03, detach: true },
            Guidance::Pigdm { iterations: 1 },
            Guidance::Tmpd,
            jfps(CovarianceForm::Diagonal, prior),
            jfps(CovarianceForm::Stationary, prior),
            jfps(CovarianceForm::LowRank { modes: 8 }, prior),
            mmps(prior),
        ]
    };
    let mut values = RECORDED_GUIDANCES.iter();
    for prior in [Prior::Whole, WIDE] {
        for guidance in all(prior) {
            for seen in [Seen::lo(), Seen::hi()] {
                for corrections in [0, 1] {
                    let corrector_floor = seen.noise_std;
                    let grid = TimeGrid::Squared;
                    let sampler = Sampler { corrections, corrector_floor, grid, steps: 64, ..Sampler::default() };
                    let w2 = values.next().copied().unwrap_or(f64::NAN);
                    rows.push(row(seen.clone(), prior, guidance.clone(), sampler, recorded(w2)));
                }
            }
        }
    }
    rows
}

/// Recorded W2 of [`guidances`], in its order.
const RECORDED_GUIDANCES: [f64; 0] = [];

/// Every integrator and grid with MMPS.
fn samplers() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut values = RECORDED_SAMPLERS.iter();
    for integrator in [Integrator::Exponential, Integrator::Ancestral { eta: 1.0 }, Integrator::Heun, Integrator::Dpm2m] {
        for (count, grid) in [
            (32, TimeGrid::Squared),
            (64, TimeGrid::Squared),
            (64, TimeGrid::Levels { rho: 7.0 }),
            (128, TimeGrid::Uniform),
        ] {
            for seen in [Seen::lo(), Seen::hi()] {
                let w2 = values.next().copied().unwrap_or(f64::NAN);
                let mut one =
                    row(seen, Prior::Whole, mmps(Prior::Whole), steps(count, grid.clone(), integrator), recorded(w2));
                one.quick = integrator == Integrator::Dpm2m && count == 32 && one.seen.name == "lo";
                rows.push(one);
            }
        }
    }
    // The corrector's own excess of residual, and the gate that stops it.
    for (tau, corrector_floor) in [(0.25, 0.0), (0.5, 0.0), (0.25, 0.05), (0.5, 0.05)] {
        let w2 = values.next().copied().unwrap_or(f64::NAN);
        let sampler = Sampler { tau, corrector_floor, ..uniform(1) };
        rows.push(row(Seen::lo(), Prior::Whole, mmps(Prior::Whole), sampler, recorded(w2)));
    }
    rows
}

/// Recorded W2 of [`samplers`], in its order.
const RECORDED_SAMPLERS: [f64; 0] = [];

/// What is not affine, by samples.
fn by_samples() -> Vec<Row> {
    let plain = || steps(64, TimeGrid::Squared, Integrator::Exponential);
    let corrected = |langevin| Sampler { corrections: 1, langevin, ..plain() };
    let mut settings = vec![
        (Prior::Whole, Guidance::Dps { zeta: 1.0, norm: DpsNorm::Sample }, plain()),
        (Prior::Whole, mmps(Prior::Whole), corrected(LangevinStep::Trajectory)),
        (Prior::Whole, mmps(Prior::Whole), corrected(LangevinStep::State)),
    ];
    for prior in [Prior::Whole, WIDE] {
        settings.extend([1, 2, 3].map(|iterations| (prior, Guidance::Mmps { iterations }, plain())));
    }
    let mut rows = Vec::new();
    let mut values = RECORDED_SAMPLED.iter();
    for (prior, guidance, sampler) in settings {
        for seen in [Seen::lo(), Seen::hi()] {
            let w2 = values.next().copied().unwrap_or(f64::NAN);
            let expected = Expected::Recorded { w2, within: 0.1 };
            let mut one = row(seen, prior, guidance.clone(), sampler.clone(), expected);
            one.samples = Some(1024);
            one.quick = sampler.corrections == 1 && sampler.langevin == LangevinStep::Trajectory && one.seen.name == "lo";
            rows.push(one);
        }
    }
    rows
}

/// Recorded W2 of [`by_samples`], in its order.
const RECORDED_SAMPLED: [f64; 0] = [];
