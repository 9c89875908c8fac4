//! Samples of the truth's law score as calibrated, others do not, and say how.

use super::super::evaluate::Metric;
use super::*;
use ndarray::array;

const CASES: usize = 300;
const SAMPLES: usize = 40;
const SHAPE: (usize, usize) = (6, 2);

fn metric(trajectory: usize, name: &str, value: f64) -> Metric {
    Metric {
        observation: "lo".into(),
        corrections: Some(1),
        trajectory: Some(trajectory),
        metric: name.into(),
        value,
        standard_error: None,
    }
}

fn found(metrics: &[Metric], name: &str) -> Option<(f64, Option<f64>)> {
    let found = metrics.iter().find(|m| m.metric == name && m.trajectory.is_none())?;
    Some((found.value, found.standard_error))
}

/// A random walk from an uncertain place, so that a case's numbers depend on each other.
fn walk(draws: &mut Sequence, scale: f64) -> Array2<f64> {
    let mut x = Array2::from_shape_simple_fn(SHAPE, || scale * draws.normal());
    for i in 1..SHAPE.0 {
        let before = x.row(i - 1).to_owned();
        x.row_mut(i).scaled_add(1.0, &before);
    }
    x
}

/// Scores of many cases of a truth and of samples, whose law is the truth's but for a stretch and a shift.
struct Simulated {
    each: Vec<Metric>,
    pooled: Vec<Metric>,
}

impl Simulated {
    fn new(stretch: f64, shift: f64) -> Self {
        let normalisation = Normalisation { offset: vec![1.0, -2.0], scale: vec![2.0, 5.0] };
        let mut each = Vec::new();
        for case in 0..CASES {
            let mut draws = Stream::new(21, 0).sequence(0, case as u32);
            let centre = 9.0 * draws.normal();
            let truth = walk(&mut draws, 1.0) + centre;
            let mut samples = Array3::zeros((SAMPLES, SHAPE.0, SHAPE.1));
            samples
                .outer_iter_mut()
                .for_each(|mut x| x.assign(&(walk(&mut draws, stretch) + centre + shift)));
            let size = |x: ndarray::ArrayView2<'_, f64>| x.iter().map(|x| (x - centre).powi(2)).sum::<f64>();
            let sizes = samples.outer_iter().map(size).collect::<ndarray::Array1<f64>>();
            let values = of_case(&samples, &truth, &normalisation, &mut draws).unwrap();
            let of_size = relative_rank(&sizes, size(truth.view()), &mut draws).unwrap();
            each.extend(values.into_iter().map(|(name, value)| metric(case, name, value)));
            each.push(metric(case, "rank_log_likelihood", of_size));
        }
        Self { pooled: pooled(&each).unwrap(), each }
    }

    fn mean(&self, name: &str) -> f64 {
        let values: Vec<f64> = self.each.iter().filter(|m| m.metric == name).map(|m| m.value).collect();
        assert_eq!(values.len(), CASES);
        values.iter().sum::<f64>() / CASES as f64
    }

    fn pooled(&self, name: &str) -> (f64, f64) {
        let (value, error) = found(&self.pooled, name).unwrap();
        (value, error.unwrap_or(0.0))
    }
}

/// Four standard errors of every score.
#[test]
fn samples_of_the_truths_law_are_calibrated() {
    let got = Simulated::new(1.0, 0.0);
    let (ratio, error) = got.pooled("spread_skill");
    assert!(error < 0.04 && (ratio - 1.0).abs() < 4.0 * error, "{ratio} ± {error}");
    // Level (N − 1)/(N + 1); shares of dependent numbers scatter by less than one number's.
    for (name, level) in [("coverage_50", 0.5), ("coverage_90", 0.9)] {
        let want = level * (SAMPLES as f64 - 1.0) / (SAMPLES as f64 + 1.0);
        let error = (want * (1.0 - want) / CASES as f64).sqrt();
        assert!((got.mean(name) - want).abs() < 4.0 * error, "{name}: {}", got.mean(name));
    }
    assert!((got.mean("rank") - 0.5).abs() < 4.0 * (1.0 / 12.0 / CASES as f64).sqrt());
    assert!(got.pooled("rank_p").0 > 0.01 && got.pooled("sbc_p").0 > 0.01, "{:?}", got.pooled);
}

/// E (x̄ − y)² = (1 + a²/N) σ² and E s² = a² σ² for samples stretched by a.
fn ratio_of_stretched(a: f64) -> f64 {
    let n = SAMPLES as f64;
    a * ((n + 1.0) / (n + a * a)).sqrt()
}

#[test]
fn overconfident_and_timid_samples_are_not() {
    for (stretch, below, above) in [(0.5f64.sqrt(), 0.64, 0.78), (2f64.sqrt(), 0.92, 0.99)] {
        let got = Simulated::new(stretch, 0.0);
        let (ratio, error) = got.pooled("spread_skill");
        assert!((ratio - ratio_of_stretched(stretch)).abs() < 4.0 * error, "{ratio} ± {error}");
        // 2 Φ(1.645 a) − 1 is 0.755 and 0.980, of which a finite N takes some 0.03; four standard errors are 0.08.
        let share = got.mean("coverage_90");
        assert!((below..above).contains(&share), "{share}");
        assert!(got.pooled("rank_p").0 < 1e-3 && got.pooled("sbc_p").0 < 1e-3, "{:?}", got.pooled);
    }
}

#[test]
fn shifted_samples_are_not() {
    let got = Simulated::new(1.0, 2.0);
    assert!(got.mean("rank") < 0.45 && got.pooled("rank_p").0 < 1e-3, "{:?}", got.pooled);
    let (ratio, error) = got.pooled("spread_skill");
    assert!(ratio < 1.0 - 4.0 * error);
    assert!(got.mean("crps") > 1.1 * Simulated::new(1.0, 0.0).mean("crps"));
}

#[test]
fn one_case_by_hand() {
    let normalisation = Normalisation { offset: vec![0.0, 0.0], scale: vec![2.0, 5.0] };
    let samples = array![[[1.0, 10.0]], [[3.0, 20.0]]];
    let values =
        of_case(&samples, &array![[4.0, 10.0]], &normalisation, &mut Stream::new(0, 0).sequence(0, 0));
    // Errors −2 and 5, or −1 and 1 of the normalisation; variances ½ and 2; fair scores ½ and 0.
    let want = [
        ("crps", 0.25),
        ("rmse", f64::sqrt(14.5)),
        ("rmse_normalised", 1.0),
        ("spread", f64::sqrt(1.25)),
        ("spread_skill", f64::sqrt(1.5 * 1.25)),
        ("coverage_50", 0.0),
        ("coverage_90", 0.0),
    ];
    let values = values.unwrap();
    for ((name, value), (want_name, want)) in values.iter().zip(want) {
        assert!(*name == want_name && (value - want).abs() < 1e-14, "{name}: {value} for {want}");
    }
    assert!(values[7].0 == "rank" && (0.0..1.0).contains(&values[7].1));
}

#[test]
fn relative_ranks_of_any_number_of_samples_are_uniform() {
    let mut draws = Stream::new(4, 0).sequence(0, 0);
    let mut counts = [0u32; 7];
    for case in 0..7000 {
        let samples = ndarray::Array1::from_shape_simple_fn(1 + case % 5, || draws.normal());
        let truth = draws.normal();
        counts[bin(relative_rank(&samples, truth, &mut draws).unwrap(), 7)] += 1;
    }
    // Each is binomial about 1000, with a deviation of 29.
    assert!(counts.iter().all(|count| count.abs_diff(1000) < 120), "{counts:?}");
    assert_eq!([bin(0.0, 4), bin(0.5, 4), bin(0.99, 4), bin(1.0, 4)], [0, 2, 3, 3]);
}

#[test]
fn roots_are_pooled_before_they_are_taken() {
    let mut metrics = Vec::new();
    for (trajectory, values) in [[3.0, 1.5, 2.0, 0.5, 0.9], [4.0, 2.0, 1.0, 1.0, 0.3]].into_iter().enumerate()
    {
        let names = ["rmse", "rmse_ratio", "rmse_normalised", "spread_skill", "mode_ratio_least"];
        metrics.extend(names.into_iter().zip(values).map(|(name, value)| metric(trajectory, name, value)));
    }
    // Another set of cases is not mixed in.
    metrics.push(Metric { corrections: None, ..metric(0, "rmse", 100.0) });
    let got = pooled(&metrics).unwrap();
    for (name, want, want_error) in [
        // Squares 9 and 16: 12.5 ± 3.5, over twice the root.
        ("rmse", f64::sqrt(12.5), Some(3.5 / (2.0 * f64::sqrt(12.5)))),
        // The reference's are 2 and 2: 25/8, residuals 9 − 12.5 and 16 − 12.5.
        ("rmse_ratio", f64::sqrt(3.125), Some(3.5 / 4.0 / (2.0 * f64::sqrt(3.125)))),
        // (1² + 1²)/(2² + 1²), residuals 1 − 1.6 and 1 − 0.4.
        ("spread_skill", f64::sqrt(0.4), Some(0.6 / 2.5 / (2.0 * f64::sqrt(0.4)))),
        ("mode_ratio_least", 0.3, None),
    ] {
        let (value, error) = found(&got, name).unwrap();
        assert!((value - want).abs() < 1e-14, "{name}: {value} for {want}");
        assert!((error.unwrap_or(0.0) - want_error.unwrap_or(0.0)).abs() < 1e-14, "{name}: {error:?}");
        assert_eq!(error.is_some(), want_error.is_some());
    }
    assert_eq!(found(&got, "rank_p"), None);
    assert_eq!(got.iter().filter(|m| m.corrections.is_none()).map(|m| m.value).collect::<Vec<_>>(), [100.0]);
}

/// A trajectory counts where all of its ranks are there.
#[test]
fn p_values_need_ten_whole_cases() {
    let p_value = |cases: usize, whole: usize| {
        let of = |i: usize| {
            let rank = (i as f64 + 0.5) / cases as f64;
            let second = (i < whole).then(|| metric(i, "rank_log_prior", rank));
            [metric(i, "rank", rank)].into_iter().chain(second)
        };
        found(&pooled(&(0..cases).flat_map(of).collect::<Vec<_>>()).unwrap(), "sbc_p")
    };
    assert_eq!(p_value(9, 9), None);
    assert!(p_value(10, 10).unwrap().0 > 0.5);
    assert_eq!(p_value(10, 9), None);
    assert!(p_value(11, 10).is_some());
}

/// Residuals of 0.6 and 1.0 σ: √((0.36 + 1)/2), not 0.8.
#[test]
fn residuals_of_cases_are_pooled_by_their_squares() {
    let each = [metric(0, "residual_over_noise", 0.6), metric(1, "residual_over_noise", 1.0)];
    let (value, error) = found(&pooled(&each).unwrap(), "residual_over_noise").unwrap();
    assert!((value - 0.68f64.sqrt()).abs() < 1e-12, "{value}");
    // Of the mean of squares 0.32, over twice the root.
    assert!((error.unwrap() - 0.32 / (2.0 * value)).abs() < 1e-12, "{error:?}");
}
