//! What made a result: versions and machine, for the run directory and the report.

use crate::run::Run;
use sda_kernels::Level;

/// Names and values, in a fixed order.
pub(crate) fn versions(run: &Run) -> Vec<(String, String)> {
    let row = |name: &str, value: String| (name.to_owned(), value);
    vec![
        row("sda", env!("CARGO_PKG_VERSION").into()),
        row("linear algebra", sda_core::linalg::BACK_END.into()),
        row("instructions", format!("{:?}", Level::detect())),
        row("threads", threads_of(run.threads).to_string()),
        row("device", run.described.clone()),
        row("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
    ]
}

/// The number that 0 stands for.
fn threads_of(asked: usize) -> usize {
    if asked > 0 { asked } else { std::thread::available_parallelism().map_or(1, usize::from) }
}
