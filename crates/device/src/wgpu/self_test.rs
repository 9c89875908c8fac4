//! Whether a form of the products computes what the plain form does on this adapter and driver.
//!
//! Drivers have been seen to report cooperative matrices and to compute wrong products with them, so a feature bit alone
//! is not believed.

use super::Wgpu;
use sda_graph::{
    ConvGeometry, Declaration, Executor, ExecutorError, Face, Graph, Padding, PaddingMode, Program, RunKey,
};
use sda_kernels::gpu::{Abilities, Target};

/// Products whose tiles have edges on every side, in parts of their terms, transposed and batched, and a convolution.
fn program() -> (Program, Vec<usize>) {
    let mut g = Graph::new();
    let a = g.input(Declaration::shared("a", &[200, 70]));
    let b = g.input(Declaration::shared("b", &[70, 150]));
    let x = g.input(Declaration::shared("x", &[2, 9, 10, 20]));
    let w = g.input(Declaration::shared("w", &[3, 3, 20, 40]));
    let long = g.input(Declaration::shared("long", &[64, 1100]));
    let tall = g.input(Declaration::shared("tall", &[1100, 128]));
    let left = g.input(Declaration::shared("left", &[2, 33, 40]));
    let right = g.input(Declaration::shared("right", &[2, 20, 40]));
    let parts = g.matmul(long, tall, false, false);
    let batched = g.matmul(left, right, false, true);
    let product = g.matmul(a, b, false, false);
    // Sums over 200 and over 150 terms of what is small again.
    let parity = g.scale(product, 1.0 / 4096.0);
    let turned = g.matmul(a, parity, true, false);
    let padding = Padding { before: 1, after: 1, mode: PaddingMode::Circular };
    let geometry = ConvGeometry { input: [9, 10], kernel: [3, 3], stride: [1, 1], padding: [padding; 2] };
    let y = g.conv(Face::Forward, geometry, x, w);
    let outputs = [
        ("product", product),
        ("turned", turned),
        ("convolution", y),
        ("parts", parts),
        ("batched", batched),
    ];
    let program = outputs.into_iter().fold(Program::new(g), |p, (name, node)| p.output(name, node));
    let lengths = program.graph.inputs().iter().map(|d| d.shape.iter().product()).collect();
    (program, lengths)
}

/// Whole numbers from −3 to 3: every product and sum of them is exact in f16 operands and f32 sums.
fn whole_numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut word = seed;
    let mut next = || {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (word >> 24) % 7
    };
    (0..len).map(|_| next() as f32 - 3.0).collect()
}

impl Wgpu {
    /// Gives up cooperative matrices where they do not compute what plain products do.
    pub(super) fn test_products(&mut self) {
        if self.target.abilities.cooperative.is_some() && !self.agrees_with_plain_products().unwrap_or(false)
        {
            self.target.abilities.cooperative = None;
        }
    }

    fn agrees_with_plain_products(&self) -> Result<bool, ExecutorError> {
        let plain = Target { abilities: Abilities { arrays: 8, ..Abilities::PORTABLE }, ..Target::PORTABLE };
        Ok(self.products(self.target)? == self.products(plain)?)
    }

    fn products(&self, target: Target) -> Result<Vec<Vec<f32>>, ExecutorError> {
        let mut executor = Self { target, ..self.fresh() };
        let (program, lengths) = program();
        let inputs: Vec<Vec<f32>> =
            lengths.iter().zip(1..).map(|(&len, seed)| whole_numbers(len, seed)).collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let handle = executor.compile(&program)?;
        executor.run(handle, RunKey { seed: 0, step: 0 }, &inputs)?;
        (0..program.outputs.len()).map(|i| Ok(executor.output(handle, i)?.to_vec())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{best, has_adapter, with};
    use super::*;
    use sda_kernels::gpu::Precision;

    /// Cooperative matrices that the adapter has not got are given up, and products are right without them.
    #[test]
    fn parity_cooperative_matrices_that_fail_are_given_up() {
        if !has_adapter("parity_cooperative_matrices_that_fail_are_given_up") {
            return;
        }
        let has = best().abilities;
        if has.cooperative.is_some() || !has.half {
            return;
        }
        let gpu = with(Abilities { cooperative: Some(32), ..has }, Precision::Mixed);
        assert_eq!(gpu.target().abilities, has);
        assert!(gpu.agrees_with_plain_products().unwrap(), "f16 tiles of whole numbers");
    }

    #[test]
    fn parity_the_self_test_tells_other_numbers() {
        if !has_adapter("parity_the_self_test_tells_other_numbers") {
            return;
        }
        let gpu = with(Abilities::PORTABLE, Precision::F32);
        let mut products = gpu.products(gpu.target()).unwrap();
        assert_eq!(products, gpu.products(gpu.target()).unwrap());
        assert!(products.iter().all(|p| p.iter().any(|x| *x != 0.0)));
        products[2][0] += 1.0;
        assert_ne!(products, gpu.products(gpu.target()).unwrap());
    }
}
