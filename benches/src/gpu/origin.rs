//! Where a report is from: adapter, versions and day, and the file's name.

use sda_device::AdapterDescription;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const LOCK: &str = include_str!("../../../Cargo.lock");

/// What a reader needs to place the numbers.
pub(super) struct Origin {
    pub(super) adapter: AdapterDescription,
    pub(super) day: String,
    pub(super) wgpu: String,
    /// Of the tree that was built, with a + where it was changed since; empty outside a checkout.
    pub(super) commit: String,
}

impl Origin {
    pub(super) fn new(adapter: AdapterDescription) -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let wgpu = locked(LOCK, "wgpu").unwrap_or_default();
        Self { adapter, day: day(seconds / 86_400), wgpu, commit: commit() }
    }

    /// The report's name without its ending.
    pub(super) fn stem(&self) -> String {
        format!("gpu-{}", slug(&self.adapter.name))
    }

    pub(super) fn json(&self) -> Value {
        let a = &self.adapter;
        json!({
            "adapter": a.name,
            "driver": a.driver,
            "backend": a.backend,
            "kind": format!("{:?}", a.kind),
            "abilities": format!("{:?}", a.abilities),
            "date": self.day,
            "wgpu": self.wgpu,
            "sda": env!("CARGO_PKG_VERSION"),
            "commit": self.commit,
        })
    }
}

/// A name as part of a file's: what stands in brackets is left out, all but letters and digits is one dash.
pub(super) fn slug(name: &str) -> String {
    let (mut slug, mut depth) = (String::new(), 0i32);
    for c in name.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth > 0 => {}
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "unnamed".into() } else { slug.into() }
}

/// Year-month-day of a day counted from 1970-01-01.
///
/// Source: Hinnant, chrono-compatible low-level date algorithms, `civil_from_days`.
fn day(days: u64) -> String {
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + u64::from(month <= 2))
}

/// A package's version in a lock file.
fn locked(lock: &str, package: &str) -> Option<String> {
    let (_, after) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    after.split('"').next().map(str::to_owned)
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return String::new() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|s| !s.is_empty());
    if changed { commit + "+" } else { commit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_file_names() {
        for (name, expected) in [
            ("llvmpipe (LLVM 15.0.6, 256 bits)", "llvmpipe"),
            ("AMD Radeon RX 7900 XTX (RADV NAVI31)", "amd-radeon-rx-7900-xtx"),
            ("Intel(R) Arc(tm) A770 Graphics (DG2)", "intel-arc-a770-graphics"),
            ("NVIDIA H200", "nvidia-h200"),
            ("/../x", "x"),
            ("(?)", "unnamed"),
        ] {
            assert_eq!(slug(name), expected);
        }
    }

    #[test]
    fn days_are_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_722, "2023-12-31"),
            (20_454, "2026-01-01"),
        ] {
            assert_eq!(day(days), expected);
        }
    }

    #[test]
    fn the_lock_file_has_wgpus_version() {
        assert!(locked(LOCK, "wgpu").is_some_and(|v| v.split('.').count() >= 3));
        assert_eq!(locked(LOCK, "no-such-package"), None);
    }
}
