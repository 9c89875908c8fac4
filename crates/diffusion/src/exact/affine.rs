//! The sampler as affine maps: its samples are N(G y, P) for an observation y, and G and P are propagated exactly.

use ndarray::{Array1, Array2, Axis};
use sda_core::linalg::{eigh, inverse, sqrt_spd};

use super::chain::{ExactPosterior, Seen};
use crate::guidance::Guidance;
use crate::sampler::Sampler;

/// The posterior's noise estimate, E_x x + E_y y.
pub(super) struct Guided {
    pub(super) of_x: Array2<f64>,
    pub(super) of_y: Array2<f64>,
}

impl Guided {
    /// SDA's, with σ s = σ Jᵀ Aᵀ (y − A J x) / (σ_y² + γ σ²/μ²) and J = (I − σ E)/μ, for the prior's estimate E x.
    pub(super) fn new(
        prior: &Array2<f64>,
        a: &Array2<f64>,
        noise_std: f64,
        gamma: f64,
        mu: f64,
        sigma: f64,
    ) -> Self {
        let denoised = (Array2::<f64>::eye(prior.nrows()) - prior * sigma) / mu;
        let variance = Array2::<f64>::eye(a.nrows()) * (noise_std.powi(2) + gamma * (sigma / mu).powi(2));
        Self::by(prior, &denoised, &denoised, a, &variance, sigma)
    }

    /// σ s = σ Gᵀ Aᵀ S⁻¹ (y − A J x), for the estimate J x of the data, the gradient's G and the covariance S of y.
    pub(super) fn by(
        prior: &Array2<f64>,
        denoised: &Array2<f64>,
        gradient: &Array2<f64>,
        a: &Array2<f64>,
        covariance: &Array2<f64>,
        sigma: f64,
    ) -> Self {
        let pull = gradient.t().dot(&a.t()).dot(&inverse(covariance).unwrap()) * sigma;
        let of_x = prior + &pull.dot(&a.dot(denoised));
        Self { of_x, of_y: -pull }
    }

    /// Any guidance that is affine for Gaussian data of covariance `c` (whole, or a window's), by its paper's formula.
    pub(super) fn of(
        guidance: &Guidance,
        c: &Array2<f64>,
        a: &Array2<f64>,
        noise_std: f64,
        mu: f64,
        sigma: f64,
    ) -> Self {
        let eye = |n: usize| Array2::<f64>::eye(n);
        let prior = super::chain::exact_noise(c, mu, sigma);
        let denoised = (eye(c.nrows()) - &prior * sigma) / mu;
        let noise = eye(a.nrows()) * noise_std.powi(2);
        let spread = (sigma / mu).powi(2);
        let tweedie = &denoised * (sigma * sigma / mu);
        match guidance {
            Guidance::Sda { gamma, detach } => {
                let gradient = if *detach { eye(c.nrows()) / mu } else { denoised.clone() };
                Self::by(&prior, &denoised, &gradient, a, &(noise + eye(a.nrows()) * (gamma * spread)), sigma)
            }
            Guidance::SdaPerVariable { gamma } => {
                let added = Array1::from_shape_fn(a.nrows(), |p| gamma[p % gamma.len()] * spread);
                Self::by(&prior, &denoised, &denoised, a, &(noise + Array2::from_diag(&added)), sigma)
            }
            Guidance::Pigdm { .. } => {
                let r = sigma * sigma / (sigma * sigma + mu * mu);
                Self::by(&prior, &denoised, &denoised, a, &(noise + a.dot(&a.t()) * r), sigma)
            }
            Guidance::Tmpd => {
                let sums = a.dot(&tweedie).dot(&a.t()).sum_axis(Axis(1)).mapv(|v| v.max(0.0));
                Self::by(&prior, &denoised, &denoised, a, &(noise + Array2::from_diag(&sums)), sigma)
            }
            Guidance::Mmps { inflation, .. } => {
                let gradient = &denoised * *inflation;
                let covariance = noise + a.dot(&tweedie).dot(&a.t()) * *inflation;
                Self::by(&prior, &denoised, &gradient, a, &covariance, sigma)
            }
            Guidance::Jfps { .. } => {
                let v = inverse(&(inverse(c).unwrap() + eye(c.nrows()) / spread)).unwrap();
                let gradient = &v * (mu / (sigma * sigma));
                Self::by(&prior, &denoised, &gradient, a, &(noise + a.dot(&v).dot(&a.t())), sigma)
            }
            Guidance::SdaSpectral { .. } | Guidance::Dps { .. } => panic!("{guidance:?} has no formula here"),
        }
    }
}

/// Over which observations the expectation in the corrector's δ = τ / E[mean ε²] is taken.
pub(super) enum Expectation {
    /// All, y ~ N(0, S).
    Over(Array2<f64>),
    /// This one.
    At(Array1<f64>),
}

/// x ~ N(G y, P).
pub(super) struct Moments {
    pub(super) gain: Array2<f64>,
    pub(super) covariance: Array2<f64>,
}

impl Moments {
    fn map(&mut self, linear: &Array2<f64>, of_y: &Array2<f64>) {
        self.gain = linear.dot(&self.gain) + of_y;
        self.covariance = linear.dot(&self.covariance).dot(&linear.t());
    }

    fn correct(&mut self, guided: &Guided, sigma: f64, tau: f64, expectation: &Expectation) {
        let n = self.covariance.nrows();
        let of_y = guided.of_x.dot(&self.gain) + &guided.of_y;
        let from_y = match expectation {
            Expectation::Over(s) => of_y.dot(s).dot(&of_y.t()).diag().sum(),
            Expectation::At(y) => of_y.dot(y).mapv(|e| e * e).sum(),
        };
        let from_x = guided.of_x.dot(&self.covariance).dot(&guided.of_x.t()).diag().sum();
        let delta = tau * n as f64 / (from_y + from_x);
        let eye = Array2::<f64>::eye(n);
        self.map(&(&eye - &guided.of_x * (delta * sigma)), &(&guided.of_y * (-delta * sigma)));
        self.covariance += &(eye * (2.0 * delta * sigma * sigma));
    }
}

/// Law of the sampler's output, for a prior's noise matrix as a function of (μ, σ).
pub(super) fn propagate(
    sampler: &Sampler,
    a: &Array2<f64>,
    seen: Seen,
    gamma: f64,
    expectation: &Expectation,
    prior: impl Fn(f64, f64) -> Array2<f64>,
) -> Moments {
    let (p, n) = a.dim();
    let schedule = sampler.schedule;
    let guided = |t: f64| {
        let (mu, sigma) = (schedule.mu(t), schedule.sigma(t));
        Guided::new(&prior(mu, sigma), a, seen.noise_std, gamma, mu, sigma)
    };
    let mut moments = Moments { gain: Array2::zeros((n, p)), covariance: Array2::eye(n) };
    let mut now = guided(1.0);
    let times = sampler.times().unwrap();
    for step in 0..sampler.steps as usize {
        let (t, s) = (times[step], times[step + 1]);
        let ratio = schedule.mu(s) / schedule.mu(t);
        let gain = schedule.sigma(s) - ratio * schedule.sigma(t);
        moments.map(&(Array2::<f64>::eye(n) * ratio + &now.of_x * gain), &(&now.of_y * gain));
        now = guided(s);
        for _ in 0..sampler.corrections {
            moments.correct(&now, schedule.sigma(s), sampler.tau, expectation);
        }
    }
    moments
}

/// Bias in posterior standard deviations, spread ratio, W2 per √n.
pub(super) fn scores(moments: &Moments, exact: &ExactPosterior) -> [f64; 3] {
    let n = moments.covariance.nrows() as f64;
    let d = &moments.gain - &exact.gain;
    let squared = d.dot(&exact.observation_covariance).dot(&d.t()).diag().to_owned();
    let bias = (&squared / &exact.covariance.diag()).mean().unwrap().sqrt();
    let trace = |c: &Array2<f64>| c.diag().sum();
    let spread = (trace(&moments.covariance) / trace(&exact.covariance)).sqrt();
    let root = sqrt_spd(&exact.covariance).unwrap();
    let product = root.dot(&moments.covariance).dot(&root);
    let cross: f64 = eigh(&product).unwrap().values.iter().map(|v| v.max(0.0).sqrt()).sum();
    let bures = trace(&moments.covariance) + trace(&exact.covariance) - 2.0 * cross;
    [bias, spread, ((squared.sum() + bures) / n).sqrt()]
}
