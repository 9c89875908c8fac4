//! As much of a Cargo.toml as the rules need.

/// What is read of a manifest.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// Packages among the normal and build dependencies, on any target; dev-dependencies are left out.
    pub(super) dependencies: Vec<String>,
    /// Whether it says `[lints] workspace = true`.
    pub(super) inherits_lints: bool,
}

impl Manifest {
    pub(super) fn parse(text: &str) -> Self {
        let mut manifest = Self::default();
        let mut section = String::new();
        for line in text.lines().map(|l| uncommented(l).trim()).filter(|l| !l.is_empty()) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                name.clone_into(&mut section);
                // [dependencies.sda-device] names it in the section.
                manifest.dependencies.extend(dependency_in_section(name));
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            if section == "lints" && key.trim() == "workspace" {
                manifest.inherits_lints = value.trim() == "true";
            }
            if is_dependencies(&section) {
                let renamed = value.split("package = \"").nth(1).and_then(|v| v.split('"').next());
                let name = key.trim().trim_matches('"').split('.').next().unwrap_or_default();
                manifest.dependencies.push(renamed.unwrap_or(name).to_owned());
            }
        }
        manifest
    }
}

fn uncommented(line: &str) -> &str {
    let quotes_before = |at: usize| line[..at].matches('"').count();
    line.match_indices('#')
        .find(|(at, _)| quotes_before(*at).is_multiple_of(2))
        .map_or(line, |(at, _)| &line[..at])
}

/// `dependencies`, `build-dependencies`, `target.'…'.dependencies`.
fn is_dependencies(section: &str) -> bool {
    let last = section.rsplit('.').next().unwrap_or(section);
    matches!(last, "dependencies" | "build-dependencies")
}

fn dependency_in_section(section: &str) -> Option<String> {
    let (table, name) = section.rsplit_once('.')?;
    is_dependencies(table).then(|| name.trim_matches('"').to_owned())
}
