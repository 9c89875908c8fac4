//! What each result depends on.

use crate::config::{
    Candidate, Experiment, ObservationConfig, Precision, Recipe, RolloutConfig, Training, Tuning, to_text,
};
use crate::key::key;
use ndarray::ArrayD;
use sda_diffusion::{Denoiser, Place, Sampler};
use sda_nn::Network;
use serde::Serialize;
use std::collections::BTreeMap;

/// The simulated data.
pub(crate) fn data(recipe: &Recipe) -> String {
    key("simulate", &[&to_text(recipe)])
}

/// The network that is trained, from random weights or from those whose key is `start`.
pub(crate) fn model(recipe: &Recipe, e: &Experiment, start: Option<&str>) -> String {
    // Of the score, what is trained; how its windows are composed matters to the samples only.
    let network = format!("{} {}", e.score.window(), to_text(e.score.network()));
    // A file is what is in it.
    let training = Training { start: None, ..e.training.clone() };
    let mut parts =
        vec![data(recipe), network, to_text(&e.schedule), as_before(&training), e.seed.to_string()];
    parts.extend(start.map(str::to_owned));
    parts.extend((e.denoiser != Denoiser::Noise).then(|| to_text(&e.denoiser)));
    key("train", &rounded(&parts, e.precision))
}

/// Settings that came after the first results, at the value that those were made with.
const LATER: [&str; 17] = [
    "times: Uniform,",
    "weight: Noise,",
    "integrator: Exponential,",
    "noise_floor: 0.0,",
    "langevin: Trajectory,",
    "largest_delta: None,",
    "bootstrap: None,",
    "levels: Shared,",
    "floor: 0.0,",
    "cut: None,",
    "target: None,",
    "length: None,",
    "steps: None,",
    "corrections: None,",
    "guidance: None,",
    "place: None,",
    "start: None,",
];

/// Settings as text, without those of [`LATER`] that leave everything as it was: such results keep their keys.
fn as_before<T: Serialize>(settings: &T) -> String {
    let text = to_text(settings);
    let is_later = |line: &&str| LATER.contains(&line.trim());
    let kept: Vec<&str> = text.lines().filter(|line| !is_later(line)).collect();
    kept.join("\n")
}

/// Weights that were trained elsewhere: all of their numbers.
pub(crate) fn shipped(tensors: &BTreeMap<String, ArrayD<f32>>) -> String {
    let of = |(name, values): (&String, &ArrayD<f32>)| {
        let bits: Vec<String> = values.iter().map(|x| x.to_bits().to_string()).collect();
        let bits = bits.join(" ");
        format!("{name} {:?} {bits}", values.shape())
    };
    let parts: Vec<String> = tensors.iter().map(of).collect();
    key("weights", &parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// One observation of one test trajectory.
///
/// `kind` is its position among the experiment's, which chooses its random numbers.
pub(crate) fn observation(
    recipe: &Recipe,
    e: &Experiment,
    o: &ObservationConfig,
    kind: usize,
    trajectory: usize,
) -> String {
    let place = format!("{} {kind} {trajectory} {}", e.of(o).assimilation.length, e.seed);
    // How it is sampled is not what is observed.
    let o = ObservationConfig {
        length: None,
        steps: None,
        corrections: None,
        guidance: None,
        place: None,
        ..o.clone()
    };
    key("observe", &[&data(recipe), &as_before(&o), &place])
}

/// The particle filter's samples of one observation.
pub(crate) fn reference(observation: &str, e: &Experiment) -> String {
    let filter = e.reference.as_ref().map(as_before).unwrap_or_default();
    key("reference", &[observation, &filter, &e.assimilation.samples.to_string()])
}

/// The posterior samples of one observation with one number of corrections.
pub(crate) fn samples(
    model: &str,
    observation: &str,
    e: &Experiment,
    o: &ObservationConfig,
    corrections: u32,
) -> String {
    let a = &e.of(o).assimilation;
    let sampler = a.sampler.with(e.schedule, corrections, o.noise_of_state());
    let mut parts = vec![model.to_owned(), observation.to_owned(), to_text(&e.score), to_text(&a.guidance)];
    parts.push(as_before(&sampler));
    parts.extend(looks_back_on_the_path(&sampler));
    parts.push(format!("{} {}", a.samples, e.seed));
    // Composed was the only place once.
    parts.extend((a.place != Place::Composed).then(|| to_text(&a.place)));
    parts.extend(a.twisted.as_ref().map(as_before));
    parts.extend(guided_fields(e));
    key("assimilate", &rounded(&parts, e.precision))
}

/// What looks back past a correction has other bits since decision 0021.
fn looks_back_on_the_path(sampler: &Sampler) -> Option<String> {
    (sampler.corrections > 0 && sampler.integrator.looks_back()).then(|| "the path".to_owned())
}

/// Trajectories of the prior alone.
///
/// Shapes: `shape` [N, L, state…].
pub(crate) fn prior(model: &str, e: &Experiment, sampler: &Sampler, shape: &[usize]) -> String {
    let drawn = format!("{shape:?} {}", e.seed);
    let mut parts = vec![model.to_owned(), to_text(&e.score), as_before(sampler), drawn];
    parts.extend(looks_back_on_the_path(sampler));
    key("prior", &rounded(&parts, e.precision))
}

/// The scores of one candidate for one observation; its name and place among the others do not matter.
pub(crate) fn tuning(
    model: &str,
    recipe: &Recipe,
    e: &Experiment,
    tuning: &Tuning,
    o: &ObservationConfig,
    candidate: &Candidate,
) -> String {
    let sampler = candidate.sampler(e.schedule, o.noise_of_state());
    let observed = format!("{} {}", to_text(&o.operator), o.noise_std);
    let drawn =
        format!("{} {} {} {}", e.of(o).assimilation.length, tuning.trajectories, tuning.samples, e.seed);
    let place = to_text(&candidate.place);
    let how = [to_text(&e.score), to_text(&candidate.guidance), place, as_before(&sampler)];
    let mut parts = [&[model.to_owned(), data(recipe), observed, drawn][..], &how].concat();
    parts.extend(looks_back_on_the_path(&sampler));
    parts.extend(guided_fields(e));
    key("tune", &rounded(&parts, e.precision))
}

/// A rollout on one test trajectory, followed or held against by an observation, its key and its settings.
///
/// `position` is the rollout's among the experiment's, which chooses its random numbers.
pub(crate) fn rollout(
    model: &str,
    (observation, o): (&str, &ObservationConfig),
    e: &Experiment,
    (position, r): (usize, &RolloutConfig),
) -> String {
    let a = &e.assimilation;
    let guidance = r.guidance.as_ref().unwrap_or(&a.guidance);
    let sampler = a.sampler.with(e.schedule, r.corrections, o.noise_of_state());
    let mut parts = vec![
        model.to_owned(),
        observation.to_owned(),
        to_text(&e.score),
        to_text(r),
        to_text(guidance),
        to_text(&sampler),
        format!("{} {} {} {position}", a.samples, e.seed, to_text(&a.place)),
    ];
    parts.extend(looks_back_on_the_path(&sampler));
    parts.extend(guided_fields(e));
    key("rollout", &rounded(&parts, e.precision))
}

/// The parts, and the precision where it is not f32: results in f32 keep the keys that they had when there was no other.
fn rounded(parts: &[String], precision: Precision) -> Vec<&str> {
    let other = (precision != Precision::F32).then_some("Mixed");
    parts.iter().map(String::as_str).chain(other).collect()
}

/// What a file of scores holds beside the first results' distances and densities; it changes when the scores do.
const SCORES: &str = "calibration";

/// The same for fields, whose scores have changed since.
const SCORES_OF_FIELDS: &str = "calibration, one state";

/// Whether states are fields: a network of two axes of space sees them.
fn sees_fields(e: &Experiment) -> bool {
    matches!(e.score.network(), Network::UNet(network) if network.boundary.len() == 2)
}

/// Samples of fields have other bits since what guides them is not passed by (CHANGELOG, «Fixed»).
fn guided_fields(e: &Experiment) -> Option<String> {
    sees_fields(e).then(|| "not passed by".to_owned())
}

/// The scores of samples beside the reference's.
pub(crate) fn scores(samples: &str, reference: &str, e: &Experiment) -> String {
    let modes = e.evaluation.modes.as_ref().map(to_text);
    let word = if sees_fields(e) { SCORES_OF_FIELDS } else { SCORES };
    let parts = [samples, reference, word].into_iter().chain(modes.as_deref());
    key("evaluate", &parts.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Setting};
    use std::path::Path;

    /// First 16 digits of the keys of the smoke tier, as they were in version 0.1.0 before other integrators.
    const KEYS_OF_THE_SMOKE_TIER: [&str; 5] =
        ["a6f20a04fe11ed09", "42fb23c690140861", "0fcfec6b990d64d4", "cff8415089aedfdd", "5bfccfcd7ca05a9a"];

    /// The smoke tier with settings applied.
    fn resolved(settings: &[&str]) -> (Experiment, Recipe) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let settings: Vec<Setting> = settings.iter().map(|s| Setting::parse(s).unwrap()).collect();
        let path = root.join("experiments/lorenz_rozet2023.ron");
        let e = config::load(&path, Some("smoke"), &settings).unwrap().experiment;
        let mut recipe = config::load_recipe(&root.join("datasets"), &e.dataset).unwrap();
        recipe.split = e.data.split.unwrap_or(recipe.split);
        recipe.steps = e.data.steps.unwrap_or(recipe.steps);
        (e, recipe)
    }

    /// Keys of data, model, observation, reference and samples, with settings applied to the smoke tier.
    fn keys(settings: &[&str]) -> [String; 5] {
        let (e, recipe) = resolved(settings);
        let observation = observation(&recipe, &e, &e.observations[0], 0, 0);
        let model = model(&recipe, &e, None);
        let (reference, samples) =
            (reference(&observation, &e), samples(&model, &observation, &e, &e.observations[0], 1));
        [data(&recipe), model, observation, reference, samples]
    }

    /// Results of before there were these settings are still found.
    #[test]
    fn keys_are_those_of_the_first_results() {
        let [data, model, observation, reference, samples] = keys(&[]);
        let first = |key: String| key[..16].to_owned();
        let found = [data, model, observation, reference, samples].map(first);
        assert_eq!(found, KEYS_OF_THE_SMOKE_TIER);
    }

    #[test]
    fn weights_to_start_from_are_told_by_what_they_are() {
        let (e, recipe) = resolved(&[]);
        let (named, _) = resolved(&["training.start=\"a.safetensors\""]);
        let plain = model(&recipe, &e, None);
        assert_eq!(model(&recipe, &named, Some("x")), model(&recipe, &e, Some("x")));
        assert!(model(&recipe, &named, Some("x")) != model(&recipe, &named, Some("y")));
        assert!(model(&recipe, &named, Some("x")) != plain);
    }

    #[test]
    fn each_setting_changes_the_keys_of_what_depends_on_it_and_no_other() {
        // (setting, whether it changes the key of data, model, observation, reference, samples)
        let table = [
            ("data.steps=90", [true, true, true, true, true]),
            ("seed=2", [false, true, true, true, true]),
            ("training.learning_rate=3e-3", [false, true, false, false, true]),
            ("schedule.eta=2e-3", [false, true, false, false, true]),
            ("score.network.hidden_features=[32]", [false, true, false, false, true]),
            ("score.stride=2", [false, false, false, false, true]),
            ("observations.0.noise_std=0.1", [false, false, true, true, true]),
            ("observations.1.noise_std=0.1", [false; 5]),
            ("assimilation.length=60", [false, false, true, true, true]),
            ("assimilation.samples=17", [false, false, false, true, true]),
            ("reference.particles=2048", [false, false, false, true, false]),
            ("assimilation.guidance.gamma=1e-2", [false, false, false, false, true]),
            ("assimilation.sampler.tau=0.5", [false, false, false, false, true]),
            ("assimilation.place=Windowed", [false, false, false, false, true]),
            ("assimilation.sampler.integrator=Heun", [false, false, false, false, true]),
            ("assimilation.sampler.noise_floor=0.1", [false, false, false, false, true]),
            ("assimilation.sampler.gated=true", [false, false, false, false, true]),
            ("denoiser=Preconditioned(data_std: 1.0)", [false, true, false, false, true]),
            ("training.times=LogNormal(mean: -1.0, std: 1.0)", [false, true, false, false, true]),
            ("training.weight=Output", [false, true, false, false, true]),
            ("training.levels=PerState(share: 0.5)", [false, true, false, false, true]),
            (
                "rollouts=[(name: \"f\", observation: \"lo\", rollout: Forecast(window: 9, known: 1), conditioning: Guided(noise_std: 0.02))]",
                [false; 5],
            ),
            ("reference.bootstrap=512", [false, false, false, true, false]),
            ("assimilation.corrections=[0, 1, 2]", [false; 5]),
            // How it is sampled is not what is observed, and each number of corrections has a key of its own.
            ("observations.0.corrections=2", [false; 5]),
            ("observations.0.steps=5", [false, false, false, false, true]),
            ("observations.0.guidance=Tmpd", [false, false, false, false, true]),
            ("assimilation.trajectories=2", [false; 5]),
            ("precision=F32", [false; 5]),
            ("precision=Mixed", [false, true, false, false, true]),
            ("evaluation.modes=(component: 0)", [false; 5]),
            ("title=\"another\"", [false; 5]),
            ("tuning.samples=16", [false; 5]),
            ("assimilation.settings=Tuned", [false; 5]),
        ];
        let written = keys(&[]);
        for (setting, expected) in table {
            let changed = keys(&[setting]);
            let found: Vec<bool> = changed.iter().zip(&written).map(|(a, b)| a != b).collect();
            assert_eq!(found, expected, "{setting}: data, model, observation, reference, samples");
        }
        assert_eq!(keys(&[]), written, "the same experiment has the same keys");
    }

    #[test]
    fn weights_of_a_twisted_sampler_change_the_key_of_samples_alone() {
        let base =
            ["assimilation.corrections=[0]", "assimilation.sampler.integrator=StochasticDpm2m(eta: 1.0)"];
        let of = |more: &[&str]| keys(&[&base[..], more].concat());
        let plain = of(&[]);
        let mut last = plain.clone();
        let settings = [
            "(gamma: 0.1)",
            "(gamma: 0.2)",
            "(gamma: 0.2, below: 0.4)",
            "(gamma: 0.2, particles: 2)",
            "(gamma: 0.2, floor: 0.1)",
            "(gamma: 0.2, floor: 0.1, cut: 2.0)",
        ];
        // As it was before there were a floor and a cut.
        let resampling =
            resolved(&[&base[..], &["assimilation.twisted=(gamma: 0.1)"]].concat()).0.assimilation.twisted;
        let before = "(\n    gamma: 0.1,\n    below: 0.5,\n    particles: 1,\n)";
        assert_eq!(as_before(&resampling.unwrap()), before);
        for setting in settings {
            let twisted = of(&[&format!("assimilation.twisted={setting}")]);
            assert_eq!(twisted[..4], plain[..4], "{setting}");
            assert!(twisted[4] != plain[4] && twisted[4] != last[4], "{setting}");
            last = twisted;
        }
    }

    /// None is what there was before there was an inflation, under the same key.
    #[test]
    fn an_inflation_changes_the_key_of_samples_alone_and_none_is_unsaid() {
        let with = |text: &str| format!("assimilation.guidance={text}");
        let plain = keys(&[&with("Mmps(iterations: 3)")]);
        assert_eq!(keys(&[&with("Mmps(iterations: 3, inflation: 1.0)")]), plain);
        let inflated = keys(&[&with("Mmps(iterations: 3, inflation: 1.4)")]);
        assert_eq!(inflated[..4], plain[..4]);
        assert!(inflated[4] != plain[4]);
        let (e, _) = resolved(&[&with("Mmps(iterations: 3)")]);
        assert!(!ron::to_string(&e.assimilation.guidance).unwrap().contains("inflation"));
    }

    #[test]
    fn corrections_of_what_looks_back_have_keys_of_their_own() {
        let of = |integrator: &str, corrections| {
            let (e, recipe) = resolved(&[&format!("assimilation.sampler.integrator={integrator}")]);
            let observation = observation(&recipe, &e, &e.observations[0], 0, 0);
            samples(&model(&recipe, &e, None), &observation, &e, &e.observations[0], corrections)[..16]
                .to_owned()
        };
        // As they were before decision 0021; what looks back past a correction is not what it was.
        assert_eq!([of("Dpm2m", 0), of("Heun", 1)], ["1ff7db234e00faf5", "2ae9fe25bbe04e02"]);
        assert_ne!(of("Dpm2m", 1), "7c8d3361cdae2c19");
    }

    #[test]
    fn what_is_evaluated_changes_the_keys_of_scores() {
        let of = |evaluation: &str| {
            let (e, _) = resolved(&[&format!("evaluation={evaluation}")]);
            scores("samples", "reference", &e)
        };
        let keys = [
            of("()"),
            of("(modes: (component: 0))"),
            of("(modes: (component: 0, mirror: true))"),
            scores("", "reference", &resolved(&[]).0),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[..i].iter().all(|b| a != b));
        }
    }

    /// Those of chains are as they were; of fields neither samples nor scores are.
    #[test]
    fn fields_have_words_of_their_own() {
        let (chain, _) = resolved(&[]);
        assert!(!sees_fields(&chain) && guided_fields(&chain).is_none());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/kolmogorov.ron");
        let fields = config::load(&path, Some("smoke"), &[]).unwrap().experiment;
        assert!(sees_fields(&fields) && guided_fields(&fields).is_some());
        assert!(scores("samples", "", &fields) != scores("samples", "", &chain));
    }

    /// Key of the first candidate's scores for an observation, with settings applied to the smoke tier.
    fn key_of_tuning(observation: usize, settings: &[&str]) -> String {
        let settings = [&["assimilation.settings=Tuned"][..], settings].concat();
        let (e, recipe) = resolved(&settings);
        let (all, o) = (e.tuning.clone().unwrap(), &e.observations[observation]);
        tuning(&model(&recipe, &e, None), &recipe, &e, &all, o, &all.candidates[0])
    }

    #[test]
    fn a_candidates_scores_depend_on_what_they_are_made_with_and_not_on_the_other_candidates() {
        const ONE: &str = "(guidance: Mmps(iterations: 1), sampler: (steps: 32))";
        let candidates = |text: &str| format!("tuning.candidates=[{text}]");
        let of = |settings: &[&str]| key_of_tuning(0, &[&[&*candidates(ONE)][..], settings].concat());
        let written = of(&[]);
        for setting in [
            "seed=2",
            "data.steps=90",
            "training.learning_rate=3e-3",
            "score.stride=2",
            "assimilation.length=60",
            "observations.0.noise_std=0.1",
            "observations.0.operator=Components([0])",
            "tuning.samples=16",
            "tuning.trajectories=16",
            "tuning.candidates.0.corrections=1",
            "tuning.candidates.0.guidance=Tmpd",
            "tuning.candidates.0.place=Composed",
            "tuning.candidates.0.sampler.steps=33",
            "precision=Mixed",
        ] {
            assert_ne!(of(&[setting]), written, "{setting}");
        }
        let another = candidates(&format!("{ONE}, (guidance: Tmpd, sampler: (steps: 8))"));
        for setting in [
            another.as_str(),
            "tuning.rule.least_p=0.05",
            "observations.0.name=\"other\"",
            "assimilation.samples=17",
            "assimilation.guidance.gamma=1e-2",
            "reference.particles=2048",
        ] {
            assert_eq!(of(&[setting]), written, "{setting}");
        }
        assert_ne!(key_of_tuning(1, &[&*candidates(ONE)]), written);
    }

    /// The second of two that are alike has other random numbers.
    #[test]
    fn a_rollout_is_a_matter_of_its_place() {
        let (e, _) = resolved(&[
            "rollouts=[(name: \"f\", observation: \"lo\", rollout: Forecast(window: 9, known: 1), conditioning: Guided(noise_std: 0.02))]",
        ]);
        let of =
            |position| rollout("model", ("observation", &e.observations[0]), &e, (position, &e.rollouts[0]));
        assert_ne!(of(0), of(1));
        assert_eq!(of(1), of(1));
    }

    /// The same instrument in another unit stops corrections at the same noise of the state.
    #[test]
    fn a_gate_is_in_the_states_unit() {
        let gated = |operator: &str, noise_std: &str| {
            let settings = [
                "assimilation.sampler.gated=true".to_owned(),
                format!("observations.0.operator={operator}"),
                format!("observations.0.noise_std={noise_std}"),
            ];
            let (e, _) = resolved(&settings.each_ref().map(String::as_str));
            let sampler = &e.assimilation.sampler;
            sampler.with(e.schedule, 1, e.observations[0].noise_of_state()).corrector_floor
        };
        let plain = gated("Components([0])", "0.05");
        assert!((plain - 0.05).abs() < 1e-15, "{plain}");
        let scaled = gated("Compose([Components([0]), Affine(scale: -8.0, offset: 3.0), Arctan])", "0.4");
        assert!((scaled - plain).abs() < 1e-15, "{scaled}");
        let stacked = gated("Stack([(Identity, 0.5), (Affine(scale: 4.0), 2.0)])", "0.4");
        assert!((stacked - plain).abs() < 1e-15, "{stacked}");
    }
}
