//! Random programs: any plan, any number of threads, any instruction set.

use super::runs::{States, bits, distance, run};
use crate::{Cpu, CpuOptions};
use proptest::prelude::*;
use sda_graph::{PlanOptions, Program};
use sda_kernels::catalogue::random_program;
use sda_kernels::{Interpreter, Level};

/// Rounding of a chain of up to 50 random ops and its gradient.
const TOLERANCE: f32 = 5e-4;

fn cpu(threads: usize, reuse: bool, block: Option<usize>, level: Level) -> Cpu {
    Cpu::with_options(CpuOptions { threads, plan: PlanOptions { reuse, block }, level }).unwrap()
}

fn on(mut cpu: Cpu, program: &Program) -> Vec<Vec<u32>> {
    bits(&run(&mut cpu, program, 3, States::Kept))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agree_with_the_interpreter_at_any_block_and_level(seed in any::<u64>(), nodes in 1usize..45) {
        let program = random_program(seed, nodes);
        let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
        for block in [None, Some(1), Some(3), Some(1000)] {
            let got = run(&mut cpu(1, true, block, Level::detect()), &program, 2, States::Drawn);
            let apart = distance(&got, &want);
            prop_assert!(apart < TOLERANCE, "block {block:?}: {apart}\n{program}");
        }
        for level in Level::available() {
            let got = run(&mut cpu(2, true, None, level), &program, 2, States::Drawn);
            let apart = distance(&got, &want);
            prop_assert!(apart < TOLERANCE, "{level:?}: {apart}\n{program}");
        }
    }

    #[test]
    fn planned_is_unplanned_bit_for_bit(seed in any::<u64>(), nodes in 1usize..45, block in 1usize..12) {
        let program = random_program(seed, nodes);
        let level = Level::detect();
        let plain = on(cpu(1, false, Some(block), level), &program);
        prop_assert!(plain == on(cpu(1, true, Some(block), level), &program), "\n{program}");
        prop_assert!(plain == on(cpu(2, true, Some(block), level), &program), "2 threads\n{program}");
    }

    #[test]
    fn threads_change_no_bit(seed in any::<u64>(), nodes in 1usize..45) {
        let program = random_program(seed, nodes);
        let one = on(Cpu::new(1).unwrap(), &program);
        for threads in 2..=4 {
            prop_assert!(one == on(Cpu::new(threads).unwrap(), &program), "{threads} threads\n{program}");
        }
    }
}
