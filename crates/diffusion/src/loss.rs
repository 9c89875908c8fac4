//! What training minimises.

use sda_graph::{Graph, NodeId};

use crate::predictor::{NoisePredictor, TimeNodes, flat};

/// The denoising loss over a batch.
///
///   mean (ε_φ(μ x + σ ε, t) − ε)², or with weights mean(w (ε_φ − ε)²) / mean(w)
///
/// Shapes: `x`, `noise` [B, L, …]; `time` one per sample; `weights` [B, 1], [1, L · …] or [B, L · …]; result [].
/// Source: Ho et al. 2020, arXiv 2006.11239, equation 14.
pub fn denoising_loss(
    g: &mut Graph,
    predictor: &dyn NoisePredictor,
    x: NodeId,
    noise: NodeId,
    time: &TimeNodes,
    weights: Option<NodeId>,
) -> NodeId {
    let squared = squared_errors(g, predictor, x, noise, time);
    let Some(weights) = weights else {
        return mean(g, squared);
    };
    let weighted = g.mul(squared, weights);
    let (above, below) = (mean(g, weighted), mean(g, weights));
    g.div(above, below)
}

/// (ε_φ(μ x + σ ε, t) − ε)².
///
/// Shapes: `x`, `noise` [B, L, …]; `time` one per sample; result [B, L · …].
pub fn squared_errors(
    g: &mut Graph,
    predictor: &dyn NoisePredictor,
    x: NodeId,
    noise: NodeId,
    time: &TimeNodes,
) -> NodeId {
    let shape = g.shape(x).to_vec();
    let noisy = perturb(g, x, noise, time);
    let noisy = g.reshape(noisy, &shape);
    let predicted = predictor.emit(g, noisy, time);
    let (predicted, noise) = (flat(g, predicted), flat(g, noise));
    let error = g.sub(predicted, noise);
    g.square(error)
}

/// x(t) = μ x + σ ε.
///
/// Shapes: `x`, `noise` [N, …], result [N, M].
pub fn perturb(g: &mut Graph, x: NodeId, noise: NodeId, time: &TimeNodes) -> NodeId {
    let (x, noise) = (flat(g, x), flat(g, noise));
    let (data, noise) = (g.mul(x, time.mu), g.mul(noise, time.sigma));
    g.add(data, noise)
}

pub(crate) fn mean(g: &mut Graph, x: NodeId) -> NodeId {
    let n = g.len(x);
    let sum = g.sum_all(x);
    g.scale(sum, 1.0 / n as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;
    use sda_core::Stream;

    use super::*;
    use crate::interpret::evaluate;

    /// Predicts x(t) itself.
    struct Identity;
    impl NoisePredictor for Identity {
        fn emit(&self, _: &mut Graph, x: NodeId, _: &TimeNodes) -> NodeId {
            x
        }
    }

    fn random(shape: &[usize], id: u32) -> ArrayD<f64> {
        let mut values = vec![0.0; shape.iter().product()];
        Stream::new(1, id).fill_normal(0, 0, values.len(), &mut values);
        ArrayD::from_shape_vec(shape, values).unwrap()
    }

    fn loss(weights: Option<&ArrayD<f64>>) -> f64 {
        let mut g = Graph::new();
        let [x, noise] = [0, 1].map(|id| g.constant(random(&[4, 3, 2], id)));
        let [mu, sigma] = [2, 3].map(|id| g.constant(random(&[4, 1], id)));
        let time = TimeNodes { features: mu, mu, sigma };
        let weights = weights.map(|w| g.constant(w.clone()));
        let loss = denoising_loss(&mut g, &Identity, x, noise, &time, weights);
        evaluate(g, &[], &[loss]).remove(0).sum()
    }

    /// Squared errors [4, 6] on the host.
    fn squared() -> ArrayD<f64> {
        let [x, noise] = [0, 1].map(|id| random(&[4, 6], id));
        let [mu, sigma] = [2, 3].map(|id| random(&[4, 1], id));
        (mu * x + sigma * &noise - noise).mapv(|e| e * e)
    }

    #[test]
    fn without_weights_it_is_the_mean_square() {
        assert!((loss(None) - squared().mean().unwrap()).abs() < 1e-14);
    }

    #[test]
    fn weights_make_a_weighted_mean() {
        for shape in [[4, 1], [1, 6], [4, 6]] {
            let weights = random(&shape, 4).mapv(f64::exp);
            let all = weights.broadcast(vec![4, 6]).unwrap().to_owned();
            let want = (&all * &squared()).sum() / all.sum();
            assert!((loss(Some(&weights)) - want).abs() < 1e-13 * want);
        }
    }
}
