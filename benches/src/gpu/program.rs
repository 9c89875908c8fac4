//! A whole program: its making, its time by the host's clock, and where on the device that time goes.

use super::rates::Rates;
use super::setting::{self, Setting};
use super::torch::Torch;
use super::watched::{Making, Run, Watched};
use crate::items::Task;
use crate::measure::median;
use crate::roofline;
use anyhow::Context;
use sda_device::{AdapterKind, LaunchTime, Wgpu};
use sda_graph::{Executor, RunKey};
use sda_kernels::gpu::Precision;
use serde_json::{Value, json};
use std::time::Instant;

/// Runs of a turn are queued until they take this long.
const TURN_SECONDS: f64 = 0.25;
/// Seconds that the turns of one program take at most, after the first.
const ENOUGH_SECONDS: f64 = 5.0;
/// Submissions that the executor lets wait.
const IN_FLIGHT: usize = 8;
/// Profiled runs, of which the quickest is told.
const PROFILES: usize = 3;

/// Launches of one name and size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) launches: usize,
    /// Of one launch.
    pub(super) flops: u64,
    /// Of one launch.
    pub(super) bytes: u64,
    /// Of all of them.
    pub(super) seconds: f64,
}

impl Kernel {
    /// What the rates allow for all of its launches.
    pub(super) fn least_seconds(&self, precision: Precision, rates: &Rates) -> f64 {
        self.launches as f64 * rates.least_seconds(precision, self.flops as f64, self.bytes as f64)
    }
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) precision: Precision,
    pub(super) making: Making,
    /// Compiling the same program once more: its pipelines are there.
    pub(super) again_seconds: f64,
    pub(super) launches: usize,
    pub(super) submissions: usize,
    /// Whether the host waits for the device within a run, so that its own time is not known.
    pub(super) host_waits: bool,
    pub(super) device_bytes: u64,
    /// Of products and convolutions.
    pub(super) flops: f64,
    /// Of one run, many queued and waited for at the end, in each turn.
    pub(super) seconds: Vec<f64>,
    /// Of the host in one run on an idle device, in each turn; none where it waits.
    pub(super) host_seconds: Vec<f64>,
    /// Sum over the launches by the device's clock; `None` without timestamps.
    pub(super) device_seconds: Option<f64>,
    /// Most expensive first.
    pub(super) kernels: Vec<Kernel>,
    /// The peer's, by mode, in each turn.
    pub(super) peer: Vec<(&'static str, Vec<f64>)>,
}

impl Line {
    pub(super) fn median(&self) -> f64 {
        median(&self.seconds).unwrap_or(f64::NAN)
    }

    pub(super) fn host(&self) -> Option<f64> {
        median(&self.host_seconds)
    }

    /// What the rates allow for its launches, one after another; `None` without timestamps.
    pub(super) fn least_seconds(&self, rates: &Rates) -> Option<f64> {
        self.device_seconds?;
        let least = |k: &Kernel| k.least_seconds(self.precision, rates);
        Some(self.kernels.iter().map(least).sum())
    }

    /// The peer's median in a mode.
    pub(super) fn peer(&self, mode: &str) -> Option<f64> {
        median(&self.peer.iter().find(|(m, _)| *m == mode)?.1)
    }

    pub(super) fn json(&self) -> Value {
        let kernel = |k: &Kernel| json!({ "name": k.name, "launches": k.launches, "flops": k.flops, "bytes": k.bytes, "seconds": k.seconds });
        let peer: serde_json::Map<String, Value> =
            self.peer.iter().map(|(mode, seconds)| ((*mode).to_owned(), json!(seconds))).collect();
        json!({
            "program": self.name,
            "precision": setting::name(self.precision),
            "compile_seconds": self.making.compile_seconds,
            "first_run_seconds": self.making.first_run_seconds,
            "compile_again_seconds": self.again_seconds,
            "pipelines": self.making.pipelines,
            "launches": self.launches,
            "submissions": self.submissions,
            "device_bytes": self.device_bytes,
            "flops": self.flops,
            "seconds": self.seconds,
            "median": self.median(),
            "host_seconds": self.host_seconds,
            "host_waits_for_the_device": self.host_waits,
            "device_seconds": self.device_seconds,
            "kernels": self.kernels.iter().map(kernel).collect::<Vec<_>>(),
            "peer_seconds": peer,
        })
    }
}

/// Prepares a task on a fresh device and measures its program, in turns with the peer.
pub(super) fn measure(
    name: &str,
    task: &Task,
    setting: &Setting,
    precision: Precision,
    torch: Option<&mut Torch>,
) -> anyhow::Result<Line> {
    let mut watched = Watched::new(setting.open(precision)?);
    task.once(&mut watched)?;
    let (mut gpu, run) = watched.into_run().context("a task runs a program")?;
    let device_bytes = gpu.bytes();
    let launched = profile(&mut gpu, &run, setting)?;
    let (seconds, peer) = turns(&mut gpu, &run, name, setting, torch)?;
    let (launches, submissions) = gpu.launches(run.handle);
    let host_waits = submissions > may_wait(gpu.description().kind);
    let host_seconds = if host_waits { Vec::new() } else { host(&mut gpu, &run, setting)? };
    let flops = roofline::count(gpu.plan(run.handle)).flops();
    let start = Instant::now();
    gpu.compile(&run.program)?;
    let again_seconds = start.elapsed().as_secs_f64();
    Ok(Line {
        name: name.to_owned(),
        precision,
        making: run.making,
        again_seconds,
        launches,
        submissions,
        host_waits,
        device_bytes,
        flops,
        seconds,
        host_seconds,
        device_seconds: launched.as_ref().map(|all| all.iter().map(|l| l.seconds).sum()),
        kernels: grouped(launched.as_deref().unwrap_or_default()),
        peer,
    })
}

/// Submissions of a run after which the host waits: a program on the CPU takes up none before the last one is done.
fn may_wait(kind: AdapterKind) -> usize {
    if kind.is_hardware() { IN_FLIGHT } else { 1 }
}

fn key(step: usize) -> RunKey {
    RunKey { seed: 1, step: step as u32 }
}

/// The quickest of a few profiled runs, launch by launch; a long program is profiled once.
fn profile(gpu: &mut Wgpu, run: &Run, setting: &Setting) -> anyhow::Result<Option<Vec<LaunchTime>>> {
    if !setting.timestamps {
        return Ok(None);
    }
    let total = |launches: &[LaunchTime]| launches.iter().map(|l| l.seconds).sum::<f64>();
    let mut best = gpu.profile(run.handle, key(1), &run.inputs())?.launches;
    for step in 2..=PROFILES {
        if total(&best) * PROFILES as f64 > ENOUGH_SECONDS {
            break;
        }
        let launches = gpu.profile(run.handle, key(step), &run.inputs())?.launches;
        if total(&launches) < total(&best) {
            best = launches;
        }
    }
    Ok(Some(best))
}

type Peer = Vec<(&'static str, Vec<f64>)>;

/// Seconds of one of many queued runs, ours and the peer's in turns.
fn turns(
    gpu: &mut Wgpu,
    run: &Run,
    name: &str,
    setting: &Setting,
    mut torch: Option<&mut Torch>,
) -> anyhow::Result<(Vec<f64>, Peer)> {
    let once = queued(gpu, run, 1)?;
    // A run of minutes is not done twice for a closer look.
    let mut seconds = if once > ENOUGH_SECONDS { vec![once] } else { Vec::new() };
    let repeats = (TURN_SECONDS / once.max(1e-6)).clamp(1.0, 1000.0) as usize;
    let (mut peer, start) = (Peer::new(), Instant::now());
    if let Some(torch) = torch.as_deref_mut().filter(|_| !seconds.is_empty()) {
        torch.program_turn(name, &mut peer)?;
    }
    while once <= ENOUGH_SECONDS
        && seconds.len() < setting.rounds
        && (seconds.is_empty() || start.elapsed().as_secs_f64() < ENOUGH_SECONDS)
    {
        seconds.push(queued(gpu, run, repeats)?);
        if let Some(torch) = torch.as_deref_mut() {
            torch.program_turn(name, &mut peer)?;
        }
    }
    Ok((seconds, peer))
}

fn queued(gpu: &mut Wgpu, run: &Run, repeats: usize) -> anyhow::Result<f64> {
    let inputs = run.inputs();
    let start = Instant::now();
    for step in 0..repeats {
        gpu.run(run.handle, key(step), &inputs)?;
    }
    gpu.finish()?;
    Ok(start.elapsed().as_secs_f64() / repeats as f64)
}

/// Seconds in which the host writes the inputs, encodes a run and submits it, the device idle before.
fn host(gpu: &mut Wgpu, run: &Run, setting: &Setting) -> anyhow::Result<Vec<f64>> {
    let inputs = run.inputs();
    let (mut seconds, start) = (Vec::new(), Instant::now());
    while seconds.len() < 4 * setting.rounds
        && (seconds.is_empty() || start.elapsed().as_secs_f64() < ENOUGH_SECONDS)
    {
        let start = Instant::now();
        gpu.run(run.handle, key(seconds.len()), &inputs)?;
        seconds.push(start.elapsed().as_secs_f64());
        gpu.finish()?;
    }
    Ok(seconds)
}

/// Launches of equal name and size together, the most expensive first.
fn grouped(launches: &[LaunchTime]) -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = Vec::new();
    for LaunchTime { name, seconds, flops, bytes } in launches {
        match kernels.iter_mut().find(|k| k.name == *name && k.flops == *flops && k.bytes == *bytes) {
            Some(kernel) => {
                kernel.launches += 1;
                kernel.seconds += seconds;
            }
            None => kernels.push(Kernel {
                name: name.clone(),
                launches: 1,
                flops: *flops,
                bytes: *bytes,
                seconds: *seconds,
            }),
        }
    }
    kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    kernels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_of_one_name_and_size_are_one_kernel() {
        let launch = |name: &str, flops, seconds| LaunchTime { name: name.into(), seconds, flops, bytes: 4 };
        let all = [launch("a", 1, 1.0), launch("b", 1, 2.5), launch("a", 1, 2.0), launch("a", 2, 0.5)];
        let kernels = grouped(&all);
        let found: Vec<_> = kernels.iter().map(|k| (k.name.as_str(), k.launches, k.seconds)).collect();
        assert_eq!(found, [("a", 2, 3.0), ("b", 1, 2.5), ("a", 1, 0.5)]);
    }
}
