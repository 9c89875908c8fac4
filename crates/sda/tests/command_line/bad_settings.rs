//! What is asked for can't be: told before anything is written.

use super::sandbox::{Sandbox, fails, stderr};
use std::fs;

/// The small run with one more setting.
#[track_caller]
fn check(setting: &str, words: &[&str]) {
    let sandbox = Sandbox::new();
    fails(&mut sandbox.small(&["--set", setting]), words);
    assert!(sandbox.contents().is_empty(), "something was written");
}

#[test]
fn settings_that_cannot_be() {
    let file = "lorenz_rozet2023.ron";
    check("observations.0.noise_std=-0.1", &[file, "observations.0.noise_std", "positive", "-0.1"]);
    check("observations.0.noise_std=NaN", &[file, "observations.0.noise_std", "positive", "NaN"]);
    check("score.order=13", &[file, "score.order", "27 states", "25"]);
    check("score.order=18446744073709551615", &[file, "score.order"]);
    check("score.order=3", &[file, "score.network.features", "must be", "27"]);
    check("training.epoch=3", &[file, "training.epoch=3", "epoch", "epochs"]);
    check("training.epochs=many", &[file, "training.epochs", "integer"]);
    check("assimilation.trajectories=4", &[file, "assimilation.trajectories", "4", "3"]);
    check("assimilation.length=41", &[file, "assimilation.length", "41", "40"]);
    check("observations.1.operator=Components([3])", &[file, "observations.1.operator"]);
    check("observations.1.operator=Vorticity", &[file, "observations.1.operator"]);
    check("dataset=\"lorenz64\"", &["lorenz64.ron", "recipe"]);
}

/// As other command lines that can't be read.
#[test]
fn settings_without_a_value_end_with_2() {
    let sandbox = Sandbox::new();
    for setting in ["training.epochs", "training.epochs=", ".epochs=3"] {
        let output = sandbox.small(&["--set", setting]).output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(&format!("set «{setting}»")) && text.contains("path.of.field=value"), "{text}");
    }
    assert!(sandbox.contents().is_empty(), "something was written");
}

/// A number is a key of a map before it is a place in it, and a place is one of what is there.
#[test]
fn settings_of_entries_that_are_not_there() {
    check("data.steps.1=3", &["«data.steps»", "no fields"]);
    let sandbox = Sandbox::new();
    let fewer = ["--set", "assimilation.fewer={2: 1}", "--set", "assimilation.fewer.0=2"];
    fails(&mut sandbox.small(&fewer), &["«assimilation.fewer.0»", "entries are 2", "set all of"]);
    let absent = ["lorenz_rozet2023", "--tier", "quick", "--set", "data.split.1=200", "--out"];
    let mut command = sandbox.command(&absent);
    fails(command.arg(sandbox.out()), &["«data.split»", "set all of it: data.split=…"]);
    assert!(sandbox.contents().is_empty(), "something was written");
}

/// A rollout whose windows the network can't take is told before anything is made.
#[test]
fn rollouts_of_a_width_that_the_network_has_not() {
    let sandbox = Sandbox::new();
    let rollouts = |window: u32| {
        format!(
            "rollouts=[(name: \"f\", observation: \"lo\", rollout: Forecast(window: {window}, known: 1), \
             conditioning: Guided(noise_std: 0.02))]"
        )
    };
    let out = sandbox.out();
    let check = |window, words: &[&str]| {
        let setting = rollouts(window);
        let mut command =
            sandbox.command(&["lorenz", "--tier", "smoke", "--device", "cpu", "--set", &setting]);
        fails(command.arg("--out").arg(&out), words);
        assert!(sandbox.contents().is_empty(), "something was written");
    };
    check(33, &["lorenz.ron", "rollouts.0.rollout", "[33]", "divide by 5"]);
    check(66, &["lorenz.ron", "rollouts.0.rollout", "66"]);
}

#[test]
fn names_that_are_not_there() {
    let sandbox = Sandbox::new();
    fails(&mut sandbox.command(&["lorentz"]), &["«lorentz»", "near are", "lorenz"]);
    fails(
        &mut sandbox.command(&["lorenz", "--tier", "smok"]),
        &["«smok»", "smoke", "quick", "paper", "lorenz.ron"],
    );
    fails(&mut sandbox.command(&["experiments/none.ron"]), &["experiments/none.ron"]);
    fails(&mut sandbox.command(&["lorenz", "--checkpoint-seconds=-1"]), &["checkpoint-seconds"]);
    fs::copy(sandbox.path("experiments/lorenz_rozet2023.ron"), sandbox.path("experiments/lorenz_rozet.ron"))
        .unwrap();
    fails(&mut sandbox.command(&["lorenz_r"]), &["lorenz_rozet or lorenz_rozet2023"]);
}

/// Errors of a file tell line and column.
#[test]
fn files_that_cannot_be() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("experiments/lorenz_rozet2023.ron");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, words) in [
        ("batch: 64", "bach: 64", &["training", "bach", "batch"][..]),
        ("batch: 64", "batch: \"many\"", &["training.batch", "integer"]),
        ("sde: Vp", "sde: Vq", &["schedule", "Vq", "Vp"]),
        ("steps: 256", "steps 256", &["assimilation.sampler"]),
    ] {
        let line = good[..good.find(from).unwrap()].lines().count();
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let place = format!("lorenz_rozet2023.ron:{line}:");
        let words: Vec<&str> = words.iter().copied().chain([place.as_str()]).collect();
        fails(&mut sandbox.small(&[]), &words);
    }
    fs::write(&path, &good).unwrap();
    let recipe = sandbox.path("datasets/lorenz63.ron");
    let text = fs::read_to_string(&recipe).unwrap();
    fs::write(&recipe, text.replace("burn_in: 1024", "burn_in: -1")).unwrap();
    fails(&mut sandbox.small(&[]), &["lorenz63.ron:", "burn_in"]);
    fs::write(&recipe, text.replace("Lorenz63()", "Lorenz63(dt: NaN)")).unwrap();
    fails(&mut sandbox.small(&[]), &["lorenz63.ron:\n  system: ", "dt"]);
    fs::write(&recipe, text.replace("Lorenz63()", "Lorenz63(dt: 2.0)")).unwrap();
    fails(&mut sandbox.small(&[]), &["simulate", "not finite", "dt"]);
    assert!(sandbox.store().is_none());
}

#[test]
fn places_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("file");
    fs::write(&file, "kept").unwrap();
    let under = file.join("out");
    let mut command =
        sandbox.command(&["lorenz_rozet2023", "--tier", "smoke", "--out", under.to_str().unwrap()]);
    fails(&mut command, &[file.to_str().unwrap(), "choose another folder"]);
    let mut command =
        sandbox.command(&["lorenz_rozet2023", "--tier", "smoke", "--out", file.to_str().unwrap()]);
    fails(&mut command, &[file.to_str().unwrap(), "choose another folder"]);
    // A folder that not even the super-user may write.
    #[cfg(target_os = "linux")]
    fails(
        &mut sandbox.command(&["lorenz_rozet2023", "--tier", "smoke", "--out", "/proc/sda"]),
        &["/proc/sda"],
    );
    let data = file.join("data");
    let mut command = sandbox.command_with_data(&data, &["lorenz_rozet2023", "--tier", "smoke", "--out"]);
    fails(command.arg(sandbox.out()), &[file.to_str().unwrap(), "choose another folder"]);
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}
