//! One process to run, with this one's input and output.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, bail};

/// A program, its arguments and variables added to its environment.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
}

impl Step {
    /// A program found on the path, without arguments.
    pub(crate) fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// Further arguments.
    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// A variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it and waits; a failure is an error that names it.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let status = self.status()?;
        if !status.success() {
            bail!("`{self}` failed with {status}");
        }
        Ok(())
    }

    /// Becomes the program, so that signals and the exit code are its own.
    #[cfg(unix)]
    pub(crate) fn hand_over(&self) -> anyhow::Result<ExitCode> {
        use std::os::unix::process::CommandExt;
        let error = self.command().exec();
        Err(error).with_context(|| format!("cannot start `{self}`"))
    }

    /// Runs the program and ends with its exit code.
    #[cfg(not(unix))]
    pub(crate) fn hand_over(&self) -> anyhow::Result<ExitCode> {
        let code = self.status()?.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }

    fn status(&self) -> anyhow::Result<ExitStatus> {
        self.command().status().with_context(|| format!("cannot start `{self}`"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }
}

#[cfg(test)]
impl Step {
    /// Program and arguments, for tests.
    pub(crate) fn words(&self) -> Vec<String> {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// Variables added, for tests.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.environment
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}='{value}' ")?;
        }
        write!(f, "{}", self.program.to_string_lossy())?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", argument.to_string_lossy()))
    }
}

/// Runs all steps, whatever becomes of each, then fails if any did.
pub(crate) fn run_all(steps: &[Step]) -> anyhow::Result<ExitCode> {
    let mut failed = Vec::new();
    for step in steps {
        // A closed stderr is no reason to stop.
        let _ = writeln!(std::io::stderr(), "xtask: {step}");
        if !step.status()?.success() {
            failed.push(format!("`{step}`"));
        }
    }
    if !failed.is_empty() {
        bail!("{} of {} failed: {}", failed.len(), steps.len(), failed.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Step {
        Step::new("sh").args(["-c", script])
    }

    #[test]
    fn a_failure_names_the_command() {
        assert!(shell("exit 0").run().is_ok());
        let message = shell("exit 3").run().unwrap_err().to_string();
        assert!(message.contains("sh -c exit 3") && message.contains('3'), "{message}");
        let missing = Step::new("no-such-program-here").run().unwrap_err().to_string();
        assert!(missing.contains("cannot start `no-such-program-here`"), "{missing}");
    }

    #[test]
    fn the_environment_reaches_it() {
        assert!(shell("test \"$SDA_STEP\" = 'a b'").env("SDA_STEP", "a b").run().is_ok());
    }

    #[test]
    fn all_run_though_one_fails() {
        let file = std::env::temp_dir().join(format!("xtask-step-{}", std::process::id()));
        let touch = shell("touch \"$SDA_FILE\"").env("SDA_FILE", &file.to_string_lossy());
        let message = run_all(&[shell("exit 1"), touch]).unwrap_err().to_string();
        assert!(message.starts_with("1 of 2 failed") && file.is_file(), "{message}");
        std::fs::remove_file(file).unwrap();
    }
}
