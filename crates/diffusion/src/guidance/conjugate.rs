//! The solve that MMPS, JFPS and ΠGDM share: conjugate gradients with a fixed number of iterations.

use sda_graph::{Graph, NodeId};

use super::problem::{Problem, project};

/// Least divisor: a residual of zero has a step of 0, not 0/0.
pub(super) const LEAST: f64 = 1e-30;

/// What a solve yields.
pub(super) struct Solution {
    /// u ≈ (σ_y² μ²/σ² + A G Aᵀ)⁻¹ (y − A(x̂)), [N, P].
    pub(super) dual: NodeId,
    /// G Aᵀ u, [N, M].
    pub(super) step: NodeId,
}

/// Conjugate gradients on
///
///   (σ_y² μ²/σ² + A G Aᵀ) u = y − A(x̂)
///
/// the system of a posterior whose denoised covariance is V = (σ²/μ²) G, divided by σ²/μ²: no number of the order of
/// σ²/μ² ~ 1e6 is added to one of the order of σ_y² ~ 1e-4. A row with pᵀ A G Aᵀ p < 0 in some iteration stops there,
/// and so does, with `at_most_one`, one with pᵀ A G Aᵀ p > pᵀ A Aᵀ p: G is no covariance then, or not one below the
/// diffusion's.
///
/// Shapes: `covariance` maps Aᵀ p [N, M] to G Aᵀ p.
/// Source: Rozet, Andry, Lanusse & Louppe 2024, arXiv 2405.13712, section 4.
pub(super) fn solve(
    g: &mut Graph,
    problem: &Problem<'_>,
    iterations: usize,
    at_most_one: bool,
    mut covariance: impl FnMut(&mut Graph, NodeId) -> NodeId,
) -> Solution {
    let least = g.scalar(LEAST);
    let instrument = problem.instrument(g);
    let mut residual = g.detach(problem.residual);
    let mut direction = residual;
    let mut size = dot(g, residual, residual);
    let mut active = None;
    let mut solution: Option<Solution> = None;
    for iteration in 0..iterations {
        let adjoint = problem.adjoint(g, direction);
        let step = covariance(g, adjoint);
        let seen = project(g, direction, adjoint, step);
        let curvature = dot(g, direction, seen);
        let going = goes_on(g, active, curvature, at_most_one.then_some(adjoint));
        active = Some(going);
        let squared = dot(g, direction, direction);
        let instrumental = g.mul(squared, instrument);
        let total = g.add(curvature, instrumental);
        let total = g.max(total, least);
        let length = g.div(size, total);
        let zero = g.scalar(0.0);
        let length = g.select(going, length, zero);
        let (du, dx) = (g.mul(direction, length), g.mul(step, length));
        solution = Some(match solution {
            None => Solution { dual: du, step: dx },
            Some(s) => Solution { dual: g.add(s.dual, du), step: g.add(s.step, dx) },
        });
        if iteration + 1 == iterations {
            break;
        }
        let scaled = g.mul(direction, instrument);
        let image = g.add(seen, scaled);
        let taken = g.mul(image, length);
        residual = g.sub(residual, taken);
        let next = dot(g, residual, residual);
        let size_or_least = g.max(size, least);
        let ratio = g.div(next, size_or_least);
        let kept = g.mul(direction, ratio);
        direction = g.add(residual, kept);
        size = next;
    }
    solution.expect("a solve has iterations: the guidance is checked")
}

/// 1 for each row that has not stopped before and whose curvature pᵀ A G Aᵀ p is one of a covariance: not negative, and not
/// above pᵀ A Aᵀ p where that is a bound; else 0.
///
/// Shapes: `before`, `curvature`, result [N, 1]; `bound` is Aᵀ p [N, M].
pub(super) fn goes_on(
    g: &mut Graph,
    before: Option<NodeId>,
    curvature: NodeId,
    bound: Option<NodeId>,
) -> NodeId {
    let mut goes_on = not_negative(g, curvature);
    if let Some(adjoint) = bound {
        let full = dot(g, adjoint, adjoint);
        let room = g.sub(full, curvature);
        let below = not_negative(g, room);
        goes_on = g.mul(goes_on, below);
    }
    before.map_or(goes_on, |before| g.mul(before, goes_on))
}

/// Σ a b of each row, [N, 1].
pub(super) fn dot(g: &mut Graph, a: NodeId, b: NodeId) -> NodeId {
    let product = g.mul(a, b);
    g.sum(product, &[1])
}

/// 1 where x ≥ 0, else 0; 0 where it is no number.
fn not_negative(g: &mut Graph, x: NodeId) -> NodeId {
    let zero = g.scalar(0.0);
    let below = g.less(x, zero);
    let negated = g.neg(below);
    let not_below = g.offset(negated, 1.0);
    let finite = g.finite(x);
    g.mul(not_below, finite)
}
