//! `sda devices`: what an experiment can run on.

use sda::device::describe_cpu;

/// The CPU, every adapter, and which of them `auto` takes.
pub(crate) fn list() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("cpu    {}\n{}", describe_cpu(threads), gpus::list())
}

#[cfg(not(feature = "gpu"))]
mod gpus {
    pub(super) fn list() -> &'static str {
        "This build has no GPU support; build with the default features. --device auto takes the CPU.\n"
    }
}

#[cfg(feature = "gpu")]
mod gpus {
    use sda::device::{AdapterDescription, adapters, automatic};
    use sda::kernels::gpu::Precision;

    const NONE: &str = "\
There is no GPU adapter. A driver for Vulkan, Metal or DX12 brings one; on Debian and Ubuntu
`apt-get install mesa-vulkan-drivers`, which also has llvmpipe, a program on the CPU to try things with.
";

    pub(super) fn list() -> String {
        let adapters = adapters();
        let taken = match automatic(&adapters) {
            Some(index) => format!("gpu:{index}, and the CPU if that does not open"),
            None => "the CPU: there is no hardware GPU".to_owned(),
        };
        let rows: String = adapters.iter().enumerate().map(|(i, a)| row(i, a)).collect();
        let none = if adapters.is_empty() { NONE } else { "" };
        format!("{rows}{none}--device auto takes {taken}.\n")
    }

    fn row(index: usize, a: &AdapterDescription) -> String {
        let kind = format!("{:?}", a.kind).to_lowercase();
        let timed = if a.timestamps { "timestamps" } else { "no timestamps" };
        format!(
            "gpu:{index}  {name}, {kind}, {backend}, driver {driver}\n\
             \u{20}      buffer {buffer}, binding {binding}, workgroup memory {workgroup}, {invocations} invocations, \
             {arrays} arrays, {timed}\n\
             \u{20}      f32:   {plain}\n\
             \u{20}      mixed: {mixed}\n",
            name = a.name,
            backend = a.backend,
            driver = a.driver,
            buffer = bytes(a.buffer_bytes),
            binding = bytes(a.binding_bytes),
            workgroup = bytes(a.workgroup_bytes.into()),
            invocations = a.invocations,
            arrays = a.abilities.arrays,
            plain = variants(a, Precision::F32),
            mixed = variants(a, Precision::Mixed),
        )
    }

    fn variants(a: &AdapterDescription, asked: Precision) -> String {
        let used = [&["portable kernels"][..], &a.variants(asked)].concat().join(", ");
        if a.precision(asked) == asked { used } else { format!("as f32, the adapter has no f16: {used}") }
    }

    /// In the largest unit of which it is at least one.
    fn bytes(n: u64) -> String {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let (size, unit) = units.into_iter().find(|(size, _)| n >= *size).unwrap_or((1, "bytes"));
        let number = format!("{:.1}", n as f64 / size as f64);
        format!("{} {unit}", number.strip_suffix(".0").unwrap_or(&number))
    }
}
