//! Bare products of matrices.

use super::{Item, Setting, Work};
use sda_core::Stream;
use sda_device::Cpu;
use sda_graph::{Declaration, Executor, Graph, Handle, Program, RunKey};

/// m, k, n.
pub(crate) const MATMULS: [[usize; 3]; 5] =
    [[64, 256, 256], [1024, 256, 256], [4096, 256, 256], [4096, 864, 96], [1024, 1024, 1024]];

pub(super) fn items() -> Vec<Item> {
    MATMULS
        .into_iter()
        .map(|lengths| {
            let [m, k, n] = lengths;
            Item::new(format!("matmul_{m}x{k}x{n}"), move |setting, work| {
                work(&mut Matmul::new(setting, lengths)?)
            })
        })
        .collect()
}

/// C = A B of random numbers.
pub(crate) struct Matmul {
    cpu: Cpu,
    program: Handle,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Matmul {
    pub(crate) fn new(setting: Setting, [m, k, n]: [usize; 3]) -> anyhow::Result<Self> {
        let mut cpu = setting.cpu()?;
        let mut g = Graph::new();
        let a = g.input(Declaration::shared("a", &[m, k]));
        let b = g.input(Declaration::shared("b", &[k, n]));
        let c = g.matmul(a, b, false, false);
        let corner = g.slice(c, 0, 0, 1, 1);
        let program = cpu.compile(&Program::new(g).output("corner", corner))?;
        let (mut a, mut b) = (vec![0f32; m * k], vec![0f32; k * n]);
        Stream::new(1, 7).fill_normal(0, 0, m * k, &mut a);
        Stream::new(1, 7).fill_normal(1, 0, k * n, &mut b);
        Ok(Self { cpu, program, a, b })
    }
}

impl Work for Matmul {
    fn run(&mut self) -> anyhow::Result<()> {
        Ok(self.cpu.run(self.program, RunKey { seed: 1, step: 0 }, &[&self.a, &self.b])?)
    }

    fn program(&mut self) -> Option<(&mut Cpu, Handle)> {
        Some((&mut self.cpu, self.program))
    }
}
