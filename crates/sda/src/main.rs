//! The `sda` command.
#![forbid(unsafe_code)]

mod devices;
mod tune;
mod verify;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use sda::device::DeviceChoice;
use sda::experiment::config::Setting;
use sda::experiment::{ExperimentError, Options, Run};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Score-based data assimilation.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an experiment: simulate, train, observe, assimilate, evaluate, report. Run again, it goes on.
    Experiment(Box<ExperimentArguments>),
    /// Choose guidance and sampler of each of an experiment's observations by simulation; run again, it goes on.
    ///
    /// It trains as the experiment does, samples observed validation trajectories with every candidate of the file's
    /// section `tuning`, and prints them beside each other. The experiment uses what is chosen with
    /// `--set assimilation.settings=Tuned`.
    Tune(Box<ExperimentArguments>),
    /// List what an experiment can run on: the CPU and every GPU, with its limits and what it would use.
    Devices,
    /// Write the weights of a finished training in f16, half the bytes; an experiment takes them as it takes the run's.
    Halve {
        /// The run's model.safetensors.
        from: PathBuf,
        /// Where they are written.
        to: PathBuf,
    },
    /// Print the sampler's own error on an exact chain, for every guidance, and whether it is as recorded.
    Verify(verify::Arguments),
}

#[derive(Debug, Args)]
struct ExperimentArguments {
    /// File in experiments/ by exact name or unique prefix, or a path to a .ron file.
    name: String,
    /// Set of sizes: smoke, quick (the default) or paper.
    #[arg(long)]
    tier: Option<String>,
    /// Everything random is a function of it.
    #[arg(long)]
    seed: Option<u64>,
    /// Change a field, as training.epochs=100; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = Setting::parse)]
    settings: Vec<Setting>,
    /// Run directory [default: runs/NAME-TIER]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where generated data lie [default: datasets/]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Threads; 0 is all. Results do not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// What trains and samples: auto (a hardware GPU, else the CPU), cpu, gpu, gpu:<index> or gpu:<part of the name>.
    #[arg(long, default_value_t, overrides_with = "device")]
    device: DeviceChoice,
    /// Seconds between checkpoints, the most work that a kill loses; 0 is at every epoch and sampling step.
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0, value_parser = seconds)]
    checkpoint_seconds: f64,
    /// No progress.
    #[arg(long, short)]
    quiet: bool,
    /// Folder with experiments/ and datasets/.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

/// Exit status of a run that Ctrl-C stopped, as shells have it.
const INTERRUPTED: u8 = 130;
/// Exit status of a run that ended well, with an expectation that was not met.
const MISSED: u8 = 4;

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Experiment(arguments) => experiment(*arguments),
        Command::Tune(arguments) => tune::tune(*arguments),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::Halve { from, to } => halve(&from, &to),
        Command::Devices => say(devices::list().trim_end()).map(|()| true),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(MISSED),
        Err(error) => {
            // Where nobody reads it the exit status says enough.
            let _ = writeln!(std::io::stderr(), "error: failed to {error:#}");
            match error.downcast_ref() {
                Some(ExperimentError::Interrupted { .. }) => ExitCode::from(INTERRUPTED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Says something on stdout; a reader that has gone is no error.
fn say(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        said => said.context("write to stdout"),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let wrong = || "write a number of seconds from 0 to 86400".to_owned();
    text.parse().ok().filter(|s| (0.0..=86400.0).contains(s)).ok_or_else(wrong)
}

/// Halves a file of weights.
fn halve(from: &Path, to: &Path) -> anyhow::Result<bool> {
    let [before, after] = sda::experiment::halve(from, to)?;
    say(&format!("{}: {after} bytes, {before} before", to.display()))?;
    Ok(true)
}

/// Runs an experiment; whether all of its expectations were met.
fn experiment(arguments: ExperimentArguments) -> anyhow::Result<bool> {
    let outcome = prepare(arguments, &[])?.execute()?;
    say(&outcome.report.terminal())?;
    say(&format!("Report: {}", outcome.folder.join("report.html").display()))?;
    Ok(outcome.report.passed())
}

/// Reads and checks an experiment, with some settings beside those of the command line, and catches Ctrl-C.
fn prepare(arguments: ExperimentArguments, more: &[&str]) -> anyhow::Result<Run> {
    let more: Result<Vec<Setting>, String> = more.iter().copied().map(Setting::parse).collect();
    let mut settings = arguments.settings;
    settings.extend(more.map_err(anyhow::Error::msg)?);
    settings.extend(arguments.seed.map(|s| Setting { path: vec!["seed".into()], value: s.to_string() }));
    let interrupted = Arc::new(AtomicBool::new(false));
    // The second Ctrl-C ends the program at once: results are written whole, so nothing is lost but work.
    let signals = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
    for signal in signals {
        let status = i32::from(INTERRUPTED);
        signal_hook::flag::register_conditional_shutdown(signal, status, Arc::clone(&interrupted))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&interrupted)))
            .context("catch Ctrl-C")?;
    }
    let options = Options {
        root: arguments.root,
        out: arguments.out,
        data: arguments.data,
        tier: arguments.tier,
        settings,
        threads: arguments.threads,
        device: arguments.device,
        quiet: arguments.quiet,
        checkpoint: Duration::from_secs_f64(arguments.checkpoint_seconds),
        interrupted,
    };
    Ok(Run::prepare(&arguments.name, &options)?)
}
