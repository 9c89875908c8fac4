//! The peer on a GPU: the same names in three modes, and whether it runs on the same device.

use super::setting::Setting;
use crate::measure::median;
use crate::peer::Peer;
use anyhow::Context;
use serde_json::Value;
use std::time::Instant;

/// f32 throughout, as the library runs by default but for the next.
pub(super) const EAGER: &str = "eager";
/// Products of operands rounded to TF32.
pub(super) const TF32: &str = "tf32";
/// Compiled by the library, f32.
pub(super) const COMPILED: &str = "compiled";

/// Seconds that the library's compiler may take over all programs.
const COMPILING_SECONDS: f64 = 120.0;
/// Turns of a bare kernel.
const TURNS: usize = 3;

/// The process, and what it said of itself.
pub(super) struct Torch {
    peer: Peer,
    /// What it runs on.
    pub(super) device: String,
    /// Whether that is a CUDA device.
    pub(super) cuda: bool,
    /// Whether that is our adapter.
    pub(super) same: bool,
    /// What it could not do.
    pub(super) failures: Vec<String>,
    compiling: f64,
}

/// The peer's times of one bare kernel.
#[derive(Clone, Debug)]
pub(super) struct Bare {
    pub(super) name: String,
    pub(super) eager: f64,
    pub(super) tf32: f64,
}

impl Torch {
    pub(super) fn start(adapter: &str) -> anyhow::Result<Self> {
        let peer = Peer::start("torch_gpu.py", &["--adapter", adapter])?;
        let ready = peer.ready();
        let device = ready["device"].as_str().context("the peer names its device")?.to_owned();
        let cuda = ready["cuda"].as_bool().context("the peer says whether it has a GPU")?;
        let same = cuda && same_device(adapter, &device);
        Ok(Self { peer, device, cuda, same, failures: Vec::new(), compiling: 0.0 })
    }

    pub(super) fn versions(&self) -> Value {
        self.peer.versions()
    }

    /// A bare kernel in both modes; `None` where the peer has none of this name or fails.
    pub(super) fn bare(&mut self, name: &str, setting: &Setting) -> anyhow::Result<Option<Bare>> {
        let mut of = |mode| -> anyhow::Result<Option<f64>> {
            let mut seconds = Vec::new();
            for _ in 0..TURNS.min(setting.rounds) {
                let Some(turn) = self.seconds(mode, name)? else { return Ok(None) };
                seconds.push(turn);
            }
            Ok(median(&seconds))
        };
        let Some(eager) = of(EAGER)? else { return Ok(None) };
        Ok(of(TF32)?.map(|tf32| Bare { name: name.to_owned(), eager, tf32 }))
    }

    /// A turn of a program in every mode that works.
    pub(super) fn program_turn(
        &mut self,
        name: &str,
        times: &mut Vec<(&'static str, Vec<f64>)>,
    ) -> anyhow::Result<()> {
        let first = times.is_empty();
        for mode in [EAGER, TF32, COMPILED] {
            let at = times.iter().position(|(m, _)| *m == mode);
            // What failed in the first turn is not asked for again.
            let compiles = first && mode == COMPILED;
            if !(first || at.is_some()) || (compiles && !self.may_compile(name)) {
                continue;
            }
            let start = Instant::now();
            let seconds = self.seconds(mode, name)?;
            if compiles {
                self.compiling += start.elapsed().as_secs_f64();
            }
            match (seconds, at) {
                (Some(seconds), Some(at)) => times[at].1.push(seconds),
                (Some(seconds), None) => times.push((mode, vec![seconds])),
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn may_compile(&mut self, name: &str) -> bool {
        let may = self.compiling < COMPILING_SECONDS;
        if !may {
            self.failures.push(format!("{name}: not compiled, {COMPILING_SECONDS} s were used up"));
        }
        may
    }

    fn seconds(&mut self, mode: &str, name: &str) -> anyhow::Result<Option<f64>> {
        let answer = self.peer.ask(&format!("{mode}/{name}"))?;
        if let Some(message) = answer["error"].as_str() {
            self.failures.push(format!("{mode} {name}: {message}"));
        }
        Ok(answer["seconds"].as_f64())
    }
}

/// Whether two drivers' names are of one device: one holds the other, brackets and case aside.
fn same_device(ours: &str, theirs: &str) -> bool {
    let plain = |name: &str| name.split('(').next().unwrap_or(name).trim().to_lowercase();
    let (ours, theirs) = (plain(ours), plain(theirs));
    !ours.is_empty() && !theirs.is_empty() && (ours.contains(&theirs) || theirs.contains(&ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_device_agree_brackets_aside() {
        assert!(same_device("NVIDIA H200", "NVIDIA H200"));
        assert!(same_device("AMD Radeon RX 7900 XTX (RADV NAVI31)", "Radeon RX 7900 XTX"));
        assert!(!same_device("llvmpipe (LLVM 15.0.6, 256 bits)", "cpu"));
        assert!(!same_device("Intel(R) Graphics", "NVIDIA H200"));
        assert!(!same_device("", "cpu"));
    }
}
