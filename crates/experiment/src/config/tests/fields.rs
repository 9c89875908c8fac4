//! Experiments on fields, and what an observation has of its own.

use super::root;
use crate::config::{Candidate, Experiment, Setting, Settings, Tuning, load, load_recipe};
use sda_diffusion::{CovarianceForm, Guidance, Place};

/// The smoke tier of Kolmogorov flow with settings applied.
fn loaded(settings: &[&str]) -> Result<Experiment, String> {
    let settings: Vec<Setting> = settings.iter().map(|s| Setting::parse(s).unwrap()).collect();
    let path = root().join("experiments/kolmogorov.ron");
    let e = load(&path, Some("smoke"), &settings).map_err(|e| e.to_string())?.experiment;
    let mut recipe = load_recipe(&root().join("datasets"), &e.dataset).unwrap();
    recipe.split = e.data.split.unwrap_or(recipe.split);
    recipe.steps = e.data.steps.unwrap_or(recipe.steps);
    e.validate_with(&recipe, &path).map_err(|e| e.to_string())?;
    Ok(e)
}

const LOOP: &str = "observations=[(name: \"loop\", operator: Difference(first: 0, second: 126), noise_std: 0.01, \
    target: 0.0, length: 127, steps: 7, corrections: 3, guidance: Sda(gamma: 0.1), place: Composed)]";

#[test]
fn an_observation_may_have_its_own_length_and_sampling() {
    let e = loaded(&["only=[]", LOOP]).unwrap();
    let own = e.of(&e.observations[0]).assimilation;
    assert_eq!((own.length, own.sampler.steps, own.place), (127, 7, Place::Composed));
    assert_eq!((own.guidance, own.corrections), (Guidance::Sda { gamma: 0.1, detach: false }, vec![3]));
    let plain = loaded(&[]).unwrap();
    assert_eq!(plain.of(&plain.observations[0]), plain);
}

#[test]
fn what_fields_cannot_have_is_told_with_what_they_can() {
    for (settings, words) in [
        (&["reference=(particles: 64, burn_in: 1)"][..], &["reference", "no particle filter"][..]),
        (
            &["score=Local(order: 2, network: ResMlp((features: 10, embedding: 8, hidden_features: [8])))"],
            &["score.network", "use a UNet"],
        ),
        (&["score.network.channels=2"], &["score.network", "reads 2 values"]),
        (&["data.steps=20"], &["assimilation.length", "29 states are longer than the data's 20"]),
        (
            &["observations.0.length=40"],
            &["observations.0.length", "40 states are longer than the data's 32"],
        ),
        (&["observations.0.length=4"], &["score.order", "observations.0.length = 4"]),
        (&["observations.0.operator=Coarsen(6)"], &["observations.0.operator", "6 × 6"]),
        (
            &["observations.0.operator=Mask(Ring(inner: 3.0, outer: 4.0))"],
            &["observations.0.operator", "hides everything"],
        ),
        (&["prior=(samples: 0)"], &["prior.samples", "at least 1"]),
        (&["prior=(samples: 2, length: 4)"], &["prior.length", "window of 5 states, and is 4"]),
        (&["prior=(samples: 2, steps: 0)"], &["prior", "steps"]),
        (
            &["only=[]", "prior=(samples: 2)", "observations.0.name=\"prior\""],
            &["observations.0.name", "choose another name"],
        ),
        (&["observations.0.target=NaN"], &["observations.0.target", "finite"]),
        (&["observations.0.steps=0"], &["observations.0.steps", "at least 1"]),
        (&["observations.0.operator=Difference(first: 0, second: 28)"], &["assimilation.guidance", "coarse"]),
    ] {
        let message = loaded(settings).expect_err(settings[0]);
        for word in words {
            assert!(message.contains(word), "«{word}» is not in: {message}");
        }
    }
}

#[test]
fn the_prior_alone_is_drawn_of_fields_only() {
    let settings = [Setting::parse("prior=(samples: 2)").unwrap()];
    let path = root().join("experiments/lorenz_rozet2023.ron");
    let e = load(&path, Some("smoke"), &settings).unwrap().experiment;
    let recipe = load_recipe(&root().join("datasets"), &e.dataset).unwrap();
    let message = e.validate_with(&recipe, &path).unwrap_err().to_string();
    assert!(message.contains("prior") && message.contains("leave `prior` out"), "{message}");
}

/// A tier's observations are those that it names, as they are in the file; what is resolved names none.
#[test]
fn a_tier_makes_the_observations_that_it_names() {
    let path = root().join("experiments/kolmogorov.ron");
    let of = |tier: &str| load(&path, Some(tier), &[]).unwrap().experiment;
    let names = |e: &Experiment| e.observations.iter().map(|o| o.name.clone()).collect::<Vec<_>>();
    let (all, quick) = (of("paper"), of("quick"));
    assert_eq!(names(&quick), ["coarse", "extrapolation"]);
    assert_eq!(quick.observations[..], all.observations[..2]);
    assert!(all.observations.len() == 9 && quick.only.is_empty());
    // Of variants too, each with its own guidance.
    let variants = load(&path, Some("dps"), &[]).unwrap().variants;
    for (name, e) in &variants {
        assert_eq!(names(e), ["coarse", "extrapolation", "saturating"]);
        let is_dps = |o| matches!(e.of(o).assimilation.guidance, Guidance::Dps { .. });
        assert!(e.observations.iter().all(|o| is_dps(o) == (name == "dps")), "{name}");
    }
    let setting = Setting::parse("only=[\"coarse\", \"corse\"]").unwrap();
    let message = load(&path, Some("paper"), &[setting]).unwrap_err().to_string();
    assert!(
        message.contains("only.1") && message.contains("«corse»") && message.contains("every16"),
        "{message}"
    );
}

/// What is estimated from training trajectories needs them, wherever it is asked for.
#[test]
fn a_covariance_of_the_data_is_found_wherever_it_is_asked_for() {
    let plain = loaded(&[]).unwrap();
    assert!(!plain.estimates_covariances());
    let jfps = Guidance::Jfps { covariance: CovarianceForm::Stationary, iterations: 2 };
    let mut all = [plain.clone(), plain.clone(), plain.clone()];
    all[0].assimilation.guidance = jfps.clone();
    all[1].observations[0].guidance = Some(jfps.clone());
    let sampler = plain.assimilation.sampler.clone();
    let candidate = Candidate { guidance: jfps, place: Place::Auto, corrections: 0, sampler };
    all[2].tuning = Some(Tuning { candidates: vec![candidate], ..Tuning::default() });
    assert_eq!(all.each_ref().map(Experiment::estimates_covariances), [true, true, false]);
    all[2].assimilation.settings = Settings::Tuned;
    assert!(all[2].estimates_covariances(), "candidates that are chosen from");
}
