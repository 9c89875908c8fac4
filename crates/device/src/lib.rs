//! Executors that replay a plan.
