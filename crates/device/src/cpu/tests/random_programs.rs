//! Random programs: any plan, any number of threads, any instruction set.

use crate::runs::{States, bits, distance, run};
use crate::{Cpu, CpuOptions};
use proptest::prelude::*;
use sda_graph::{PlanOptions, Program};
use sda_kernels::catalogue::random_program;
use sda_kernels::{Interpreter, Level};

/// Rounding of a chain of up to 50 random ops and its gradient.
const TOLERANCE: f32 = 5e-4;

fn cpu(threads: usize, plan: PlanOptions, level: Level) -> Cpu {
    // Packed weights are shared among stages where rows are cut along marks.
    let kept_packs = if plan.largest_row == 0 { 0 } else { 1 << 30 };
    Cpu::with_options(CpuOptions { threads, plan, level, kept_packs }).unwrap()
}

/// The program's rows, or those marked inside it.
const CUTS: [usize; 2] = [usize::MAX, 0];

/// What earlier rows made is read, or computed again.
const KEPT: [usize; 2] = [usize::MAX, 0];

fn on(mut cpu: Cpu, program: &Program) -> Vec<Vec<u32>> {
    bits(&run(&mut cpu, program, 3, States::Kept))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agree_with_the_interpreter_at_any_block_and_level(seed in any::<u64>(), nodes in 1usize..45) {
        let program = random_program(seed, nodes);
        let want = run(&mut Interpreter::<f32>::new(), &program, 2, States::Drawn);
        for (block, largest_row) in [None, Some(1), Some(3), Some(1000)].into_iter().zip(CUTS.into_iter().cycle()) {
            let largest_kept = if block == Some(3) { 0 } else { usize::MAX };
            let plan = PlanOptions { block, largest_row, largest_kept, ..PlanOptions::default() };
            let got = run(&mut cpu(1, plan, Level::detect()), &program, 2, States::Drawn);
            let apart = distance(&got, &want);
            prop_assert!(apart < TOLERANCE, "{plan:?}: {apart}\n{program}");
        }
        for (level, largest_row) in Level::available().into_iter().zip(CUTS.into_iter().rev().cycle()) {
            let plan = PlanOptions { largest_row, ..PlanOptions::default() };
            let got = run(&mut cpu(2, plan, level), &program, 2, States::Drawn);
            let apart = distance(&got, &want);
            prop_assert!(apart < TOLERANCE, "{level:?}: {apart}\n{program}");
        }
    }

    #[test]
    fn planned_is_unplanned_bit_for_bit(seed in any::<u64>(), nodes in 1usize..45, block in 1usize..12) {
        let program = random_program(seed, nodes);
        let level = Level::detect();
        for largest_row in CUTS {
            let plan = PlanOptions { block: Some(block), largest_row, ..PlanOptions::default() };
            let plain = PlanOptions { reuse: false, largest_kept: usize::MAX, ..plan };
            let plain = on(cpu(1, plain, level), &program);
            for largest_kept in KEPT {
                let plan = PlanOptions { largest_kept, ..plan };
                prop_assert!(plain == on(cpu(1, plan, level), &program), "{plan:?}\n{program}");
                prop_assert!(plain == on(cpu(2, plan, level), &program), "2 threads, {plan:?}\n{program}");
            }
        }
    }

    #[test]
    fn threads_change_no_bit(seed in any::<u64>(), nodes in 1usize..45) {
        let program = random_program(seed, nodes);
        for largest_row in CUTS {
            let cpu = |threads| cpu(threads, PlanOptions { largest_row, ..PlanOptions::default() }, Level::detect());
            let one = on(cpu(1), &program);
            for threads in 2..=4 {
                prop_assert!(one == on(cpu(threads), &program), "{threads} threads\n{program}");
            }
        }
    }
}
