//! Parity with the reference on whatever adapter there is: hardware, or a program on the CPU.

mod blocks;
mod broken;
mod catalogue;
mod faults;
mod programs;

use super::{AdapterChoice, AdapterDescription, Wgpu, WgpuOptions, adapter, adapters};
use sda_kernels::gpu::{Abilities, Precision};

/// Whether there is an adapter. Where there is none, says that the test is skipped; with `SDA_REQUIRE_GPU=1` that is a
/// failure.
pub(super) fn has_adapter(test: &str) -> bool {
    let found = !adapters().is_empty();
    if !found {
        let required = std::env::var("SDA_REQUIRE_GPU").is_ok_and(|v| v == "1");
        assert!(!required, "{test}: there is no GPU adapter, and SDA_REQUIRE_GPU=1 asks for one");
        eprintln!("{test}: skipped, there is no GPU adapter");
    }
    found
}

/// The adapter that is tested.
pub(super) fn best() -> AdapterDescription {
    adapter::find(&AdapterChoice::Best).unwrap().1
}

/// An executor in one form of its kernels.
pub(super) fn with(abilities: Abilities, precision: Precision) -> Wgpu {
    let options = WgpuOptions { abilities: Some(abilities), precision, ..WgpuOptions::default() };
    Wgpu::with_options(&options).unwrap()
}

/// As [`with`], every array between guard words.
fn guarded(abilities: Abilities, precision: Precision) -> Wgpu {
    let options =
        WgpuOptions { abilities: Some(abilities), precision, guards: true, ..WgpuOptions::default() };
    Wgpu::with_options(&options).unwrap()
}

/// Every form that the adapter has, by name.
fn forms() -> Vec<(&'static str, Abilities, Precision)> {
    let all = best().abilities;
    let portable = Abilities::PORTABLE;
    let mut forms = vec![("portable", portable, Precision::F32)];
    if all.subgroups {
        forms.push((
            "subgroups",
            Abilities { subgroups: true, arrays: all.arrays, ..portable },
            Precision::F32,
        ));
    }
    if all.half {
        forms.push(("half", Abilities { half: true, ..portable }, Precision::Mixed));
    }
    if all.cooperative.is_some() {
        forms.push(("cooperative", all, Precision::Mixed));
    }
    forms
}

impl Wgpu {
    /// Panics: a kernel wrote outside its arrays.
    fn assert_guards(&mut self, what: &str) {
        use super::memory::{GUARD, WORD};
        let regions: Vec<super::Region> = self
            .programs
            .iter()
            .flat_map(|p| p.buffers.iter().cloned())
            .chain(self.states.iter().map(|s| s.region.clone()))
            .collect();
        for region in regions {
            let mut words = vec![0f32; region.len + 2 * GUARD];
            self.context.read(&region.buffer, 0, &mut words).unwrap();
            let ends = words[..GUARD].iter().chain(&words[region.len + GUARD..]);
            let intact = ends.clone().all(|w| w.to_bits() == WORD);
            assert!(intact, "{what}: written outside an array of {} numbers", region.len);
        }
    }
}
