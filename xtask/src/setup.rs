//! What a build needs of the machine: a recent rustc, and a C compiler with its headers for zstd.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The workspace's `rust-version`.
const OLDEST_RUSTC: &str = env!("CARGO_PKG_RUST_VERSION");
const C_REMEDY: &str = "\
  Debian, Ubuntu   apt-get install build-essential
  Fedora           dnf install gcc
  Arch             pacman -S base-devel
  macOS            xcode-select --install
or set CC to the compiler you have";

/// Fails with a remedy if the workspace cannot be built here.
pub(crate) fn check() -> anyhow::Result<()> {
    rustc()?;
    c_compiler()?;
    Ok(())
}

/// The same, and what was found.
pub(crate) fn report() -> anyhow::Result<String> {
    let python =
        version_line("python3").unwrap_or_else(|| "not found; only `bench --peer torch` needs it".into());
    Ok(format!(
        "rustc       {}\nC compiler  {}\nPython      {python}\nGPU         {}\nReady to build.\n",
        rustc()?,
        c_compiler()?,
        gpu_driver()
    ))
}

/// Vulkan drivers by their manifests; Metal and DX12 come with their systems.
fn gpu_driver() -> String {
    if cfg!(any(windows, target_os = "macos")) {
        return "by the system's own driver; `cargo xtask devices` lists adapters".into();
    }
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() {
        return "no Vulkan driver; only `--device gpu` and its tests need one (a software one on Debian, Ubuntu: \
                apt-get install mesa-vulkan-drivers)"
            .into();
    }
    names.join(", ")
}

fn rustc() -> anyhow::Result<String> {
    let program = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let found = version_line(&program)
        .with_context(|| format!("cannot run `{program}`; install Rust from https://rustup.rs"))?;
    let version = release(&found).with_context(|| format!("`{program} --version` says '{found}'"))?;
    let oldest = release(OLDEST_RUSTC).context("rust-version in Cargo.toml is no version")?;
    if version < oldest {
        bail!("{found} is too old; {OLDEST_RUSTC} or later is needed: rustup update stable");
    }
    Ok(found)
}

/// First and second number of the first word that begins with a digit: 1.95 of "rustc 1.95.0 (…)".
fn release(text: &str) -> Option<(u32, u32)> {
    let word = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split(['.', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The compiler that the `cc` crate will take, if it can read C's own headers.
fn c_compiler() -> anyhow::Result<String> {
    if cfg!(windows) {
        // There the `cc` crate finds Visual Studio's by itself, and rustc's linker is from the same package.
        return Ok("found by the cc crate".to_owned());
    }
    let program = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let found = version_line(&program).with_context(|| {
        format!("no C compiler: cannot run `{program}`, which zstd and the linker need.\n{C_REMEDY}")
    })?;
    if !reads_headers(&program) {
        bail!("`{program}` finds no stdlib.h, which zstd needs.\n{C_REMEDY}");
    }
    Ok(found)
}

fn reads_headers(compiler: &str) -> bool {
    let (program, arguments) = words(compiler);
    let child = Command::new(program)
        .args(arguments)
        .args(["-x", "c", "-E", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    // A compiler that closes its input early has failed, which its status says.
    let _ = child.stdin.take().map(|mut input| input.write_all(b"#include <stdlib.h>\n"));
    child.wait().is_ok_and(|status| status.success())
}

/// First line of `program --version`; none if it does not run.
fn version_line(program: &str) -> Option<String> {
    let (program, arguments) = words(program);
    let output = Command::new(program).args(arguments).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or("").trim().to_owned())
}

/// CC may hold a wrapper and arguments: "ccache gcc -m64".
fn words(command: &str) -> (&str, Vec<&str>) {
    let mut words = command.split_whitespace();
    (words.next().unwrap_or(command), words.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(release("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(release("rustc 1.101.0-nightly (abc 2027-01-01)"), Some((1, 101)));
        assert_eq!(release(OLDEST_RUSTC).map(|v| v > (1, 80) && v < (1, 101)), Some(true));
        assert_eq!(release("rustc"), None);
    }

    #[test]
    fn this_machine_builds_the_workspace_so_it_passes() {
        check().unwrap();
        let report = report().unwrap();
        assert!(report.contains("rustc 1.") && report.ends_with("Ready to build.\n"), "{report}");
    }

    #[test]
    fn what_does_not_run_is_not_found() {
        assert_eq!(version_line("no-such-program-here"), None);
        assert!(!reads_headers("no-such-program-here"));
        assert!(!reads_headers("false"));
        assert_eq!(words("ccache gcc -m64"), ("ccache", vec!["gcc", "-m64"]));
    }
}
