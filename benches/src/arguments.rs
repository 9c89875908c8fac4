//! The command line.

use crate::items::Setting;
use anyhow::{Context, bail};
use lexopt::prelude::*;
use sda_kernels::Level;
use std::path::PathBuf;

const USAGE: &str = "usage: sda-benches gpu --help
       sda-benches cpu [options]
  --peer torch       the same work in PyTorch too, in turns
  --peer jax-cfd     the simulator's items alone, and the published data generator's solver, in turns
  --items a,b        these alone
  --rounds N         turns at most (9); from the third on no more once a side has taken 20 s
  --threads N        threads of both sides (2)
  --level L          instructions of ours: portable, avx2, avx512 … (the machine's best)
  --save FOLDER      writes cpu.md and cpu.json there, cpu-jax-cfd.md and .json beside jax-cfd
  --profile ITEM     prints each step of one item's program with its time on one thread, and nothing else
  --memory-of ITEM   prints the peak memory of one item of ours as JSON, and nothing else";

/// What was asked for.
pub(crate) struct Arguments {
    pub(crate) setting: Setting,
    pub(crate) peer: Option<String>,
    pub(crate) rounds: usize,
    pub(crate) items: Vec<String>,
    pub(crate) save: Option<PathBuf>,
    pub(crate) memory_of: Option<String>,
    pub(crate) profile: Option<String>,
}

impl Arguments {
    pub(crate) fn parse() -> anyhow::Result<Self> {
        Self::from(lexopt::Parser::from_env())
    }

    fn from(mut parser: lexopt::Parser) -> anyhow::Result<Self> {
        let mut suite = None;
        let mut a = Self {
            setting: Setting { threads: 2, level: Level::detect() },
            peer: None,
            rounds: 9,
            items: Vec::new(),
            save: None,
            memory_of: None,
            profile: None,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Value(value) if suite.is_none() => suite = Some(value.string()?),
                Long("peer") => a.peer = Some(parser.value()?.string()?),
                Long("threads") => a.setting.threads = parser.value()?.parse()?,
                Long("level") => a.setting.level = level(&parser.value()?.string()?)?,
                Long("rounds") => a.rounds = parser.value()?.parse()?,
                Long("items") => {
                    a.items = parser.value()?.string()?.split(',').map(str::to_owned).collect();
                }
                Long("save") => a.save = Some(parser.value()?.into()),
                Long("profile") => a.profile = Some(parser.value()?.string()?),
                Long("memory-of") => a.memory_of = Some(parser.value()?.string()?),
                Long("help") => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                other => bail!("{}\n{USAGE}", other.unexpected()),
            }
        }
        match suite.as_deref() {
            Some("cpu") if a.rounds > 0 && a.setting.threads > 0 => Ok(a),
            Some("cpu") => bail!("--rounds and --threads must be above zero"),
            Some(other) => bail!("there is no suite «{other}»\n{USAGE}"),
            None => bail!("{USAGE}"),
        }
    }
}

/// A level of this machine by its name in lower case.
fn level(name: &str) -> anyhow::Result<Level> {
    let named = |level: &Level| format!("{level:?}").to_lowercase();
    let available = Level::available();
    available.iter().copied().find(|level| named(level) == name).with_context(|| {
        let known: Vec<String> = available.iter().map(named).collect();
        format!("--level {name}: this machine has {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Arguments> {
        Arguments::from(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn every_option_is_read() {
        let a =
            parse("cpu --items a,b --rounds 4 --threads 3 --level portable --save x --peer torch").unwrap();
        assert_eq!((a.items, a.rounds, a.setting.threads), (vec!["a".into(), "b".into()], 4, 3));
        assert_eq!((a.setting.level, a.save, a.memory_of), (Level::Portable, Some("x".into()), None));
        assert_eq!(a.peer.as_deref(), Some("torch"));
        assert_eq!(parse("--memory-of c cpu").unwrap().memory_of.as_deref(), Some("c"));
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        let failure = |line: &str| parse(line).err().unwrap().to_string();
        assert!(failure("lorenz").contains("no suite «lorenz»"));
        assert!(failure("").contains("sda-benches cpu [options]"));
        assert!(failure("cpu --threads 0").contains("above zero"));
        assert!(failure("cpu --level quick").contains("this machine has portable"));
        assert!(failure("cpu cpu").contains("unexpected argument"));
    }
}
