//! The choice of a device, as a command line writes it.

#[cfg(feature = "gpu")]
use crate::wgpu::{AdapterChoice, AdapterDescription, best};
use std::fmt;
use std::str::FromStr;

/// What to compute on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A discrete adapter, else other hardware, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU.
    #[cfg(feature = "gpu")]
    Gpu(AdapterChoice),
}

impl FromStr for DeviceChoice {
    type Err = String;

    /// `auto`, `cpu`, `gpu`, `gpu:<index>` or `gpu:<name>`.
    ///
    /// Errors: any other text, with these forms; a GPU in a build without them.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "«{text}» is no device: write auto, cpu, gpu, gpu:<index> or gpu:<part of the name>; \
                 `sda devices` lists them"
            )
        };
        let (kind, which) = text.split_once(':').map_or((text, None), |(kind, which)| (kind, Some(which)));
        match (kind, which.map(str::trim)) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("gpu", None) => gpu(""),
            ("gpu", Some(which)) if !which.is_empty() => gpu(which),
            _ => Err(wrong()),
        }
    }
}

#[cfg(feature = "gpu")]
fn gpu(which: &str) -> Result<DeviceChoice, String> {
    which.parse().map(DeviceChoice::Gpu).map_err(|never: std::convert::Infallible| match never {})
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: &str) -> Result<DeviceChoice, String> {
    Err("this build has no GPU support; build with the default features".into())
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            #[cfg(feature = "gpu")]
            Self::Gpu(AdapterChoice::Best) => f.write_str("gpu"),
            #[cfg(feature = "gpu")]
            Self::Gpu(AdapterChoice::Index(index)) => write!(f, "gpu:{index}"),
            #[cfg(feature = "gpu")]
            Self::Gpu(AdapterChoice::Name(name)) => write!(f, "gpu:{name}"),
        }
    }
}

/// The adapter that [`DeviceChoice::Auto`] takes: the first of the fastest kind, if that is hardware. A software adapter
/// is slower than the CPU executor on the same cores.
#[cfg(feature = "gpu")]
pub fn automatic(adapters: &[AdapterDescription]) -> Option<usize> {
    best(adapters.iter().map(|adapter| adapter.kind)).filter(|&i| adapters[i].kind.is_hardware())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, words: &[&str]) {
        let message = text.parse::<DeviceChoice>().unwrap_err();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }

    #[test]
    fn what_is_no_device_is_answered_with_the_forms() {
        for text in ["", "tpu", "CPU", "cpu:0", "auto:1", "gpu:", "gpu: ", "gpu0", "gpus:1"] {
            refused(text, &[&format!("«{text}»"), "auto, cpu, gpu, gpu:<index> or gpu:<part of the name>"]);
        }
    }

    #[test]
    fn the_cpu_or_whatever_is_there() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("cpu".parse(), Ok(DeviceChoice::Cpu));
        assert_eq!(DeviceChoice::default().to_string(), "auto");
        assert_eq!(DeviceChoice::Cpu.to_string(), "cpu");
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn a_gpu_by_nothing_by_index_or_by_name() {
        for (text, adapter) in [
            ("gpu", AdapterChoice::Best),
            ("gpu:0", AdapterChoice::Index(0)),
            ("gpu:12", AdapterChoice::Index(12)),
            ("gpu:radeon rx", AdapterChoice::Name("radeon rx".into())),
            ("gpu:a:b", AdapterChoice::Name("a:b".into())),
            ("gpu:-1", AdapterChoice::Name("-1".into())),
        ] {
            let choice = DeviceChoice::Gpu(adapter);
            assert_eq!(text.parse().as_ref(), Ok(&choice), "{text}");
            assert_eq!(choice.to_string(), text);
        }
    }

    #[cfg(not(feature = "gpu"))]
    #[test]
    fn without_gpus_built_in_that_is_said() {
        for text in ["gpu", "gpu:0", "gpu:radeon"] {
            refused(text, &["no GPU support", "default features"]);
        }
    }
}
