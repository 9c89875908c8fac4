//! Benchmarks: our items beside a peer's, run in turns, as medians and ratios.
#![forbid(unsafe_code)]

mod items;
mod peer;
mod report;

use anyhow::{Context, bail};
use items::{Item, items};
use peer::Peer;
use report::{Line, Report};
use std::path::PathBuf;
use std::time::Instant;

const USAGE: &str =
    "usage: sda-benches <suite> [--peer torch] [--threads N] [--rounds N] [--items a,b] [--save FOLDER]
suites: lorenz";

struct Arguments {
    peer: Option<String>,
    threads: usize,
    rounds: usize,
    only: Vec<String>,
    save: Option<PathBuf>,
}

fn parse() -> anyhow::Result<Arguments> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let mut suite = None;
    let mut a = Arguments { peer: None, threads: 2, rounds: 7, only: Vec::new(), save: None };
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) if suite.is_none() => suite = Some(value.string()?),
            Long("peer") => a.peer = Some(parser.value()?.string()?),
            Long("threads") => a.threads = parser.value()?.parse()?,
            Long("rounds") => a.rounds = parser.value()?.parse()?,
            Long("items") => a.only = parser.value()?.string()?.split(',').map(str::to_owned).collect(),
            Long("save") => a.save = Some(parser.value()?.into()),
            Long("help") => bail!("{USAGE}"),
            other => bail!("{}\n{USAGE}", other.unexpected()),
        }
    }
    match suite.as_deref() {
        Some("lorenz") if a.rounds > 0 && a.threads > 0 => Ok(a),
        Some("lorenz") => bail!("--rounds and --threads must be above zero"),
        Some(other) => bail!("there is no suite «{other}»\n{USAGE}"),
        None => bail!("{USAGE}"),
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = parse()?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build_global()
        .context("start the threads")?;
    let mut peer = match arguments.peer.as_deref() {
        None => None,
        Some("torch") => Some(Peer::start("torch_lorenz.py", arguments.threads)?),
        Some(other) => bail!("there is no peer «{other}»; there is torch"),
    };
    let mut lines = Vec::new();
    for item in items(arguments.threads) {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|n| n == item.name) {
            continue;
        }
        let line = measure(item, peer.as_mut(), arguments.rounds)?;
        eprintln!("{}", line.text());
        lines.push(line);
    }
    if lines.is_empty() {
        bail!("no item is named {}", arguments.only.join(", "));
    }
    let report = Report::new(arguments.threads, arguments.rounds, peer.map(|p| p.versions()), lines);
    println!("{}", report.markdown());
    if let Some(folder) = arguments.save {
        report.save(&folder)?;
    }
    Ok(())
}

/// Times an item, ours and the peer's in turns, after a warm-up of each.
fn measure(item: Item, mut peer: Option<&mut Peer>, rounds: usize) -> anyhow::Result<Line> {
    let mut work = (item.build)().with_context(|| format!("prepare {}", item.name))?;
    work()?;
    let once = Instant::now();
    work()?;
    // Short items are repeated so that the clock's own cost is nothing.
    let repeats = (0.05 / once.elapsed().as_secs_f64().max(1e-7)).clamp(1.0, 10_000.0) as usize;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..repeats {
            work()?;
        }
        ours.push(start.elapsed().as_secs_f64() / repeats as f64);
        if let (Some(peer), Some(name)) = (peer.as_deref_mut(), item.peer) {
            theirs.push(peer.seconds(name)?);
        }
    }
    Ok(Line::new(item.name, item.flops, ours, theirs))
}
