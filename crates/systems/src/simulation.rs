//! Trajectories of many members, in parallel and resumable at any member.

use std::ops::Range;

use ndarray::Array3;
use rayon::prelude::*;
use sda_core::{Stream, Vectors, widest_vectors};

use crate::ensemble::{LANES, Lanes};
use crate::error::SystemError;
use crate::system::System;

/// Steps laid out together: 12 KiB of a system of three components.
const STAGED: usize = 8;

/// Independent trajectories of one system, a function of the stream and the member's index only.
///
/// A member's bits depend neither on the range it is asked for in nor on the number of threads, so a run that was
/// interrupted goes on from the first member it lacks. The stream's step 0 draws the first state, its step i the i-th
/// transition, burn-in included; its row is the member.
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// The system.
    pub system: &'a dyn System,
    /// Transitions from the initial law before the first state kept.
    pub burn_in: u32,
    /// L, the number of states kept.
    pub steps: usize,
    /// The members' random numbers.
    pub stream: Stream,
}

impl Simulation<'_> {
    /// The trajectories of a range of members.
    ///
    /// Shapes: result [members, L, D].
    /// Errors: a member diverged; the same one is named on any number of threads.
    pub fn trajectories(&self, members: Range<u32>) -> Result<Array3<f64>, SystemError> {
        let (l, d) = (self.steps, self.system.state_dim());
        let mut out = Array3::zeros((members.len(), l, d));
        if l == 0 {
            return Ok(out);
        }
        let values = out.as_slice_mut().expect("a fresh array is contiguous");
        let blocks = values.par_chunks_mut(LANES * l * d).enumerate();
        let ends: Vec<_> = blocks
            .map(|(block, values)| self.simulate_block(members.start + (block * LANES) as u32, values))
            .collect();
        ends.into_iter().collect::<Result<(), _>>()?;
        Ok(out)
    }

    /// Blocks of at most `block_members` trajectories with their members, made as they are asked for.
    ///
    /// To resume, begin `members` at the first one that is missing.
    /// Panics: `block_members` is zero.
    pub fn blocks(
        &self,
        members: Range<u32>,
        block_members: u32,
    ) -> impl Iterator<Item = (Range<u32>, Result<Array3<f64>, SystemError>)> {
        assert!(block_members > 0, "blocks of no trajectories");
        let end = members.end;
        members.step_by(block_members as usize).map(move |start| {
            let block = start..start.saturating_add(block_members).min(end);
            (block.clone(), self.trajectories(block))
        })
    }

    /// Up to LANES members through all their steps, a few at a time in the cache before they are laid out.
    ///
    /// Shapes: `out` [members, L, D].
    fn simulate_block(&self, first: u32, out: &mut [f64]) -> Result<(), SystemError> {
        let (l, d) = (self.steps, self.system.state_dim());
        let (mut states, mut scratch) = (vec![[0.0; LANES]; d], Vec::new());
        let mut staged = Vec::with_capacity(STAGED * d);
        self.system.draw_initial(&self.stream, 0, first, &mut states);
        for step in 1..=self.burn_in {
            self.system.draw_transition(&self.stream, step, first, &mut states, &mut scratch);
        }
        for start in (0..l).step_by(STAGED) {
            staged.clear();
            for kept in start..l.min(start + STAGED) {
                if kept > 0 {
                    let step = self.burn_in + kept as u32;
                    self.system.draw_transition(&self.stream, step, first, &mut states, &mut scratch);
                }
                staged.extend_from_slice(&states);
            }
            let members = out.len() / (l * d);
            if !all_finite(&staged) {
                self.check_finite(first, start, members, &staged)?;
            }
            store(Vectors::widest(), &staged, start * d, l * d, out);
        }
        Ok(())
    }

    /// Errors: a state of one of the members is not finite; the earliest is named.
    ///
    /// Shapes: `staged` [steps, D, LANES].
    fn check_finite(
        &self,
        first: u32,
        start: usize,
        members: usize,
        staged: &[Lanes],
    ) -> Result<(), SystemError> {
        for (i, state) in staged.chunks_exact(self.system.state_dim()).enumerate() {
            if let Some(m) = (0..members).find(|&m| state.iter().any(|lanes| !lanes[m].is_finite())) {
                return Err(SystemError::Diverged {
                    system: self.system.name(),
                    member: first + m as u32,
                    state: start + i,
                    burn_in: self.burn_in,
                });
            }
        }
        Ok(())
    }
}

/// Whether no number is ∞ or NaN, spare lanes included.
fn all_finite(lanes: &[Lanes]) -> bool {
    let mut sums = [0.0; LANES];
    for lanes in lanes {
        for i in 0..LANES {
            // 0 of every finite number, NaN of every other.
            sums[i] += lanes[i] * 0.0;
        }
    }
    sums.iter().all(|&sum| sum == 0.0)
}

widest_vectors! {
    /// Writes staged numbers of each member of a block, from the place `at` in its trajectory on.
    ///
    /// Shapes: `staged` [n, LANES], `out` [members, `stride`].
    fn store(staged: &[Lanes], at: usize, stride: usize, out: &mut [f64]) -> () = store_body
}

#[inline(always)]
#[allow(clippy::inline_always)] // it is compiled for the instruction set of its caller
fn store_body(staged: &[Lanes], at: usize, stride: usize, out: &mut [f64]) {
    for (i, trajectory) in out.chunks_exact_mut(stride).enumerate() {
        for (x, lanes) in trajectory[at..at + staged.len()].iter_mut().zip(staged) {
            *x = lanes[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, concatenate};
    use proptest::prelude::*;

    use super::*;
    use crate::SystemConfig;

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        for config in SystemConfig::presets() {
            let system = config.build().unwrap();
            let run = Simulation { system: &*system, burn_in: 3, steps: 9, stream: Stream::new(11, 4) };
            let with = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| run.trajectories(0..200).unwrap())
            };
            assert_eq!(with(1), with(3), "{config:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn bits_do_not_depend_on_the_split(start in 0u32..300, members in 1u32..200, block in 1u32..90) {
            let system = SystemConfig::lorenz63().build().unwrap();
            let run = Simulation { system: &*system, burn_in: 2, steps: 4, stream: Stream::new(1, 1) };
            let whole = run.trajectories(start..start + members).unwrap();
            let parts: Vec<_> = run.blocks(start..start + members, block).map(|(_, part)| part.unwrap()).collect();
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            prop_assert_eq!(concatenate(Axis(0), &views).unwrap(), whole);
        }
    }

    #[test]
    fn steps_follow_the_transition_and_its_noise() {
        for config in SystemConfig::presets() {
            let system = config.build().unwrap();
            let run = Simulation { system: &*system, burn_in: 5, steps: 2, stream: Stream::new(2, 0) };
            let states = run.trajectories(70..75).unwrap();
            for (m, member) in states.outer_iter().enumerate() {
                let mut want = system.transition_mean(&member.row(0).to_vec());
                let mut z = vec![0f64; want.len()];
                run.stream.fill_normal(6, 70 + m as u32, z.len(), &mut z);
                if let Some(std) = system.noise_std() {
                    want.iter_mut().zip(std).zip(&z).for_each(|((x, s), z)| *x += s * z);
                }
                assert!(member.row(1).iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{config:?}");
            }
        }
    }

    #[test]
    fn stationary_chains_keep_their_covariance() {
        let system = SystemConfig::Ar1Rotation { rho: 0.995, period: 30.0 }.build().unwrap();
        let n = 1 << 14;
        let run = Simulation { system: &*system, burn_in: 40, steps: 1, stream: Stream::new(5, 0) };
        let states = run.trajectories(0..n).unwrap().remove_axis(Axis(1));
        let covariance = states.t().dot(&states) / f64::from(n);
        let sd = f64::from(n).sqrt().recip();
        for (r, c, want) in [(0, 0, 1.0), (0, 1, 0.0), (1, 1, 1.0)] {
            assert!((covariance[[r, c]] - want).abs() < 5.0 * 2f64.sqrt() * sd, "{covariance}");
        }
    }

    /// The first block stays, the second leaves the real numbers late, the others at once.
    #[derive(Debug)]
    struct Leaving;

    impl System for Leaving {
        fn name(&self) -> &'static str {
            "leaving"
        }

        fn state_dim(&self) -> usize {
            1
        }

        fn dt(&self) -> f64 {
            1.0
        }

        fn component_names(&self) -> Vec<String> {
            vec!["x".into()]
        }

        fn normalisation(&self) -> crate::Normalisation {
            crate::Normalisation { offset: vec![0.0], scale: vec![1.0] }
        }

        fn initial_law(&self) -> crate::InitialLaw {
            crate::InitialLaw::unit_gaussian(vec![0.0])
        }

        fn draw_initial(&self, _: &Stream, _: u32, first: u32, states: &mut [Lanes]) {
            states.fill([[0.0, 1.0, f64::NAN][(first as usize / LANES).min(2)]; LANES]);
        }

        fn advance(&self, states: &mut [Lanes], _: &mut Vec<Lanes>) {
            states[0] = states[0].map(|x| 2.0 * x);
        }

        fn noise_std(&self) -> Option<&[f64]> {
            None
        }
    }

    #[test]
    fn who_diverged_does_not_depend_on_the_threads() {
        let run = Simulation { system: &Leaving, burn_in: 0, steps: 20_000, stream: Stream::new(0, 0) };
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let error = pool.install(|| run.trajectories(0..200).unwrap_err());
            assert!(matches!(error, SystemError::Diverged { member: 64, state: 1024, .. }), "{error}");
        }
    }

    #[test]
    fn divergence_is_an_error_with_its_step() {
        let config = SystemConfig::Lorenz63 {
            dt: 1.0,
            substeps: 1,
            sigma: 10.0,
            rho: 28.0,
            beta: 2.0,
            diffusion: 0.0,
        };
        let system = config.build().unwrap();
        let run = Simulation { system: &*system, burn_in: 0, steps: 50, stream: Stream::new(0, 0) };
        let error = run.trajectories(0..4).unwrap_err();
        assert!(matches!(error, SystemError::Diverged { state: 1..50, .. }), "{error}");
    }
}
