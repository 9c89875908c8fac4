//! Long trajectories: what a guided predictor step takes in memory. The peer keeps all windows and has none of these.

use super::Item;
use super::kolmogorov;
use super::programs::{PosteriorScore, network};
use sda_diffusion::{Guidance, Place};
use sda_observe::Operator;

const PLACES: [(&str, Place); 2] = [("composed", Place::Composed), ("windowed", Place::Windowed)];

/// Guidances beside the table's, which has no suffix.
fn guidances() -> [(&'static str, Guidance); 3] {
    [
        ("", Guidance::Sda { gamma: 1e-2, detach: false }),
        ("_mmps", Guidance::mmps(1)),
        ("_pigdm", Guidance::Pigdm { iterations: 1 }),
    ]
}

/// What grows with the length, and the lengths: the first of Lorenz is the table's. Fields of 1000 states take minutes a
/// step: they are known by name.
type System = (&'static str, fn(usize) -> anyhow::Result<PosteriorScore>, [usize; 3]);

const SYSTEMS: [System; 2] =
    [("lorenz", lorenz, [10_000, 3_000, 1_000]), ("kolmogorov", kolmogorov, [1_000, 300, 100])];

pub(super) fn items() -> Vec<Item> {
    all(true)
}

/// Other lengths and guidances: known by name, and no part of the table.
pub(super) fn at_other_lengths() -> Vec<Item> {
    all(false)
}

fn all(in_table: bool) -> Vec<Item> {
    let mut items = Vec::new();
    for (system, score, lengths) in SYSTEMS {
        for (place_name, place) in PLACES {
            for (suffix, guidance) in guidances() {
                for length in lengths {
                    let is_longest = length == lengths[0];
                    let is_of_the_table = system == "lorenz" && is_longest && suffix.is_empty();
                    if in_table != is_of_the_table {
                        continue;
                    }
                    let at = if is_longest { String::new() } else { format!("_{length}") };
                    let guidance = guidance.clone();
                    let item =
                        Item::new(format!("long_{system}_{place_name}{suffix}{at}"), move |setting, work| {
                            let guidance = guidance.clone();
                            PosteriorScore { guidance, place, ..score(length)? }.with(setting, work)
                        });
                    items.push(item.alone());
                }
            }
        }
    }
    items
}

/// 16 samples, windows of 17 states every 8, the first component of every 8th state seen, σ 0.05.
fn lorenz(length: usize) -> anyhow::Result<PosteriorScore> {
    let network = network(
        r#"{"ResMlp": {"features": 51, "embedding": 32, "hidden_features": [256, 256, 256, 256, 256]}}"#,
    )?;
    Ok(PosteriorScore {
        network,
        order: Some(8),
        stride: 8,
        shape: vec![16, length, 3],
        operator: Operator::Compose(vec![Operator::EveryNth(8), Operator::Components(vec![0])]),
        noise_std: 0.05,
        guidance: Guidance::Sda { gamma: 1e-2, detach: false },
        place: Place::Composed,
    })
}

/// One sample of fields of 2 × 64 × 64, windows of 5 at every state, the small network.
#[allow(clippy::unnecessary_wraps, reason = "one type for all systems")]
fn kolmogorov(length: usize) -> anyhow::Result<PosteriorScore> {
    Ok(kolmogorov::posterior_score([32, 64, 128], length))
}
