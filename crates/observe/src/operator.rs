//! The operators as one type: what an experiment file names.

use crate::error::ObserveError;
use crate::field::{
    Interpolation, Region, coarsen, crop, divergence, mask, spectrum, subsample, upsample, vorticity,
};
use crate::{affine, arctan, component, difference, every_nth, saturation, stack, states, sum};
use ndarray::{ArrayD, ArrayViewD};
use sda_graph::{Graph, NodeId};
use serde::{Deserialize, Serialize};

/// A differentiable map A from trajectories to what is observed of them.
///
/// Shapes: trajectories [B, L, D], of fields [B, L, H, W, C] (channels last); samples and states stay in front.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Operator {
    /// Everything.
    Identity,
    /// Entries of the last axis, in this order, counted from 0.
    Components(Vec<usize>),
    /// Every n-th state, from the first.
    EveryNth(usize),
    /// Adjacent states.
    States {
        /// The first.
        start: usize,
        /// How many.
        count: usize,
    },
    /// Operators one after another: the first acts on the trajectory.
    Compose(Vec<Operator>),
    /// Mean over blocks of n × n points.
    Coarsen(usize),
    /// Every n-th point along both spatial axes, from the first.
    Subsample(usize),
    /// A rectangle of points.
    Crop {
        /// First point along both spatial axes.
        start: [usize; 2],
        /// Points along both spatial axes.
        size: [usize; 2],
    },
    /// n points for each point along both spatial axes, on a periodic field.
    Upsample {
        /// n.
        factor: usize,
        /// What lies between the points.
        mode: Interpolation,
    },
    /// The points of a region, by rows.
    Mask(Region),
    /// ∂u/∂x_last − ∂v/∂x_first of a periodic velocity field (u, v) with unit spacing.
    Vorticity,
    /// ∂u/∂x_first + ∂v/∂x_last of a periodic velocity field (u, v) with unit spacing.
    Divergence,
    /// Energy by wavenumber of a periodic field, of all components: [B, L, K].
    Spectrum,
    /// One state less another, counted from 0.
    Difference {
        /// What is subtracted from.
        first: usize,
        /// What is subtracted.
        second: usize,
    },
    /// x/(1 + |x|)
    Saturate,
    /// arctan x
    Arctan,
    /// scale x + offset, as from a normalised to a physical unit.
    Affine {
        /// Times this.
        scale: f64,
        /// Plus this.
        #[serde(default)]
        offset: f64,
    },
    /// What each of several operators sees of every state, times its number, one after another along one axis:
    /// instruments of different noise as one of the same. Each sees all states.
    Stack(Vec<(Operator, f64)>),
    /// What several operators see, each times its number, added up.
    Sum(Vec<(Operator, f64)>),
}

impl Operator {
    /// Shape of the result.
    ///
    /// Shapes: `shape` [B, L, …].
    ///
    /// Errors: the operator does not apply to this shape.
    pub fn output_shape(&self, shape: &[usize]) -> Result<Vec<usize>, ObserveError> {
        let checked = match self {
            _ if shape.len() < 3 => Err("a trajectory has samples, states and components".into()),
            _ if shape.contains(&0) => Err("an axis is empty".into()),
            Self::Identity | Self::Saturate | Self::Arctan => Ok(shape.to_vec()),
            Self::Affine { scale, offset } => affine::output_shape(*scale, *offset, shape),
            Self::Components(indices) => component::output_shape(indices, shape),
            Self::EveryNth(n) => every_nth::output_shape(*n, shape),
            Self::States { start, count } => states::output_shape(*start, *count, shape),
            Self::Compose(operators) => {
                return operators.iter().try_fold(shape.to_vec(), |shape, o| o.output_shape(&shape));
            }
            Self::Coarsen(factor) => coarsen::output_shape(*factor, shape),
            Self::Subsample(n) => subsample::output_shape(*n, shape),
            Self::Crop { start, size } => crop::output_shape(*start, *size, shape),
            Self::Upsample { factor, .. } => upsample::output_shape(*factor, shape),
            Self::Mask(region) => mask::output_shape(region, shape),
            Self::Vorticity => vorticity::output_shape(shape),
            Self::Divergence => divergence::output_shape(shape),
            Self::Spectrum => spectrum::output_shape(shape),
            Self::Difference { first, second } => difference::output_shape(*first, *second, shape),
            Self::Sum(parts) => sum::output_shape(parts, shape),
            Self::Stack(parts) => stack::output_shape(parts, shape),
        };
        checked.map_err(|why| ObserveError::Shape {
            operator: format!("{self:?}"),
            shape: shape.to_vec(),
            why,
        })
    }

    /// A(x) as nodes.
    ///
    /// Shapes: `x` [B, L, …], result as [`Operator::output_shape`].
    ///
    /// Panics: the operator does not apply to the shape of `x`.
    #[track_caller]
    pub fn emit(&self, g: &mut Graph, x: NodeId) -> NodeId {
        let shape = g.shape(x).to_vec();
        if let Err(e) = self.output_shape(&shape) {
            panic!("failed to {e}");
        }
        match self {
            Self::Identity => x,
            Self::Components(indices) => component::emit(g, x, indices),
            Self::EveryNth(n) => every_nth::emit(g, x, *n),
            Self::States { start, count } => states::emit(g, x, *start, *count),
            Self::Compose(operators) => operators.iter().fold(x, |x, o| o.emit(g, x)),
            Self::Coarsen(factor) => coarsen::emit(g, x, *factor),
            Self::Subsample(n) => subsample::emit(g, x, *n),
            Self::Crop { start, size } => crop::emit(g, x, *start, *size),
            Self::Upsample { factor, mode } => upsample::emit(g, x, *factor, *mode),
            Self::Mask(region) => mask::emit(g, x, region),
            Self::Vorticity => vorticity::emit(g, x),
            Self::Divergence => divergence::emit(g, x),
            Self::Spectrum => spectrum::emit(g, x),
            Self::Difference { first, second } => difference::emit(g, x, *first, *second),
            Self::Sum(parts) => sum::emit(g, x, parts),
            Self::Saturate => saturation::emit(g, x),
            Self::Arctan => arctan::emit(g, x),
            Self::Affine { scale, offset } => affine::emit(g, x, *scale, *offset),
            Self::Stack(parts) => stack::emit(g, x, parts),
        }
    }

    /// A(x) on the host, by plain loops.
    ///
    /// Shapes: `x` [B, L, …], result as [`Operator::output_shape`].
    ///
    /// Errors: the operator does not apply to the shape of `x`.
    #[allow(clippy::needless_pass_by_value, reason = "a view is passed as a view, like everywhere else")]
    pub fn apply(&self, x: ArrayViewD<'_, f64>) -> Result<ArrayD<f64>, ObserveError> {
        let shape = self.output_shape(x.shape())?;
        Ok(match self {
            Self::Identity => x.to_owned(),
            Self::Components(indices) => component::apply(&x, indices),
            Self::EveryNth(n) => every_nth::apply(&x, *n),
            Self::States { start, count } => states::apply(&x, *start, *count),
            Self::Compose(operators) => operators.iter().try_fold(x.to_owned(), |x, o| o.apply(x.view()))?,
            Self::Coarsen(factor) => coarsen::apply(&x, shape, *factor),
            Self::Subsample(n) => subsample::apply(&x, shape, *n),
            Self::Crop { start, .. } => crop::apply(&x, shape, *start),
            Self::Upsample { factor, mode } => upsample::apply(&x, shape, *factor, *mode),
            Self::Mask(region) => mask::apply(&x, shape, region),
            Self::Vorticity => vorticity::apply(&x, shape),
            Self::Divergence => divergence::apply(&x, shape),
            Self::Spectrum => spectrum::apply(&x, shape),
            Self::Difference { first, second } => difference::apply(&x, *first, *second),
            Self::Sum(parts) => sum::apply(&x, parts)?,
            Self::Saturate => saturation::apply(&x),
            Self::Arctan => arctan::apply(&x),
            Self::Affine { scale, offset } => affine::apply(&x, *scale, *offset),
            Self::Stack(parts) => stack::apply(&x, parts)?,
        })
    }

    /// The operators of a composition, one after another; any other is one.
    pub fn chain(&self) -> Vec<&Self> {
        match self {
            Self::Compose(operators) => operators.iter().flat_map(Self::chain).collect(),
            other => vec![other],
        }
    }

    /// States that the result depends on, ascending: the others have no gradient.
    ///
    /// `length`: L.
    pub fn states(&self, length: usize) -> Vec<usize> {
        let mut states = self.restrict((0..length).map(|state| vec![state]).collect()).concat();
        states.sort_unstable();
        states.dedup();
        states
    }

    /// Of each state of the result, the states that it is made of, from those of what the operator acts on.
    fn restrict(&self, states: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
        match self {
            Self::Difference { first, second } => {
                let of = |state: &usize| states.get(*state).cloned().unwrap_or_default();
                vec![[of(first), of(second)].concat()]
            }
            Self::Sum(parts) => {
                let parts: Vec<_> = parts.iter().map(|(part, _)| part.restrict(states.clone())).collect();
                let length = parts.iter().map(Vec::len).max().unwrap_or(0);
                (0..length)
                    .map(|i| parts.iter().filter_map(|p| p.get(i).cloned()).flatten().collect())
                    .collect()
            }
            Self::EveryNth(n) => states.into_iter().step_by((*n).max(1)).collect(),
            Self::States { start, count } => states.into_iter().skip(*start).take(*count).collect(),
            Self::Compose(operators) => operators.iter().fold(states, |states, o| o.restrict(states)),
            Self::Identity
            | Self::Components(_)
            | Self::Coarsen(_)
            | Self::Subsample(_)
            | Self::Crop { .. }
            | Self::Upsample { .. }
            | Self::Mask(_)
            | Self::Vorticity
            | Self::Divergence
            | Self::Spectrum
            | Self::Saturate
            | Self::Arctan
            | Self::Affine { .. }
            | Self::Stack(_) => states,
        }
    }

    /// How much larger a small change of the state may come out, as far as that can be read off: the product of the scales
    /// on the way, the largest of those of a stack's parts, the sum of a sum's. All other operators count as 1.
    pub fn gain(&self) -> f64 {
        let of = |(part, scale): &(Self, f64)| scale.abs() * part.gain();
        match self {
            Self::Affine { scale, .. } => scale.abs(),
            Self::Compose(operators) => operators.iter().map(Self::gain).product(),
            Self::Stack(parts) => parts.iter().map(of).fold(0.0, f64::max),
            Self::Sum(parts) => parts.iter().map(of).sum(),
            _ => 1.0,
        }
    }

    /// The map that the operator applies to every state that it sees, the same for all of them and on each alone; with
    /// [`Operator::states`] it is the operator. `None` where states meet.
    pub fn on_each_state(&self) -> Option<Self> {
        Some(match self {
            Self::EveryNth(_) | Self::States { .. } => Self::Identity,
            Self::Compose(operators) => {
                Self::Compose(operators.iter().map(Self::on_each_state).collect::<Option<_>>()?)
            }
            Self::Stack(parts) => {
                let each = parts.iter().map(|(part, scale)| Some((part.on_each_state()?, *scale)));
                Self::Stack(each.collect::<Option<_>>()?)
            }
            Self::Identity
            | Self::Components(_)
            | Self::Coarsen(_)
            | Self::Subsample(_)
            | Self::Crop { .. }
            | Self::Upsample { .. }
            | Self::Mask(_)
            | Self::Vorticity
            | Self::Divergence
            | Self::Spectrum
            | Self::Saturate
            | Self::Arctan
            | Self::Affine { .. } => self.clone(),
            // Parts may choose other states, each its own.
            Self::Difference { .. } => return None,
            Self::Sum(parts) if parts.iter().any(|(part, _)| part.chooses_states()) => return None,
            Self::Sum(_) => self.clone(),
        })
    }

    /// Whether it leaves states out or lets them meet.
    fn chooses_states(&self) -> bool {
        match self {
            Self::EveryNth(_) | Self::States { .. } | Self::Difference { .. } => true,
            Self::Compose(operators) => operators.iter().any(Self::chooses_states),
            Self::Stack(parts) | Self::Sum(parts) => parts.iter().any(|(part, _)| part.chooses_states()),
            _ => false,
        }
    }

    /// Whether A(a x + b y) = a A(x) + b A(y).
    pub fn is_linear(&self) -> bool {
        match self {
            Self::Saturate | Self::Arctan | Self::Spectrum => false,
            Self::Affine { offset, .. } => *offset == 0.0,
            Self::Compose(operators) => operators.iter().all(Self::is_linear),
            Self::Stack(parts) | Self::Sum(parts) => parts.iter().all(|(part, _)| part.is_linear()),
            _ => true,
        }
    }
}
