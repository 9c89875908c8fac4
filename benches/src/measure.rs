//! Times of both sides, taken in turns.

use crate::items::Work;
use crate::peer::Peer;
use std::time::Instant;

/// Fewest turns, unless fewer are asked for.
const LEAST_ROUNDS: usize = 3;
/// Seconds of either side after which no further turn is taken.
const ENOUGH_SECONDS: f64 = 20.0;
/// Shorter work is repeated within a turn, so that the clock's own cost is nothing.
const TURN_SECONDS: f64 = 0.05;
/// Longer work is run once before it is measured, shorter work twice.
const LONG_SECONDS: f64 = 1.0;

/// Seconds of one run in each turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    pub(crate) ours: Vec<f64>,
    pub(crate) theirs: Vec<f64>,
}

impl Times {
    fn enough(&self) -> bool {
        let sum = |seconds: &[f64]| seconds.iter().sum::<f64>();
        self.ours.len() >= LEAST_ROUNDS && sum(&self.ours).max(sum(&self.theirs)) >= ENOUGH_SECONDS
    }

    /// Median of the ratios of neighbouring runs: both sides see the same machine.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let ratios: Vec<f64> = self.theirs.iter().zip(&self.ours).map(|(t, o)| t / o).collect();
        median(&ratios)
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (n > 0).then(|| f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]))
}

/// Turns of our work and of the peer's item, each warmed up first.
pub(crate) fn measure(
    work: &mut dyn Work,
    mut peer: Option<(&mut Peer, &str)>,
    rounds: usize,
) -> anyhow::Result<Times> {
    let mut once = seconds(work, 1)?;
    if once < LONG_SECONDS {
        once = seconds(work, 1)?;
    }
    let repeats = (TURN_SECONDS / once.max(1e-7)).clamp(1.0, 10_000.0) as usize;
    let mut times = Times::default();
    while times.ours.len() < rounds && !times.enough() {
        times.ours.push(seconds(work, repeats)?);
        if let Some((peer, name)) = &mut peer {
            times.theirs.push(peer.seconds(name)?);
        }
    }
    Ok(times)
}

/// Time of one of several runs.
pub(crate) fn seconds(work: &mut dyn Work, repeats: usize) -> anyhow::Result<f64> {
    let start = Instant::now();
    for _ in 0..repeats {
        work.run()?;
    }
    Ok(start.elapsed().as_secs_f64() / repeats as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Sleep(u32);

    impl Work for Sleep {
        fn run(&mut self) -> anyhow::Result<()> {
            self.0 += 1;
            std::thread::sleep(Duration::from_millis(60));
            Ok(())
        }
    }

    #[test]
    fn as_many_turns_as_asked_for_after_two_runs() {
        let mut work = Sleep(0);
        let times = measure(&mut work, None, 2).unwrap();
        assert_eq!((work.0, times.ours.len(), times.theirs.len()), (4, 2, 0));
        assert!(times.ours.iter().all(|&s| (0.06..0.6).contains(&s)), "{times:?}");
    }

    #[test]
    fn long_work_takes_three_turns() {
        let times = |ours: &[f64], theirs: &[f64]| Times { ours: ours.to_vec(), theirs: theirs.to_vec() };
        assert!(!times(&[30.0; 2], &[1.0; 2]).enough());
        assert!(times(&[1.0; 3], &[7.0; 3]).enough());
        assert!(!times(&[1.0; 3], &[6.0; 3]).enough());
    }

    #[test]
    fn ratios_are_of_neighbours() {
        let times = Times { ours: vec![1.0, 10.0, 2.0], theirs: vec![2.0, 30.0, 10.0] };
        assert_eq!(times.ratio(), Some(3.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
