//! MMPS's solve where the Jacobian is a network's: generalised conjugate residuals.

use sda_graph::{Graph, NodeId};

use super::conjugate::{LEAST, dot, goes_on};
use super::problem::{Problem, project};

/// A direction of earlier iterations.
struct Direction {
    /// G Aᵀ p, [N, M].
    step: NodeId,
    /// M p, [N, P], orthogonal to those of the other directions.
    image: NodeId,
    /// Its square, [N, 1].
    squared: NodeId,
}

/// G Aᵀ u with the u of least residual ‖y − A(x̂) − M u‖ in the span of r, M r … of as many as there are iterations,
///
///   M = σ_y² μ²/σ² + A G Aᵀ
///
/// which is the system of [`super::conjugate::solve`]. M need be neither symmetric nor definite: the residual never grows.
/// Without rounding these are GMRES's iterates. A row whose residual r has rᵀ A G Aᵀ r < 0 in some iteration stops there, and
/// so does, with `at_most_one`, one with rᵀ A G Aᵀ r > rᵀ A Aᵀ r.
///
/// Shapes: `covariance` maps Aᵀ p [N, M] to G Aᵀ p; result [N, M].
/// Source: Eisenstat, Elman & Schultz 1983, doi 10.1137/0720023, algorithm GCR.
pub(super) fn solve(
    g: &mut Graph,
    problem: &Problem<'_>,
    iterations: usize,
    at_most_one: bool,
    mut covariance: impl FnMut(&mut Graph, NodeId) -> NodeId,
) -> NodeId {
    let least = g.scalar(LEAST);
    let zero = g.scalar(0.0);
    let instrument = problem.instrument(g);
    let mut residual = g.detach(problem.residual);
    let mut active = None;
    let mut directions: Vec<Direction> = Vec::new();
    let mut solution: Option<NodeId> = None;
    for _ in 0..iterations {
        let adjoint = problem.adjoint(g, residual);
        let mut step = covariance(g, adjoint);
        let seen = project(g, residual, adjoint, step);
        let curvature = dot(g, residual, seen);
        let going = goes_on(g, active, curvature, at_most_one.then_some(adjoint));
        active = Some(going);
        let scaled = g.mul(residual, instrument);
        let mut image = g.add(seen, scaled);
        for before in &directions {
            let along = dot(g, image, before.image);
            let share = g.div(along, before.squared);
            let (taken, seen) = (g.mul(before.step, share), g.mul(before.image, share));
            step = g.sub(step, taken);
            image = g.sub(image, seen);
        }
        let squared = dot(g, image, image);
        let squared = g.max(squared, least);
        let along = dot(g, residual, image);
        let length = g.div(along, squared);
        let length = g.select(going, length, zero);
        let (added, seen) = (g.mul(step, length), g.mul(image, length));
        solution = Some(match solution {
            None => added,
            Some(before) => g.add(before, added),
        });
        residual = g.sub(residual, seen);
        directions.push(Direction { step, image, squared });
    }
    solution.expect("a solve has iterations: the guidance is checked")
}
