//! Samples beside the physics: states simulated from the sample's own.

use ndarray::{Array2, Array3, ArrayRef2, ArrayView1, Axis};
use rayon::prelude::*;
use sda_systems::Dynamics;
use sda_systems::flow::{Flow, Solver};

/// Steps to the next state beyond which none is simulated, some sixty times the 16 … 19 of Kolmogorov flow. A sampler that has
/// lost its way leaves such speeds; they would take minutes.
const MOST_SUBSTEPS: u32 = 1024;

/// How far states are from those that the solver makes of the ones before, over how far they are from the ones before:
///
///   √⟨|x_{i+1} − M(x_i)|²⟩ / √⟨|x_{i+1} − x_i|²⟩
///
/// 0 of the flow itself, but for what its coarser grid does not show; 1 where states say nothing about the next. None of
/// a chain, of single states, and where a state is so fast that it is of no flow.
///
/// Shapes: `samples` [N, L, x y 2].
pub(crate) fn one_state_error(dynamics: &Dynamics, samples: &Array3<f64>) -> Option<f64> {
    let flow = dynamics.flow()?;
    let (n, length, _) = samples.dim();
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (1..length).map(move |l| (i, l))).collect();
    // Sums of squares, in the order of the pairs, so that threads change no bit.
    let sums: Option<Vec<[f64; 2]>> = pairs
        .par_iter()
        .map_init(
            || Solver::<f64>::new(flow),
            |solver, &(i, l)| {
                let sample = samples.index_axis(Axis(0), i);
                let (before, after) = (sample.index_axis(Axis(0), l - 1), sample.index_axis(Axis(0), l));
                let simulated = next(flow, solver, &before, 1)?;
                let off = |from: &ArrayView1<'_, f64>| {
                    after.iter().zip(from).map(|(x, y)| (x - y).powi(2)).sum::<f64>()
                };
                Some([off(&simulated.row(0)), off(&before)])
            },
        )
        .collect();
    let [error, persistence] =
        sums?.into_iter().fold([0.0, 0.0], |sum, pair| [sum[0] + pair[0], sum[1] + pair[1]]);
    (persistence > 0.0).then(|| (error / persistence).sqrt())
}

/// A trajectory simulated from a sample's first state, which is its own first; none of a chain, and where that state is
/// so fast that it is of no flow.
///
/// Shapes: `sample` [L, x y 2] and the result.
pub(crate) fn resimulated(dynamics: &Dynamics, sample: &ArrayRef2<f64>) -> Option<Array2<f64>> {
    let flow = dynamics.flow()?;
    let mut solver = Solver::<f64>::new(flow);
    let rest = next(flow, &mut solver, &sample.row(0), sample.dim().0 - 1)?;
    let first = sample.row(0).insert_axis(Axis(0));
    Some(ndarray::concatenate(Axis(0), &[first, rest.view()]).expect("states of one size"))
}

/// The states after one, as they are seen; none where it asks for more than [`MOST_SUBSTEPS`], or the solver gives up.
///
/// Shapes: `state` [x y 2], result [count, x y 2].
fn next(
    flow: &Flow,
    solver: &mut Solver<f64>,
    state: &ArrayView1<'_, f64>,
    count: usize,
) -> Option<Array2<f64>> {
    let (output, m) = (flow.output(), flow.output().points());
    let field = state.to_owned().into_shape_with_order((m, m, 2)).ok()?;
    let mut state = output.lift(&field.view(), flow.modes());
    if solver.substeps(&state).ok()? > MOST_SUBSTEPS {
        return None;
    }
    let mut out = Array2::zeros((count, m * m * 2));
    for mut row in out.outer_iter_mut() {
        solver.advance(&mut state).ok()?;
        row.iter_mut().zip(&output.see(&state)).for_each(|(to, from)| *to = *from);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sda_core::Stream;
    use sda_systems::SystemConfig;

    /// All modes of the flow are seen on a grid as fine as its own.
    fn seen_whole() -> (Dynamics, Array3<f64>) {
        let config: SystemConfig = ron::from_str("Kolmogorov(grid: 32, output: 32, precision: F64)").unwrap();
        let flow = config.dynamics().unwrap();
        let members = flow.trajectories(0..2, 2, (3, 4), Stream::new(1, 0)).unwrap();
        let values = members.iter().flat_map(|(x, _)| x.iter().map(|&x| f64::from(x)));
        let values = Array3::from_shape_vec((2, 4, 32 * 32 * 2), values.collect()).unwrap();
        (flow, values)
    }

    #[test]
    fn the_flow_follows_itself_and_states_in_another_order_do_not() {
        let (flow, values) = seen_whole();
        let error = one_state_error(&flow, &values).unwrap();
        assert!(error < 1e-4, "{error}");
        let mut shuffled = values.clone();
        shuffled.index_axis_mut(Axis(1), 1).assign(&values.index_axis(Axis(1), 3));
        assert!(one_state_error(&flow, &shuffled).unwrap() > 0.5);
        let still = values.select(Axis(1), &[0, 0, 0]);
        assert!(one_state_error(&flow, &still).is_none(), "what stands still has no persistence to beat");
        assert!(one_state_error(&flow, &values.select(Axis(1), &[0])).is_none());
    }

    #[test]
    fn a_trajectory_is_simulated_from_its_first_state() {
        let (flow, values) = seen_whole();
        let sample = values.index_axis(Axis(0), 0);
        let simulated = resimulated(&flow, &sample).unwrap();
        assert_eq!(simulated.row(0), sample.row(0));
        let off = (&simulated - &sample).mapv(f64::abs).into_iter().fold(0.0, f64::max);
        assert!(off < 1e-4, "{off}");
        assert_eq!(
            resimulated(&flow, &values.index_axis(Axis(0), 0).select(Axis(0), &[2])).unwrap().dim().0,
            1
        );
    }

    #[test]
    fn states_that_are_of_no_flow_have_no_score() {
        let (flow, values) = seen_whole();
        // The solver would take minutes, or give up.
        for factor in [1000.0, 1e9] {
            let mut fast = values.clone();
            fast.index_axis_mut(Axis(1), 2).mapv_inplace(|x| factor * x);
            assert!(one_state_error(&flow, &fast).is_none());
            assert!(resimulated(&flow, &fast.index_axis(Axis(0), 0).select(Axis(0), &[2, 3])).is_none());
        }
        let chain: SystemConfig = ron::from_str("Lorenz63()").unwrap();
        assert!(one_state_error(&chain.dynamics().unwrap(), &values).is_none());
    }
}
