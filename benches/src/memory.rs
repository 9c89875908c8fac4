//! Peak memory of an item, in a process of its own. Linux only.

use crate::items::{Item, Setting};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::process::Command;

/// What both sides answer to `--memory-of`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Growth of the largest resident set while the item was prepared and run three times.
    pub(crate) bytes: u64,
    /// Resident before: the program and its libraries.
    pub(crate) before_bytes: u64,
}

impl Memory {
    pub(crate) fn json(self) -> Value {
        json!({ "bytes": self.bytes, "before_bytes": self.before_bytes })
    }
}

/// Whether this system says what a process takes.
pub(crate) const MEASURED: bool = cfg!(target_os = "linux");

/// Measures an item in this process.
pub(crate) fn of_item(item: &Item, setting: Setting) -> anyhow::Result<Value> {
    std::fs::write("/proc/self/clear_refs", "5").context("set the peak to what is resident now")?;
    let before_bytes = resident("VmRSS")?;
    let mut peak = 0;
    item.with(setting, &mut |work| {
        for _ in 0..3 {
            work.run()?;
        }
        peak = resident("VmHWM")?;
        Ok(())
    })?;
    Ok(Memory { bytes: peak.saturating_sub(before_bytes), before_bytes }.json())
}

/// An entry of /proc/self/status in bytes: VmRSS, what is resident, or VmHWM, its largest so far.
fn resident(entry: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(entry)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("find {entry} in /proc/self/status"))? * 1024)
}

/// Measures an item of ours in a process of its own.
pub(crate) fn ours(name: &str, setting: Setting) -> anyhow::Result<Option<Memory>> {
    let program = std::env::current_exe().context("find this program")?;
    let mut command = Command::new(program);
    command.args(["cpu", "--level", &format!("{:?}", setting.level).to_lowercase()]);
    answer(&mut command, name, setting.threads)
}

/// Asks a program for the memory of an item; `None` where the system does not say.
pub(crate) fn answer(command: &mut Command, name: &str, threads: usize) -> anyhow::Result<Option<Memory>> {
    if !MEASURED {
        return Ok(None);
    }
    let output = command
        .args(["--memory-of", name, "--threads", &threads.to_string()])
        .output()
        .with_context(|| format!("measure the memory of {name}"))?;
    if !output.status.success() {
        bail!("measure the memory of {name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let value: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("read the memory of {name}: {}", String::from_utf8_lossy(&output.stdout)))?;
    let number = |key: &str| value[key].as_u64().with_context(|| format!("find {key} in {value}"));
    Ok(Some(Memory { bytes: number("bytes")?, before_bytes: number("before_bytes")? }))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_is_resident() {
        let before = resident("VmRSS").unwrap();
        let touched = std::hint::black_box(vec![1u8; 64 << 20]);
        let grown = resident("VmRSS").unwrap().saturating_sub(before);
        assert!(grown > 48 << 20, "{grown} of {}", touched.len());
        assert!(resident("VmHWM").unwrap() >= before);
        assert!(resident("VmNone").unwrap_err().to_string().contains("VmNone"));
    }

    #[test]
    fn a_failure_carries_what_the_program_said() {
        let answer = |script: &str| answer(Command::new("sh").args(["-c", script]), "x", 2);
        let memory = answer(r#"echo '{"bytes": 3, "before_bytes": 4}'"#).unwrap().unwrap();
        assert_eq!((memory.bytes, memory.before_bytes), (3, 4));
        assert!(answer("echo broken >&2; exit 1").unwrap_err().to_string().contains("broken"));
        assert!(answer("echo '{}'").unwrap_err().to_string().contains("find bytes"));
    }
}
