//! Tests that need a GPU adapter, hardware or a program on the CPU.

/// Whether there is an adapter. Where there is none, says that the test is skipped; with `SDA_REQUIRE_GPU=1` that is a
/// failure.
pub(crate) fn has_adapter(test: &str) -> bool {
    let found = !sda_device::adapters().is_empty();
    if !found {
        let required = std::env::var("SDA_REQUIRE_GPU").is_ok_and(|v| v == "1");
        assert!(!required, "{test}: there is no GPU adapter, and SDA_REQUIRE_GPU=1 asks for one");
        eprintln!("{test}: skipped, there is no GPU adapter");
    }
    found
}
