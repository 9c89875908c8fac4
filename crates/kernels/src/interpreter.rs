//! The reference kernels as an executor: node by node, no plan, no fusion.

use crate::{Call, reference};
use ndarray::{ArrayD, ArrayViewD};
use sda_core::Real;
use sda_graph::{Executor, ExecutorError, Handle, Op, Program, RunKey};
use std::collections::BTreeMap;

/// Runs programs by plain loops at f32 or f64: the semantics that every other executor is compared with.
#[derive(Debug, Default)]
pub struct Interpreter<T> {
    states: BTreeMap<String, ArrayD<T>>,
    programs: Vec<(Program, Vec<Vec<T>>)>,
}

impl<T: Real> Interpreter<T> {
    /// Without states or programs.
    pub fn new() -> Self {
        Self { states: BTreeMap::new(), programs: Vec::new() }
    }

    fn evaluate(&self, program: &Program, key: RunKey, inputs: &[&[T]]) -> Vec<Option<Vec<T>>> {
        let graph = &program.graph;
        let mut values: Vec<Option<Vec<T>>> = vec![None; graph.nodes().len()];
        for (i, live) in program.live().into_iter().enumerate() {
            if !live {
                continue;
            }
            let node = &graph.nodes()[i];
            let input = |k: usize| values[node.inputs[k].index()].as_deref().unwrap_or(&[]);
            let value = match &node.op {
                Op::Input(k) => inputs[*k].to_vec(),
                Op::State(k) => self.states[&graph.states()[*k].name].iter().copied().collect(),
                Op::Constant(k) => graph.constants()[*k].iter().map(|&c| T::from_f64(c)).collect(),
                Op::Reshape | Op::Detach | Op::Rows => input(0).to_vec(),
                op => {
                    let mut output = vec![T::ZERO; node.shape.iter().product()];
                    let sources: Vec<&[T]> = (0..node.inputs.len()).map(input).collect();
                    let shapes: Vec<&[usize]> = node.inputs.iter().map(|n| graph.shape(*n)).collect();
                    let (inputs, shapes) = (&sources[..], &shapes[..]);
                    let call = Call {
                        inputs,
                        shapes,
                        output: &mut output,
                        shape: &node.shape,
                        key,
                        first_row: 0,
                        adds: false,
                    };
                    reference(op, call);
                    output
                }
            };
            values[i] = Some(value);
        }
        values
    }
}

impl<T: Real> Executor for Interpreter<T> {
    type Real = T;

    fn compile(&mut self, program: &Program) -> Result<Handle, ExecutorError> {
        for d in program.graph.states() {
            let state = self
                .states
                .entry(d.name.clone())
                .or_insert_with(|| ArrayD::from_elem(d.shape.clone(), T::ZERO));
            if state.shape() != d.shape {
                let (name, want, have) = (d.name.clone(), d.shape.clone(), state.shape().to_vec());
                return Err(ExecutorError::StateShape { name, want, have });
            }
        }
        self.programs.push((program.clone(), vec![Vec::new(); program.outputs.len()]));
        Ok(Handle(self.programs.len() - 1))
    }

    fn run(&mut self, handle: Handle, key: RunKey, inputs: &[&[T]]) -> Result<(), ExecutorError> {
        let program = &self.programs[handle.0].0;
        program.check_inputs(inputs)?;
        let values = self.evaluate(program, key, inputs);
        let value = |i: usize| values[i].clone().unwrap_or_default();
        let outputs = program.outputs.iter().map(|(_, n)| value(n.index())).collect();
        let updates: Vec<(usize, Vec<T>)> =
            program.updates.iter().map(|(s, n)| (*s, value(n.index()))).collect();
        for (s, new) in updates {
            let name = &self.programs[handle.0].0.graph.states()[s].name;
            if let Some(state) = self.states.get_mut(name) {
                state.iter_mut().zip(new).for_each(|(old, new)| *old = new);
            }
        }
        self.programs[handle.0].1 = outputs;
        Ok(())
    }

    fn output(&mut self, program: Handle, index: usize) -> Result<&[T], ExecutorError> {
        Ok(&self.programs[program.0].1[index])
    }

    fn read(&mut self, state: &str) -> Result<ArrayD<T>, ExecutorError> {
        self.states.get(state).cloned().ok_or_else(|| ExecutorError::NoState {
            name: state.into(),
            known: self.states.keys().cloned().collect(),
        })
    }

    fn write(&mut self, state: &str, value: ArrayViewD<'_, T>) -> Result<(), ExecutorError> {
        if let Some(old) = self.states.get(state)
            && old.shape() != value.shape()
        {
            let (want, have) = (value.shape().to_vec(), old.shape().to_vec());
            return Err(ExecutorError::StateShape { name: state.into(), want, have });
        }
        self.states.insert(state.into(), value.as_standard_layout().into_owned());
        Ok(())
    }
}
