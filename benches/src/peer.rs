//! A peer that runs the same items in a process of its own, one at a time on request.

use crate::memory::{self, Memory};
use anyhow::{Context, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The process and its answers.
pub(crate) struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    ready: Value,
    python: PathBuf,
    script: PathBuf,
}

impl Peer {
    /// The peer of `cargo xtask bench cpu` by its name there.
    pub(crate) fn named(name: &str, threads: usize) -> anyhow::Result<Self> {
        let threads = ["--threads", &threads.to_string()];
        match name {
            "torch" => Self::start("torch_peer.py", &threads),
            "jax-cfd" => Self::start_in(".venv-jax-cfd", "setup.sh jax-cfd", "jax_cfd_peer.py", &threads),
            other => bail!("there is no peer «{other}»; there are torch and jax-cfd"),
        }
    }

    /// Starts `benches/peers/SCRIPT --serve` with further arguments in PyTorch's virtual environment.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start_in(".venv", "setup.sh", script, arguments)
    }

    fn start_in(venv: &str, setup: &str, script: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let python = peers.join(venv).join("bin/python");
        if !python.exists() {
            bail!("find {}: make it with benches/peers/{setup}", python.display());
        }
        let script = peers.join(script);
        let mut child = Command::new(&python)
            .arg(&script)
            .arg("--serve")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", python.display()))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("open the pipes to {}", script.display());
        };
        let answers = BufReader::new(answers);
        let mut peer = Self { child, requests, answers, ready: Value::Null, python, script };
        peer.ready = peer.answer()?;
        Ok(peer)
    }

    /// Seconds of one run of an item.
    pub(crate) fn seconds(&mut self, item: &str) -> anyhow::Result<f64> {
        let answer = self.ask(item)?;
        answer["seconds"].as_f64().with_context(|| format!("the peer's answer for {item}: {answer}"))
    }

    /// The answer for an item: its seconds, or an error.
    pub(crate) fn ask(&mut self, item: &str) -> anyhow::Result<Value> {
        writeln!(self.requests, "{item}").context("ask the peer")?;
        self.requests.flush().context("ask the peer")?;
        self.answer()
    }

    /// Peak memory of an item in a fresh process of the peer's.
    pub(crate) fn memory(&self, item: &str, threads: usize) -> anyhow::Result<Option<Memory>> {
        memory::answer(Command::new(&self.python).arg(&self.script), item, threads)
    }

    /// What the peer said when it was ready.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    /// Versions of the peer and its libraries.
    pub(crate) fn versions(&self) -> Value {
        self.ready["versions"].clone()
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        let n = self.answers.read_line(&mut line).context("hear the peer")?;
        if n == 0 {
            bail!("the peer ended: {:?}", self.child.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("the peer said: {line}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
