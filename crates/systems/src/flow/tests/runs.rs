//! Runs: order in the time step, the golden run, precision, and what a transition depends on.

use super::*;
use crate::SystemError;

#[test]
fn the_step_is_of_order_four() {
    let flow = converged(128);
    let first = developed(&flow, 0, 60);
    let exact = after(&flow, &first, 0.2, 640);
    let errors = [40, 80, 160].map(|m| distance(&after(&flow, &first, 0.2, m), &exact));
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!(order > 3.9, "order {order}, errors {errors:?}");
    }
    assert!(errors[2] < 5e-7, "{errors:?}");
    println!("off after one state in 40, 80, 160 steps: {errors:?}");
}

/// ω₀ = cos x + ½ sin(2x + 3y) + 0.7 cos(3x − y) + 0.2 cos 4y, checked in order and resolution up to 192² in 800 steps.
fn golden(grid: usize, nu: f64, substeps: u32) -> SpectralState<f64> {
    let flow = flow(grid, (nu, 0.1), 1.0);
    let mut state = SpectralState::rest(flow.modes());
    state.add_wave((1, 0), Complex::new(0.5, 0.0));
    state.add_wave((2, 3), Complex::new(0.0, -0.25));
    state.add_wave((3, -1), Complex::new(0.35, 0.0));
    state.add_wave((0, 4), Complex::new(0.1, 0.0));
    let d = Diagnostics::of(&state, flow.forcing());
    assert!((d.energy - 0.267682692307692).abs() < 1e-14 && (d.enstrophy - 0.445).abs() < 1e-15);
    after(&flow, &state, 2.0, substeps)
}

#[test]
fn the_golden_run_is_met() {
    let forcing = Forcing { wavenumber: 4, amplitude: 1.0 };
    let state = golden(128, 1e-2, 400);
    let d = Diagnostics::of(&state, forcing);
    assert!((d.energy - 0.337438974700).abs() < 1e-11, "{}", d.energy);
    assert!((d.enstrophy - 2.707376865356).abs() < 1e-10, "{}", d.enstrophy);
    for (k, re, im) in [
        ((1, 0), 0.462725787707, -0.001072712043),
        ((0, 4), -0.475151211188, 0.005068126666),
        ((2, 3), -0.018620952537, 0.012286568627),
    ] {
        let error = (state.mode(k.0, k.1) - Complex::new(re, im)).norm();
        assert!(error < 1e-9, "{k:?}: {error:e}");
    }
    let thin = Diagnostics::of(&golden(128, 1e-3, 400), forcing);
    assert!((thin.energy - 0.387261810319).abs() < 1e-10, "{}", thin.energy);
    assert!((thin.enstrophy - 3.594773251).abs() < 1e-7, "{}", thin.enstrophy);
    println!(
        "golden runs: E {:.12}, Z {:.12}; E {:.12}, Z {:.9}",
        d.energy, d.enstrophy, thin.energy, thin.enstrophy
    );
}

/// One state later, as it is seen, beside 256² points: what a coarser grid loses.
#[test]
fn coarser_grids_are_off_by_less_the_finer_they_are() {
    let fine = converged(256);
    let mut first = developed(&converged(128), 0, 40).on(fine.modes());
    let mut solver = Solver::new(&fine);
    // What lies beyond the modes of 128² has to grow first.
    for _ in 0..4 {
        solver.advance(&mut first).unwrap();
    }
    let seen = |flow: &Flow| {
        let mut state = first.on(flow.modes());
        Solver::new(flow).advance(&mut state).unwrap();
        flow.output().see(&state)
    };
    let want = seen(&fine);
    let norm = |field: &ndarray::Array3<f64>| field.iter().map(|x| x * x).sum::<f64>().sqrt();
    let error = |grid: usize| norm(&(seen(&converged(grid)) - &want)) / norm(&want);
    let errors = [96, 128, 192].map(error);
    println!("off after one state on 96², 128², 192²: {errors:?}");
    assert!(errors[0] < 1.5e-2 && errors[1] < 5e-3 && errors[2] < 1e-3, "{errors:?}");
    assert!(errors[0] > 2.0 * errors[1] && errors[1] > 3.0 * errors[2], "{errors:?}");
}

#[test]
fn single_precision_is_enough_for_data() {
    let flow = converged(128);
    let mut double = developed(&flow, 1, 40);
    let mut single = double.cast::<f32>();
    Solver::new(&flow).advance(&mut double).unwrap();
    Solver::new(&flow).advance(&mut single).unwrap();
    let error = distance(&single.cast(), &double);
    assert!(error > 0.0 && error < 2e-6, "{error:e}");
    println!("f32 beside f64 after one state: {error:.1e}");
}

/// Steps are a function of the state, and the state is all that a transition needs.
#[test]
fn transitions_are_a_function_of_the_state() {
    let flow = converged(96);
    let mut solver = Solver::new(&flow);
    let mut through = developed(&flow, 2, 12);
    let start = through.clone();
    let taken = [solver.advance(&mut through).unwrap(), solver.advance(&mut through).unwrap()];
    // By a solver that has seen something else before.
    let mut other = Solver::new(&flow);
    other.advance(&mut developed(&flow, 9, 3)).unwrap();
    let mut again = start.clone();
    let retaken = [other.advance(&mut again).unwrap(), Solver::new(&flow).advance(&mut again).unwrap()];
    assert_eq!((taken, through), (retaken, again));
    assert!(taken.iter().all(|&m| (12..40).contains(&m)), "{taken:?}");
}

#[test]
fn members_are_a_function_of_their_index_on_any_number_of_threads() {
    let flow = converged(32);
    let run = FlowSimulation { flow: &flow, burn_in: 2, steps: 3, stream: Stream::new(7, 1) };
    let with = |threads: usize, members: std::ops::Range<u32>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let members: Vec<u32> = members.collect();
        pool.install(|| run.trajectories::<f32>(&members)).into_iter().map(|t| t.unwrap()).collect::<Vec<_>>()
    };
    let whole = with(1, 0..7);
    assert_eq!(whole, with(3, 0..7));
    assert_eq!(whole[3..5], with(2, 3..5));
    assert_ne!(whole[0], whole[1]);
    assert_eq!(whole[0].shape(), [3, 32, 32, 2]);
}

/// One flow whose time between states asks for more steps than there are takes no other with it.
#[test]
fn a_flow_that_blows_up_is_named_and_the_others_are_kept() {
    let forcing = Forcing { wavenumber: 1, amplitude: 1e8 };
    let flow = Flow::new("violent", (16, 16), (0.0, 0.0), forcing, 1.0, FlowStart::default())
        .map_err(|e| e.to_string());
    // A grid of 16 keeps wavenumbers to 5, of which a peak of 4 is not below the half.
    assert!(flow.unwrap_err().contains("start.peak_wavenumber"));
    let start = FlowStart::Filtered { peak_wavenumber: 2.0, max_speed: 3.0 };
    let flow = Flow::new("violent", (16, 16), (0.0, 0.0), forcing, 1.0, start).unwrap();
    let run = FlowSimulation { flow: &flow, burn_in: 0, steps: 8, stream: Stream::new(7, 1) };
    let error = run.trajectories::<f64>(&[4]).remove(0).unwrap_err();
    assert!(matches!(error, SystemError::BlowUp { member: 4, transition: 1..8, .. }), "{error}");
    let mut kept = 0;
    assert!(run.states::<f64>(&mut Solver::new(&flow), 4, |_, _| kept += 1).is_err() && kept > 0);
}

#[test]
fn a_state_with_nan_is_an_error_and_stays_as_it_was() {
    let flow = converged(32);
    let mut state = developed(&flow, 0, 1);
    state.vorticity[[1, 1]].re = f64::NAN;
    let before = format!("{state:?}");
    assert!(Solver::new(&flow).advance(&mut state).is_err());
    assert_eq!(format!("{state:?}"), before);
}

/// From near rest a strong force makes a flow within one state for which the first number of steps is far too small.
#[test]
fn a_flow_that_becomes_fast_within_a_state_is_taken_again_in_smaller_steps() {
    let start = FlowStart::Filtered { peak_wavenumber: 4.0, max_speed: 0.1 };
    let forcing = Forcing { wavenumber: 2, amplitude: 300.0 };
    let flow = Flow::new("pushed", (64, 64), (1e-2, 0.0), forcing, 0.2, start).unwrap();
    let mut state = start.draw::<f64>(&mut Solver::new(&flow), &Stream::new(2, 0), 0);
    let fine = after(&flow, &state, 0.2, 4000);
    let mut solver = Solver::new(&flow);
    assert_eq!(solver.substeps(&state), Ok(8));
    let taken = solver.advance(&mut state).unwrap();
    let asked = solver.substeps(&state).unwrap();
    assert!(taken > 16 && 2 * asked <= 3 * taken, "{taken} taken, {asked} asked");
    assert!(distance(&state, &fine) < 1e-3, "{}", distance(&state, &fine));
    // Taken as they were chosen first, the same steps are far off.
    let first = start.draw::<f64>(&mut Solver::new(&flow), &Stream::new(2, 0), 0);
    let off = distance(&after(&flow, &first, 0.2, 8), &fine);
    assert!(off.is_nan() || off > 1e-2, "{off}");
}
