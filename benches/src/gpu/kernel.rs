//! Times of one kernel: the device's own clock where it has one.

use super::cases::Case;
use super::setting::Setting;
use crate::measure::median;
use crate::roofline;
use ndarray::ArrayD;
use sda_device::Wgpu;
use sda_graph::{Executor, Handle, RunKey};
use sda_kernels::gpu::Precision;
use serde_json::{Value, json};
use std::time::Instant;

/// Seconds that one case is measured for at most, after three turns.
const ENOUGH_SECONDS: f64 = 4.0;
/// Seconds of a turn by the host's clock.
const TURN_SECONDS: f64 = 0.05;

/// One row of the table.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) precision: Precision,
    pub(super) multiplies: bool,
    /// Names of the launches.
    pub(super) launches: Vec<String>,
    pub(super) flops: f64,
    pub(super) bytes: f64,
    /// Of all launches together, in each turn.
    pub(super) seconds: Vec<f64>,
}

impl Line {
    /// The middle turn.
    pub(super) fn median(&self) -> f64 {
        median(&self.seconds).unwrap_or(f64::NAN)
    }

    /// The quickest turn.
    pub(super) fn best(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "case": self.name,
            "precision": super::setting::name(self.precision),
            "launches": self.launches,
            "flops": self.flops,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "median": self.median(),
        })
    }
}

/// Turns of one case on a device of its own, so that no case meets another's memory.
pub(super) fn measure(case: &Case, setting: &Setting, precision: Precision) -> anyhow::Result<Line> {
    let mut gpu = setting.open(precision)?;
    for declared in case.program.graph.states() {
        // Positive, so that second moments have roots.
        let numbers = (0..declared.shape.iter().product()).map(|i: usize| 0.1 + (i % 61) as f32 / 64.0);
        gpu.write(&declared.name, ArrayD::from_shape_vec(declared.shape.clone(), numbers.collect())?.view())?;
    }
    let handle = gpu.compile(&case.program)?;
    let inputs: Vec<Vec<f32>> =
        case.program.graph.inputs().iter().map(|d| vec![0.5; d.shape.iter().product()]).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let counts = roofline::count(gpu.plan(handle));
    let flops = counts.0.values().map(|c| c.flops).sum();
    let mut clock = Clock { gpu: &mut gpu, handle, inputs: &inputs, repeats: 1 };
    let (_, launches) = clock.turn()?;
    if !setting.timestamps {
        let (once, _) = clock.turn()?;
        clock.repeats = (TURN_SECONDS / once.max(1e-7)).clamp(1.0, 10_000.0) as usize;
    }
    let (mut seconds, start) = (Vec::new(), Instant::now());
    while seconds.len() < setting.rounds
        && (seconds.len() < 3 || start.elapsed().as_secs_f64() < ENOUGH_SECONDS)
    {
        seconds.push(clock.turn()?.0);
    }
    let Case { name, bytes, multiplies, .. } = case;
    Ok(Line {
        name: name.clone(),
        precision,
        multiplies: *multiplies,
        launches,
        flops,
        bytes: *bytes,
        seconds,
    })
}

struct Clock<'a> {
    gpu: &'a mut Wgpu,
    handle: Handle,
    inputs: &'a [&'a [f32]],
    /// Runs of a turn where there are no timestamps.
    repeats: usize,
}

impl Clock<'_> {
    /// Seconds of one run and its launches.
    fn turn(&mut self) -> anyhow::Result<(f64, Vec<String>)> {
        let key = RunKey { seed: 1, step: 0 };
        if self.gpu.description().timestamps {
            // The run before it wakes the device; the profiled one follows in the queue.
            self.gpu.run(self.handle, key, self.inputs)?;
            let launches = self.gpu.profile(self.handle, key, self.inputs)?.launches;
            let seconds = launches.iter().map(|l| l.seconds).sum();
            return Ok((seconds, launches.into_iter().map(|l| l.name).collect()));
        }
        let start = Instant::now();
        for _ in 0..self.repeats {
            self.gpu.run(self.handle, key, self.inputs)?;
        }
        self.gpu.finish()?;
        let seconds = start.elapsed().as_secs_f64() / self.repeats as f64;
        Ok((seconds, vec!["unknown".into(); self.gpu.launches(self.handle).0]))
    }
}
