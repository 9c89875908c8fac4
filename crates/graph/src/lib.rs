//! The static graph: ops, shape rules, VJP table, passes, memory plan, the Executor trait.
