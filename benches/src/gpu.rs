//! The suite of an adapter: what it can do, each kernel, and whole programs, alone or beside PyTorch.

mod arguments;
mod cases;
mod kernel;
mod networks;
mod origin;
mod program;
mod rates;
mod report;
mod setting;
mod targets;
mod torch;
mod watched;

use anyhow::Context;
use arguments::{Arguments, Sizes};
use cases::cases;
use networks::networks;
use origin::Origin;
use rates::Rates;
use report::{PeerReport, Report};
use sda_device::Wgpu;
use sda_kernels::gpu::Precision;
use setting::Setting;
use std::time::Instant;
use torch::{Bare, Torch};

/// Runs the suite with the options after its name.
pub(crate) fn run(parser: lexopt::Parser) -> anyhow::Result<()> {
    let start = Instant::now();
    let arguments = Arguments::from(parser)?;
    let adapter = Wgpu::new(&arguments.adapter, Precision::F32)?.description().clone();
    let setting = Setting {
        adapter: arguments.adapter.clone(),
        sizes: arguments.sizes.unwrap_or_else(|| Sizes::of(adapter.kind)),
        rounds: arguments.rounds,
        timestamps: adapter.timestamps,
        largest_array: adapter.binding_bytes.min(adapter.buffer_bytes),
    };
    let has = |p: &Precision| *p == Precision::F32 || adapter.abilities.half;
    let precisions: Vec<Precision> = arguments.precisions.iter().copied().filter(has).collect();
    let mut left_out = Vec::new();
    if precisions.len() < arguments.precisions.len() {
        left_out.push(("everything in mixed precision".to_owned(), "the adapter has no f16".to_owned()));
    }
    let mut torch = arguments.torch.then(|| Torch::start(&adapter.name)).transpose()?;
    eprintln!("{} ({}), sizes {}", adapter.name, adapter.driver, setting.sizes.name());
    if let Some(torch) = torch.as_ref().filter(|torch| !torch.cuda) {
        eprintln!(
            "PyTorch found no CUDA device: it runs on the CPU ({}), to test the peer alone",
            torch.device
        );
    }
    let rates = Rates::measure(&setting, &precisions)?;
    let (kernels, bare) = kernels(&arguments, &setting, &precisions, &rates, torch.as_mut())?;
    let mut programs = Vec::new();
    for network in networks(setting.sizes)?.into_iter().filter(|n| arguments.wants(&n.name)) {
        let task = match network.task {
            Ok(task) => task,
            Err(why) => {
                left_out.push((network.name, why.into()));
                continue;
            }
        };
        for &precision in &precisions {
            if precision == Precision::Mixed && !network.mixed {
                left_out.push((format!("{}, mixed", network.name), networks::TOO_LONG.into()));
                continue;
            }
            let line = program::measure(&network.name, &task, &setting, precision, torch.as_mut())
                .with_context(|| format!("measure {}", network.name))?;
            eprintln!("{}", line.text(&rates));
            programs.push(line);
        }
    }
    let peer = torch.map(|torch| PeerReport {
        versions: torch.versions(),
        device: torch.device.clone(),
        cuda: torch.cuda,
        same: torch.same,
        bare,
        failures: torch.failures.clone(),
    });
    let rates = rates.best(&Rates::measure(&setting, &precisions)?);
    let origin = Origin::new(adapter);
    let seconds = start.elapsed().as_secs_f64();
    let report = Report { origin, setting, rates, kernels, programs, left_out, peer, seconds };
    println!("{}", report.markdown());
    arguments.save.map_or(Ok(()), |folder| report.save(&folder))
}

fn kernels(
    arguments: &Arguments,
    setting: &Setting,
    precisions: &[Precision],
    rates: &Rates,
    mut torch: Option<&mut Torch>,
) -> anyhow::Result<(Vec<kernel::Line>, Vec<Bare>)> {
    let (mut lines, mut bare) = (Vec::new(), Vec::new());
    for case in cases(setting.sizes).iter().filter(|case| arguments.wants(&case.name)) {
        // Only products and convolutions are rounded by the precision.
        for &precision in precisions.iter().filter(|p| case.multiplies || **p == Precision::F32) {
            let line = kernel::measure(case, setting, precision)
                .with_context(|| format!("measure {}", case.name))?;
            eprintln!("{}", line.cells(rates).join("  "));
            lines.push(line);
        }
        if let Some(torch) = torch.as_deref_mut().filter(|_| case.multiplies) {
            bare.extend(torch.bare(&case.name, setting)?);
        }
    }
    Ok((lines, bare))
}
