//! Samplers that are not affine, by samples: one of each of many observations.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2};
use sda_core::linalg::cholesky;
use sda_core::{Real, Stream};
use sda_diffusion::{NoiseSource, Sampled};
use sda_graph::Executor;

use crate::chain::Chain;
use crate::error::VerifyError;
use crate::moments::{Errors, Moments};
use crate::setting::Setting;

/// Streams of the drawn trajectories and of their observations' noise.
const TRUTH: u32 = 0x5650_0001;
const NOISE: u32 = 0x5650_0002;

/// The errors of a sampler from samples x_n ~ q(x | y_n), y_n ~ p(y), n = 1 … N.
///
/// x_n − E[x | y_n] has covariance C_post if q is the posterior: the second moment of these differences is compared,
/// which holds bias and spread in one. Its own scatter gives a W2 per √M of about ½ √(tr C/M) √(M/N) with no error at
/// all. `bias` is that of the mean over all n, `residual` is that of the samples.
///
/// Errors: the sampler's.
pub fn sampled<E: Executor>(
    executor: &mut E,
    chain: &Chain,
    setting: &Setting,
    count: usize,
    seed: u64,
) -> Result<Errors, VerifyError> {
    let (m, p) = (chain.numbers(), chain.observed());
    let normals = |stream: u32, columns: usize| {
        let mut values = vec![0.0; count * columns];
        Stream::new(seed, stream).fill_normal(0, 0, columns, &mut values);
        Array2::from_shape_vec((count, columns), values).expect("rows of columns")
    };
    let root = cholesky(&chain.covariance)?;
    let truth = normals(TRUTH, m).dot(&root.t()) + &chain.mean;
    let y = truth.dot(&chain.operator.t()) + normals(NOISE, p) * chain.seen.noise_std;
    let mut posterior = setting.posterior(chain)?;
    let mut shape = vec![count];
    shape.extend(posterior.observation.values.shape());
    posterior.each =
        Some(y.clone().into_shape_with_order(shape).expect("P numbers of each sample").into_dyn());
    let shape = [count, chain.length, chain.dim];
    let run = setting.sampler.compile(executor, &posterior, &shape, NoiseSource::Drawn)?;
    let Sampled::Finished(samples) = run.run(executor, seed, |_| ControlFlow::Continue(()))? else {
        unreachable!("nothing stops this run");
    };
    if !samples.diverged.is_empty() {
        return Err(VerifyError::NotFinite { step: samples.diverged[0].step });
    }
    let x = samples
        .values
        .mapv(Real::to_f64)
        .into_shape_with_order((count, m))
        .expect("M numbers of each sample");
    let centre = chain.operator.dot(&chain.mean);
    let exact = (&y - &centre).dot(&chain.gain.t()) + &chain.mean;
    let away = &x - &exact;
    let n = count as f64;
    let mean: Array1<f64> = away.mean_axis(ndarray::Axis(0)).expect("samples");
    // As if q had the exact gain: all of the error is in the second moment.
    let offset = &chain.mean - &chain.gain.dot(&centre);
    let moments = Moments { gain: chain.gain.clone(), offset, covariance: away.t().dot(&away) / n };
    let bias = (mean.mapv(|d| d * d) / chain.posterior_covariance.diag()).sum() / m as f64;
    let misfit = &y - &x.dot(&chain.operator.t());
    let residual = (misfit.mapv(|r| r * r).sum() / (n * p as f64)).sqrt() / chain.seen.noise_std;
    Ok(Errors { bias: bias.sqrt(), residual, ..moments.errors(chain)? })
}
