//! Task runner: checks the set-up and hands over to cargo. It depends on none of the workspace's libraries, so
//! that it builds in a second.

mod command;
mod setup;
mod step;

use std::ffi::OsString;
use std::process::ExitCode;

use command::Request;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>) -> anyhow::Result<ExitCode> {
    match command::parse(arguments)? {
        Request::Help(text) => {
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Request::Setup => {
            print!("{}", setup::report()?);
            Ok(ExitCode::SUCCESS)
        }
        Request::HandOver { before, last } => {
            setup::check()?;
            for step in before {
                step.run()?;
            }
            last.hand_over()
        }
        Request::All(steps) => {
            setup::check()?;
            step::run_all(&steps)
        }
    }
}
