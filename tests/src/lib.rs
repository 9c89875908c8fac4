//! Workspace-level tests: import rules, conformance to reference numbers, allocations.

#[cfg(test)]
mod allocation;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod gpu;
#[cfg(test)]
mod import_rules;
#[cfg(test)]
mod reference;
