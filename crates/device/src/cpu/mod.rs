//! The CPU executor: replays a plan on one pool of threads, without allocating (the matrix library's pack buffers
//! apart).
//!
//! A row stage is taken block by block: one worker runs all steps of a block in its own block-sized slots, so that
//! activations stay in cache; sums over rows leave one partial result a group of blocks and are added in the order of
//! groups. Blocks and groups are the plan's, so the bits do not depend on the number of threads.

mod buffer;
mod packs;
mod prepare;
mod profile;
mod replay;
#[cfg(test)]
pub(crate) mod tests;

use buffer::Buffer;
pub use profile::Profile;

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use prepare::Compiled;
use sda_graph::{Executor, ExecutorError, Handle, Plan, PlanOptions, Program, RunKey};
use sda_kernels::Level;

/// How a [`Cpu`] works.
#[derive(Clone, Copy, Debug)]
pub struct CpuOptions {
    /// Threads; 0 is all.
    pub threads: usize,
    /// The plan's choices.
    pub plan: PlanOptions,
    /// Instruction set; must be available.
    pub level: Level,
    /// Bytes of packed weights of a program beyond which those of different stages share memory, and are packed in
    /// every run. Results do not depend on it.
    pub kept_packs: usize,
}

impl Default for CpuOptions {
    fn default() -> Self {
        Self { threads: 0, plan: PlanOptions::default(), level: Level::detect(), kept_packs: 128 << 20 }
    }
}

/// A state of the store.
struct State {
    name: String,
    shape: Vec<usize>,
    data: Buffer,
    /// Counts the writes, so that what is derived from it is made again when it has changed.
    version: u64,
}

/// The CPU as an executor, f32.
pub struct Cpu {
    options: CpuOptions,
    pool: rayon::ThreadPool,
    states: Vec<State>,
    programs: Vec<Compiled>,
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cpu")
            .field("options", &self.options)
            .field("programs", &self.programs.len())
            .finish_non_exhaustive()
    }
}

impl Cpu {
    /// An executor with `threads` threads (0: all).
    pub fn new(threads: usize) -> Result<Self, ExecutorError> {
        Self::with_options(CpuOptions { threads, ..CpuOptions::default() })
    }

    /// An executor with every choice explicit.
    pub fn with_options(options: CpuOptions) -> Result<Self, ExecutorError> {
        if options.level > Level::detect() {
            return Err(ExecutorError::Device(format!(
                "this machine has no {:?} instructions",
                options.level
            )));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .thread_name(|i| format!("sda-cpu-{i}"))
            .build()
            .map_err(|e| ExecutorError::Device(format!("start {} threads: {e}", options.threads)))?;
        Ok(Self { options, pool, states: Vec::new(), programs: Vec::new() })
    }

    /// Threads of the pool.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The plan of a compiled program.
    pub fn plan(&self, program: Handle) -> &Plan {
        &self.programs[program.0].plan
    }

    /// Numbers of each input of a program.
    pub fn input_lengths(&self, program: Handle) -> Vec<usize> {
        let inputs = self.programs[program.0].program.graph.inputs().iter();
        inputs.map(|d| d.shape.iter().product()).collect()
    }

    /// One run on this thread, timed step by step.
    ///
    /// `clock`: seconds since any moment.
    ///
    /// Errors: as [`Executor::run`].
    pub fn profile(
        &mut self,
        program: Handle,
        key: RunKey,
        inputs: &[&[f32]],
        clock: &dyn Fn() -> f64,
    ) -> Result<Profile, ExecutorError> {
        let compiled = &mut self.programs[program.0];
        compiled.program.check_inputs(inputs)?;
        compiled.bind(inputs, |i| (self.states[i].data.as_mut_ptr(), self.states[i].version));
        let profile = compiled.profile(self.options.level, key, clock);
        compiled.updated().for_each(|i| self.states[i].version += 1);
        Ok(profile)
    }

    /// Bytes of packed weights of a program.
    pub fn packed_bytes(&self, program: Handle) -> usize {
        self.programs[program.0].packs.buffers.iter().map(|b| 4 * b.len()).sum()
    }

    /// Bytes held: states, slots of all programs, constants.
    pub fn bytes(&self) -> usize {
        let states: usize = self.states.iter().map(|s| s.data.len() * 4).sum();
        states + self.programs.iter().map(Compiled::bytes).sum::<usize>()
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|s| s.name == name)
    }

    fn no_state(&self, name: &str) -> ExecutorError {
        ExecutorError::NoState {
            name: name.into(),
            known: self.states.iter().map(|s| s.name.clone()).collect(),
        }
    }

    /// Position of a state, made with zeros where it does not exist.
    fn state(&mut self, name: &str, shape: &[usize]) -> Result<usize, ExecutorError> {
        if let Some(i) = self.find(name) {
            let have = &self.states[i].shape;
            return if have == shape {
                Ok(i)
            } else {
                Err(ExecutorError::StateShape { name: name.into(), want: shape.to_vec(), have: have.clone() })
            };
        }
        let data = Buffer::new(shape.iter().product());
        self.states.push(State { name: name.into(), shape: shape.to_vec(), data, version: 0 });
        Ok(self.states.len() - 1)
    }
}

impl Executor for Cpu {
    type Real = f32;

    fn compile(&mut self, program: &Program) -> Result<Handle, ExecutorError> {
        let declared = program.graph.states();
        let states: Result<Vec<usize>, _> = declared.iter().map(|d| self.state(&d.name, &d.shape)).collect();
        let compiled = Compiled::new(program, states?, &self.options, self.threads());
        self.programs.push(compiled);
        Ok(Handle(self.programs.len() - 1))
    }

    fn run(&mut self, program: Handle, key: RunKey, inputs: &[&[f32]]) -> Result<(), ExecutorError> {
        let compiled = &mut self.programs[program.0];
        compiled.program.check_inputs(inputs)?;
        compiled.bind(inputs, |i| (self.states[i].data.as_mut_ptr(), self.states[i].version));
        let level = self.options.level;
        if self.pool.current_num_threads() == 1 {
            compiled.replay(level, key, false);
        } else {
            self.pool.install(|| compiled.replay(level, key, true));
        }
        compiled.updated().for_each(|i| self.states[i].version += 1);
        Ok(())
    }

    fn output(&mut self, program: Handle, index: usize) -> Result<&[f32], ExecutorError> {
        Ok(&self.programs[program.0].outputs[index])
    }

    fn read(&mut self, state: &str) -> Result<ArrayD<f32>, ExecutorError> {
        let i = self.find(state).ok_or_else(|| self.no_state(state))?;
        let State { shape, data, .. } = &self.states[i];
        ArrayD::from_shape_vec(IxDyn(shape), data.to_vec()).map_err(|e| ExecutorError::Device(e.to_string()))
    }

    fn write(&mut self, state: &str, value: ArrayViewD<'_, f32>) -> Result<(), ExecutorError> {
        let i = self.state(state, value.shape())?;
        self.states[i].data.iter_mut().zip(&value).for_each(|(d, v)| *d = *v);
        self.states[i].version += 1;
        Ok(())
    }
}
