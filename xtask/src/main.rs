//! Task runner: checks the set-up and hands over to cargo. It depends on none of the workspace's libraries, so
//! that it builds in a second.

mod command;
mod setup;
mod step;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use command::Request;

/// Exit status of a step that failed.
const FAILED: u8 = 1;
/// Exit status of a command line that can't be read, as `sda` has it.
const UNREADABLE: u8 = 2;

fn main() -> ExitCode {
    run(std::env::args_os().skip(1).collect()).unwrap_or_else(|(status, error)| {
        // Where nobody reads it the exit status says enough.
        let _ = writeln!(std::io::stderr(), "xtask: {error:#}");
        ExitCode::from(status)
    })
}

/// Errors: what went wrong, after its exit status.
fn run(arguments: Vec<OsString>) -> Result<ExitCode, (u8, anyhow::Error)> {
    let request = command::parse(arguments).map_err(|error| (UNREADABLE, error))?;
    answer(request).map_err(|error| (FAILED, error))
}

fn answer(request: Request) -> anyhow::Result<ExitCode> {
    match request {
        Request::Help(text) => {
            say(&mut std::io::stdout(), &text)?;
            Ok(ExitCode::SUCCESS)
        }
        Request::Setup => {
            say(&mut std::io::stdout(), &setup::report()?)?;
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

/// Writes a text that ends its last line; a reader that has gone is no error.
fn say(to: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said.context("cannot write to stdout"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing, for this reason.
    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is() {
        say(&mut Closed(ErrorKind::BrokenPipe), "help\n").unwrap();
        let message = format!("{:#}", say(&mut Closed(ErrorKind::StorageFull), "help\n").unwrap_err());
        assert!(message.starts_with("cannot write to stdout: "), "{message}");
        let mut text = Vec::new();
        say(&mut text, "help\n").unwrap();
        assert_eq!(text, b"help\n");
    }

    #[test]
    fn a_command_line_that_cannot_be_read_ends_with_2() {
        for line in ["experiment", "tune --profile", "bench", "lint more", "frobnicate", "help tset"] {
            let ended = run(line.split_whitespace().map(OsString::from).collect());
            assert_eq!(ended.unwrap_err().0, 2, "{line}");
        }
    }
}
