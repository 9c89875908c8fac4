use super::*;

fn parse_line(line: &str) -> anyhow::Result<Request> {
    parse(line.split_whitespace().map(OsString::from).collect())
}

/// The last step's arguments after `--manifest-path <file>`, with the verb, as one line.
fn last(line: &str) -> String {
    let Ok(Request::HandOver { last, .. }) = parse_line(line) else { panic!("'{line}' hands nothing over") };
    without_manifest(&last)
}

fn without_manifest(step: &Step) -> String {
    let words = step.words();
    assert_eq!(words[2], "--manifest-path");
    assert!(words[3].ends_with("Cargo.toml"), "{words:?}");
    [&words[1..2], &words[4..]].concat().join(" ")
}

/// Sees to it that the tests' own binary runs, once they are built, with these arguments.
#[track_caller]
fn expect_tests_binary(line: &str, arguments: &str) {
    let Ok(Request::HandOver { before, last }) = parse_line(line) else {
        panic!("'{line}' hands nothing over")
    };
    let [build] = &before[..] else { panic!("{before:?}") };
    assert_eq!(without_manifest(build), "test --workspace --no-run");
    let words = last.words();
    let program = Path::new(&words[0]);
    assert_eq!(program.file_stem(), Some("sda".as_ref()));
    assert!(program.parent().is_some_and(|folder| folder.join("deps").is_dir()), "{words:?}");
    assert_eq!(words[1..].join(" "), arguments);
}

fn failure(line: &str) -> String {
    format!("{:#}", parse_line(line).expect_err("refused"))
}

#[test]
fn an_experiment_runs_the_binary_in_release_with_its_arguments_untouched() {
    assert_eq!(
        last("experiment lorenz --tier smoke --out /tmp/x --set train.rate=1e-3"),
        "run --profile release -p sda -- experiment lorenz --tier smoke --out /tmp/x --set train.rate=1e-3"
    );
    for line in ["experiment --profile test lorenz -v", "experiment lorenz --profile=test -v"] {
        expect_tests_binary(line, "experiment lorenz -v");
    }
    assert_eq!(last("experiment lorenz --profile dev"), "run --profile dev -p sda -- experiment lorenz");
    assert_eq!(
        last("experiment lorenz -- --profile x"),
        "run --profile release -p sda -- experiment lorenz -- --profile x"
    );
    assert!(failure("experiment").contains("name must come first"));
    assert!(failure("experiment --tier smoke").contains("usage: cargo xtask experiment"));
    assert!(failure("experiment lorenz --profile").contains("--profile needs a value"));
}

#[test]
fn an_experiment_is_tuned_by_the_binary() {
    assert_eq!(last("tune lorenz -q"), "run --profile release -p sda -- tune lorenz -q");
    expect_tests_binary("tune --profile test lorenz", "tune lorenz");
    assert!(failure("tune").contains("name must come first"));
    assert!(failure("tune").contains("usage: cargo xtask tune"));
}

#[test]
fn devices_are_listed_by_the_binary() {
    assert_eq!(last("devices"), "run --profile release -p sda -- devices");
    expect_tests_binary("devices --profile test", "devices");
}

#[test]
fn the_sampler_is_verified_by_the_binary() {
    assert_eq!(last("verify --quick"), "run --profile release -p sda -- verify --quick");
    expect_tests_binary("verify --profile test --quick", "verify --quick");
}

#[test]
fn tests_are_those_of_the_workspace_unless_a_package_is_named() {
    assert_eq!(last("test"), "test --workspace");
    assert_eq!(last("test conformance -- --nocapture -p"), "test --workspace conformance -- --nocapture -p");
    assert_eq!(last("test -p sda-graph"), "test -p sda-graph");
    assert_eq!(last("test --package=sda-graph"), "test --package=sda-graph");
    assert_eq!(last("test --slow"), "test --workspace -- --include-ignored --nocapture");
    assert_eq!(
        last("test --slow -p sda-systems -- flow"),
        "test -p sda-systems -- flow --include-ignored --nocapture"
    );
}

#[test]
fn a_peer_is_installed_before_the_benchmark() {
    assert_eq!(last("bench cpu --rounds 3"), "run --release -p sda-benches -- cpu --rounds 3");
    let Ok(Request::HandOver { before, last }) = parse_line("bench cpu --peer jax-cfd --threads 1") else {
        panic!("not parsed")
    };
    assert_eq!(before[0].words()[2], "jax-cfd");
    assert_eq!(without_manifest(&last), "run --release -p sda-benches -- cpu --threads 1 --peer jax-cfd");
    let Ok(Request::HandOver { before, last }) = parse_line("bench cpu --peer torch") else {
        panic!("not parsed")
    };
    assert_eq!(before.len(), 1);
    let script = before[0].words()[1].clone();
    assert!(Path::new(&script).is_file(), "{script} is missing");
    assert_eq!(without_manifest(&last), "run --release -p sda-benches -- cpu --peer torch");
    assert_eq!(last.variables(), []);
    assert!(failure("bench cpu --peer jax").contains("unknown peer 'jax'"));
    assert!(failure("bench --peer torch").contains("suite's name must come first"));
    // Nothing is fetched for what is refused.
    assert!(
        failure("bench lorenz --peer torch").contains("there is no suite «lorenz»; there are cpu and gpu")
    );
    assert!(failure("bench gpu --peer jax-cfd").contains("`bench gpu` has torch"));
}

#[test]
fn an_adapter_compiles_its_kernels_anew_in_every_benchmark() {
    let Ok(Request::HandOver { before, last }) =
        parse_line("bench gpu --sizes small --adapter=1 --peer torch")
    else {
        panic!("not parsed")
    };
    let expected = "run --release -p sda-benches -- gpu --sizes small --adapter=1 --peer torch";
    assert_eq!((before.len(), without_manifest(&last).as_str()), (1, expected));
    let names: Vec<&str> = last.variables().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE"]);
}

#[test]
fn lint_denies_warnings_in_all_of_them() {
    let Ok(Request::All(steps)) = parse_line("lint") else { panic!("not parsed") };
    let lines: Vec<String> = steps.iter().map(without_manifest).collect();
    assert_eq!(
        lines,
        [
            "fmt --all --check",
            "clippy --workspace --all-targets -- -D warnings",
            "doc --workspace --no-deps",
            "clippy -p sda -p sda-device --all-targets --no-default-features -- -D warnings"
        ]
    );
    assert_eq!(steps[2].variables(), [("RUSTDOCFLAGS".into(), "-D warnings".into())]);
    assert!(failure("lint more").contains("unexpected argument \"more\""));
}

#[test]
fn ci_runs_the_script_that_ci_runs() {
    let Ok(Request::HandOver { last, .. }) = parse_line("ci") else { panic!("not parsed") };
    assert!(Path::new(&last.words()[1]).is_file(), "{:?} is missing", last.words());
}

#[test]
fn help_names_every_command() {
    for line in ["", "help", "--help", "-h"] {
        let Ok(Request::Help(text)) = parse_line(line) else { panic!("'{line}' is no help") };
        assert!(COMMANDS.iter().all(|command| text.contains(command.name)), "{text}");
    }
    for command in &COMMANDS {
        let Ok(Request::Help(text)) = parse_line(&format!("help {}", command.name)) else {
            panic!("no help")
        };
        assert!(text.contains(command.usage) && text.contains(command.help));
        if command.name != "help" {
            assert_eq!(parse_line(&format!("{} --help", command.name)).unwrap(), Request::Help(text));
        }
    }
    assert_eq!(parse_line("setup").unwrap(), Request::Setup);
}

#[test]
fn an_unknown_command_names_its_neighbours() {
    assert!(failure("experimant lorenz").contains("did you mean experiment?"));
    assert!(failure("lnit").contains("did you mean lint?"));
    assert!(failure("exp").contains("did you mean experiment?"));
    assert!(failure("frobnicate").contains("`cargo xtask help` lists them"));
    assert!(failure("help tset").contains("did you mean test?"));
}

#[test]
fn distances_are_levenshteins() {
    for (a, b, d) in [("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("same", "same", 0)] {
        assert_eq!((distance(a, b), distance(b, a)), (d, d));
    }
}
