//! From scores of windows to the score of a whole trajectory.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::ArrayD;
use sda_graph::{Graph, NodeId};

use crate::error::DiffusionError;
use crate::known::KnownStates;
use crate::predictor::{Estimate, Guide, Guided, JacobianPart, NoisePredictor, TimeNodes, WindowRows};

/// Windows of 2k + 1 states every `stride` states over a trajectory of L.
///
/// Window q starts at q · stride and owns its local indices ⌊(W − stride)/2⌋ … + stride − 1; the first owns all before
/// too, the last all after. Where L − W is no multiple of the stride, a last window starts at L − W and owns what the
/// others leave. So every state is owned once, by a window in whose middle it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    length: usize,
    width: usize,
    stride: usize,
}

impl Windows {
    /// Errors: 2k + 1 > L, or a stride that is 0 or above 2k + 1.
    pub fn new(length: usize, order: usize, stride: usize) -> Result<Self, DiffusionError> {
        let width = 2 * order + 1;
        if width > length {
            return Err(DiffusionError::WindowTooLong { order, length });
        }
        if stride == 0 || stride > width {
            return Err(DiffusionError::Stride { stride, width });
        }
        Ok(Self { length, width, stride })
    }

    /// W = 2k + 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Q.
    pub fn count(&self) -> usize {
        self.regular() + usize::from(self.has_last())
    }

    /// First state of window q.
    pub fn start(&self, q: usize) -> usize {
        if q < self.regular() { q * self.stride } else { self.length - self.width }
    }

    /// States, by their index in the trajectory, whose score window q gives.
    pub fn owned(&self, q: usize) -> Range<usize> {
        let from = |q: usize| q * self.stride + (self.width - self.stride) / 2;
        let first = if q == 0 { 0 } else { from(q) };
        first..if q + 1 == self.count() { self.length } else { from(q + 1) }
    }

    /// Some windows, as the rows of [`Windows::unfold`].
    pub fn rows(&self, windows: &[usize]) -> WindowRows {
        WindowRows { starts: windows.iter().map(|&q| self.start(q)).collect(), width: self.width }
    }

    fn regular(&self) -> usize {
        (self.length - self.width) / self.stride + 1
    }

    fn has_last(&self) -> bool {
        !(self.length - self.width).is_multiple_of(self.stride)
    }

    /// The window that owns a state.
    pub fn owner(&self, state: usize) -> usize {
        let q = state.saturating_sub((self.width - self.stride) / 2) / self.stride;
        q.min(self.count() - 1)
    }

    /// Windows that own any of some states, and the others.
    fn that_own(&self, states: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let mut owns = vec![false; self.count()];
        states.iter().for_each(|&i| owns[self.owner(i)] = true);
        (0..self.count()).partition(|&q| owns[q])
    }

    /// Windows that hold any of some states (ascending), their own or not, and the others.
    fn that_hold(&self, states: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let all = self.rows(&(0..self.count()).collect::<Vec<_>>());
        (0..self.count()).partition(|&q| all.has_any(q, states))
    }

    /// Some windows of a trajectory, in this order.
    ///
    /// Shapes: `x` [N, L, …], result [N · windows, W, …].
    pub fn unfold(&self, g: &mut Graph, x: NodeId, windows: &[usize]) -> NodeId {
        let states: Vec<usize> =
            windows.iter().flat_map(|&q| self.start(q)..self.start(q) + self.width).collect();
        let shape = g.shape(x).to_vec();
        let unfolded = g.gather(x, 1, &states);
        let mut merged = vec![shape[0] * windows.len(), self.width];
        merged.extend(&shape[2..]);
        let unfolded = g.reshape(unfolded, &merged);
        g.rows(unfolded)
    }

    /// The trajectory put together from what each window owns; not the adjoint of [`Windows::unfold`].
    ///
    /// Shapes: parts (windows, [N · windows, W, …]) that hold each window once, result [N, L, …].
    ///
    /// Panics: a window is missing.
    #[track_caller]
    pub fn fold(&self, g: &mut Graph, parts: &[(Vec<usize>, NodeId)]) -> NodeId {
        let mut place = vec![None; self.count()];
        for (part, (windows, _)) in parts.iter().enumerate() {
            windows.iter().enumerate().for_each(|(at, &q)| place[q] = Some((part, at)));
        }
        // What each part owns, and where each state then stands: no array of all windows is made of the parts.
        let mut owned = vec![Vec::new(); parts.len()];
        let mut stands = Vec::with_capacity(self.length);
        for state in 0..self.length {
            let q = self.owner(state);
            let (part, at) =
                place[q].unwrap_or_else(|| panic!("fold: window {q} is missing among {parts:?}"));
            stands.push((part, owned[part].len()));
            owned[part].push(at * self.width + state - self.start(q));
        }
        let before: Vec<usize> =
            owned.iter().scan(0, |sum, states| Some(std::mem::replace(sum, *sum + states.len()))).collect();
        let side_by_side: Vec<NodeId> = parts
            .iter()
            .zip(&owned)
            .map(|((windows, node), states)| {
                let node = g.rows(*node);
                let shape = g.shape(node).to_vec();
                let mut split = vec![shape[0] / windows.len(), windows.len() * self.width];
                split.extend(&shape[2..]);
                let node = g.reshape(node, &split);
                g.gather(node, 1, states)
            })
            .collect();
        let states = g.concat(&side_by_side, 1);
        let order: Vec<usize> = stands.into_iter().map(|(part, at)| before[part] + at).collect();
        g.gather(states, 1, &order)
    }
}

/// The score of a trajectory from a score of its windows, applied to all of them at once.
///
/// Shapes: `x` [N, L, …]; the kernel sees [N · Q, 2k + 1, …].
/// Good values: stride 1 is the paper's; k 8 with stride 8 costs less and errs less.
/// Source: Rozet & Louppe 2023, arXiv 2306.10574, section 3.1.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalScore<K> {
    /// Predicts the noise of windows.
    pub kernel: K,
    /// k: states on either side of a window's centre.
    pub order: usize,
    /// States between the starts of two windows.
    pub stride: usize,
}

impl<K: NoisePredictor> NoisePredictor for LocalScore<K> {
    fn emit(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> NodeId {
        self.estimate(g, x, time).noise
    }

    fn estimate(&self, g: &mut Graph, x: NodeId, time: &TimeNodes) -> Estimate {
        let windows = self.slid(g, x);
        let all: Vec<usize> = (0..windows.count()).collect();
        let estimate = self.of_windows(g, x, time, &windows, &all);
        fold_both(g, &windows, &[(all, estimate)])
    }

    /// Windows that own none of the states have no row of the Jacobian that is asked for; windows that hold none have no
    /// column either. They are not differentiated.
    fn estimate_at(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        states: &[usize],
        part: JacobianPart,
    ) -> Estimate {
        let windows = self.slid(g, x);
        let (some, others) = match part {
            JacobianPart::Rows => windows.that_own(states),
            JacobianPart::RowsAndColumns => windows.that_hold(states),
        };
        let mut parts = Vec::new();
        if !some.is_empty() {
            let estimate = self.of_windows(g, x, time, &windows, &some);
            parts.push((some, estimate));
        }
        if !others.is_empty() {
            let estimate = self.of_windows(g, x, time, &windows, &others);
            parts.push((others, estimate.detached(g)));
        }
        fold_both(g, &windows, &parts)
    }

    /// Windows that hold none of the states are neither guided nor differentiated.
    fn guided(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        states: &[usize],
        guide: &Guide<'_>,
    ) -> Guided {
        let windows = self.slid(g, x);
        let (some, others) = windows.that_hold(states);
        let (mut priors, mut noises) = (Vec::new(), Vec::new());
        if !some.is_empty() {
            let unfolded = windows.unfold(g, x, &some);
            let time = time.repeated(g, some.len());
            let prior = self.kernel.estimate(g, unfolded, &time);
            noises.push((some.clone(), guide(g, unfolded, prior, &time, &windows.rows(&some))));
            priors.push((some, prior));
        }
        if !others.is_empty() {
            let prior = self.of_windows(g, x, time, &windows, &others);
            noises.push((others.clone(), prior.noise));
            priors.push((others, prior));
        }
        Guided { prior: fold_both(g, &windows, &priors), noise: windows.fold(g, &noises) }
    }

    fn estimate_known(&self, g: &mut Graph, x: NodeId, time: &TimeNodes, known: &KnownStates) -> Estimate {
        let windows = self.slid(g, x);
        let parts: Vec<_> = by_known(&windows, known)
            .into_iter()
            .map(|(local, some)| {
                let seen = self.of_known(g, x, time, &windows, &some, &local, known);
                (some, seen.prior)
            })
            .collect();
        fold_both(g, &windows, &parts)
    }

    fn guided_known(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        states: &[usize],
        guide: &Guide<'_>,
        known: &KnownStates,
    ) -> Guided {
        let windows = self.slid(g, x);
        let all = windows.rows(&(0..windows.count()).collect::<Vec<_>>());
        let (mut priors, mut noises) = (Vec::new(), Vec::new());
        for (local, some) in by_known(&windows, known) {
            let is_whole = local.len() == windows.width();
            let (seen, others): (Vec<usize>, Vec<usize>) =
                some.into_iter().partition(|&q| !is_whole && all.has_any(q, states));
            for (some, is_guided) in [(seen, true), (others, false)] {
                if some.is_empty() {
                    continue;
                }
                let of = self.of_known(g, x, time, &windows, &some, &local, known);
                let mut noise = of.prior.noise;
                if is_guided {
                    noise = guide(g, of.x, of.prior, &of.time, &windows.rows(&some));
                    noise = of.known.hold_noise(g, of.x, &of.time, noise);
                }
                priors.push((some.clone(), of.prior));
                noises.push((some, noise));
            }
        }
        Guided { prior: fold_both(g, &windows, &priors), noise: windows.fold(g, &noises) }
    }

    /// The kernel is asked for each pattern of known states that a window meets.
    fn check_known(&self, shape: &[usize], states: &[usize]) -> Result<(), DiffusionError> {
        let windows = Windows::new(shape[1], self.order, self.stride)?;
        let mut unfolded = shape.to_vec();
        unfolded[0] *= windows.count();
        unfolded[1] = windows.width();
        let known = |q: usize| within(states, windows.start(q), windows.width());
        let patterns = (0..windows.count()).map(known).filter(|p| !p.is_empty() && p.len() < windows.width());
        patterns.into_iter().try_for_each(|pattern| self.kernel.check_known(&unfolded, &pattern))
    }

    fn windows(&self, length: usize) -> Option<Windows> {
        Windows::new(length, self.order, self.stride).ok()
    }

    fn check(&self, shape: &[usize]) -> Result<(), DiffusionError> {
        let windows = Windows::new(shape[1], self.order, self.stride)?;
        let mut unfolded = shape.to_vec();
        unfolded[0] *= windows.count();
        unfolded[1] = windows.width();
        self.kernel.check(&unfolded)
    }

    fn conditions(&self, shape: &[usize]) -> Vec<(String, ArrayD<f64>)> {
        self.kernel.conditions(shape)
    }
}

/// Noise and denoised mean put together from those of windows.
fn fold_both(g: &mut Graph, windows: &Windows, parts: &[(Vec<usize>, Estimate)]) -> Estimate {
    let mut fold = |of: fn(&Estimate) -> NodeId| {
        let parts: Vec<(Vec<usize>, NodeId)> = parts.iter().map(|(q, e)| (q.clone(), of(e))).collect();
        windows.fold(g, &parts)
    };
    Estimate { noise: fold(|e| e.noise), denoised: fold(|e| e.denoised) }
}

/// Windows by which of their states are known, counted from their start.
fn by_known(windows: &Windows, known: &KnownStates) -> BTreeMap<Vec<usize>, Vec<usize>> {
    let mut patterns: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for q in 0..windows.count() {
        let local = within(&known.states, windows.start(q), windows.width());
        patterns.entry(local).or_default().push(q);
    }
    patterns
}

/// States (ascending) that fall in a window, counted from its start.
fn within(states: &[usize], start: usize, width: usize) -> Vec<usize> {
    states.iter().filter(|&&i| i >= start && i < start + width).map(|i| i - start).collect()
}

/// Some windows with the same states known.
struct KnownWindows {
    x: NodeId,
    time: TimeNodes,
    known: KnownStates,
    prior: Estimate,
}

impl<K: NoisePredictor> LocalScore<K> {
    #[allow(clippy::too_many_arguments, reason = "a window's place, and what is known in it")]
    fn of_known(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        windows: &Windows,
        some: &[usize],
        local: &[usize],
        known: &KnownStates,
    ) -> KnownWindows {
        let x = windows.unfold(g, x, some);
        let time = time.repeated(g, some.len());
        let values = windows.unfold(g, known.values, some);
        let known = KnownStates { states: local.to_vec(), values };
        let prior = if local.is_empty() {
            self.kernel.estimate(g, x, &time)
        } else if local.len() == windows.width() {
            known.hold(g, x, &time, Estimate { noise: x, denoised: x })
        } else {
            self.kernel.estimate_known(g, x, &time, &known)
        };
        KnownWindows { x, time, known, prior }
    }

    #[track_caller]
    fn slid(&self, g: &Graph, x: NodeId) -> Windows {
        Windows::new(g.shape(x)[1], self.order, self.stride).unwrap_or_else(|e| panic!("failed to {e}"))
    }

    fn of_windows(
        &self,
        g: &mut Graph,
        x: NodeId,
        time: &TimeNodes,
        windows: &Windows,
        some: &[usize],
    ) -> Estimate {
        let unfolded = windows.unfold(g, x, some);
        let time = time.repeated(g, some.len());
        self.kernel.estimate(g, unfolded, &time)
    }
}

#[cfg(test)]
mod tests;
