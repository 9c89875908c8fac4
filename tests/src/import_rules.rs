//! Who may import whom, and what every source keeps: read from the manifests and the sources.

mod manifest;
mod source;

use manifest::Manifest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Crates of the workspace that each crate may name among its normal dependencies; `*` is all of them.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("lapack", &[]),
    ("core", &["lapack"]),
    ("graph", &["core"]),
    ("kernels", &["core", "graph"]),
    ("device", &["core", "graph", "kernels"]),
    ("nn", &["core", "graph"]),
    ("systems", &["core", "graph"]),
    ("observe", &["core", "graph"]),
    ("diffusion", &["core", "graph", "nn", "observe"]),
    ("filters", &["core", "graph", "systems", "observe"]),
    ("verify", &["core", "graph", "observe", "systems", "diffusion"]),
    ("evaluation", &["core"]),
    ("data", &["core"]),
    ("experiment", &["*"]),
    ("sda", &["*"]),
];

/// On top of everything: nobody imports them.
const TOP: [&str; 2] = ["experiment", "sda"];
/// Crates that may touch files, clock, environment or stdout.
const RIM: [&str; 3] = ["data", "experiment", "sda"];
/// Crates that need unsafe code: Fortran's symbols, vector instructions, buffers shared between workers.
const UNSAFE: [&str; 4] = ["lapack", "kernels", "device", "evaluation"];
/// No source is longer: one idea, one file.
const LONGEST: usize = 650;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Folder name and manifest of every crate.
fn manifests() -> BTreeMap<String, Manifest> {
    let folders = std::fs::read_dir(root().join("crates")).unwrap().map(|e| e.unwrap().path());
    let read = |folder: PathBuf| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        (name, Manifest::parse(&text))
    };
    let found: BTreeMap<_, _> = folders.filter(|f| f.join("Cargo.toml").is_file()).map(read).collect();
    assert!(found.len() >= MAY_IMPORT.len(), "crates are missing: {:?}", found.keys());
    found
}

/// What a crate's manifest does against the rules.
fn complaints(name: &str, manifest: &Manifest) -> Vec<String> {
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(n, _)| *n == name) else {
        return vec![format!("{name}: say in MAY_IMPORT whom it may import")];
    };
    let mut out = Vec::new();
    for dependency in &manifest.dependencies {
        let ours = dependency.strip_prefix("sda-").or((dependency == "sda").then_some("sda"));
        if let Some(other) = ours {
            let is_allowed =
                allowed.contains(&other) || (allowed == &["*"] && (name == "sda" || !TOP.contains(&other)));
            if !is_allowed {
                out.push(format!("{name} imports {other}"));
            }
        }
        if matches!(dependency.as_str(), "wgpu" | "naga") && name != "device" {
            out.push(format!("{name} imports {dependency}"));
        }
        if matches!(dependency.as_str(), "indicatif" | "clap" | "tempfile") && !RIM.contains(&name) {
            out.push(format!("{name} imports {dependency}"));
        }
    }
    if !manifest.inherits_lints {
        out.push(format!("{name} does not inherit the workspace's lints"));
    }
    out
}

#[test]
fn crates_import_downwards_only() {
    let found: Vec<String> = manifests().iter().flat_map(|(name, m)| complaints(name, m)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// The table itself has no way from diffusion to systems or from filters to diffusion, not even by way of others.
#[test]
fn the_method_sees_no_system_and_the_reference_no_method() {
    let reached = |from: &str| {
        let mut reached = vec![from.to_owned()];
        let mut at = 0;
        while at < reached.len() {
            let (_, next) = MAY_IMPORT.iter().find(|(n, _)| *n == reached[at]).unwrap();
            for n in *next {
                if !reached.iter().any(|r| r == n) {
                    reached.push((*n).to_owned());
                }
            }
            at += 1;
        }
        reached
    };
    for (from, never) in [
        ("diffusion", "systems"),
        ("diffusion", "filters"),
        ("filters", "diffusion"),
        ("filters", "nn"),
        ("graph", "device"),
    ] {
        assert!(!reached(from).iter().any(|r| r == never), "{from} reaches {never}");
    }
}

/// The check can fail: manifests that break each rule.
#[test]
fn broken_manifests_are_found() {
    let with = |dependencies: &str| {
        Manifest::parse(&format!(
            "[package]\nname = \"x\"\n[lints]\nworkspace = true\n[dependencies]\n{dependencies}"
        ))
    };
    for (name, dependencies, complaint) in [
        ("diffusion", "sda-systems.workspace = true", "diffusion imports systems"),
        ("filters", "sda-diffusion = { path = \"../diffusion\" }", "filters imports diffusion"),
        (
            "filters",
            "renamed = { package = \"sda-diffusion\", path = \"../diffusion\" }",
            "filters imports diffusion",
        ),
        ("graph", "sda-kernels = { workspace = true }", "graph imports kernels"),
        ("core", "\"sda-graph\" = \"0.1\"", "core imports graph"),
        ("experiment", "sda.workspace = true", "experiment imports sda"),
        ("nn", "[dependencies.sda-device]\nworkspace = true", "nn imports device"),
        ("nn", "[target.'cfg(unix)'.dependencies]\nsda-device.workspace = true", "nn imports device"),
        ("nn", "[build-dependencies]\nsda-device.workspace = true", "nn imports device"),
        ("kernels", "wgpu = \"27\"", "kernels imports wgpu"),
        ("nn", "indicatif = \"0.18\"", "nn imports indicatif"),
    ] {
        assert_eq!(complaints(name, &with(dependencies)), [complaint], "{dependencies}");
    }
    assert_eq!(complaints("plots", &with("")).len(), 1, "a new crate has no rule yet");
    assert_eq!(
        complaints("nn", &Manifest::parse("[dependencies]\n")),
        ["nn does not inherit the workspace's lints"]
    );
    for (name, dependencies) in [
        ("diffusion", "sda-nn.workspace = true\n[dev-dependencies]\nsda-systems.workspace = true"),
        ("device", "wgpu = \"27\""),
        ("sda", "sda-experiment.workspace = true"),
        ("experiment", "sda-filters.workspace = true # and sda-diffusion"),
        ("core", "# sda-graph.workspace = true"),
    ] {
        assert_eq!(complaints(name, &with(dependencies)), Vec::<String>::new(), "{dependencies}");
    }
}

/// Sources of a crate that are compiled into its library or binary.
fn sources(name: &str) -> Vec<(PathBuf, String)> {
    source::under(&root().join("crates").join(name).join("src"))
}

#[test]
fn effects_are_at_the_rim() {
    let mut found = Vec::new();
    for name in manifests().keys().filter(|name| !RIM.contains(&name.as_str())) {
        for (path, text) in sources(name) {
            found.extend(
                source::effects(&text).into_iter().map(|effect| format!("{}: {effect}", path.display())),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn effects_are_seen() {
    for (text, count) in [
        ("fn f() { std::fs::read(\"x\"); }", 1),
        ("use std::time::Instant;\nfn f() { println!(\"{}\", 1); }", 2),
        ("use std::{env, fmt};\n", 1),
        ("use std::{fmt, fs::File};\n", 1),
        ("#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nfn f() {}\n", 0),
        ("#[cfg(test)]\nmod tests {\n}\nuse std::fs;\n", 1),
        ("// std::fs is not used\n/// Not println!\nfn f() { env!(\"X\"); }\n", 0),
        ("fn f() { eprintln!(\"x\"); }", 1),
    ] {
        assert_eq!(source::effects(text).len(), count, "{text}");
    }
}

#[test]
fn unsafe_code_is_refused_where_it_is_not_needed() {
    for name in manifests().keys() {
        let roots = ["lib.rs", "main.rs"].map(|f| root().join("crates").join(name).join("src").join(f));
        for path in roots.iter().filter(|p| p.is_file()) {
            let text = std::fs::read_to_string(path).unwrap();
            let refused = source::refuses_unsafe(&text);
            assert!(refused || UNSAFE.contains(&name.as_str()), "{} allows unsafe code", path.display());
        }
    }
    assert!(source::refuses_unsafe("//! Words.\n#![cfg_attr(not(test), forbid(unsafe_code))]\n"));
    assert!(!source::refuses_unsafe("//! #![forbid(unsafe_code)]\n"));
}

/// Folders whose sources are ours.
fn all_sources() -> Vec<(PathBuf, String)> {
    ["crates", "tests", "benches", "xtask"]
        .iter()
        .flat_map(|folder| source::under_with_tests(&root().join(folder)))
        .collect()
}

#[test]
fn one_idea_one_file() {
    let sources = all_sources();
    assert!(sources.len() > 200, "{} sources", sources.len());
    for (path, text) in sources {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{}: {lines} lines, at most {LONGEST}", path.display());
    }
}

/// `todo!` and `unimplemented!` are denied by clippy; ignored tests and exceptions carry their reason.
#[test]
fn exceptions_carry_their_reason() {
    for (path, text) in all_sources() {
        for (at, line) in text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())) {
            let bare = line == "#[ignore]"
                || (line.starts_with("#[allow(clippy::") && !line.contains("reason") && line.ends_with(']'));
            assert!(!bare, "{}:{at}: say why: {line}", path.display());
        }
    }
}
