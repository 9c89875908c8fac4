//! What can go wrong with a system, worded to continue "failed to …".

use thiserror::Error;

/// A system's parameters or its simulation are unusable.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SystemError {
    /// A parameter is outside its range.
    #[error("build the system {system}: `{field}` must be {expected}, but it is {found}")]
    Parameter {
        /// The system's name.
        system: &'static str,
        /// The field of its configuration.
        field: &'static str,
        /// What the field may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A trajectory left the real numbers.
    #[error(
        "simulate the system {system}: member {member} is not finite from state {state} on \
         (state 0 is the first one kept, after {burn_in} burn-in transitions); a smaller `dt` or more `substeps` helps"
    )]
    Diverged {
        /// The system's name.
        system: &'static str,
        /// Global index of the member.
        member: u32,
        /// Index of the first bad state among those kept.
        state: usize,
        /// Transitions before the first state kept.
        burn_in: u32,
    },
    /// A flow left the real numbers.
    #[error(
        "simulate the system {system}: member {member} blew up at its transition {transition}, which would take \
         {substeps} steps or more; a smaller `dt` or more `viscosity` helps"
    )]
    BlowUp {
        /// The system's name.
        system: &'static str,
        /// Global index of the member.
        member: u32,
        /// Counted from the first state drawn.
        transition: usize,
        /// Steps that would have been taken next.
        substeps: u32,
    },
    /// A flow where a chain is needed.
    #[error("take a flow for a Markov chain with Gaussian noise: a particle filter and densities need one")]
    NoChain,
}
