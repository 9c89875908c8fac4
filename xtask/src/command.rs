//! What was asked for, as the steps that do it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use lexopt::{Arg, ValueExt};

use crate::step::Step;

/// A parsed command line.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    /// Print this.
    Help(String),
    /// Check the set-up and say what is there.
    Setup,
    /// Run these one after another, then become the last, with its exit code.
    HandOver {
        /// Steps that must succeed first.
        before: Vec<Step>,
        /// The step that takes over.
        last: Step,
    },
    /// Run all of these even if one fails, and name those that did.
    All(Vec<Step>),
}

struct Command {
    name: &'static str,
    usage: &'static str,
    help: &'static str,
    parse: fn(Vec<OsString>) -> anyhow::Result<Request>,
}

/// The one list of commands: help, near matches and dispatch come from it.
const COMMANDS: [Command; 11] = [
    Command {
        name: "experiment",
        usage: "experiment <name> [options]",
        help: "Runs an experiment of experiments/ with the sda command, built in release.

  <name>           file in experiments/ without its ending, or a prefix of one only
  --profile <P>    another cargo profile than release (CI uses `test`)
  every other option goes to `sda experiment`, such as:
  --tier <T>       smoke (seconds), quick (the default) or paper
  --seed <N>  --threads <N>  --out <folder>  --set <path=value>
  --device <D>     auto (the default), cpu, gpu, gpu:<index> or gpu:<name>

  cargo xtask experiment lorenz
  cargo xtask experiment lorenz --tier smoke --out /tmp/lorenz",
        parse: experiment,
    },
    Command {
        name: "tune",
        usage: "tune <name> [options]",
        help: "Chooses guidance and sampler of an experiment's observations by simulation, with `sda tune`, built in release.

  <name>           as for experiment
  --profile <P>    another cargo profile than release
  every other option goes to `sda tune`, which takes those of `sda experiment`, such as:
  --set tuning.trajectories=16  --set tuning.samples=16

  cargo xtask tune lorenz --set assimilation.twisted=None
  cargo xtask experiment lorenz --set assimilation.twisted=None --set assimilation.settings=Tuned",
        parse: tune,
    },
    Command {
        name: "devices",
        usage: "devices",
        help:
            "Lists what an experiment can run on with `sda devices`, built in release: the CPU and every GPU.

  --profile <P>    another cargo profile than release

  cargo xtask devices",
        parse: devices,
    },
    Command {
        name: "halve",
        usage: "halve <from> <to>",
        help: "Writes the weights of a finished training in f16 with `sda halve`, built in release: half the bytes, as they
are shipped in models/.

  --profile <P>    another cargo profile than release

  cargo xtask halve runs/kolmogorov-quick/model.safetensors models/kolmogorov.safetensors",
        parse: halve,
    },
    Command {
        name: "verify",
        usage: "verify [options]",
        help: "Prints the sampler's own error on an exact chain with `sda verify`, built in release, for every guidance,
window, grid and integrator; fails where a row is not as recorded.

  --quick          the rows that a wrong sampler does not pass
  --profile <P>    another cargo profile than release (CI uses `test`)
  every other option goes to `sda verify`: --threads <N>  --save <file>

  cargo xtask verify
  cargo xtask verify --quick",
        parse: verify,
    },
    Command {
        name: "test",
        usage: "test [options]",
        help: "Runs every test of the workspace: `cargo test --workspace`, with your options added.

  --slow           the tests that take minutes too (statistics of developed flows), with what they print

  cargo xtask test
  cargo xtask test -p sda-graph
  cargo xtask test conformance",
        parse: test,
    },
    Command {
        name: "bench",
        usage: "bench <suite> [--peer torch] [options]",
        help: "Runs a suite of benches/ in release.

  <suite>          cpu or gpu
  --peer torch     also time the same work in PyTorch, in turns; the first time this creates
                   benches/peers/.venv (Python 3.10 or later; up to 5 GB from PyPI)
  --peer jax-cfd   the simulator's items beside the published data generator's solver, the same way (0.5 GB)
  every other option goes to the benchmark, such as:
  --rounds <N>     turns at most
  --save <folder>  writes cpu.md, or gpu-<adapter>.md, and the same as JSON there
cpu:
  --items a,b      these items alone
  --threads <N>    threads of both sides
  --level <L>      instructions of ours: portable, avx2, avx512 … as far as the machine has them
gpu:
  --adapter <A>    index or part of a name (the first that is hardware)
  --sizes <S>      full, as published, or small (full on hardware, small on a program on the CPU)
  --precision <P>  f32, mixed or both
  --only a,b       kernels and programs whose names hold one of these

  cargo xtask bench cpu --peer torch --save benches/reports
  cargo xtask bench cpu --peer jax-cfd --threads 1 --save benches/reports
  cargo xtask bench gpu --peer torch --save benches/reports",
        parse: bench,
    },
    Command {
        name: "lint",
        usage: "lint",
        help: "Formatting, clippy and documentation, all with warnings denied, and a build without GPUs; names those that failed.",
        parse: lint,
    },
    Command {
        name: "ci",
        usage: "ci",
        help: "What continuous integration runs: .ci/run (lint, tests, the smoke experiment).",
        parse: ci,
    },
    Command {
        name: "setup",
        usage: "setup",
        help: "Checks what a build needs (rustc, a C compiler) and says how to get what is missing.",
        parse: setup,
    },
    Command {
        name: "help",
        usage: "help [command]",
        help: "This text, or that of one command.",
        parse: help,
    },
];

/// The folder of the workspace, as cargo says when it runs this; not where it was compiled: clones that share a target
/// folder share the program.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_path_buf()
}

/// Reads the command line after `cargo xtask`.
pub(crate) fn parse(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    let mut arguments = arguments.into_iter();
    let Some(first) = arguments.next() else { return Ok(Request::Help(overview())) };
    let rest: Vec<OsString> = arguments.collect();
    let name = first.to_string_lossy();
    if name == "--help" || name == "-h" {
        return Ok(Request::Help(overview()));
    }
    let command = find(&name)?;
    if command.name != "help" && rest.first().is_some_and(|a| a == "--help" || a == "-h") {
        return Ok(Request::Help(details(command)));
    }
    (command.parse)(rest).map_err(|error| anyhow!("{error:#}\nusage: cargo xtask {}", command.usage))
}

fn find(name: &str) -> anyhow::Result<&'static Command> {
    if let Some(command) = COMMANDS.iter().find(|command| command.name == name) {
        return Ok(command);
    }
    let near: Vec<&str> =
        COMMANDS.iter().map(|command| command.name).filter(|known| is_near(name, known)).collect();
    let hint = if near.is_empty() { "`cargo xtask help` lists them".to_owned() } else { near.join(" or ") };
    let question = if near.is_empty() { "" } else { "did you mean " };
    bail!("unknown command '{name}': {question}{hint}{}", if near.is_empty() { "" } else { "?" })
}

/// A prefix, or at most two insertions, deletions or replacements away, and no more than half of what was typed.
fn is_near(name: &str, known: &str) -> bool {
    let away = distance(name, known);
    (name.len() >= 2 && known.starts_with(name)) || (away <= 2 && 2 * away <= name.chars().count())
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn overview() -> String {
    let line = |command: &Command| {
        let first = command.help.lines().next().unwrap_or("");
        format!(
            "  {:<40} {first}
",
            command.usage
        )
    };
    let lines: String = COMMANDS.iter().map(line).collect();
    format!(
        "Tasks of the workspace.

Usage: cargo xtask <command>

{lines}
`cargo xtask help <command>` says more.
"
    )
}

fn details(command: &Command) -> String {
    format!("Usage: cargo xtask {}\n\n{}\n", command.usage, command.help)
}

fn experiment(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    with_experiment("experiment", arguments)
}

fn tune(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    with_experiment("tune", arguments)
}

/// A command of `sda` that is about one experiment.
fn with_experiment(command: &str, arguments: Vec<OsString>) -> anyhow::Result<Request> {
    let (profile, rest) = take_option(arguments, "profile")?;
    if rest.first().is_none_or(|name| name.to_string_lossy().starts_with('-')) {
        bail!("the experiment's name must come first");
    }
    sda(command, profile, rest)
}

fn devices(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    let (profile, rest) = take_option(arguments, "profile")?;
    sda("devices", profile, rest)
}

fn halve(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    let (profile, rest) = take_option(arguments, "profile")?;
    sda("halve", profile, rest)
}

fn verify(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    let (profile, rest) = take_option(arguments, "profile")?;
    sda("verify", profile, rest)
}

/// `sda <command>`, built in release or in another profile.
///
/// In the profile of the tests it is the binary that they are run with: built alone it would have other features of its
/// dependencies, and half of them would be compiled again.
fn sda(command: &str, profile: Option<OsString>, rest: Vec<OsString>) -> anyhow::Result<Request> {
    let profile = profile.unwrap_or_else(|| "release".into());
    if profile == "test" {
        let before = vec![cargo_at_root("test").args(["--workspace", "--no-run"])];
        let last = Step::new(beside_this("sda")?).args([command]).args(rest);
        return Ok(Request::HandOver { before, last });
    }
    let last = cargo_at_root("run").args(["--profile"]).args([profile]).args(["-p", "sda", "--", command]);
    Ok(Request::HandOver { before: Vec::new(), last: last.args(rest) })
}

/// A program that cargo puts into the folder where it has put this one; a test's own is one further down.
fn beside_this(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where xtask itself is")?;
    let folder = this.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    let folder = folder.context("xtask is in no folder")?;
    Ok(folder.join(name).with_extension(std::env::consts::EXE_EXTENSION))
}

#[allow(clippy::unnecessary_wraps)] // the list of commands holds functions of one type
fn test(mut arguments: Vec<OsString>) -> anyhow::Result<Request> {
    let given = arguments.len();
    arguments.retain(|a| a != "--slow");
    if arguments.len() < given {
        let harness = if arguments.iter().any(|a| a == "--") { &[][..] } else { &["--"][..] };
        arguments.extend(harness.iter().chain(&["--include-ignored", "--nocapture"]).map(OsString::from));
    }
    // A package named by the caller takes the place of the whole workspace.
    let before_harness = arguments.iter().take_while(|a| *a != "--");
    let mut names = before_harness.map(|a| a.to_string_lossy());
    let chosen = names.any(|a| a.starts_with("-p") || a.starts_with("--package"));
    let scope: &[&str] = if chosen { &[] } else { &["--workspace"] };
    Ok(Request::HandOver { before: Vec::new(), last: cargo_at_root("test").args(scope).args(arguments) })
}

fn bench(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    let (peer, rest) = take_option(arguments, "peer")?;
    if rest.first().is_none_or(|suite| suite.to_string_lossy().starts_with('-')) {
        bail!("the suite's name must come first");
    }
    // Before a peer of some GB is fetched.
    let suite = rest[0].to_string_lossy().into_owned();
    if !["cpu", "gpu"].contains(&&*suite) {
        bail!("there is no suite «{suite}»; there are cpu and gpu");
    }
    let on_gpu = suite == "gpu";
    if on_gpu && peer.as_ref().is_some_and(|peer| peer == "jax-cfd") {
        bail!("jax-cfd is a peer of `bench cpu`; `bench gpu` has torch");
    }
    // Drivers keep translated kernels on disk; the time of a first compilation is told without them.
    let mut last = cargo_at_root("run").args(["--release", "-p", "sda-benches", "--"]).args(rest);
    if on_gpu {
        // Mesa's cache is a fresh one and not off: without any, llvmpipe translates kernels again within a run.
        let fresh = std::env::temp_dir().join(format!("sda-bench-kernels-{}", std::process::id()));
        last = last.env("MESA_SHADER_CACHE_DIR", &fresh.to_string_lossy()).env("__GL_SHADER_DISK_CACHE", "0");
    }
    let before = match peer {
        None => Vec::new(),
        Some(peer) if peer == "torch" => {
            last = last.args(["--peer", "torch"]);
            vec![Step::new("bash").args([root().join("benches/peers/setup.sh")])]
        }
        Some(peer) if peer == "jax-cfd" => {
            last = last.args(["--peer", "jax-cfd"]);
            vec![
                Step::new("bash")
                    .args([root().join("benches/peers/setup.sh").into(), OsString::from("jax-cfd")]),
            ]
        }
        Some(peer) => bail!("unknown peer '{}'; there are torch and jax-cfd", peer.to_string_lossy()),
    };
    Ok(Request::HandOver { before, last })
}

fn lint(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    nothing_more(arguments)?;
    Ok(Request::All(vec![
        cargo_at_root("fmt").args(["--all", "--check"]),
        cargo_at_root("clippy").args(["--workspace", "--all-targets", "--", "-D", "warnings"]),
        cargo_at_root("doc").args(["--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
        cargo_at_root("clippy").args(["-p", "sda", "-p", "sda-device"]).args([
            "--all-targets",
            "--no-default-features",
            "--",
            "-D",
            "warnings",
        ]),
    ]))
}

fn ci(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    nothing_more(arguments)?;
    Ok(Request::HandOver { before: Vec::new(), last: Step::new("bash").args([root().join(".ci/run")]) })
}

fn setup(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    nothing_more(arguments)?;
    Ok(Request::Setup)
}

fn help(arguments: Vec<OsString>) -> anyhow::Result<Request> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let Some(argument) = parser.next()? else { return Ok(Request::Help(overview())) };
    let Arg::Value(name) = argument else { return Err(argument.unexpected().into()) };
    nothing_more(parser.raw_args()?.collect())?;
    Ok(Request::Help(details(find(&name.string()?)?)))
}

fn nothing_more(arguments: Vec<OsString>) -> anyhow::Result<()> {
    match lexopt::Parser::from_args(arguments).next()? {
        Some(argument) => Err(argument.unexpected().into()),
        None => Ok(()),
    }
}

/// The value of `--name value` or `--name=value`, wherever it stands before a `--`, and everything else untouched.
fn take_option(arguments: Vec<OsString>, name: &str) -> anyhow::Result<(Option<OsString>, Vec<OsString>)> {
    let flag = format!("--{name}");
    let (mut value, mut rest) = (None, Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--" {
            rest.push(argument);
            rest.extend(arguments.by_ref());
        } else if text == flag {
            value = Some(arguments.next().with_context(|| format!("{flag} needs a value"))?);
        } else if let Some(given) = text.strip_prefix(&format!("{flag}=")) {
            value = Some(given.into());
        } else {
            rest.push(argument);
        }
    }
    Ok((value, rest))
}

/// `cargo <verb>` on this workspace from wherever the caller stands, so that relative paths stay the caller's.
fn cargo_at_root(verb: &str) -> Step {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Step::new(cargo).args([verb, "--manifest-path"]).args([root().join("Cargo.toml")])
}

#[cfg(test)]
mod tests;
