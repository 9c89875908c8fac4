//! The sampler as affine maps, read off the programs that sample.

use ndarray::{Array1, Array2, ArrayD, Axis, s};
use sda_core::Real;
use sda_diffusion::{
    LangevinStep, NoisePredictor, NoiseSource, PREVIOUS, Posterior, SAMPLE, Sampler, SamplerRun,
};
use sda_graph::Executor;

use crate::chain::Chain;
use crate::error::VerifyError;
use crate::moments::Moments;
use crate::setting::Setting;

/// A sampler whose programs are run on the basis of its states and of the observation.
///
/// What the sampler holds between steps, z (the samples, and what the integrator looks back to), has R numbers. One
/// run of a program on 0, on every unit vector of z, on every unit vector of y, and on unit noise gives all of
///
///   z' = F z + H y + c + k ξ
///
/// in the precision of the executor; moments are propagated in f64.
pub struct AffineSampler<'a, E: Executor> {
    executor: &'a mut E,
    chain: &'a Chain,
    run: SamplerRun,
    sampler: Sampler,
    /// R.
    width: usize,
}

/// z' = F z + H y + c.
struct Map {
    linear: Array2<f64>,
    of_y: Array2<f64>,
    constant: Array1<f64>,
}

impl<'a, E: Executor> AffineSampler<'a, E> {
    /// Compiles the setting's programs.
    ///
    /// Errors: a setting that the sampler refuses.
    pub fn new(executor: &'a mut E, chain: &'a Chain, setting: &Setting) -> Result<Self, VerifyError> {
        Self::of(executor, chain, setting.posterior(chain)?, &setting.sampler)
    }

    /// The same of any posterior whose noise is affine in x and y.
    ///
    /// Errors: as [`AffineSampler::new`].
    pub fn of(
        executor: &'a mut E,
        chain: &'a Chain,
        mut posterior: Posterior<Box<dyn NoisePredictor>>,
        sampler: &Sampler,
    ) -> Result<Self, VerifyError> {
        // δ is given: its expectation stands for each sample's own, which is not affine.
        let sampler = Sampler { langevin: LangevinStep::Fixed, ..sampler.clone() };
        let (m, p) = (chain.numbers(), chain.observed());
        let width = if sampler.state_names().contains(&PREVIOUS) { 2 * m } else { m };
        let rows = 1 + width + p + 1;
        let mut each = Array2::<f64>::zeros((rows, p));
        each.slice_mut(s![1 + width..1 + width + p, ..]).assign(&Array2::eye(p));
        let mut shape = vec![rows];
        shape.extend(posterior.observation.values.shape());
        posterior.each = Some(each.into_shape_with_order(shape).expect("P numbers of each row").into_dyn());
        let shape = [rows, chain.length, chain.dim];
        let run = sampler.compile(executor, &posterior, &shape, NoiseSource::Given)?;
        Ok(Self { executor, chain, run, sampler, width })
    }

    /// Mean and covariance of the samples at t = 0.
    ///
    /// The corrector's δ is τ / E[mean ε²] over samples and observations.
    ///
    /// Errors: the executor's; a map that is not finite.
    pub fn moments(&mut self) -> Result<Moments, VerifyError> {
        let (m, p) = (self.chain.numbers(), self.chain.observed());
        let mut covariance = Array2::zeros((self.width, self.width));
        covariance.slice_mut(s![..m, ..m]).assign(&Array2::<f64>::eye(m));
        let mut moments =
            Moments { gain: Array2::zeros((self.width, p)), offset: Array1::zeros(self.width), covariance };
        for step in 0..self.sampler.steps {
            self.load()?;
            let noise = self.unit_noise();
            let is_drawn = self.sampler.integrator.is_stochastic();
            self.run.predict_with(self.executor, 0, step, is_drawn.then_some(&noise))?;
            let (map, kick) = self.read()?;
            moments.push(&map, kick, m);
            if self.run.corrections(step) > 0 {
                self.load()?;
                self.run.correct_by(self.executor, 0, step, 0, 1.0, Some(&noise))?;
                let (map, kick) = self.read()?;
                let sigma = self.sampler.schedule.sigma(self.run.times()[step as usize + 1]);
                for correction in 0..self.run.corrections(step) {
                    moments.correct(self.chain, &map, kick, [self.sampler.tau, sigma], correction == 0);
                }
            }
            if !moments.covariance.iter().chain(&moments.gain).all(|x| x.is_finite()) {
                return Err(VerifyError::NotFinite { step });
            }
        }
        Ok(Moments {
            gain: moments.gain.slice(s![..m, ..]).to_owned(),
            offset: moments.offset.slice(s![..m]).to_owned(),
            covariance: moments.covariance.slice(s![..m, ..m]).to_owned(),
        })
    }

    fn rows(&self) -> usize {
        self.width + self.chain.observed() + 2
    }

    /// Writes the basis: 0, the unit vectors of z, and 0 for those of y and of the noise.
    fn load(&mut self) -> Result<(), VerifyError> {
        let (m, shape) = (self.chain.numbers(), [self.rows(), self.chain.length, self.chain.dim]);
        let mut sample = Array2::<f64>::zeros((self.rows(), m));
        sample.slice_mut(s![1..=m, ..]).assign(&Array2::eye(m));
        let narrow = |values: Array2<f64>| -> ArrayD<E::Real> {
            values
                .mapv(E::Real::from_f64)
                .into_shape_with_order(shape)
                .expect("M numbers of each row")
                .into_dyn()
        };
        self.executor.write(SAMPLE, narrow(sample).view())?;
        if self.width > m {
            let mut previous = Array2::<f64>::zeros((self.rows(), m));
            previous.slice_mut(s![1 + m..=2 * m, ..]).assign(&Array2::eye(m));
            self.executor.write(PREVIOUS, narrow(previous).view())?;
        }
        Ok(())
    }

    /// 0, and 1 everywhere in the last row.
    fn unit_noise(&self) -> Vec<E::Real> {
        let m = self.chain.numbers();
        let mut noise = vec![E::Real::ZERO; self.rows() * m];
        noise[(self.rows() - 1) * m..].fill(E::Real::from_f64(1.0));
        noise
    }

    /// The map that the last program was, and how far unit noise moved its samples, the same for each number.
    fn read(&mut self) -> Result<(Map, f64), VerifyError> {
        let (m, p) = (self.chain.numbers(), self.chain.observed());
        let mut after = Array2::zeros((self.rows(), self.width));
        let states = [(SAMPLE, 0), (PREVIOUS, m)];
        for (name, from) in &states[..self.width / m] {
            let values = self.executor.read(name)?.mapv(Real::to_f64);
            let values = values.into_shape_with_order((self.rows(), m)).expect("M numbers of each row");
            after.slice_mut(s![.., *from..from + m]).assign(&values);
        }
        let constant = after.row(0).to_owned();
        let columns = |rows: std::ops::Range<usize>| (&after.slice(s![rows, ..]) - &constant).reversed_axes();
        let map = Map {
            linear: columns(1..1 + self.width),
            of_y: columns(1 + self.width..1 + self.width + p),
            constant: constant.clone(),
        };
        let kicked = &after.row(self.rows() - 1) - &constant;
        // The mean square, so that noise which were not the same for all numbers would show in the covariance.
        let kick = (kicked.slice(s![..m]).mapv(|k| k * k).sum() / m as f64).sqrt();
        Ok((map, kick))
    }
}

impl Moments {
    /// z ← F z + H y + c + k ξ, with noise on the first `samples` numbers of z.
    fn push(&mut self, map: &Map, kick: f64, samples: usize) {
        self.gain = map.linear.dot(&self.gain) + &map.of_y;
        self.offset = map.linear.dot(&self.offset) + &map.constant;
        self.covariance = map.linear.dot(&self.covariance).dot(&map.linear.t());
        self.covariance.diag_mut().slice_mut(s![..samples]).mapv_inplace(|c| c + kick * kick);
    }

    /// A Langevin step, given the one with δ = 1: z ← z − δ (z − (F z + H y + c)) + √δ k ξ for the samples. What the
    /// integrator looks back to is as the map has it after the first step, and stays as it is in the others.
    fn correct(&mut self, chain: &Chain, unit: &Map, kick: f64, [tau, sigma]: [f64; 2], is_first: bool) {
        let m = chain.numbers();
        let centre = chain.operator.dot(&chain.mean);
        let eye = Array2::<f64>::eye(unit.linear.nrows());
        let drift = &eye - &unit.linear;
        // σ ε = z − (F z + H y + c), of the samples.
        let of_z = drift.slice(s![..m, ..]);
        let over_y = of_z.dot(&self.gain) - unit.of_y.slice(s![..m, ..]);
        let of_mean = of_z.dot(&(self.gain.dot(&centre) + &self.offset))
            - unit.of_y.slice(s![..m, ..]).dot(&centre)
            - unit.constant.slice(s![..m]);
        let spread = over_y.dot(&chain.observation_covariance).dot(&over_y.t()).diag().sum()
            + of_z.dot(&self.covariance).dot(&of_z.t()).diag().sum();
        let mean_square = (spread + of_mean.dot(&of_mean)) / m as f64;
        let delta = tau * sigma * sigma / mean_square;
        let share = Array1::from_shape_fn(eye.nrows(), |i| if i < m { delta } else { f64::from(is_first) });
        let rows = share.view().insert_axis(Axis(1));
        let map = Map {
            linear: &eye - &(&drift * &rows),
            of_y: &unit.of_y * &rows,
            constant: &unit.constant * &share,
        };
        self.push(&map, kick * delta.sqrt(), m);
    }
}
