//! What a source says, as far as text tells.

use std::path::{Path, PathBuf};

/// Words that touch files, clock, environment or stdout.
const EFFECTS: [&str; 13] = [
    "std::fs",
    "std::env",
    "std::time",
    "std::io::std",
    "std::process",
    "std::net",
    "Instant::now",
    "SystemTime",
    "println!",
    "eprintln!",
    "print!",
    "fs::",
    "File::",
];

/// Sources under a folder, those of tests left out: `tests.rs`, `tests/`, and files that only tests compile.
pub(super) fn under(folder: &Path) -> Vec<(PathBuf, String)> {
    let all = under_with_tests(folder);
    let of_tests = test_modules(&all);
    all.into_iter().filter(|(path, _)| !of_tests.iter().any(|t| path.starts_with(t))).collect()
}

/// All sources under a folder.
pub(super) fn under_with_tests(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Build output and virtual environments are not ours.
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name != "target" && !name.starts_with('.') {
                out.extend(under_with_tests(&path));
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            out.push((path, text));
        }
    }
    out
}

/// Files and folders of modules declared as `#[cfg(test)] mod name;`.
fn test_modules(sources: &[(PathBuf, String)]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for (path, text) in sources {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let parent = path.parent().unwrap();
        let folder = if matches!(stem.as_str(), "mod" | "lib" | "main") {
            parent.to_path_buf()
        } else {
            parent.join(stem)
        };
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            let declared = pair[1].trim_start_matches("pub(crate) ").strip_prefix("mod ");
            if let Some(name) = declared.and_then(|l| l.strip_suffix(';')) {
                out.extend([folder.join(format!("{name}.rs")), folder.join(name)]);
            }
        }
    }
    out
}

/// Lines of code, neither comment nor test module, that touch the world.
pub(super) fn effects(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut skipping = false;
    let mut after_cfg_test = false;
    for line in text.lines() {
        let code = line.trim();
        // rustfmt closes a module at the column where it began: 0.
        if skipping {
            skipping = line != "}";
            continue;
        }
        if after_cfg_test {
            after_cfg_test = code.starts_with("#[");
            skipping = line.starts_with("mod ") && line.ends_with('{');
            continue;
        }
        after_cfg_test = line == "#[cfg(test)]";
        let code = code.split("//").next().unwrap_or_default();
        let from_std = code.starts_with("use std::{")
            && ["fs", "env", "time", "process", "net"].iter().any(|m| names(code, m));
        if from_std || EFFECTS.iter().any(|effect| code.contains(effect)) {
            out.push(line.trim().to_owned());
        }
    }
    out
}

/// Whether a module is one of those in `use std::{…}`.
fn names(code: &str, module: &str) -> bool {
    code.split(['{', ',', '}'])
        .map(str::trim)
        .any(|part| part == module || part.starts_with(&format!("{module}::")))
}

/// Whether the crate's root forbids or denies unsafe code.
pub(super) fn refuses_unsafe(text: &str) -> bool {
    text.lines()
        .filter(|l| l.starts_with("#!["))
        .any(|l| l.contains("forbid(unsafe_code)") || l.contains("deny(unsafe_code)"))
}
