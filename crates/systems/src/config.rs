//! The systems as a recipe names them.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::flow::{Flow, FlowStart, Forcing, Preset};
use crate::{Ar1Rotation, DampedSpring, Lorenz63, Lorenz96, LotkaVolterra, System, SystemError};
use crate::{Dynamics, FlowPrecision};

/// A system and its parameters, as written in RON: `Lorenz63()`, `Lorenz96(n: 40, forcing: 8)`.
///
/// Units: `dt` is the model time between two states, integrated in `substeps` Runge–Kutta steps; `diffusion` is the
/// noise's standard deviation per square root of model time, 0 for none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum SystemConfig {
    /// See [`Lorenz63`]; the default is the noisy chain of the paper.
    Lorenz63 {
        /// Model time between states.
        #[serde(default = "default::lorenz63_dt")]
        dt: f64,
        /// Runge–Kutta steps between states.
        #[serde(default = "default::one_step")]
        substeps: u32,
        /// σ.
        #[serde(default = "default::sigma")]
        sigma: f64,
        /// ρ.
        #[serde(default = "default::rho")]
        rho: f64,
        /// β.
        #[serde(default = "default::beta")]
        beta: f64,
        /// Noise per root of model time.
        #[serde(default = "default::one")]
        diffusion: f64,
    },
    /// See [`Lorenz96`]; the default is the published code's.
    Lorenz96 {
        /// Model time between states.
        #[serde(default = "default::lorenz96_dt")]
        dt: f64,
        /// Runge–Kutta steps between states.
        #[serde(default = "default::lorenz96_substeps")]
        substeps: u32,
        /// Variables on the ring.
        #[serde(default = "default::lorenz96_n")]
        n: usize,
        /// F.
        #[serde(default = "default::lorenz96_forcing")]
        forcing: f64,
        /// Noise per root of model time.
        #[serde(default)]
        diffusion: f64,
    },
    /// See [`LotkaVolterra`].
    LotkaVolterra {
        /// Model time between states.
        #[serde(default = "default::lotka_volterra_dt")]
        dt: f64,
        /// Runge–Kutta steps between states.
        #[serde(default = "default::lotka_volterra_substeps")]
        substeps: u32,
        /// α.
        #[serde(default = "default::one")]
        alpha: f64,
        /// β.
        #[serde(default = "default::one")]
        beta: f64,
        /// δ.
        #[serde(default = "default::one")]
        delta: f64,
        /// γ.
        #[serde(default = "default::one")]
        gamma: f64,
        /// Noise per root of model time.
        #[serde(default)]
        diffusion: f64,
    },
    /// See [`DampedSpring`].
    DampedSpring {},
    /// See [`Ar1Rotation`].
    Ar1Rotation {
        /// ρ.
        #[serde(default = "default::correlation")]
        rho: f64,
        /// Steps per turn.
        #[serde(default = "default::period")]
        period: f64,
    },
    /// Two-dimensional flow forced by sin(n y), after Kolmogorov; see [`Flow`].
    Kolmogorov {
        /// Which data.
        #[serde(default)]
        preset: Preset,
        /// Points of a side that it is computed on.
        #[serde(default = "default::grid")]
        grid: usize,
        /// Points of a side that it is seen on.
        #[serde(default = "default::output")]
        output: usize,
        /// ν in place of the preset's.
        #[serde(default)]
        viscosity: Option<f64>,
        /// μ.
        #[serde(default = "default::drag")]
        drag: f64,
        /// The force.
        #[serde(default = "default::forcing")]
        forcing: Forcing,
        /// Model time between states.
        #[serde(default = "default::flow_dt")]
        dt: f64,
        /// The first state.
        #[serde(default)]
        start: FlowStart,
        /// How it is computed.
        #[serde(default)]
        precision: FlowPrecision,
    },
    /// Two-dimensional flow that is left to itself: turbulence, or with `start: TaylorGreen(…)` the vortex; see [`Flow`].
    DecayingFlow {
        /// Points of a side that it is computed on.
        #[serde(default = "default::grid")]
        grid: usize,
        /// Points of a side that it is seen on.
        #[serde(default = "default::output")]
        output: usize,
        /// ν.
        #[serde(default = "default::viscosity")]
        viscosity: f64,
        /// μ.
        #[serde(default)]
        drag: f64,
        /// Model time between states.
        #[serde(default = "default::flow_dt")]
        dt: f64,
        /// The first state.
        #[serde(default)]
        start: FlowStart,
        /// How it is computed.
        #[serde(default)]
        precision: FlowPrecision,
    },
}

impl SystemConfig {
    /// The noisy Lorenz-63 of Rozet & Louppe 2023.
    pub fn lorenz63() -> Self {
        Self::Lorenz63 { dt: 0.025, substeps: 1, sigma: 10.0, rho: 28.0, beta: 8.0 / 3.0, diffusion: 1.0 }
    }

    /// The Lorenz-96 of the published code: n 32, F 16, Δ 0.01.
    pub fn lorenz96() -> Self {
        Self::Lorenz96 { dt: 0.01, substeps: 2, n: 32, forcing: 16.0, diffusion: 0.0 }
    }

    /// The Lorenz-96 of assimilation's benchmark: n 40, F 8, Δ 0.05, no noise.
    pub fn lorenz96_benchmark() -> Self {
        Self::Lorenz96 { dt: 0.05, substeps: 1, n: 40, forcing: 8.0, diffusion: 0.0 }
    }

    /// Kolmogorov flow of a preset.
    pub fn kolmogorov(preset: Preset) -> Self {
        Self::Kolmogorov {
            preset,
            grid: default::grid(),
            output: default::output(),
            viscosity: None,
            drag: default::drag(),
            forcing: default::forcing(),
            dt: default::flow_dt(),
            start: FlowStart::default(),
            precision: FlowPrecision::default(),
        }
    }

    /// One of each chain and each preset of one, for tests and tables that run over all.
    pub fn presets() -> Vec<Self> {
        vec![
            Self::lorenz63(),
            Self::Lorenz63 {
                dt: 0.025,
                substeps: 1,
                sigma: 10.0,
                rho: 28.0,
                beta: 8.0 / 3.0,
                diffusion: 0.0,
            },
            Self::lorenz96(),
            Self::lorenz96_benchmark(),
            Self::LotkaVolterra {
                dt: 0.05,
                substeps: 4,
                alpha: 1.0,
                beta: 1.0,
                delta: 1.0,
                gamma: 1.0,
                diffusion: 0.0,
            },
            Self::DampedSpring {},
            Self::Ar1Rotation { rho: 0.995, period: 30.0 },
        ]
    }

    /// The chain or the flow.
    ///
    /// Errors: a parameter out of its range, named with its field.
    pub fn dynamics(&self) -> Result<Dynamics, SystemError> {
        match *self {
            Self::Kolmogorov { preset, grid, output, viscosity, drag, forcing, dt, start, precision } => {
                // The preset is in the name, which the data's header holds.
                let name = match (viscosity, preset) {
                    (Some(_), _) => "Kolmogorov",
                    (None, Preset::Converged) => "Kolmogorov, converged",
                    (None, Preset::Published) => "Kolmogorov, published",
                };
                let viscosity = viscosity.unwrap_or(preset.viscosity());
                let flow = Flow::new(name, (grid, output), (viscosity, drag), forcing, dt, start)?;
                Ok(Dynamics::Flow(flow, precision))
            }
            Self::DecayingFlow { grid, output, viscosity, drag, dt, start, precision } => {
                let forcing = Forcing { wavenumber: 1, amplitude: 0.0 };
                let flow = Flow::new("DecayingFlow", (grid, output), (viscosity, drag), forcing, dt, start)?;
                Ok(Dynamics::Flow(flow, precision))
            }
            _ => self.build().map(Dynamics::Chain),
        }
    }

    /// The chain.
    ///
    /// Errors: a parameter out of its range, named with its field; a flow.
    pub fn build(&self) -> Result<Box<dyn System>, SystemError> {
        Ok(match *self {
            Self::Lorenz63 { dt, substeps, sigma, rho, beta, diffusion } => {
                Box::new(Lorenz63::new(dt, substeps, (sigma, rho, beta), diffusion)?)
            }
            Self::Lorenz96 { dt, substeps, n, forcing, diffusion } => {
                Box::new(Lorenz96::new(dt, substeps, n, forcing, diffusion)?)
            }
            Self::LotkaVolterra { dt, substeps, alpha, beta, delta, gamma, diffusion } => {
                Box::new(LotkaVolterra::new(dt, substeps, [alpha, beta, delta, gamma], diffusion)?)
            }
            Self::DampedSpring {} => Box::new(DampedSpring::new()),
            Self::Ar1Rotation { rho, period } => Box::new(Ar1Rotation::new(rho, period)?),
            Self::Kolmogorov { .. } | Self::DecayingFlow { .. } => return Err(SystemError::NoChain),
        })
    }
}

/// Checks of one system's parameters.
pub(crate) struct Check(pub(crate) &'static str);

impl Check {
    pub(crate) fn that<T: Copy + Display>(
        &self,
        field: &'static str,
        expected: &'static str,
        value: T,
        accept: impl Fn(T) -> bool,
    ) -> Result<(), SystemError> {
        if accept(value) {
            return Ok(());
        }
        Err(SystemError::Parameter { system: self.0, field, expected, found: value.to_string() })
    }

    pub(crate) fn finite(&self, field: &'static str, value: f64) -> Result<(), SystemError> {
        self.that(field, "finite", value, f64::is_finite)
    }

    pub(crate) fn positive(&self, field: &'static str, value: f64) -> Result<(), SystemError> {
        self.that(field, "positive and finite", value, |x| x > 0.0 && x.is_finite())
    }

    pub(crate) fn integration(&self, dt: f64, substeps: u32) -> Result<(), SystemError> {
        self.positive("dt", dt)?;
        self.that("substeps", "at least 1", substeps, |n| n > 0)
    }

    /// diffusion √Δ, or `None` where there is no noise.
    pub(crate) fn noise_std(&self, diffusion: f64, dt: f64) -> Result<Option<f64>, SystemError> {
        self.that("diffusion", "finite and not negative", diffusion, |x| x >= 0.0 && x.is_finite())?;
        Ok((diffusion > 0.0).then(|| diffusion * dt.sqrt()))
    }
}

/// Values of fields that a recipe leaves out.
mod default {
    use crate::flow::Forcing;

    pub(super) fn one() -> f64 {
        1.0
    }
    pub(super) fn one_step() -> u32 {
        1
    }
    pub(super) fn lorenz63_dt() -> f64 {
        0.025
    }
    pub(super) fn sigma() -> f64 {
        10.0
    }
    pub(super) fn rho() -> f64 {
        28.0
    }
    pub(super) fn beta() -> f64 {
        8.0 / 3.0
    }
    pub(super) fn lorenz96_dt() -> f64 {
        0.01
    }
    pub(super) fn lorenz96_substeps() -> u32 {
        2
    }
    pub(super) fn lorenz96_n() -> usize {
        32
    }
    pub(super) fn lorenz96_forcing() -> f64 {
        16.0
    }
    pub(super) fn lotka_volterra_dt() -> f64 {
        0.05
    }
    pub(super) fn lotka_volterra_substeps() -> u32 {
        4
    }
    pub(super) fn correlation() -> f64 {
        0.995
    }
    pub(super) fn period() -> f64 {
        30.0
    }
    pub(super) fn grid() -> usize {
        128
    }
    pub(super) fn output() -> usize {
        64
    }
    pub(super) fn viscosity() -> f64 {
        1e-3
    }
    pub(super) fn drag() -> f64 {
        0.1
    }
    pub(super) fn forcing() -> Forcing {
        Forcing { wavenumber: 4, amplitude: 1.0 }
    }
    pub(super) fn flow_dt() -> f64 {
        0.2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_again_is_the_same() {
        for config in SystemConfig::presets() {
            let text = ron::to_string(&config).unwrap();
            assert_eq!(ron::from_str::<SystemConfig>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn fields_left_out_have_the_presets_values() {
        for (text, want) in [
            ("Lorenz63()", SystemConfig::lorenz63()),
            ("Lorenz96()", SystemConfig::lorenz96()),
            ("Lorenz96(n: 40, forcing: 8, dt: 0.05, substeps: 1)", SystemConfig::lorenz96_benchmark()),
            ("LotkaVolterra()", SystemConfig::presets().swap_remove(4)),
            ("DampedSpring()", SystemConfig::DampedSpring {}),
            ("Ar1Rotation()", SystemConfig::Ar1Rotation { rho: 0.995, period: 30.0 }),
        ] {
            assert_eq!(ron::from_str::<SystemConfig>(text).unwrap(), want);
        }
    }

    #[test]
    fn flows_are_written_and_built_by_preset() {
        for (text, want) in [
            ("Kolmogorov()", SystemConfig::kolmogorov(Preset::Converged)),
            ("Kolmogorov(preset: Published)", SystemConfig::kolmogorov(Preset::Published)),
        ] {
            assert_eq!(ron::from_str::<SystemConfig>(text).unwrap(), want);
            assert_eq!(ron::from_str::<SystemConfig>(&ron::to_string(&want).unwrap()).unwrap(), want);
        }
        let flow = |text: &str| match ron::from_str::<SystemConfig>(text).unwrap().dynamics().unwrap() {
            Dynamics::Flow(flow, _) => flow,
            Dynamics::Chain(system) => panic!("{} is no flow", system.name()),
        };
        let converged = flow("Kolmogorov()");
        assert_eq!((converged.name(), converged.viscosity()), ("Kolmogorov, converged", 1e-3));
        let published = flow("Kolmogorov(preset: Published)");
        assert_eq!((published.name(), published.viscosity()), ("Kolmogorov, published", 1.9e-3));
        let own = flow("Kolmogorov(viscosity: Some(5e-3))");
        assert_eq!((own.name(), own.viscosity()), ("Kolmogorov", 5e-3));
        let vortex = flow("DecayingFlow(start: TaylorGreen(wavenumber: 4))");
        assert_eq!((vortex.forcing().amplitude, vortex.drag()), (0.0, 0.0));
        let error = SystemConfig::kolmogorov(Preset::Converged).build().unwrap_err().to_string();
        assert!(error.contains("Markov chain"), "{error}");
    }

    #[test]
    fn unknown_fields_and_systems_are_refused() {
        for text in ["Lorenz63(gamma: 1)", "Lorenz64()", "DampedSpring(dt: 1)"] {
            assert!(ron::from_str::<SystemConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bad_parameters_name_their_field() {
        for (text, field) in [
            ("Lorenz63(dt: 0)", "dt"),
            ("Lorenz63(substeps: 0)", "substeps"),
            ("Lorenz63(rho: NaN)", "rho"),
            ("Lorenz63(diffusion: -1)", "diffusion"),
            ("Lorenz96(n: 3)", "n"),
            ("Lorenz96(forcing: inf)", "forcing"),
            ("LotkaVolterra(delta: -1)", "delta"),
            ("Ar1Rotation(rho: 1)", "rho"),
            ("Ar1Rotation(period: 0)", "period"),
            ("Kolmogorov(grid: 63)", "grid"),
            ("Kolmogorov(output: 256)", "output"),
            ("Kolmogorov(dt: -1)", "dt"),
            ("Kolmogorov(viscosity: Some(-1))", "viscosity"),
            ("Kolmogorov(forcing: (wavenumber: 64, amplitude: 1))", "forcing.wavenumber"),
            ("DecayingFlow(start: TaylorGreen(wavenumber: 0))", "start.wavenumber"),
        ] {
            let error = ron::from_str::<SystemConfig>(text).unwrap().dynamics().unwrap_err();
            assert!(
                matches!(error, SystemError::Parameter { field: found, .. } if found == field),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn every_system_is_consistent() {
        for config in SystemConfig::presets() {
            let system = config.build().unwrap();
            let d = system.state_dim();
            let normalisation = system.normalisation();
            assert_eq!(system.component_names().len(), d);
            assert_eq!((normalisation.offset.len(), normalisation.scale.len()), (d, d));
            assert!(system.dt() > 0.0 && normalisation.scale.iter().all(|&s| s > 0.0));
            let state: Vec<f64> = (0..d).map(|c| 0.3 - 0.1 * c as f64).collect();
            let mean = system.transition_mean(&state);
            if let Some(chain) = system.linear_gaussian() {
                let x = ndarray::Array1::from(state.clone());
                let affine = chain.transition.dot(&x) + &chain.offset;
                assert!(affine.iter().zip(&mean).all(|(a, b)| (a - b).abs() < 1e-15));
                let variance = chain.noise_covariance.diag();
                let std = system.noise_std().unwrap();
                assert!(variance.iter().zip(std).all(|(v, s)| (v - s * s).abs() < 1e-15));
            }
            // At its mean a Gaussian has the density Π 1/(√2π std).
            let peak = system.log_transition(&state, &mean);
            let want = system
                .noise_std()
                .map(|std| std.iter().map(|s| -(s * std::f64::consts::TAU.sqrt()).ln()).sum::<f64>());
            assert!(
                peak.is_some() == want.is_some() && (peak.unwrap_or(0.0) - want.unwrap_or(0.0)).abs() < 1e-11
            );
            let mut array = ndarray::Array1::from(state.clone());
            normalisation.normalise(&mut array);
            normalisation.denormalise(&mut array);
            assert!(array.iter().zip(&state).all(|(a, b)| (a - b).abs() < 1e-14));
        }
    }
}
