//! Trajectories of many members, one to a thread.

use ndarray::{Array4, Axis};
use rayon::prelude::*;
use sda_core::Stream;

use super::parameters::Flow;
use super::solver::Solver;
use super::state::SpectralState;
use super::transform::FlowReal;
use crate::error::SystemError;

/// Independent trajectories of one flow, a function of the stream and the member's index only.
///
/// The stream's step 0 draws the first state; its row is the member.
#[derive(Clone, Copy, Debug)]
pub struct FlowSimulation<'a> {
    /// The flow.
    pub flow: &'a Flow,
    /// States from the first one drawn to the first one kept.
    pub burn_in: u32,
    /// L, the number of states kept.
    pub steps: usize,
    /// The members' random numbers.
    pub stream: Stream,
}

impl FlowSimulation<'_> {
    /// Each member's trajectory as it is seen, or why it has none; one that blew up takes no other with it.
    ///
    /// Shapes: `members` `[N]`, result `[N]`, each [L, m, m, 2].
    pub fn trajectories<T: FlowReal>(&self, members: &[u32]) -> Vec<Result<Array4<f32>, SystemError>> {
        // By one member: they take seconds, and a solver is made in a thousandth of one.
        let each = members.par_iter().with_max_len(1);
        each.map_init(|| Solver::<T>::new(self.flow), |solver, &member| self.trajectory(solver, member))
            .collect()
    }

    /// One member's trajectory.
    ///
    /// Shapes: result [L, m, m, 2].
    /// Errors: it blew up.
    pub fn trajectory<T: FlowReal>(
        &self,
        solver: &mut Solver<T>,
        member: u32,
    ) -> Result<Array4<f32>, SystemError> {
        let m = self.flow.output().points();
        let mut out = Array4::zeros((self.steps, m, m, 2));
        self.states(solver, member, |kept, state| {
            let seen = self.flow.output().see(state);
            out.index_axis_mut(Axis(0), kept).zip_mut_with(&seen, |to, &from| *to = from as f32);
        })?;
        Ok(out)
    }

    /// Hands over one member's states, one after another, with their indices among those kept.
    ///
    /// Errors: it blew up; the states before have been handed over.
    pub fn states<T: FlowReal>(
        &self,
        solver: &mut Solver<T>,
        member: u32,
        mut take: impl FnMut(usize, &SpectralState<T>),
    ) -> Result<(), SystemError> {
        let mut state = self.flow.start().draw(solver, &self.stream, member);
        let burn_in = self.burn_in as usize;
        for step in 0..burn_in + self.steps {
            if step > 0 {
                solver.advance(&mut state).map_err(|blow_up| SystemError::BlowUp {
                    system: self.flow.name(),
                    member,
                    transition: step,
                    substeps: blow_up.substeps,
                })?;
            }
            if step >= burn_in {
                take(step - burn_in, &state);
            }
        }
        Ok(())
    }
}
