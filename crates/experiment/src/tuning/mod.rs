//! Settings of the sampler chosen by simulation.
//!
//! Trajectories x are drawn from data that the network was not trained on, and observed: y = A(x) + noise. A candidate's
//! samples of p(x | y) beside x are judged by three numbers: the CRPS, where x ranks among the samples, and how far the
//! samples are from y ([`Scores`]). [`choose`] takes the cheapest candidate that is not refuted and not worse than the
//! best by more than a standard error. All of it is a function of arrays; the seed is the same for all candidates, so
//! that their differences are those of the same trajectories, noise and start.

mod cases;
mod choose;
mod score;
#[cfg(test)]
mod tests;

pub use cases::Cases;
pub use choose::{Choice, Rule, Standing, choose};
pub use score::{ScoreError, Scores, Trial};
