//! A system of a recipe, whichever kind it is.

use std::ops::Range;

use ndarray::{ArrayD, Axis};
use sda_core::Stream;

use crate::error::SystemError;
use crate::flow::{Flow, FlowSimulation};
use crate::normalisation::Normalisation;
use crate::simulation::Simulation;
use crate::system::System;

/// How a flow is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum FlowPrecision {
    /// Off by less than 2e-6 after one state on 128², which is enough for data.
    #[default]
    F32,
    /// For tests.
    F64,
}

/// What a dataset's trajectories are of.
#[derive(Debug)]
pub enum Dynamics {
    /// A Markov chain whose states are seen whole.
    Chain(Box<dyn System>),
    /// A flow whose states are seen on a coarser grid.
    Flow(Flow, FlowPrecision),
}

/// Members tried in a trajectory's place, one after another, where a flow blows up.
const ATTEMPTS: u32 = 4;

/// A trajectory, and how many members blew up before it.
pub type Attempt = (ArrayD<f32>, u32);

impl Dynamics {
    /// The system's name in recipes and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Chain(system) => system.name(),
            Self::Flow(flow, _) => flow.name(),
        }
    }

    /// Of a state as it is stored: [D], or [x, y, 2] of a flow.
    pub fn state_shape(&self) -> Vec<usize> {
        match self {
            Self::Chain(system) => vec![system.state_dim()],
            Self::Flow(flow, _) => vec![flow.output().points(), flow.output().points(), 2],
        }
    }

    /// D, the numbers of a state.
    pub fn state_dim(&self) -> usize {
        self.state_shape().iter().product()
    }

    /// Model time between states.
    pub fn dt(&self) -> f64 {
        match self {
            Self::Chain(system) => system.dt(),
            Self::Flow(flow, _) => flow.dt(),
        }
    }

    /// A label for each component of the last axis.
    pub fn component_names(&self) -> Vec<String> {
        match self {
            Self::Chain(system) => system.component_names(),
            Self::Flow(..) => ["u", "v"].map(str::to_owned).to_vec(),
        }
    }

    /// The map to what a network sees, of the last axis. Velocities of a flow are of order one as they are.
    pub fn normalisation(&self) -> Normalisation {
        match self {
            Self::Chain(system) => system.normalisation(),
            Self::Flow(..) => Normalisation::identity(2),
        }
    }

    /// The chain, where it is one.
    pub fn chain(&self) -> Option<&dyn System> {
        match self {
            Self::Chain(system) => Some(&**system),
            Self::Flow(..) => None,
        }
    }

    /// The flow, where it is one.
    pub fn flow(&self) -> Option<&Flow> {
        match self {
            Self::Chain(_) => None,
            Self::Flow(flow, _) => Some(flow),
        }
    }

    /// Trajectories of a range of members, of `all`.
    ///
    /// Where a flow's member blows up, the members i + `all`, i + 2 `all` … are tried in its place: a function of the
    /// member, whatever happens to others.
    ///
    /// Shapes: result `members`, each [L, state…].
    /// Errors: a chain diverged; a flow's member and the three tried in its place blew up, of which the first is named.
    pub fn trajectories(
        &self,
        members: Range<u32>,
        all: u32,
        (burn_in, steps): (u32, usize),
        stream: Stream,
    ) -> Result<Vec<Attempt>, SystemError> {
        match self {
            Self::Chain(system) => {
                let simulation = Simulation { system: &**system, burn_in, steps, stream };
                let values = simulation.trajectories(members)?.mapv(|x| x as f32).into_dyn();
                Ok(values.axis_iter(Axis(0)).map(|member| (member.to_owned(), 0)).collect())
            }
            Self::Flow(flow, precision) => {
                let simulation = FlowSimulation { flow, burn_in, steps, stream };
                let of = |members: &[u32]| match precision {
                    FlowPrecision::F32 => simulation.trajectories::<f32>(members),
                    FlowPrecision::F64 => simulation.trajectories::<f64>(members),
                };
                let first: Vec<u32> = members.collect();
                let mut out = of(&first);
                let mut attempts = vec![0; out.len()];
                for attempt in 1..ATTEMPTS {
                    let again: Vec<usize> = (0..out.len()).filter(|&i| out[i].is_err()).collect();
                    let spare: Vec<u32> =
                        again.iter().map(|&i| first[i].wrapping_add(attempt.wrapping_mul(all))).collect();
                    for (i, result) in again.into_iter().zip(of(&spare)) {
                        if result.is_ok() {
                            out[i] = result;
                            attempts[i] = attempt;
                        }
                    }
                }
                out.into_iter().zip(attempts).map(|(values, n)| Ok((values?.into_dyn(), n))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemConfig;
    use crate::flow::{FlowStart, Forcing};

    #[test]
    fn chains_are_simulated_as_they_were() {
        let dynamics = SystemConfig::lorenz63().dynamics().unwrap();
        let stream = Stream::new(3, 1);
        let got = dynamics.trajectories(5..8, 100, (4, 6), stream).unwrap();
        let system = SystemConfig::lorenz63().build().unwrap();
        let simulation = Simulation { system: &*system, burn_in: 4, steps: 6, stream };
        let want = simulation.trajectories(5..8).unwrap().mapv(|x| x as f32).into_dyn();
        for (i, (values, attempt)) in got.iter().enumerate() {
            assert_eq!((values.view(), *attempt), (want.index_axis(Axis(0), i), 0));
        }
    }

    /// Members whose time step asks for too many steps: all of them, whatever is tried.
    #[test]
    fn what_blows_up_again_and_again_is_an_error_with_the_trajectorys_own_member() {
        let forcing = Forcing { wavenumber: 1, amplitude: 1e9 };
        let start = FlowStart::Filtered { peak_wavenumber: 2.0, max_speed: 3.0 };
        let flow = Flow::new("violent", (16, 16), (0.0, 0.0), forcing, 1.0, start).unwrap();
        let dynamics = Dynamics::Flow(flow, FlowPrecision::F64);
        let error = dynamics.trajectories(2..3, 10, (0, 6), Stream::new(1, 1)).unwrap_err();
        assert!(matches!(error, SystemError::BlowUp { member: 2, .. }), "{error}");
    }

    /// At a largest speed of 23 800 |u| + |v| asks for more than 16 384 steps or not: a matter of the member.
    #[test]
    fn a_member_that_blows_up_is_replaced_and_its_neighbours_are_not() {
        let forcing = Forcing { wavenumber: 1, amplitude: 0.0 };
        let start = FlowStart::Filtered { peak_wavenumber: 2.0, max_speed: 23_800.0 };
        let flow = Flow::new("fast", (16, 16), (1.0, 0.0), forcing, 0.25, start).unwrap();
        let stream = Stream::new(1, 1);
        let simulation = FlowSimulation { flow: &flow, burn_in: 0, steps: 2, stream };
        let members: Vec<u32> = (0..24).collect();
        let alone = simulation.trajectories::<f32>(&members);
        let dynamics = Dynamics::Flow(flow.clone(), FlowPrecision::F32);
        let all = dynamics.trajectories(0..6, 6, (0, 2), stream).unwrap();
        let mut replaced = 0;
        for (i, (values, attempt)) in all.iter().enumerate() {
            let first = (0..4).find(|a| alone[i + 6 * a].is_ok()).unwrap();
            assert_eq!(*attempt as usize, first);
            let want = alone[i + 6 * first].as_ref().unwrap();
            assert_eq!(values.view(), want.view().into_dyn());
            replaced += usize::from(first > 0);
        }
        assert!((1..6).contains(&replaced), "{replaced} of 6");
    }
}
