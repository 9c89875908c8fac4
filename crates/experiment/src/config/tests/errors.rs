//! A bad file or setting is told with its place, its field and what was expected.

use super::{SMALL, Written};

/// The message for `SMALL` with one text replaced.
#[track_caller]
fn message(from: &str, to: &str) -> String {
    assert_eq!(SMALL.matches(from).count(), 1, "«{from}»");
    let file = Written::new(&SMALL.replace(from, to));
    let error = file.load(None, &[]).expect_err(to);
    let message = error.to_string();
    assert!(message.contains(file.path.to_str().unwrap()), "{message}");
    message
}

/// The message tells line and column of the replaced text's line, and these words.
#[track_caller]
fn check_place(from: &str, to: &str, words: &[&str]) {
    let message = message(from, to);
    let line = SMALL[..SMALL.find(from).unwrap()].lines().count();
    let place = message.split("small.ron:").nth(1).unwrap_or_else(|| panic!("no place in: {message}"));
    let mut numbers = place.split(':');
    let found: usize = numbers.next().unwrap().parse().unwrap();
    let column: usize = numbers.next().unwrap().parse().unwrap_or_else(|_| panic!("no column in: {message}"));
    assert!(found == line && column > 0, "expected line {line}: {message}");
    for word in words {
        assert!(message.contains(word), "«{word}» is not in: {message}");
    }
}

/// The message of a value out of range names the field and these words.
#[track_caller]
fn check_value(from: &str, to: &str, words: &[&str]) {
    let message = message(from, to);
    for word in words {
        assert!(message.contains(word), "«{word}» is not in: {message}");
    }
}

#[test]
fn unknown_fields() {
    check_place("batch: 8", "batches: 8", &["training", "batches", "epochs", "batch"]);
    check_place("seed: 1,", "seed: 1, sed: 2,", &["sed", "seed"]);
    check_place("(steps: 8)", "(steps: 8, tua: 1.0)", &["assimilation.sampler", "tua", "tau"]);
    check_place("(steps: 8)", "(steps: 8, corrections: 1)", &["assimilation.sampler", "corrections"]);
    check_place(
        "guidance: Sda(gamma: 3e-2)",
        "guidance: Sdo(gamma: 3e-2)",
        &["guidance", "Sdo", "Sda", "Dps"],
    );
    check_place("seed: 1,", "seed: 1, precision: F16,", &["precision", "F16", "F32", "Mixed"]);
}

#[test]
fn wrong_types() {
    check_place("batch: 8", "batch: \"eight\"", &["training.batch", "integer"]);
    check_place("batch: 8", "batch: -8", &["training.batch", "not negative"]);
    check_place("batch: 8", "batch: 8.5", &["training", "comma"]);
    check_place("noise_std: 0.25", "noise_std: true", &["observations[1].noise_std", "float"]);
    check_place("corrections: [0, 1]", "corrections: 1", &["assimilation.corrections"]);
    check_place("title: \"small, (odd) [title] // no comment\"", "title: 3", &["title", "string"]);
}

#[test]
fn missing_fields_and_broken_text() {
    check_place_anywhere("    seed: 1,\n", "", &["seed"]);
    check_place_anywhere("samples: 8,", "", &["samples", "assimilation"]);
    check_place_anywhere("batch: 8,", "batch: 8", &["training", "omma"]);
    check_place_anywhere("seed: 1,", "seed: ,", &["seed"]);
    check_place_anywhere("    },\n)\n", "    },\n", &["small.ron:"]);
    check_place_anywhere("    },\n)\n", "    },\n)\nmore", &["the end"]);
}

/// As `check_place`, where the reader stops elsewhere than at the replaced text.
#[track_caller]
fn check_place_anywhere(from: &str, to: &str, words: &[&str]) {
    let message = message(from, to);
    let place = message.split("small.ron:").nth(1).unwrap_or_else(|| panic!("no place in: {message}"));
    let numbers: Vec<&str> = place.split(':').take(2).collect();
    assert!(numbers.iter().all(|n| n.parse::<usize>().is_ok_and(|n| n > 0)), "{message}");
    for word in words {
        assert!(message.contains(word), "«{word}» is not in: {message}");
    }
}

#[test]
fn values_out_of_range() {
    check_value("noise_std: 0.25", "noise_std: -0.25", &["observations.1.noise_std", "positive", "-0.25"]);
    check_value("noise_std: 0.25", "noise_std: NaN", &["observations.1.noise_std", "positive", "NaN"]);
    check_value("noise_std: 0.25", "noise_std: inf", &["observations.1.noise_std", "finite", "inf"]);
    check_value("noise_std: 0.25", "noise_std: 1e-300", &["observations.1.noise_std", "single precision"]);
    check_value("(steps: 8)", "(steps: 4294967295)", &["assimilation.sampler", "steps", "at most"]);
    check_value("burn_in: 4", "burn_in: 4, bootstrap: 0", &["reference.bootstrap", "at least", "8"]);
    check_value("learning_rate: 1e-3", "learning_rate: NaN", &["training.learning_rate", "positive", "NaN"]);
    check_value("epochs: 4", "epochs: 0", &["training.epochs", "at least 1"]);
    check_value("batch: 8,", "batch: 8, average: 1.5,", &["training.average", "[0, 1)", "1.5"]);
    check_value(
        "batch: 8,",
        "batch: 8, optimiser: (betas: (0.9, 1.0)),",
        &["training.optimiser.betas", "[0, 1)"],
    );
    check_value("batch: 8,", "batch: 8, optimiser: (weight_decay: -1.0),", &["weight_decay", "not negative"]);
    check_value(
        "batch: 8,",
        "batch: 8, optimiser: (epsilon: 1e-50),",
        &["training.optimiser.epsilon", "single precision", "1e-50"],
    );
    check_value(
        "batch: 8,",
        "batch: 8, times: LogNormal(mean: -1.2, std: 0.0),",
        &["training.times", "times.std", "positive"],
    );
    check_value("gamma: 3e-2", "gamma: -1.0", &["assimilation.guidance", "gamma", "-1"]);
    check_value("(steps: 8)", "(steps: 0)", &["assimilation.sampler", "steps", "at least 1"]);
    check_value("(steps: 8)", "(steps: 8, tau: NaN)", &["assimilation.sampler", "tau", "NaN"]);
    check_value("samples: 8", "samples: 1", &["assimilation.samples", "at least 2"]);
    check_value(
        "noise_std: 0.25",
        "noise_std: 0.25, target: 1e39",
        &["observations.1.target: is beyond what single precision holds: 1e39"],
    );
    check_value("noise_std: 0.25", "noise_std: 0.25, steps: 0", &["observations.1.steps", "at least 1"]);
    check_value("particles: 64", "particles: 4", &["reference.particles", "at least", "8"]);
    check_value("corrections: [0, 1]", "corrections: [1, 1]", &["assimilation.corrections", "twice"]);
    check_value("corrections: [0, 1]", "corrections: []", &["assimilation.corrections", "at least one"]);
    check_value("name: \"hi\"", "name: \"lo\"", &["observations.1.name", "«lo»", "twice"]);
    check_value("name: \"hi\"", "name: \"../hi\"", &["observations.1.name", "letters"]);
    check_value(
        "hidden_features: [16, 16]",
        "hidden_features: [16, 0]",
        &["score.network", "hidden_features"],
    );
    check_value(
        "hidden_features: [16, 16]",
        "hidden_features: [16, 4000000000]",
        &["score.network", "more than 1073741823 weights", "hidden_features"],
    );
    check_value("samples: 8", "samples: 18446744073709551615", &["assimilation.samples", "at most"]);
    check_value(
        "seed: 1,",
        "seed: 1, evaluation: (modes: (component: 0, least_mass: 1.5)),",
        &["evaluation.modes.least_mass", "at most 1", "1.5"],
    );
}

#[test]
fn windows_longer_than_the_trajectory() {
    check_value("order: 2", "order: 9", &["score.order", "19 states", "17"]);
    check_value("order: 2", "order: 18446744073709551615", &["score.order", "longer"]);
    check_value("order: 2", "order: 2, stride: 6", &["score.stride", "1 … 5", "6"]);
}

/// One message tells all.
#[test]
fn all_problems_at_once() {
    let text = SMALL.replace("epochs: 4", "epochs: 0").replace("noise_std: 0.05", "noise_std: -1");
    let message = Written::new(&text).load(None, &[]).unwrap_err().to_string();
    assert!(message.contains("training.epochs") && message.contains("observations.0.noise_std"), "{message}");
}

/// A rollout that fits, and what is wrong with others.
#[test]
fn rollouts() {
    let of = |rollout: &str, conditioning: &str, observation: &str| {
        format!(
            "rollouts=[(name: \"r\", observation: \"{observation}\", rollout: {rollout}, conditioning: {conditioning})]"
        )
    };
    let load =
        |settings: &[&str]| Written::new(SMALL).load(None, settings).map(|_| ()).map_err(|e| e.to_string());
    let with = |rollout: &str, conditioning: &str, observation: &str| {
        load(&[&of(rollout, conditioning, observation)])
    };
    let guided = "Guided(noise_std: 0.02)";
    with("Forecast(window: 5, known: 1)", guided, "lo").unwrap();
    let cycle = of("Cycle(window: 9, advance: 4, start: 0.5)", "Levels", "hi");
    load(&["training.levels=PerState(share: 0.5)", &cycle]).unwrap();
    let message = load(&[&cycle]).unwrap_err();
    assert!(message.contains("rollouts.0.conditioning") && message.contains("PerState"), "{message}");
    // There is no covariance for windows of a rollout; a forecast from levels takes none.
    let jfps = "assimilation.guidance=Jfps(covariance: Diagonal)";
    let message = load(&[jfps, &of("Forecast(window: 5, known: 1)", guided, "lo")]).unwrap_err();
    assert!(message.contains("rollouts.0.guidance") && message.contains("choose MMPS"), "{message}");
    let ahead = of("Forecast(window: 5, known: 1)", "Levels", "lo");
    load(&[jfps, "training.levels=PerState(share: 0.5)", &ahead]).unwrap();
    for (rollout, conditioning, observation, words) in [
        ("Forecast(window: 5, known: 5)", guided, "lo", "rollouts.0.rollout"),
        ("Forecast(window: 3, known: 1)", guided, "lo", "the network's are of 5; lengthen them"),
        (
            "FixedLag(lag: 4, known: 1, advance: 8)",
            guided,
            "lo",
            "a lag of 4 states is shorter than a block of 8",
        ),
        ("Smoothing", "Guided(noise_std: 0)", "lo", "rollouts.0.conditioning"),
        ("Smoothing", guided, "mid", "there is no observation «mid»"),
        (
            "FixedLag(lag: 18446744073709551600, known: 48, advance: 8)",
            guided,
            "lo",
            "longer than the trajectory",
        ),
        ("Cycle(window: 9, advance: 4, start: 0.0001)", guided, "lo", "leaves no step"),
    ] {
        let message = with(rollout, conditioning, observation).unwrap_err();
        assert!(message.contains(words), "{message}");
    }
}

/// With variants an expectation is one of theirs.
#[test]
fn expectations_of_no_variant() {
    let variants = "variants=[(name: \"a\", settings: [\"assimilation.sampler.steps=4\"])]";
    let load = |expect: &str| {
        let settings = [variants, expect];
        Written::new(SMALL).load(Some("quick"), &settings).map(|_| ()).map_err(|e| e.to_string())
    };
    let of = |metric: &str, more: &str| {
        format!("expect=[(metric: \"{metric}\", at_most: 1.0, source: \"x\"{more})]")
    };
    load(&of("a.lo.1.rmse", "")).unwrap();
    load(&of("b.lo.1.rmse", ", tiers: [\"smoke\"]")).unwrap();
    for metric in ["b.lo.1.rmse", "lo.1.rmse"] {
        let message = load(&of(metric, "")).unwrap_err();
        assert!(message.contains("expect.0.metric") && message.contains("is no variant"), "{message}");
    }
}

#[test]
fn raw_strings_are_strings() {
    for title in [r##"r#"The "best" (5" flow"#"##, r#"r"C:\""#, r##"r#"r"a"#"##] {
        let file = Written::new(&SMALL.replace("\"small, (odd) [title] // no comment\"", title));
        let loaded =
            file.load(Some("smoke"), &["seed=3"]).unwrap_or_else(|e| panic!("{title}: failed to {e}"));
        assert_eq!((loaded.experiment.seed, loaded.experiment.training.epochs), (3, 2), "{title}");
    }
}

#[test]
fn what_is_not_there() {
    let folder = super::root().join("experiments");
    let path = crate::config::find(&folder, "nowhere/small.ron").unwrap();
    let message = crate::config::load(&path, None, &[]).unwrap_err().to_string();
    assert!(message.contains("nowhere/small.ron") && message.contains("spelled right"), "{message}");
    let recipes = super::root().join("datasets");
    let message = crate::config::load_recipe(&recipes, "kolmogorov_smok").unwrap_err().to_string();
    assert!(message.contains("«kolmogorov_smok»") && message.contains("kolmogorov_smoke"), "{message}");
}

#[test]
fn a_recipe_of_a_system_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(super::root().join("datasets/lorenz63.ron")).unwrap();
    assert_eq!(good.matches("Lorenz63()").count(), 1);
    let path = folder.path().join("bad.ron");
    std::fs::write(&path, good.replace("Lorenz63()", "Lorenz63(dt: NaN)")).unwrap();
    let message = crate::config::load_recipe(folder.path(), "bad").unwrap_err().to_string();
    assert!(message.contains(&format!("{}:\n  system: ", path.display())), "{message}");
    assert!(message.contains("`dt`"), "{message}");
}

/// A variant's values are told with its name.
#[test]
fn values_of_a_variant() {
    let file = Written::new(SMALL);
    for (setting, words) in [
        ("assimilation.sampler.steps=0", "variant a: assimilation.sampler: "),
        ("only=[\\\"mid\\\"]", "variant a: only.0: there is no observation «mid»"),
        ("score.order=1", "variant a: score.network.features: must be 3 states"),
    ] {
        let variants = format!("variants=[(name: \"a\", settings: [\"{setting}\"])]");
        let recipe = crate::config::load_recipe(&super::root().join("datasets"), "lorenz63").unwrap();
        let loaded = file.load(None, &[&variants]).and_then(|loaded| loaded.validate_with(&recipe));
        let message = loaded.expect_err(setting).to_string();
        assert!(message.contains(words) && message.contains("small.ron"), "{message}");
    }
}

#[test]
fn tiers() {
    let file = Written::new(SMALL);
    let message = file.load(Some("smok"), &[]).unwrap_err().to_string();
    assert!(message.contains("«smok»") && message.contains("quick, smoke, wrong"), "{message}");
    let message = file.load(Some("wrong"), &[]).unwrap_err().to_string();
    for word in ["tier wrong", "training.epoch=2", "epochs", "small.ron"] {
        assert!(message.contains(word), "«{word}» is not in: {message}");
    }
}

#[test]
fn settings() {
    let file = Written::new(SMALL);
    for (setting, words) in [
        ("training.epoch=2", &["--set «training.epoch=2»", "epochs"][..]),
        ("trainin.epochs=2", &["`trainin`", "`training`", "`seed`"]),
        ("training.epochs=many", &["training.epochs=many", "training.epochs", "integer"]),
        ("training.epochs=(", &["training.epochs=("]),
        ("training.epochs=1)", &["training.epochs=1)"]),
        ("observations.2.noise_std=1", &["«observations.2»", "2"]),
        ("seed.low=1", &["«seed»", "no fields"]),
    ] {
        let message = file.load(None, &[setting]).expect_err(setting).to_string();
        for word in words.iter().chain(&["small.ron"]) {
            assert!(message.contains(word), "«{word}» is not in: {message}");
        }
    }
}

#[test]
fn the_data_must_hold_what_is_asked() {
    let file = Written::new(SMALL);
    let recipe = crate::config::load_recipe(&super::root().join("datasets"), "lorenz63").unwrap();
    for (setting, steps, split, words) in [
        ("seed=1", 16, (4, 2, 1), &["assimilation.length", "17", "16"][..]),
        ("seed=1", 64, (0, 2, 1), &["data.split"]),
        ("seed=1", 64, (4, 2, 0), &["assimilation.trajectories", "1", "0"]),
        ("seed=1", 64, (usize::MAX, 2, 1), &["data.split", "at most"]),
        ("score.order=1", 64, (4, 2, 1), &["score.network.features", "3 states × 3 components = 9", "15"]),
        ("observations.0.operator=Components([3])", 64, (4, 2, 1), &["observations.0.operator"]),
        ("observations.0.operator=EveryNth(0)", 64, (4, 2, 1), &["observations.0.operator"]),
        ("observations.0.operator=Vorticity", 64, (4, 2, 1), &["observations.0.operator"]),
        ("observations.0.operator=Affine(scale: inf)", 64, (4, 2, 1), &["observations.0.operator", "finite"]),
        (
            "assimilation.guidance=SdaPerVariable(gamma: [1e-2, 1e-2])",
            64,
            (4, 2, 1),
            &["assimilation.guidance", "«lo»", "2 γ", "1 observed"],
        ),
        (
            "assimilation=(length: 17, trajectories: 1, samples: 8, corrections: [0], place: Windowed, \
             guidance: SdaSpectral(gamma: [1e-2]), sampler: (steps: 8))",
            64,
            (4, 2, 1),
            &["assimilation.guidance", "«lo»", "place: Composed"],
        ),
        ("evaluation.modes=(component: 3)", 64, (4, 2, 1), &["evaluation.modes.component", "3"]),
        ("reference.particles=100000000", 64, (4, 2, 1), &["reference.particles", "17 states", "5100000000"]),
    ] {
        let settings: &[&str] =
            if setting == "score.order=1" { &[setting, "score.network.features=15"] } else { &[setting] };
        let recipe = crate::config::Recipe { steps, split, ..recipe.clone() };
        let message = match file.load(None, settings) {
            Ok(loaded) => {
                loaded.experiment.validate_with(&recipe, &file.path).expect_err(setting).to_string()
            }
            Err(e) => e.to_string(),
        };
        for word in words.iter().chain(&["small.ron"]) {
            assert!(message.contains(word), "«{word}» is not in: {message}");
        }
    }
}

/// A target may be longer than the data, of which JFPS takes a covariance.
#[test]
fn jfps_on_more_states_than_the_data_has() {
    let target = |length: usize, place: &str| {
        format!(
            "observations=[(name: \"lo\", operator: Components([0]), noise_std: 0.05, target: 0.0, length: {length}, \
             guidance: Jfps(covariance: Diagonal), place: {place})]"
        )
    };
    let file = Written::new(SMALL);
    let recipe = crate::config::load_recipe(&super::root().join("datasets"), "lorenz63").unwrap();
    let recipe = crate::config::Recipe { steps: 32, split: (4, 2, 1), ..recipe };
    let check = |length: usize, place: &str| {
        let loaded = file.load(None, &["reference=None", &target(length, place)]).unwrap();
        loaded.validate_with(&recipe).map_err(|e| e.to_string())
    };
    check(32, "Composed").unwrap();
    check(33, "Windowed").unwrap();
    let message = check(33, "Composed").unwrap_err();
    for word in ["observations.0.length: ", "covariance of 33 states", "have 32", "choose MMPS"] {
        assert!(message.contains(word), "«{word}» is not in: {message}");
    }
}

/// Guidance that serves the observation, and not the rollout's windows, is refused before anything is made.
#[test]
fn guidance_that_does_not_serve_the_windows_of_a_rollout() {
    let file = Written::new(SMALL);
    let recipe = crate::config::load_recipe(&super::root().join("datasets"), "lorenz63").unwrap();
    let recipe = crate::config::Recipe { steps: 32, split: (4, 2, 1), ..recipe };
    let check = |guidance: &str, rollout: &str, conditioning: &str, own: &str| {
        let rollout = format!(
            "rollouts=[(name: \"r\", observation: \"lo\", rollout: {rollout}, conditioning: {conditioning}{own})]"
        );
        let guidance = format!("assimilation.guidance={guidance}");
        let levels = ["training.levels=PerState(share: 0.5)", "score.network.features=20"];
        let loaded = file.load(None, &[levels[0], levels[1], &guidance, &rollout]).unwrap();
        loaded.validate_with(&recipe).map_err(|e| e.to_string())
    };
    let (levels, guided) = ("Levels", "Guided(noise_std: 0.02)");
    let (ahead, lag) = ("Forecast(window: 5, known: 1)", "FixedLag(lag: 8, known: 1, advance: 4)");
    let gammas = |n: usize| format!("SdaPerVariable(gamma: {:?})", vec![3e-2; n]);
    let spectral = format!("SdaSpectral(gamma: {:?})", [3e-2; 17]);
    for (guidance, rollout, conditioning, told) in [
        (&*gammas(1), lag, guided, "1 γ for 4 observed variables"),
        (&gammas(1), ahead, guided, "1 γ for 3 observed variables"),
        (&spectral, lag, levels, "17 γ, and there are 9 observed states"),
        ("Sda(gamma: 3e-2, detach: true)", lag, levels, "would move states that are known"),
    ] {
        // A forecast from levels is not guided.
        check(guidance, ahead, levels, "").unwrap();
        let message = check(guidance, rollout, conditioning, "").unwrap_err();
        assert!(message.contains("rollouts.0: ") && message.contains(told), "{message}");
    }
    check(&gammas(1), lag, guided, &format!(", guidance: {}", gammas(4))).unwrap();
}
