//! Benchmarks: our items beside a peer's, run in turns, as medians, ratios, peak memory and shares of a roofline.
#![forbid(unsafe_code)]

mod arguments;
mod gpu;
mod items;
mod machine;
mod measure;
mod memory;
mod peer;
mod profile;
mod report;
mod roofline;

use anyhow::Context;
use arguments::Arguments;
use items::{Item, items, named};
use machine::Machine;
use measure::measure;
use peer::Peer;
use report::{Line, Report};

fn main() -> anyhow::Result<()> {
    // Suites share neither options nor executors.
    if std::env::args_os().nth(1).is_some_and(|suite| suite == "gpu") {
        return gpu::run(lexopt::Parser::from_args(std::env::args_os().skip(2)));
    }
    let arguments = Arguments::parse()?;
    let setting = arguments.setting;
    rayon::ThreadPoolBuilder::new()
        .num_threads(setting.threads)
        .build_global()
        .context("start the threads")?;
    if let Some(name) = &arguments.memory_of {
        println!("{}", memory::of_item(&find(name)?, setting)?);
        return Ok(());
    }
    if let Some(name) = &arguments.profile {
        print!("{}", profile::table(&find(name)?, setting)?);
        return Ok(());
    }
    let chosen = match &arguments.items[..] {
        // PyTorch is the peer of the table as a whole; the others are asked for what they have.
        [] => match arguments.peer.as_deref() {
            None | Some("torch") => items(),
            peer => items().into_iter().filter(|item| item.peer == peer).collect(),
        },
        names => names.iter().map(|name| find(name)).collect::<anyhow::Result<_>>()?,
    };
    let start = |name: &String| Peer::named(name, setting.threads);
    let mut peer = arguments.peer.as_ref().map(start).transpose()?;
    let machine = Machine::measure(setting)?;
    let mut lines = Vec::new();
    for item in &chosen {
        let line = line(item, peer.as_mut(), &arguments)?;
        eprintln!("{}", line.text(&machine));
        lines.push(line);
    }
    let machine = machine.best(&Machine::measure(setting)?);
    let peer = arguments.peer.clone().zip(peer.map(|p| p.versions()));
    let report = Report { setting, machine, peer, lines };
    println!("{}", report.markdown());
    arguments.save.map_or(Ok(()), |folder| report.save(&folder))
}

fn find(name: &str) -> anyhow::Result<Item> {
    named(name).with_context(|| {
        let known: Vec<String> = items().into_iter().map(|item| item.name).collect();
        format!("no item is named «{name}»; there are {}", known.join(", "))
    })
}

fn line(item: &Item, peer: Option<&mut Peer>, arguments: &Arguments) -> anyhow::Result<Line> {
    let mut peer = peer.filter(|_| item.peer == arguments.peer.as_deref());
    let setting = arguments.setting;
    let mut measured = None;
    item.with(setting, &mut |work| {
        let peer = peer.as_deref_mut().map(|peer| (peer, item.name.as_str()));
        let times = measure(work, peer, arguments.rounds)?;
        let counts = work.program().map(|(cpu, program)| roofline::measure(cpu, program)).transpose()?;
        measured = Some((times, counts));
        Ok(())
    })
    .with_context(|| format!("measure {}", item.name))?;
    let (times, counts) = measured.context("an item lends its work once")?;
    let ours = memory::ours(&item.name, setting)?;
    let theirs = peer.map(|peer| peer.memory(&item.name, setting.threads)).transpose()?.flatten();
    Ok(Line { name: item.name.clone(), times, counts, memory: [ours, theirs] })
}
