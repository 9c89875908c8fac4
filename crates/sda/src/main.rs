//! The `sda` command.
fn main() {}
