//! `sda verify`: the quick table, and what it leaves.

use super::sandbox::{stderr, succeed};
use std::process::Command;

fn verify(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sda"));
    command.arg("verify").args(arguments);
    command
}

#[test]
fn the_quick_table_is_as_expected_and_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.md");
    let output = succeed(verify(&["--quick", "--save", file.to_str().unwrap()]).output().unwrap());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("rows are as expected") && !text.contains('✗'), "{text}");
    assert!(stderr(&output).contains("left"), "progress");
    let saved = std::fs::read_to_string(&file).unwrap();
    let rows = saved.lines().filter(|line| line.contains('✓')).count();
    assert_eq!(rows, text.lines().filter(|line| line.contains('✓')).count() - 1, "{saved}");
}

#[test]
fn a_file_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let table = file.join("table.md");
    let output = verify(&["--quick", "--save", table.to_str().unwrap()]).output().unwrap();
    assert!(!output.status.success());
    for words in
        [&format!("write the table to {}", table.display()), "a file stands where a folder is needed"]
    {
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}
