//! What tells one law of fields from another: spectrum, energy, enstrophy, divergence, vorticity.

use crate::error::ExperimentError;
use ndarray::{ArrayD, ArrayView1};
use sda_evaluation::quantile_sorted;
use sda_observe::Operator;

const STAGE: &str = "evaluate";
/// Levels of the quantiles that are drawn and compared.
pub(crate) const LEVELS: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
/// Largest wavenumber at which spectra are compared; the first is 1.
pub(crate) const LARGEST: usize = 16;
/// Quantiles over which the distance of two laws of a number is taken.
const QUANTILES: usize = 200;

/// Of many states.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldLaw {
    /// Mean of E(k), k = round(|k|) = 0, 1, …
    pub(crate) spectrum: Vec<f64>,
    /// ½⟨u² + v²⟩ of each state, ascending.
    pub(crate) energies: Vec<f64>,
    /// ½⟨ω²⟩ of each state, ascending.
    pub(crate) enstrophies: Vec<f64>,
    /// ω of all points of all states, ascending.
    pub(crate) vorticities: Vec<f64>,
    /// √⟨(∇·u)²⟩/√⟨ω²⟩, both by central differences.
    pub(crate) divergence: f64,
}

impl FieldLaw {
    /// Of states in physical units.
    ///
    /// Shapes: `shape` [1, 1, x, y, 2], each of `states` [x y 2].
    /// Errors: a state of another size.
    pub(crate) fn of<'a>(
        shape: &[usize],
        states: impl Iterator<Item = ArrayView1<'a, f64>>,
    ) -> Result<Self, ExperimentError> {
        let per_length = shape[2] as f64 / std::f64::consts::TAU;
        let mut law = Self::default();
        let (mut square_divergence, mut square_vorticity) = (0.0, 0.0);
        for state in states {
            let field: ArrayD<f64> =
                state.to_owned().into_shape_with_order(shape).map_err(ExperimentError::stage(STAGE))?;
            let seen =
                |operator: Operator| operator.apply(field.view()).map_err(ExperimentError::stage(STAGE));
            let spectrum = seen(Operator::Spectrum)?;
            law.spectrum.resize(spectrum.len(), 0.0);
            law.spectrum.iter_mut().zip(&spectrum).for_each(|(sum, e)| *sum += e);
            law.energies.push(spectrum.sum());
            let vorticity = super::vorticity(&field)?;
            let squares = |field: &ArrayD<f64>| field.mapv(|x| x * x).mean().unwrap_or(0.0);
            law.enstrophies.push(0.5 * squares(&vorticity));
            square_vorticity += squares(&vorticity);
            square_divergence += squares(&seen(Operator::Divergence)?) * per_length * per_length;
            law.vorticities.extend(vorticity);
        }
        let count = law.energies.len() as f64;
        law.spectrum.iter_mut().for_each(|sum| *sum /= count);
        law.divergence = (square_divergence / square_vorticity).sqrt();
        for values in [&mut law.energies, &mut law.enstrophies, &mut law.vorticities] {
            values.sort_unstable_by(f64::total_cmp);
        }
        Ok(law)
    }

    /// How far it is from another law.
    ///
    /// - `spectrum_log10`: largest |log₁₀ E(k)/E'(k)|, k = 1 … 16 or as far as the grid goes;
    /// - `energy_w1`, `enstrophy_w1`: W₁ of their laws over the other's standard deviation;
    /// - `energy_ratio`, `enstrophy_ratio`: of their means;
    /// - `vorticity_quantiles`: largest difference of ω's quantiles, of 1 to 99 %, over the deviation of ω';
    /// - `divergence`: its own √⟨(∇·u)²⟩/√⟨ω²⟩.
    pub(crate) fn beside(&self, other: &Self, points: usize) -> Vec<(&'static str, f64)> {
        let largest = LARGEST.min(points / 2);
        let spectrum = (1..=largest).map(|k| (self.spectrum[k] / other.spectrum[k]).log10().abs());
        let quantile = |law: &Self, level| {
            if law.vorticities.is_empty() { f64::NAN } else { quantile_sorted(&law.vorticities, level) }
        };
        let difference = LEVELS.map(|level| (quantile(self, level) - quantile(other, level)).abs());
        vec![
            ("spectrum_log10", largest_of(spectrum)),
            ("energy_w1", distance(&self.energies, &other.energies)),
            ("energy_ratio", mean(&self.energies) / mean(&other.energies)),
            ("enstrophy_w1", distance(&self.enstrophies, &other.enstrophies)),
            ("enstrophy_ratio", mean(&self.enstrophies) / mean(&other.enstrophies)),
            ("vorticity_quantiles", largest_of(difference.into_iter()) / deviation(&other.vorticities)),
            ("divergence", self.divergence),
        ]
    }
}

/// NaN where one is.
fn largest_of(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |largest, x| if x > largest || x.is_nan() { x } else { largest })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// ∫|Q − Q'| over the second's standard deviation, of sorted values.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let levels = (0..QUANTILES).map(|i| (i as f64 + 0.5) / QUANTILES as f64);
    let apart = |level| (quantile_sorted(a, level) - quantile_sorted(b, level)).abs();
    levels.map(apart).sum::<f64>() / QUANTILES as f64 / deviation(b)
}

/// Quantiles of values at [`LEVELS`].
pub(crate) fn quantiles(sorted: &[f64]) -> Vec<f64> {
    LEVELS.map(|level| quantile_sorted(sorted, level)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;
    use std::f64::consts::TAU;

    /// (u, v) on n × n points, laid out flat.
    fn state(n: usize, velocity: impl Fn(f64, f64) -> (f64, f64)) -> Array1<f64> {
        let at = |i: usize| TAU * (i as f64 + 0.5) / n as f64;
        let points = (0..n * n).map(|i| velocity(at(i / n), at(i % n)));
        points.flat_map(|(u, v)| [u, v]).collect()
    }

    fn law(n: usize, states: &[Array1<f64>]) -> FieldLaw {
        FieldLaw::of(&[1, 1, n, n, 2], states.iter().map(|state| state.view())).unwrap()
    }

    /// u = a sin 3y, v = 0: E = a²/4 at k = 3, Z = 9 a²/4, no divergence.
    #[test]
    fn waves_have_their_energy_enstrophy_and_spectrum() {
        let n = 64;
        let waves = [1.0, 3.0].map(|a| state(n, |_, y| (a * (3.0 * y).sin(), 0.0)));
        let law = law(n, &waves);
        let near = |got: f64, want: f64, by: f64| assert!((got - want).abs() < by, "{got} for {want}");
        near(law.spectrum[3], 1.25, 1e-12);
        near(law.spectrum.iter().sum(), law.spectrum[3], 1e-12);
        near(law.energies[0], 0.25, 1e-12);
        near(law.energies[1], 2.25, 1e-12);
        // Central differences of a wave of 21 points are 1.4 % low.
        near(law.enstrophies[1], 9.0 * 2.25, 0.03 * 20.25);
        near(law.divergence, 0.0, 1e-12);
        assert!(law.vorticities.is_sorted() && law.vorticities.len() == 2 * n * n);
    }

    #[test]
    fn vorticity_has_its_sign() {
        // ω = e^{cos y} less its mean, 1.27: from −0.90 to 1.45.
        let law = law(64, &[state(64, |_, y| (-antiderivative(y), 0.0))]);
        let (least, most) = (law.vorticities[0], law.vorticities[64 * 64 - 1]);
        assert!((least + 0.90).abs() < 0.02 && (most - 1.45).abs() < 0.02, "{least}, {most}");
    }

    /// Of e^{cos y} less its mean: Σ 2 I_k(1) sin(k y)/k.
    fn antiderivative(y: f64) -> f64 {
        let bessel = [0.565_159, 0.135_748, 0.022_168, 0.002_737, 0.000_271];
        bessel.iter().zip(1u32..).map(|(i, k)| 2.0 * i * (f64::from(k) * y).sin() / f64::from(k)).sum()
    }

    #[test]
    fn compressible_waves_have_divergence() {
        // u = sin 2x, v = sin 2x: ∇·u = 2 cos 2x, ω = 2 cos 2x.
        let law = law(32, &[state(32, |x, _| ((2.0 * x).sin(), (2.0 * x).sin()))]);
        assert!((law.divergence - 1.0).abs() < 1e-12);
    }

    #[test]
    fn laws_that_differ_by_a_factor_differ_by_it() {
        let n = 32;
        let of = |scale: f64| {
            let states: Vec<_> = (1..=5)
                .map(|i| {
                    let a = scale * f64::from(i);
                    state(n, |x, y| {
                        let waves =
                            |x: f64| (1..=16).map(|k| (f64::from(k) * x).sin() / f64::from(k)).sum::<f64>();
                        (a * waves(y), a * waves(x))
                    })
                })
                .collect();
            law(n, &states)
        };
        let (one, two) = (of(1.0), of(2.0));
        let value = |name| two.beside(&one, n).into_iter().find(|(n, _)| *n == name).unwrap().1;
        assert!((value("spectrum_log10") - 4f64.log10()).abs() < 1e-9);
        assert!((value("energy_ratio") - 4.0).abs() < 1e-9 && (value("enstrophy_ratio") - 4.0).abs() < 1e-9);
        // Three times the mean of 1, 4, 9, 16, 25 over their deviation, 11 and 8.7, but for where quantiles are drawn.
        assert!((value("energy_w1") - 33.0 / 74.8f64.sqrt()).abs() < 0.2, "{}", value("energy_w1"));
        assert!(value("vorticity_quantiles") > 0.5);
        let same = one.beside(&one, n);
        assert!(
            same.iter().all(|(name, x)| x.abs() < 1e-12 || name.ends_with("_ratio") || *name == "divergence")
        );
    }

    /// Of the uniform law on [0, 1]: ∫|Q − Q'| is the shift, and ½ for a stretch by 2.
    #[test]
    fn distances_are_those_of_shifted_and_stretched_laws() {
        let uniform: Vec<f64> = (0..=4000).map(|i| f64::from(i) / 4000.0).collect();
        let shifted: Vec<f64> = uniform.iter().map(|x| x + 0.3).collect();
        let stretched: Vec<f64> = uniform.iter().map(|x| 2.0 * x).collect();
        let deviation = (1.0 / 12f64).sqrt();
        assert!(distance(&uniform, &uniform).abs() < 1e-12);
        assert!((distance(&shifted, &uniform) - 0.3 / deviation).abs() < 1e-3);
        assert!((distance(&stretched, &uniform) - 0.5 / deviation).abs() < 1e-3);
        assert!((distance(&uniform, &stretched) - 0.25 / deviation).abs() < 1e-3);
    }

    #[test]
    fn a_number_that_is_none_is_not_hidden() {
        assert!(largest_of([1.0, f64::NAN, 2.0].into_iter()).is_nan());
        assert_eq!(largest_of([0.5, 2.0, 1.0].into_iter()), 2.0);
    }
}
