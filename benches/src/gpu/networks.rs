//! The programs of the table: the networks' training steps and posterior scores.

use super::arguments::Sizes;
use crate::items::kolmogorov::{NETWORKS, score, training};
use crate::items::{Task, lorenz};

/// The paper's depth and blocks with next to no channels: as many launches as the paper's network, hardly any work, so
/// that what the host does in a run can be told from what the device does.
const NARROW: [usize; 3] = [2, 4, 8];

/// States of a trajectory that is one window: what a program on the CPU does of the paper's network.
const ONE_WINDOW: usize = 5;

/// A program, or why it is not measured.
pub(super) struct Network {
    pub(super) name: String,
    pub(super) task: Result<Task, &'static str>,
    /// Whether it also runs in mixed precision.
    pub(super) mixed: bool,
}

/// Why.
pub(super) const TOO_LONG: &str = "a program on the CPU takes minutes";

/// All, in the table's order.
pub(super) fn networks(sizes: Sizes) -> anyhow::Result<Vec<Network>> {
    let full = sizes == Sizes::Full;
    let lorenz = lorenz::tasks()?.into_iter().map(|(name, task)| {
        let small = !name.ends_with("1024");
        (name, if full || small { Ok(task) } else { Err(TOO_LONG) })
    });
    let mut all: Vec<(String, Result<Task, &'static str>)> = lorenz.collect();
    let [(paper, paper_channels), (small, small_channels), (tiny, tiny_channels)] = NETWORKS;
    let at = |name: &str, length: usize| format!("posterior_score_kolmogorov_{name}_{length}");
    for (name, channels) in [(paper, paper_channels), (small, small_channels)] {
        let task = if full { Ok(training(channels)) } else { Err(TOO_LONG) };
        all.push((format!("train_kolmogorov_{name}"), task));
        for length in [8, 29] {
            let task = if full { Ok(score(channels, length)) } else { Err(TOO_LONG) };
            all.push((at(name, length), task));
        }
    }
    if !full {
        all.push((at(paper, ONE_WINDOW), Ok(score(paper_channels, ONE_WINDOW))));
        all.push((at(tiny, 8), Ok(score(tiny_channels, 8))));
    }
    all.push(("train_kolmogorov_narrow".into(), Ok(training(NARROW))));
    all.push((at("narrow", 8), Ok(score(NARROW, 8))));
    let mixed = |name: &str| full || name != at(paper, ONE_WINDOW);
    Ok(all.into_iter().map(|(name, task)| Network { mixed: mixed(&name), name, task }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sizes: Sizes, ready: bool) -> Vec<String> {
        let all = networks(sizes).unwrap().into_iter();
        all.filter(|n| n.task.is_ok() == ready).map(|n| n.name).collect()
    }

    #[test]
    fn hardware_runs_the_published_sizes_and_leaves_nothing_out() {
        let full = names(Sizes::Full, true);
        for name in ["train_local", "train_global", "posterior_score_1024", "train_kolmogorov_paper"] {
            assert!(full.iter().any(|n| n == name), "{name} in {full:?}");
        }
        assert!(full.contains(&"posterior_score_kolmogorov_paper_29".to_owned()));
        assert!(names(Sizes::Full, false).is_empty());
    }

    #[test]
    fn what_the_small_sizes_leave_out_is_named() {
        let left_out = names(Sizes::Small, false);
        for name in names(Sizes::Full, true) {
            assert!(left_out.contains(&name) || names(Sizes::Small, true).contains(&name), "{name}");
        }
        assert!(left_out.contains(&"train_kolmogorov_paper".to_owned()));
    }
}
