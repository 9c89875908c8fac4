//! Schedules, loss, local-score composition, guidance, samplers.
