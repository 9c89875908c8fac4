//! Weights of particles, and draws by them.

/// Weights of particles.
pub(super) struct Weights {
    /// The greatest is 1.
    pub(super) values: Vec<f64>,
    /// (Σ w)² / Σ w².
    pub(super) effective: f64,
}

impl Weights {
    /// None where no weight is above 0. A particle that has left the real numbers weighs nothing.
    pub(super) fn of_logs(logs: impl Iterator<Item = f64>, cut: Option<f64>) -> Option<Self> {
        let mut logs: Vec<f64> = logs.map(|w| if w.is_nan() { f64::NEG_INFINITY } else { w }).collect();
        if let Some(cut) = cut {
            let mut sorted = logs.clone();
            sorted.sort_by(f64::total_cmp);
            let median = sorted[(sorted.len() - 1) / 2];
            // Where half weigh nothing, nothing is cut.
            if median.is_finite() {
                logs.iter_mut().for_each(|w| *w = w.min(median + cut.ln()));
            }
        }
        let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let values: Vec<f64> = logs.iter().map(|w| (w - greatest).exp()).collect();
        let total: f64 = values.iter().sum();
        let effective = total * total / values.iter().map(|w| w * w).sum::<f64>();
        greatest.is_finite().then_some(Self { values, effective })
    }

    /// Systematic resampling: child k of n has the parent in whose share (k + u)/n falls.
    pub(super) fn parents(&self, n: usize, u: f64) -> Vec<usize> {
        let weights = &self.values;
        let total: f64 = weights.iter().sum();
        let last = weights.iter().rposition(|&w| w > 0.0).unwrap_or(0);
        let (mut parent, mut reached) = (0, weights[0]);
        let child = |k: usize| {
            let place = (k as f64 + u) / n as f64 * total;
            while reached <= place && parent < last {
                parent += 1;
                reached += weights[parent];
            }
            parent
        };
        (0..n).map(child).collect()
    }
}
