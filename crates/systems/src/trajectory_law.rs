//! The law of a whole trajectory of a linear Gaussian chain.

use ndarray::{Array1, Array2, s};

use crate::linear_gaussian::LinearGaussian;

impl LinearGaussian {
    /// Mean of L states, one after another.
    ///
    /// Shapes: result [L · D].
    pub fn trajectory_mean(&self, length: usize) -> Array1<f64> {
        let d = self.initial_mean.len();
        let mut mean = Array1::zeros(length * d);
        let mut state = self.initial_mean.clone();
        for i in 0..length {
            mean.slice_mut(s![i * d..(i + 1) * d]).assign(&state);
            state = self.transition.dot(&state) + &self.offset;
        }
        mean
    }

    /// Covariance of L states, Cov(x_i, x_j) = A^(i − j) Cov(x_j) for i ≥ j.
    ///
    /// Shapes: result [L · D, L · D].
    pub fn trajectory_covariance(&self, length: usize) -> Array2<f64> {
        let d = self.initial_mean.len();
        let mut covariance = Array2::zeros((length * d, length * d));
        let mut own = self.initial_covariance.clone();
        for j in 0..length {
            let mut block = own.clone();
            for i in j..length {
                covariance.slice_mut(s![i * d..(i + 1) * d, j * d..(j + 1) * d]).assign(&block);
                covariance.slice_mut(s![j * d..(j + 1) * d, i * d..(i + 1) * d]).assign(&block.t());
                block = self.transition.dot(&block);
            }
            own = self.transition.dot(&own).dot(&self.transition.t()) + &self.noise_covariance;
        }
        covariance
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// The same by x = T (x_1, z_2, …), with T built state by state.
    #[test]
    fn is_the_law_of_the_recursion() {
        let chain = LinearGaussian {
            transition: array![[0.9, 0.3], [-0.2, 0.7]],
            offset: array![0.1, -0.4],
            noise_covariance: array![[0.5, 0.1], [0.1, 0.2]],
            initial_mean: array![1.0, 2.0],
            initial_covariance: array![[2.0, 0.3], [0.3, 1.0]],
        };
        let (length, d) = (5, 2);
        let mut map = Array2::<f64>::zeros((length * d, length * d));
        let mut noise = Array2::<f64>::zeros((length * d, length * d));
        let mut mean = vec![chain.initial_mean.clone()];
        for i in 0..length {
            let own = if i == 0 { &chain.initial_covariance } else { &chain.noise_covariance };
            noise.slice_mut(s![i * d..(i + 1) * d, i * d..(i + 1) * d]).assign(own);
            if i > 0 {
                let before = map.slice(s![(i - 1) * d..i * d, ..]).to_owned();
                map.slice_mut(s![i * d..(i + 1) * d, ..]).assign(&chain.transition.dot(&before));
                mean.push(chain.transition.dot(&mean[i - 1]) + &chain.offset);
            }
            map.slice_mut(s![i * d..(i + 1) * d, i * d..(i + 1) * d]).assign(&Array2::eye(d));
        }
        let want = map.dot(&noise).dot(&map.t());
        let got = chain.trajectory_covariance(length);
        assert!((&got - &want).iter().all(|e| e.abs() < 1e-12));
        let flat: Array1<f64> = mean.iter().flatten().copied().collect();
        assert!((chain.trajectory_mean(length) - flat).iter().all(|e| e.abs() < 1e-12));
    }
}
