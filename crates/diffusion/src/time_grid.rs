//! The diffusion times that a sampler visits.

use serde::{Deserialize, Serialize};

use crate::error::{DiffusionError, check};
use crate::schedule::Schedule;

/// Times t_n = 1 > … > t_0 = 0.
///
/// Good values: `Squared` with 64 steps does the work of about 170 uniform ones; `Levels` with ρ 7 spends most steps
/// where σ is small, as the transition noise of a system with little of it asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum TimeGrid {
    /// t_i = i/n, the paper's.
    #[default]
    Uniform,
    /// t_i = (i/n)²: most steps where little noise is left.
    Squared,
    /// (σ/μ)^(1/ρ) at equal distances.
    ///
    /// Source: Karras, Aittala, Aila & Laine 2022, arXiv 2206.00364, equation 5.
    Levels {
        /// ρ.
        rho: f64,
    },
    /// These times, from 1 down to 0: one more than there are steps.
    Given(Vec<f64>),
}

impl TimeGrid {
    /// The times from 1 to 0, `steps` + 1 of them.
    ///
    /// Errors: ρ is not positive; given times that do not fall from 1 to 0, or not as many as the steps ask for; times so
    /// close that they, or their σ/μ, are the same number.
    pub fn times(&self, schedule: &Schedule, steps: u32) -> Result<Vec<f64>, DiffusionError> {
        let times = self.visited(schedule, steps)?;
        let log_ratio = |t: f64| (schedule.mu(t) / schedule.sigma(t)).ln();
        let falls = |t: &[f64]| t[0] > t[1] && log_ratio(t[0]) < log_ratio(t[1]);
        let stands = times.windows(2).position(|t| !falls(t));
        stands.map_or(Ok(times), |step| {
            Err(DiffusionError::Setting {
                what: "the time grid",
                field: "grid",
                expected: "of times that fall, and whose σ/μ do (take fewer steps, or ρ nearer to 7)",
                found: format!("one whose step {step} stays where it is"),
            })
        })
    }

    /// The times before they are looked at as a whole.
    fn visited(&self, schedule: &Schedule, steps: u32) -> Result<Vec<f64>, DiffusionError> {
        let left = |step: u32| 1.0 - f64::from(step) / f64::from(steps);
        Ok(match self {
            Self::Uniform => (0..=steps).map(left).collect(),
            Self::Squared => (0..=steps).map(|step| left(step) * left(step)).collect(),
            Self::Levels { rho } => {
                check("the time grid", "rho", "positive and finite", *rho, |r| r > 0.0 && r.is_finite())?;
                let level = |t: f64| (schedule.sigma(t) / schedule.mu(t)).powf(rho.recip());
                let (last, first) = (level(0.0), level(1.0));
                let at = |step: u32| match step {
                    0 => 1.0,
                    _ if step == steps => 0.0,
                    _ => schedule.time_at(rho * (last + left(step) * (first - last)).ln()),
                };
                (0..=steps).map(at).collect()
            }
            Self::Given(times) => {
                let count = times.len();
                check("the time grid", "grid.len()", "steps + 1", count, |n| n == steps as usize + 1)?;
                let falls =
                    times.windows(2).all(|t| t[0] > t[1]) && times[0] == 1.0 && times[count - 1] == 0.0;
                let first_wrong = if falls { 0.0 } else { times[0] };
                check("the time grid", "grid", "times falling from 1 to 0", first_wrong, |_| falls)?;
                times.clone()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Alpha, Sde};

    #[test]
    fn every_grid_falls_from_one_to_zero() {
        let grids = [
            TimeGrid::Uniform,
            TimeGrid::Squared,
            TimeGrid::Levels { rho: 7.0 },
            TimeGrid::Levels { rho: 1.0 },
        ];
        for sde in Sde::ALL {
            for alpha in Alpha::ALL {
                let schedule = Schedule { sde, alpha, eta: 1e-3 };
                for (grid, steps) in grids.iter().flat_map(|grid| [1, 2, 7, 256].map(|n| (grid, n))) {
                    let times = grid.times(&schedule, steps).unwrap();
                    assert_eq!(
                        (times.len(), times[0], times[steps as usize]),
                        (steps as usize + 1, 1.0, 0.0)
                    );
                    assert!(
                        times.windows(2).all(|t| t[0] > t[1]),
                        "{grid:?} {schedule:?} {steps}: {times:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn levels_are_at_equal_distances_of_their_root() {
        let schedule = Schedule::default();
        let times = TimeGrid::Levels { rho: 7.0 }.times(&schedule, 10).unwrap();
        let roots: Vec<f64> =
            times.iter().map(|&t| (schedule.sigma(t) / schedule.mu(t)).powf(1.0 / 7.0)).collect();
        let steps: Vec<f64> = roots.windows(2).map(|r| r[0] - r[1]).collect();
        assert!(steps.iter().all(|s| (s - steps[0]).abs() < 1e-9), "{steps:?}");
    }

    #[test]
    fn given_times_are_checked() {
        let schedule = Schedule::default();
        let given = |times: &[f64], steps| TimeGrid::Given(times.to_vec()).times(&schedule, steps);
        assert_eq!(given(&[1.0, 0.3, 0.0], 2).unwrap(), [1.0, 0.3, 0.0]);
        for (times, steps) in [
            (&[1.0, 0.3, 0.0][..], 3),
            (&[1.0, 0.0, 0.3], 2),
            (&[0.9, 0.3, 0.0], 2),
            (&[1.0, f64::NAN, 0.0], 2),
            (&[1.0, 0.3, 0.1], 2),
            (&[], 2),
        ] {
            let error = given(times, steps).unwrap_err().to_string();
            assert!(error.starts_with("set up the time grid"), "{error}");
        }
        assert!(TimeGrid::Levels { rho: 0.0 }.times(&schedule, 3).is_err());
    }

    /// Times that double precision does not tell apart, or whose levels it does not: some integrators divide by their
    /// distance.
    #[test]
    fn steps_that_stay_are_refused() {
        let schedule = Schedule::default();
        for (grid, steps) in [
            (TimeGrid::Levels { rho: 1e17 }, 256),
            (TimeGrid::Levels { rho: 0.009 }, 256),
            (TimeGrid::Squared, 1 << 18),
            (TimeGrid::Given(vec![1.0, 1e-9, 1e-10, 0.0]), 3),
        ] {
            let error = grid.times(&schedule, steps).unwrap_err().to_string();
            assert!(error.contains("stays where it is"), "{grid:?}: {error}");
        }
        for grid in [TimeGrid::Uniform, TimeGrid::Squared, TimeGrid::Levels { rho: 7.0 }] {
            grid.times(&schedule, 1 << 13).unwrap();
        }
    }
}
