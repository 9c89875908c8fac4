//! What replays programs: the CPU, a GPU, or the f64 interpreter.

use crate::program::Program;
use ndarray::{ArrayD, ArrayViewD};
use sda_core::Real;

/// Names a compiled program of one executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub usize);

/// What a run's random numbers are a function of, besides each draw's stream and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunKey {
    /// The experiment's seed.
    pub seed: u64,
    /// Counts runs of the same program.
    pub step: u32,
}

/// The world's errors while compiling or running.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExecutorError {
    /// A state of this name has another shape.
    #[error("use state «{name}» with shape {want:?}: it has shape {have:?}")]
    StateShape {
        /// The state.
        name: String,
        /// The shape asked for.
        want: Vec<usize>,
        /// The shape stored.
        have: Vec<usize>,
    },
    /// No state of this name.
    #[error("read state «{name}»: there is no such state (there are {known:?})")]
    NoState {
        /// The name asked for.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// The number or size of inputs is off.
    #[error("run a program: input «{name}» has {have} numbers, and {want} are declared")]
    Input {
        /// The input.
        name: String,
        /// Numbers declared.
        want: usize,
        /// Numbers given.
        have: usize,
    },
    /// The device failed.
    #[error("use the device: {0}")]
    Device(String),
}

impl Program {
    /// Number and lengths of a run's inputs against the declarations.
    pub fn check_inputs<T>(&self, inputs: &[&[T]]) -> Result<(), ExecutorError> {
        let declared = self.graph.inputs();
        for (i, d) in declared.iter().enumerate() {
            let (want, have) = (d.shape.iter().product(), inputs.get(i).map_or(0, |x| x.len()));
            if want != have {
                return Err(ExecutorError::Input { name: d.name.clone(), want, have });
            }
        }
        match inputs.get(declared.len()) {
            Some(extra) => {
                Err(ExecutorError::Input { name: "beyond the last".into(), want: 0, have: extra.len() })
            }
            None => Ok(()),
        }
    }
}

/// Compiles programs against one store of states, and runs them.
pub trait Executor {
    /// Type of the numbers at the boundary.
    type Real: Real;

    /// Plans a program. States that do not exist yet are made, with zeros.
    fn compile(&mut self, program: &Program) -> Result<Handle, ExecutorError>;

    /// Runs a program once. `inputs` in the order of declaration, row-major.
    fn run(&mut self, program: Handle, key: RunKey, inputs: &[&[Self::Real]]) -> Result<(), ExecutorError>;

    /// The latest run's output, by its position among the program's outputs, row-major. A device is waited for.
    ///
    /// Errors: the device has failed.
    fn output(&mut self, program: Handle, index: usize) -> Result<&[Self::Real], ExecutorError>;

    /// A copy of a state.
    fn read(&mut self, state: &str) -> Result<ArrayD<Self::Real>, ExecutorError>;

    /// Sets a state, making it where it does not exist.
    fn write(&mut self, state: &str, value: ArrayViewD<'_, Self::Real>) -> Result<(), ExecutorError>;
}
