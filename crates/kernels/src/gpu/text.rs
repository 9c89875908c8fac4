//! A kernel's text: constants, then the files.

use std::fmt::Write;

/// A text in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn constant(mut self, name: &str, value: usize) -> Self {
        writeln!(self.0, "const {name}: u32 = {value}u;").expect("a string takes what is written");
        self
    }

    pub(crate) fn flag(mut self, name: &str, value: bool) -> Self {
        writeln!(self.0, "const {name}: bool = {value};").expect("a string takes what is written");
        self
    }

    /// A whole file, or any lines.
    pub(crate) fn file(mut self, text: &str) -> Self {
        self.0.push_str(text);
        if !text.ends_with('\n') {
            self.0.push('\n');
        }
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}
