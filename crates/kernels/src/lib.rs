//! One folder per op: reference, fast CPU form, cases.
