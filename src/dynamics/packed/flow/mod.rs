//! The flow over a gap, forwards: one file a formula of [`crate::dynamics::flow`]. Serving runs these,
//! and so does the training scan, which keeps what they leave in their buffers for going back.

mod cfc;
mod decay;
mod gru_ode;
mod tanh;

use pulp::Arch;

use super::linear::Linear;
use super::workspace::{Workspace, gather, room, scatter};
use crate::dynamics::solver::{Moving, Stage, stages};
use crate::settings::{ModelSettings, Solver};

/// A formula that moves states, with its weights laid out for one core.
pub(in crate::dynamics) trait Formula: Send + Sync {
    /// Values that an evaluation leaves behind for each of a state's H, in its two buffers.
    fn widths(&self) -> Widths;

    /// Evaluate at some points and move on.
    fn evaluate(&self, at: Evaluation<'_>);
}

/// See [`Evaluation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dynamics) struct Widths {
    pub inner: usize,
    pub outer: usize,
}

/// One evaluation, of one stage of a step, for S rows.
pub(in crate::dynamics) struct Evaluation<'a> {
    pub hidden: usize,
    pub stage: Stage,
    /// The rows, `[S]`.
    pub moving: &'a [Moving],
    /// Where their steps began, `[S, H]`.
    pub starts: &'a [f32],
    /// Where to evaluate, `[S, H]`.
    pub points: &'a [f32],
    /// Room, `[S, inner·H]`.
    pub inner: &'a mut [f32],
    /// Room, `[S, outer·H]`.
    pub outer: &'a mut [f32],
    /// Where their steps end: moved by this stage's part, `[S, H]`.
    pub ends: &'a mut [f32],
    /// Becomes where the next stage is evaluated, `[S, H]`.
    pub next: &'a mut [f32],
}

/// The formula of `settings` with its weights, in the order of
/// [`crate::dynamics::flow::weights`]; `None` for a GRU.
///
/// # Panics
/// Where there are fewer weights.
pub(in crate::dynamics) fn formula(
    arch: Arch,
    settings: &ModelSettings,
    weights: &[&[f32]],
) -> Option<Box<dyn Formula>> {
    let linear = |place: usize| Linear::from_rows(arch, weights[place], weights[place + 1]);
    Some(match settings.solver {
        Solver::Gru | Solver::SasRec | Solver::TiSasRec => return None,
        Solver::Euler | Solver::Rk4 => {
            let decay = settings.decay as f32;
            Box::new(tanh::Tanh { arch, decay, inner: linear(0), outer: linear(2) })
        }
        Solver::GruOde => Box::new(gru_ode::GruOde { arch, gates: linear(0) }),
        Solver::Cfc => Box::new(cfc::Cfc { arch, inner: linear(0), outer: linear(2) }),
        Solver::Decay => Box::new(decay::Decay::new(arch, weights[0], weights[1])),
    })
}

/// A formula and how gaps are crossed with it.
pub struct Flow {
    pub(super) stages: &'static [Stage],
    pub(super) formula: Box<dyn Formula>,
}

impl Flow {
    /// That of `settings`; `None` for a GRU.
    pub fn new(arch: Arch, settings: &ModelSettings, weights: &[&[f32]]) -> Option<Self> {
        let formula = formula(arch, settings, weights)?;
        Some(Self { stages: stages(settings.solver), formula })
    }

    /// Let every row of `workspace.gaps` flow over its gap.
    pub fn flow(&self, workspace: &mut Workspace, states: &mut [f32], hidden: usize) {
        let most = workspace.gaps.iter().map(|gap| gap.count).max().unwrap_or(0);
        for substep in 0..most {
            let gaps = workspace.gaps.iter().filter(|gap| gap.count > substep);
            workspace.substeps.clear();
            workspace.substeps.extend(gaps.map(|gap| Moving { row: gap.row, length: gap.length }));
            self.step(workspace, states, hidden);
        }
    }

    /// One step of every row of `workspace.substeps`.
    fn step(&self, workspace: &mut Workspace, states: &mut [f32], hidden: usize) {
        let Workspace { substeps, states: starts, ends, points, slopes, inner, .. } = workspace;
        let rows = substeps.iter().map(|moving| moving.row);
        let starts = gather(starts, states, hidden, rows.clone());
        let size = starts.len();
        let ends = room(ends, size);
        ends.copy_from_slice(starts);
        // Each stage finds its points in one half and puts the next stage's into the other.
        let (mut points, mut next) = room(points, 2 * size).split_at_mut(size);
        points.copy_from_slice(starts);
        let widths = self.formula.widths();
        let inner = room(inner, widths.inner * size);
        let outer = room(slopes, widths.outer * size);
        for &stage in self.stages {
            self.formula.evaluate(Evaluation {
                hidden,
                stage,
                moving: substeps,
                starts,
                points,
                inner,
                outer,
                ends,
                next,
            });
            std::mem::swap(&mut points, &mut next);
        }
        scatter(ends, states, hidden, rows);
    }
}

/// The values of row `row` of a matrix of `width` columns.
pub(in crate::dynamics) fn row(row: usize, width: usize) -> std::ops::Range<usize> {
    row * width..(row + 1) * width
}
