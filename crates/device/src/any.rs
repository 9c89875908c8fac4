//! Whichever executor a choice names.

use crate::{Cpu, DeviceChoice};
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Executor, ExecutorError, Handle, Program, RunKey};
use sda_kernels::Level;
use sda_kernels::gpu::Precision;

#[cfg(feature = "gpu")]
use crate::choice::automatic;
#[cfg(feature = "gpu")]
use crate::wgpu::{AdapterChoice, AdapterDescription, Wgpu, adapters};

/// The CPU or a GPU.
#[derive(Debug)]
pub enum Device {
    /// The CPU.
    Cpu(Cpu),
    /// A GPU, and the precision it was opened with.
    #[cfg(feature = "gpu")]
    Gpu(Box<Wgpu>, Precision),
}

/// A device with what there is to say about how it was chosen.
#[derive(Debug)]
pub struct Opened {
    /// The device.
    pub device: Device,
    /// The choice that opens the same device again; never [`DeviceChoice::Auto`].
    pub choice: DeviceChoice,
    /// Why the CPU stands in for a GPU that is there.
    pub remark: Option<String>,
}

impl Device {
    /// The device of a choice. `threads` (0: all) are the CPU's, `precision` is a GPU's; the CPU has f32 alone.
    ///
    /// Errors: no such adapter; its driver refuses, unless the choice is [`DeviceChoice::Auto`], which then takes the
    /// CPU.
    pub fn open(choice: &DeviceChoice, threads: usize, precision: Precision) -> Result<Self, ExecutorError> {
        Self::choose(choice, threads, precision).map(|opened| opened.device)
    }

    /// As [`Device::open`], with what became of the choice.
    pub fn choose(
        choice: &DeviceChoice,
        threads: usize,
        precision: Precision,
    ) -> Result<Opened, ExecutorError> {
        let cpu = || Cpu::new(threads).map(Self::Cpu);
        match choice {
            #[cfg(feature = "gpu")]
            DeviceChoice::Auto => choose_automatically(&adapters(), |best| gpu(best, precision), cpu),
            #[cfg(feature = "gpu")]
            DeviceChoice::Gpu(adapter) => {
                Ok(Opened { device: gpu(adapter, precision)?, choice: choice.clone(), remark: None })
            }
            #[cfg(not(feature = "gpu"))]
            DeviceChoice::Auto => {
                let _ = precision;
                Ok(Opened { device: cpu()?, choice: DeviceChoice::Cpu, remark: None })
            }
            DeviceChoice::Cpu => Ok(Opened { device: cpu()?, choice: DeviceChoice::Cpu, remark: None }),
        }
    }

    /// Another executor on the same device, with no state or program. A GPU's share the kernels that are built.
    ///
    /// Errors: the CPU's threads can't be started.
    pub fn fresh(&self) -> Result<Self, ExecutorError> {
        match self {
            Self::Cpu(cpu) => Cpu::new(cpu.threads()).map(Self::Cpu),
            #[cfg(feature = "gpu")]
            Self::Gpu(gpu, precision) => Ok(Self::Gpu(Box::new(gpu.fresh()), *precision)),
        }
    }

    /// The precision it computes in: [`Precision::Mixed`] needs f16.
    pub fn precision(&self) -> Precision {
        match self {
            Self::Cpu(_) => Precision::F32,
            #[cfg(feature = "gpu")]
            Self::Gpu(gpu, precision) => gpu.description().precision(*precision),
        }
    }

    /// One line for logs: what it is, and what it computes in.
    pub fn describe(&self) -> String {
        match self {
            Self::Cpu(cpu) => describe_cpu(cpu.threads()),
            #[cfg(feature = "gpu")]
            Self::Gpu(gpu, _) => {
                let (is, precision) = (gpu.description(), self.precision());
                format!("{}, {}, {}", is.name, is.backend, format!("{precision:?}").to_lowercase())
            }
        }
    }
}

/// One line about a CPU executor with so many threads.
pub fn describe_cpu(threads: usize) -> String {
    format!("CPU, {threads} {}, {:?}", if threads == 1 { "thread" } else { "threads" }, Level::detect())
}

#[cfg(feature = "gpu")]
fn gpu(adapter: &AdapterChoice, precision: Precision) -> Result<Device, ExecutorError> {
    Wgpu::new(adapter, precision).map(|gpu| Device::Gpu(Box::new(gpu), precision))
}

/// A discrete adapter, else other hardware; without any, or where its driver refuses, the CPU.
#[cfg(feature = "gpu")]
fn choose_automatically(
    adapters: &[AdapterDescription],
    gpu: impl FnOnce(&AdapterChoice) -> Result<Device, ExecutorError>,
    cpu: impl FnOnce() -> Result<Device, ExecutorError>,
) -> Result<Opened, ExecutorError> {
    let on_cpu = |remark| cpu().map(|device| Opened { device, choice: DeviceChoice::Cpu, remark });
    let Some(index) = automatic(adapters) else { return on_cpu(None) };
    let best = AdapterChoice::Index(index);
    match gpu(&best) {
        Ok(device) => Ok(Opened { device, choice: DeviceChoice::Gpu(best), remark: None }),
        Err(error) => {
            let name = &adapters[index].name;
            on_cpu(Some(format!("the CPU stands in for {name}, which does not open: failed to {error}")))
        }
    }
}

/// Calls the executor that is there.
macro_rules! on {
    ($device:expr, $executor:ident => $call:expr) => {
        match $device {
            Device::Cpu($executor) => $call,
            #[cfg(feature = "gpu")]
            Device::Gpu($executor, _) => $call,
        }
    };
}

impl Executor for Device {
    type Real = f32;

    fn compile(&mut self, program: &Program) -> Result<Handle, ExecutorError> {
        on!(self, executor => executor.compile(program))
    }

    fn run(&mut self, program: Handle, key: RunKey, inputs: &[&[f32]]) -> Result<(), ExecutorError> {
        on!(self, executor => executor.run(program, key, inputs))
    }

    fn output(&mut self, program: Handle, index: usize) -> Result<&[f32], ExecutorError> {
        on!(self, executor => executor.output(program, index))
    }

    fn read(&mut self, state: &str) -> Result<ArrayD<f32>, ExecutorError> {
        on!(self, executor => executor.read(state))
    }

    fn write(&mut self, state: &str, value: ArrayViewD<'_, f32>) -> Result<(), ExecutorError> {
        on!(self, executor => executor.write(state, value))
    }
}

#[cfg(test)]
mod tests;
