//! The suite's command line.

use anyhow::{Context, bail};
use lexopt::prelude::*;
use sda_device::{AdapterChoice, AdapterKind};
use sda_kernels::gpu::Precision;
use std::path::PathBuf;

pub(super) const USAGE: &str = "usage: sda-benches gpu [options]
  --adapter A        index or part of a name (the first that is hardware)
  --sizes S          full, as published, or small (full on hardware, small on a program on the CPU)
  --rounds N         turns of each measurement (5)
  --precision P      f32, mixed or both (both; mixed only where the adapter has f16)
  --peer torch       the same work in PyTorch on the same GPU, in turns
  --only A,B         rows whose names hold one of these, alone
  --save FOLDER      writes gpu-ADAPTER.md and .json there";

/// How large the arrays are, and which networks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// What a program on the CPU does within minutes.
    Small,
    /// The published sizes.
    Full,
}

impl Sizes {
    /// Name on the command line and in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Full => "full",
        }
    }

    /// What an adapter is given unless it is asked for.
    pub(super) fn of(kind: AdapterKind) -> Self {
        if kind.is_hardware() { Self::Full } else { Self::Small }
    }
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) adapter: AdapterChoice,
    pub(super) sizes: Option<Sizes>,
    pub(super) rounds: usize,
    pub(super) precisions: Vec<Precision>,
    pub(super) torch: bool,
    pub(super) only: Vec<String>,
    pub(super) save: Option<PathBuf>,
}

impl Arguments {
    /// What follows the suite's name.
    pub(super) fn from(mut parser: lexopt::Parser) -> anyhow::Result<Self> {
        let mut a = Self {
            adapter: AdapterChoice::Best,
            sizes: None,
            rounds: 5,
            precisions: vec![Precision::F32, Precision::Mixed],
            torch: false,
            only: Vec::new(),
            save: None,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("adapter") => a.adapter = parser.value()?.parse()?,
                Long("sizes") => {
                    a.sizes = Some(match parser.value()?.string()?.as_str() {
                        "small" => Sizes::Small,
                        "full" => Sizes::Full,
                        other => bail!("--sizes {other}: there are small and full"),
                    });
                }
                Long("rounds") => a.rounds = parser.value()?.parse()?,
                Long("precision") => {
                    a.precisions = match parser.value()?.string()?.as_str() {
                        "f32" => vec![Precision::F32],
                        "mixed" => vec![Precision::Mixed],
                        "both" => vec![Precision::F32, Precision::Mixed],
                        other => bail!("--precision {other}: there are f32, mixed and both"),
                    };
                }
                Long("peer") => match parser.value()?.string()?.as_str() {
                    "torch" => a.torch = true,
                    other => bail!("there is no peer «{other}»; there is torch"),
                },
                Long("only") => a.only = parser.value()?.string()?.split(',').map(str::to_owned).collect(),
                Long("save") => a.save = Some(parser.value()?.into()),
                Long("help") => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                other => bail!("{}\n{USAGE}", other.unexpected()),
            }
        }
        (a.rounds > 0).then_some(a).context("--rounds must be above zero")
    }

    /// Whether a row is asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Arguments> {
        Arguments::from(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn every_option_is_read() {
        let line =
            "--adapter 1 --sizes small --rounds 3 --precision mixed --peer torch --only conv,local --save x";
        let a = parse(line).unwrap();
        assert_eq!((&a.adapter, a.sizes, a.rounds), (&AdapterChoice::Index(1), Some(Sizes::Small), 3));
        assert_eq!((&a.precisions, a.torch, &a.save), (&vec![Precision::Mixed], true, &Some("x".into())));
        assert!(a.wants("train_local") && a.wants("conv_input") && !a.wants("matmul"));
        let a = parse("--adapter radeon").unwrap();
        assert_eq!((a.adapter, a.sizes), (AdapterChoice::Name("radeon".into()), None));
        assert_eq!(a.precisions.len(), 2);
        assert!(parse("").unwrap().wants("anything"));
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        let failure = |line: &str| parse(line).unwrap_err().to_string();
        assert!(failure("--sizes huge").contains("small and full"));
        assert!(failure("--precision f64").contains("f32, mixed and both"));
        assert!(failure("--peer jax").contains("there is torch"));
        assert!(failure("--rounds 0").contains("above zero"));
        assert!(failure("cpu").contains("usage: sda-benches gpu"));
    }

    #[test]
    fn hardware_is_given_the_published_sizes() {
        assert_eq!(Sizes::of(AdapterKind::Software), Sizes::Small);
        assert_eq!(Sizes::of(AdapterKind::Integrated).name(), "full");
    }
}
